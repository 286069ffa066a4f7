"""The Fréchet wavelet distance of pairs of sets whose difference is known: a table.

    python tests/benchmarks/wavelets.py [DIR]

Pairs are of phantoms that no generator has seen, and of the slices in DIR, if it is given. Beside each
distance stands the share that the lowest packet has of it. Then comes the packet that lies farthest above
what it is between slices of different groups: how many times, at which frequencies in cycles per pixel, and
its gain in power. `log_scaled` is what pytorchfwd's --log_scale yields. data/results/wavelet.csv holds what
came out. An hour on two busy cores.
"""

import csv
import io
import resource
import sys
import time

import numpy as np
import torch

from ctgan_utils import data, metrics
from ctgan_utils.evaluation.faults import FAULTS
from ctgan_utils.runtime import REPOSITORY, atomic_write
from ctgan_utils.sampling import load_shipped, sample

N, PHANTOMS, SEED, SPLITS = 1_000, 2_600, 100, 3
GENERATORS = {64: ("small", "small-kernel"), 128: ("large-v1", "large-v2-z100", "large-v2-z128")}
STRENGTHS = 0.2, 0.4, 0.6, 0.8, 1.0


def measure_cost():
    """Processor time and memory of 5,000 images a side."""
    x, y = np.random.default_rng(0).integers(256, size=(2, 5_000, 128, 128), dtype=np.uint8)
    before, begun = peak(), time.process_time()
    metrics.wavelet_distance(x, y)
    seconds = time.process_time() - begun
    print(f"n = 5,000 at 128x128: {seconds:.0f} s of one core, {peak() - before:.1f} GB more", flush=True)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def drawn(ct, n, seed):
    """n slices at random, or all where there are fewer."""
    return ct[torch.randperm(len(ct), generator=torch.Generator().manual_seed(seed))[:n]]


def faulty(name, ct, strength, seed=0):
    return FAULTS[name](ct, strength, torch.Generator().manual_seed(seed))


def speckled(ct):
    """One grey level more in 1 of 20 pixels: nobody sees it."""
    rng = torch.Generator().manual_seed(0)
    more = torch.rand(ct.images.shape, generator=rng) < 0.05
    return (ct.images + (more & (ct.images < 255))).to(torch.uint8)


def pairs(ct):
    """(what is compared, strength or seed, images, images) of one set of slices; the groups' first."""
    size = ct.images.shape[-1]
    for seed in range(SPLITS):
        x, y = (drawn(part, N, seed) for part in data.split(ct, 0.5, seed))
        yield "other groups", seed, x.images, y.images
    for seed in range(SPLITS):
        both = drawn(ct, 2 * N, seed).images
        yield "other slices of the same groups", seed, both[:N], both[N:]
    normal, cyst = (ct[(ct.labels == ct.classes.index(name)).nonzero()[:, 0]] for name in ("Normal", "Cyst"))
    n = min(N, len(normal), len(cyst))
    yield "Normal and Cyst", 0, drawn(normal, n, 0).images, drawn(cyst, n, 0).images
    x, other = (drawn(part, N, 0) for part in data.split(ct, 0.5))
    yield "one grey level more in 5 % of the pixels", 0, x.images, speckled(x)
    yield "blur of one pixel", 0, x.images, faulty("blur", x, 32 / size)
    yield "blur of one pixel, other groups", 0, x.images, faulty("blur", other, 32 / size)
    for name in GENERATORS[size]:
        generator, _ = load_shipped(name)
        for seed in range(SPLITS):
            yield f"generator {name}", seed, x.images, sample(generator, len(x), seed)
    if size == 64:
        for name in ("blur", "noise", "swirl"):
            for suffix, slices in (("", x), (", other groups", other)):
                for strength in STRENGTHS:
                    yield f"{name}{suffix}", strength, x.images, faulty(name, slices, strength)


def rows_of(name, ct):
    size, usual = ct.images.shape[-1], []
    for compared, step, x, y in pairs(ct):
        packets = [metrics.wavelet_packets(images) for images in (x, y)]
        distances, gains = metrics.packet_distances(*packets), metrics.packet_gains(*packets)
        if compared == "other groups":
            usual.append(distances)
        times = distances / np.mean(usual, 0)
        worst = np.unravel_index(times.argmax(), times.shape)
        vertical, horizontal = (np.array(worst) + 0.5) / (2 * len(times))
        logarithms = [np.log(np.abs(p) + 1e-6) for p in packets]
        yield {
            "data": name,
            "size": size,
            "n": len(y),
            "compared": compared,
            "strength_or_seed": step,
            "distance": f"{distances.mean():.4g}",
            "lowest_share": f"{distances[0, 0] / distances.sum():.3f}",
            "times_other_groups": f"{times.max():.3g}",
            "vertical": f"{vertical:.4f}",
            "horizontal": f"{horizontal:.4f}",
            "gain_db": f"{gains[worst]:.1f}",
            "log_scaled": f"{metrics.packet_distances(*logarithms).mean():.4g}",
        }


def print_ladders(rows):
    for name in dict.fromkeys((row["data"], row["compared"]) for row in rows):
        of = [float(row["distance"]) for row in rows if (row["data"], row["compared"]) == name]
        if len(of) == len(STRENGTHS):
            told = "grows" if of == sorted(of) else "does not grow"
            print(f"{', '.join(name)}: {told} with strength: {of}")


def main():
    measure_cost()
    sets = [("phantom", data.load_phantom(PHANTOMS, size, SEED)) for size in GENERATORS]
    sets += [("real slices", data.load_folder(folder, 64)) for folder in sys.argv[1:2]]
    rows = []
    for name, ct in sets:
        for row in rows_of(name, ct):
            print(*row.values(), sep=", ", flush=True)
            rows.append(row)
    print_ladders(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(REPOSITORY / "data" / "results" / "wavelet.csv", buffer.getvalue().encode())


if __name__ == "__main__":
    main()

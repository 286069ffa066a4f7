"""A generator before the eye: can you tell its slices from real ones, and are they copies?

    python tests/benchmarks/sheets.py WEIGHTS FOLDER OUT

WEIGHTS is a run folder, or a file of `export`; FOLDER holds the slices it was trained on, a part of which it
held out. Into the folder OUT go mixed.png, 16 slices of unseen patients and 16 samples in random order at
three times their size, and nearest.png, 8 samples above the nearest slice that the generator learnt from and
the nearest that it never saw. Printed are the answers to the first, ratios for the second, and how far the
power of samples lies from that of real slices, up to the Nyquist frequency.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from ctgan_utils import data, metrics
from ctgan_utils.data.image_files import grid_png
from ctgan_utils.data.slices import by_use
from ctgan_utils.evaluation.evaluate import pixels
from ctgan_utils.metrics import one_of_each
from ctgan_utils.runtime import atomic_write
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.training import checkpoints

N, MIXED, SHOWN, ENLARGED = 1_000, 16, 8, 3


def enlarged(images):
    return images.repeat_interleave(ENLARGED, 2).repeat_interleave(ENLARGED, 3)


def main(weights, folder, out):
    G, system = load_generator(weights)
    seen, unseen = by_use(data.load(folder, system.image_size), checkpoints.read_seen(weights))
    fake = sample(G, N)
    rng = np.random.default_rng(0)
    real = unseen.images[one_of_each(unseen.groups.numpy(), rng)[:MIXED]]
    order = torch.from_numpy(rng.permutation(len(real) + MIXED))
    both = torch.cat([real, fake[:MIXED]])[order]
    atomic_write(out / "mixed.png", grid_png(enlarged(both)))
    for row, kinds in enumerate((order >= len(real)).split(8), start=1):
        print(f"mixed.png, row {row}:", " ".join("generated" if kind else "real" for kind in kinds))
    rows = [fake[:SHOWN]]
    for ct in (seen, unseen):
        nearest = metrics.nearest_distances(pixels(fake[:SHOWN]), pixels(ct.images))[1][:, 0]
        rows.append(ct.images[nearest])
    atomic_write(out / "nearest.png", grid_png(enlarged(torch.cat(rows))))
    sets = [pixels(images) for images in (fake, seen.images, unseen.images)]
    print(f"nearest training slice to nearest unseen slice, ratio {metrics.memorisation_ratio(*sets):.2f}")
    chosen = unseen.images[torch.randperm(len(unseen), generator=torch.Generator().manual_seed(0))[:N]]
    (frequency, a), (_, b) = (metrics.radial_power_spectrum(x[:, 0].numpy()) for x in (chosen, fake))
    gaps = 10 * np.log10(b[1:] / a[1:])
    worst = np.abs(gaps).argmax()
    print(
        f"power, at most {gaps[worst]:+.1f} dB from real slices, at {frequency[1:][worst]:.2f} cycles/pixel"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

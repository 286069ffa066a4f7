"""The trained critic where the answer is known, and on generators; and how often its interval holds.

    python tests/benchmarks/trained_critic.py CT_KIDNEY MEDNIST

CT_KIDNEY and MEDNIST are what --data takes. Half an hour on two cores, and as much the first time, to draw
12,000 phantoms. Writes data/results/trained_critic.csv.
"""

import csv
import sys
import time
from dataclasses import replace

import numpy as np
import torch

from ctgan_utils import data
from ctgan_utils.evaluation.faults import FAULTS
from ctgan_utils.evaluation.trained_critic import trained_critic
from ctgan_utils.runtime import REPOSITORY, SHIPPED
from ctgan_utils.sampling import load_generator, load_shipped, sample

RESULTS = REPOSITORY / "data" / "results" / "trained_critic.csv"
SEEDS, SAMPLES = 3, 1000
DRAWS, OF_A_DRAW = 20, 300  # pairs of sets of other phantoms, and about how many slices a set has
FAINT = {"blurred by a pixel": ("blur", 0.5), "noise of 4 grey levels": ("noise", 1 / 8)}


def row(real, name, images, groups, of_real):
    """The row of one test: slices against images of that name; groups None are a generator's samples."""
    begun = time.process_time()
    found = trained_critic(real.images, real.groups, images, groups, seeds=SEEDS)
    numbers = {
        "accuracy": found.accuracy,
        "accuracy_low": found.accuracy_interval[0],
        "accuracy_high": found.accuracy_interval[1],
        "auc": found.auc,
        "auc_low": found.auc_interval[0],
        "auc_high": found.auc_interval[1],
    }
    sizes = {"size": images.shape[-1], "n": found.n, "groups_real": found.patients[0]}
    sizes |= {"groups_other": found.patients[1] if groups is not None else "samples", "seeds": SEEDS}
    seconds = {"cpu_seconds": round(time.process_time() - begun)}
    line = {"real": of_real, "other": name, **sizes}
    line |= {name: f"{value:.3f}" for name, value in numbers.items()} | seconds
    print(*line.values(), sep=", ", flush=True)
    return line


def known(ct, name, seed=0):
    """Rows whose answer is known: slices against those of other patients, as they are and with a fault."""
    first, second = data.split(ct, 0.5, seed)
    rng = torch.Generator().manual_seed(0)
    faulty = {what: FAULTS[fault](second, strength, rng) for what, (fault, strength) in FAINT.items()}
    for what, images in {"as they are": second.images, **faulty, "mirrored": second.images.flip(3)}.items():
        yield row(first, f"others, {what}", images, second.groups, name)


def comparisons(ct_kidney, mednist):
    phantoms = data.load("phantom", 64, phantoms=1000, seed=11)
    yield from known(phantoms, "phantoms")
    yield from known(ct_kidney, "CT KIDNEY")
    for seed in (1, 2):
        yield next(known(ct_kidney, f"CT KIDNEY, another split ({seed})", seed))
    yield row(ct_kidney, "phantoms", phantoms.images, phantoms.groups, "CT KIDNEY")
    for name, system in (("Small GAN", "small"), ("ct-64", "ct-64")):
        yield row(phantoms, name, sample(load_shipped(system)[0], SAMPLES), None, "phantoms")
    large, _ = load_shipped("large-v2-z128")
    at_128 = data.load("phantom", 128, phantoms=500, seed=11)
    yield row(at_128, "Larger GAN, Version 2", sample(large, 500), None, "phantoms")
    G, _ = load_generator(SHIPPED / "ct-64-mednist.safetensors")
    fake = sample(G, SAMPLES)
    yield row(mednist, "ct-64", fake, None, "MedNIST")
    alone = replace(mednist, groups=torch.arange(len(mednist)))
    yield row(alone, "ct-64", fake, None, "MedNIST, each slice for itself")


def draws():
    """Rows of phantoms against phantoms of other patients, disjoint in every draw: half is always right."""
    pool = data.load("phantom", 64, phantoms=2 * DRAWS * OF_A_DRAW, seed=100)
    sets = [pool[chosen] for chosen in (pool.groups % (2 * DRAWS) == k for k in range(2 * DRAWS))]
    for k in range(DRAWS):
        first, second = sets[2 * k : 2 * k + 2]
        yield row(first, f"others, draw {k}", second.images, second.groups, "phantoms of each draw")


def report(rows):
    """How often the interval of a draw holds one half, and its width beside the spread of the values."""
    for name in ("accuracy", "auc"):
        value, low, high = (np.array([float(r[name + end]) for r in rows]) for end in ("", "_low", "_high"))
        holds, half = ((low <= 0.5) & (high >= 0.5)).sum(), (high - low).mean() / 2
        print(f"{name}: mean {value.mean():.3f}, standard deviation {value.std(ddof=1):.3f}", end=", ")
        print(f"half width {half:.3f}; {holds} of {len(rows)} intervals hold 0.5")


def main():
    ct_kidney, mednist = (data.load(name, 64) for name in sys.argv[1:])
    rows = list(comparisons(ct_kidney, mednist))
    repeated = list(draws())
    report(repeated)
    with open(RESULTS, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows + repeated)


if __name__ == "__main__":
    main()

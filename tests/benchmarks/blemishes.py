"""The faults that thesis 4.5.1 names, in several trainings of each system, for notebook 10.

    python tests/benchmarks/blemishes.py FOLDER RUNS

FOLDER is from `phantom --n 20000 --size 64 --seed 1`. RUNS is the folder of a campaign: what it lacks of
DCGAN (tuned), the Small GAN, and the Small GAN with its kernel, three seeds each with 32,000 images, is
trained there, two minutes a run on one core with bfloat16. RUNS/blemishes.csv has a row for each run and one
each for slices of unseen and of training patients, 1,000 images in every row.
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np
import torch

from ctgan_utils import metrics
from ctgan_utils.campaign.plan import Entry, Run
from ctgan_utils.campaign.table import folder_of
from ctgan_utils.campaign.work import HELD_OUT, Site, carry_out
from ctgan_utils.data import load_folder, split
from ctgan_utils.runtime import atomic_write
from ctgan_utils.sampling import load_generator, sample

IMAGES, SEEDS, N = 32_000, 3, 1_000
SYSTEMS = {
    "dcgan-b64": "learning_rate=1e-3 beta1=0 beta2=0.9",
    "small": "",
    "small-kernel": "",
}


def main(folder: str, runs: Path) -> None:
    site = Site(runs, {"phantom": folder}, n=N)
    seen, unseen = split(load_folder(folder, 64), HELD_OUT)
    rng = torch.Generator().manual_seed(0)
    sides = {
        name: side.images[torch.randperm(len(side), generator=rng)[:N], 0].numpy()
        for name, side in (("unseen patients", unseen), ("training patients", seen))
    }
    blank = metrics.blank_space(seen.images)
    air = np.median(sides["training patients"][:, [0, 0, -1, -1], [0, -1, 0, -1]])
    rows = [row(name, 0, 0, images, blank, air) for name, images in sides.items()]
    for seed in range(SEEDS):
        for name, settings in SYSTEMS.items():
            run = Run(Entry(name, settings, "phantom", IMAGES, SEEDS), seed)
            carry_out(run, site)
            images = sample(load_generator(folder_of(runs, run))[0], N, seed)[:, 0].numpy()
            rows.append(row(name, seed, IMAGES, images, blank, air))
            print(rows[-1], flush=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(runs / "blemishes.csv", text.getvalue().encode())


def row(name, seed, seen, images, blank, air):
    found = metrics.pooled(metrics.blemishes(images, blank, air))
    measured = {fault: f"{value:.4g}" for fault, value in found.items()}
    return {"images of": name, "seed": seed, "images seen": seen, **measured}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

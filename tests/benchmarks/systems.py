"""The nine systems of the thesis after equally many steps, several seeds of each: a CSV and a figure.

    for s in 0 1 2; do for e in dcgan-b64 dcgan-b100 wgan-conv wgan-linear-conv small small-kernel \\
                                large-v1 large-v2-z100 large-v2-z128; do
        python -m ctgan_utils train $e --steps 1000 --seed $s --out build/nine/$s/$e; done; done
    python tests/benchmarks/systems.py build/nine [FIGURE.png] > data/results/nine_systems.csv

Half an hour a seed on two cores, with PyTorch on one thread for each of two such loops at a time.
"""

import csv
import io
import sys
from pathlib import Path

import torch
from torch.nn import functional

from ctgan_utils import data, metrics
from ctgan_utils.evaluation import features
from ctgan_utils.figures.images import images_figure
from ctgan_utils.runtime import atomic_write
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems import EXPERIMENTS
from ctgan_utils.training.history import read_history

N, SHOWN = 1_000, 8
COLUMNS = "experiment profile steps seed metric n value floor spread"


def main(runs, figure=None):
    extractor = features.load_extractor("ct")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS.split())
    rows, order = [], torch.randperm(2 * N, generator=torch.Generator().manual_seed(0))
    nine = [name for name, preset in EXPERIMENTS.items() if preset.thesis]
    for name in nine:
        for run in sorted(runs.glob(f"[0-9]*/{name}")):
            G, e = load_generator(run)
            ct, fake = data.load("phantom", e.image_size), sample(G, N)
            real, other = (features.cached_features(extractor, ct.images[o]) for o in order.split(N))
            distance = metrics.frechet_distance(real, features.extract(extractor, fake))
            floor, last = metrics.frechet_distance(real, other), read_history(run)[-1]
            run_of = [name, "lesson", last["step"], run.parent.name, "FD-ct", N]
            table.writerow([*run_of, f"{distance:.1f}", f"{floor:.1f}", f"{last['spread']:.2f}"])
            if run.parent.name == "0":
                rows.append(functional.interpolate(fake[:SHOWN], size=128, mode="nearest"))
    if figure:
        caption = f"A row for each of {', '.join(nine)}: samples, not selected, seed 0."
        buffer = io.BytesIO()
        fig = images_figure(torch.cat(rows), caption, columns=SHOWN, scale=0.9)
        fig.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
        atomic_write(figure, buffer.getvalue())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

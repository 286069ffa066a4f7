"""Whether a critic knows its training slices by heart: scores of them, of unseen patients, of samples.

    python tests/benchmarks/critic_scores.py FOLDER NAME=RUN...

Each RUN is a run folder, FOLDER the slices that all were trained on, a part of which they held out.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from ctgan_utils import data
from ctgan_utils.data.slices import by_use
from ctgan_utils.grey import to_float
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.training import checkpoints

N = 500  # images of each kind


def main(folder: str, runs: dict[str, Path]) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["run", "images", "mean score", "standard deviation", "n"])
    for name, run in runs.items():
        table.writerows([name, *row] for row in scores(run, folder))


def scores(run: Path, folder: str) -> Iterator[list]:
    """A row for each kind of images."""
    G, system = load_generator(run)
    _, D = system.networks()
    checkpoints.load_weights(run / checkpoints.WEIGHTS, {"D": D})
    seen, unseen = by_use(data.load(folder, system.image_size), checkpoints.read_seen(run))
    rng = torch.Generator().manual_seed(0)
    kinds = {
        name: ct.images[torch.randperm(len(ct), generator=rng)[:N]]
        for name, ct in (("training slices", seen), ("slices of unseen patients", unseen))
    }
    kinds["generated slices"] = sample(G, N)
    with torch.no_grad():
        for name, images in kinds.items():
            found = system.score(D, {"images": to_float(images)})
            yield [name, f"{found.mean():.2f}", f"{found.std():.2f}", len(found)]


if __name__ == "__main__":
    main(sys.argv[1], {name: Path(run) for name, run in (text.split("=", 1) for text in sys.argv[2:])})

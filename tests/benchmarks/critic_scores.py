"""Whether a critic knows its training slices by heart: scores of them, of unseen patients, of samples.

    python tests/benchmarks/critic_scores.py RUN FOLDER

RUN is a run folder, FOLDER the slices it was trained on, a part of which it held out.
"""

import csv
import sys
from pathlib import Path

import torch

from ctgan_utils import data
from ctgan_utils.data.slices import by_use
from ctgan_utils.grey import to_float
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.training import checkpoints

N = 500  # images of each kind


def main(run: Path, folder: str) -> None:
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
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["images", "mean score", "standard deviation", "n"])
    with torch.no_grad():
        for name, images in kinds.items():
            scores = system.score(D, {"images": to_float(images)})
            table.writerow([name, f"{scores.mean():.2f}", f"{scores.std():.2f}", len(scores)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

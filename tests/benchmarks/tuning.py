"""What tuning is worth: a DCGAN and the Small GAN, each tuned with the same effort, on equally many images.

    python tests/benchmarks/tuning.py data/results/tuning.csv

The search trains both systems, in the lesson's widths, once with each of the same eight candidates: four
pairs of learning rates, each with two pairs of Adam's betas. The test repeats three settings of each system
with other seeds: the thesis', the lesson's, and the one that came out best in the search. Every run sees
19,200 phantoms. A row is written after each run, and a second call goes on where the first one stopped.
Half an hour on one core.
"""

import csv
import sys
from itertools import product
from pathlib import Path

from ctgan_utils import data
from ctgan_utils.evaluation.evaluate import distances
from ctgan_utils.systems import get_experiment, get_profile
from ctgan_utils.training.runs import new_trainer

SYSTEMS = "dcgan-b64", "small"
RATES = (2e-4, 2e-4), (1e-3, 1e-3), (5e-4, 2e-3), (1e-3, 2e-4)  # of the generator, of the critic
BETAS = (0.5, 0.999), (0.0, 0.9)
TUNED = "critic_steps", "learning_rate", "critic_learning_rate", "beta1", "beta2"
CANDIDATES = [" ".join(f"{k}={v:g}" for k, v in zip(TUNED, (1, *r, *b))) for r, b in product(RATES, BETAS)]
SEARCHED, TESTED = 0, (1, 2, 3, 4, 5)  # seeds
IMAGES = 19_200  # real images that a critic is shown in a run: 300 batches
COLUMNS = "experiment", "settings", "seed", "images", "value", "floor", "n"


def main(path: Path) -> None:
    ct = data.load("phantom", 64, phantoms=get_profile("lesson").phantoms)
    if not path.exists():
        path.write_text(",".join(COLUMNS) + "\n")
    for candidate, name in product(CANDIDATES, SYSTEMS):
        measure(path, ct, name, candidate, SEARCHED)
    for seed, name in product(TESTED, SYSTEMS):
        for settings in dict.fromkeys((profiled(name, "thesis"), profiled(name, "lesson"), best(path, name))):
            measure(path, ct, name, settings, seed)


def profiled(name: str, profile: str) -> str:
    """What a profile gives to a system's tuned fields."""
    return " ".join(f"{k}={getattr(get_experiment(name, profile), k):g}" for k in TUNED)


def best(path: Path, name: str) -> str:
    """The settings with the lowest distance in the search."""
    found = [row for row in rows(path) if row["experiment"] == name and row["seed"] == str(SEARCHED)]
    return min(found, key=lambda row: float(row["value"]))["settings"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def measure(path: Path, ct: data.CTImages, name: str, settings: str, seed: int) -> None:
    """Train, measure and append a row, unless it is there."""
    run = [name, settings, str(seed)]
    if run in [list(row.values())[: len(run)] for row in rows(path)]:
        return
    trainer = new_trainer(get_experiment(name, "lesson", settings.split()), ct, seed)
    while trainer.images_seen < IMAGES:
        trainer.train_step()
    n = get_profile("lesson").evaluated
    found = distances(ct, {name: trainer.G_ema}, n)
    row = name, settings, seed, trainer.images_seen, f"{found[name]:.2f}", f"{found['floor']:.2f}", n
    with path.open("a") as file:
        print(*row, sep=",", file=file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

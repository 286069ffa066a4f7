"""How the rates of the shipped DCGAN were chosen, and the losses of every step, for notebook 10.

    python tests/benchmarks/dcgan_rates.py RUNS

DCGAN is trained in the lesson's width on 2,000 phantoms with three pairs of rates, measured after 500 steps;
the pair of its paper and the best one go on to 2,000, and so does the Small GAN with the lesson's rates.
Writes runs to RUNS, and data/results/dcgan_rates.csv and losses_64.csv. An hour on one core. The shipped
weights are `export` of the run dcgan-b64-0.001-0.00025.
"""

import sys
from pathlib import Path

import pandas as pd

from ctgan_utils import data, metrics
from ctgan_utils.evaluation.evaluate import distances
from ctgan_utils.runtime import REPOSITORY
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems import get_experiment
from ctgan_utils.training import checkpoints
from ctgan_utils.training.runs import new_trainer

RUNS = {  # (experiment, rate of G, rate of D): (steps, the name of its losses)
    ("dcgan-b64", 2e-4, 2e-4): (2000, "DCGAN, its paper's rates"),
    ("dcgan-b64", 5e-4, 5e-4): (500, None),
    ("dcgan-b64", 1e-3, 2.5e-4): (2000, "DCGAN, tuned rates"),
    ("small", 5e-4, 2e-3): (2000, "Small GAN"),
}
N = 1_000  # images of each distance, and of the haze


def main(folder: Path) -> None:
    ct = data.load("phantom", 64)
    blank = metrics.blank_space(ct.images)
    rows, losses = [], {}
    for (name, rate, critic_rate), (steps, curve) in RUNS.items():
        system = get_experiment(
            name, "lesson", [f"learning_rate={rate}", f"critic_learning_rate={critic_rate}"]
        )
        trainer, run = new_trainer(system, ct), folder / f"{name}-{rate:g}-{critic_rate:g}"
        found = []
        with checkpoints.run_folder(run, system, ct, 0, resume=False):
            while trainer.step < steps:
                found.append(float(trainer.train_step()["critic_loss"]))
                if trainer.step in (500, 2000):
                    trainer.save(run)
                    G, _ = load_generator(run)
                    fd, haze = distances(ct, {"G": G}, N), sample(G, N)[:, 0][:, blank].float().mean().item()
                    rows.append([name, rate, critic_rate, trainer.step, 0, fd["G"], fd["floor"], N, haze])
        if curve:
            losses[curve] = found
    results = REPOSITORY / "data" / "results"
    columns = "experiment", "rate of G", "rate of D", "steps", "seed", "FD-ct", "floor", "n", "haze"
    rates = pd.DataFrame(rows, columns=columns).sort_values("steps", kind="stable")
    rates.round({"FD-ct": 2, "floor": 2, "haze": 2}).to_csv(results / "dcgan_rates.csv", index=False)
    table = pd.DataFrame(losses, index=pd.RangeIndex(1, 1 + max(map(len, losses.values())), name="step"))
    table.to_csv(results / "losses_64.csv", float_format="%.4g")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

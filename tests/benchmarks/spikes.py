"""How steady three trainings are, and how good: the loss of every step with three seeds, for notebook 10.

    python tests/benchmarks/spikes.py RESULTS

DCGAN at the rates of its paper, DCGAN at those of the search in notebook 12, and the Small GAN are trained in
the lesson's width on 2,000 phantoms for 2,000 steps. RESULTS/losses_64.csv has a column of losses of the
discriminator or critic for each training, RESULTS/losses_64_runs.csv what each measures after 500 and 2,000
steps: FD-ct, and the haze in the air around the body. Both are written after each training, and none that
they hold is trained again. An hour on one core.
"""

import sys
from pathlib import Path

import pandas as pd

from ctgan_utils import data, metrics
from ctgan_utils.evaluation.evaluate import distances
from ctgan_utils.runtime import atomic_write
from ctgan_utils.sampling import sample
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.runs import new_trainer

RUNS = {
    "DCGAN, its paper's rates": ("dcgan-b64", []),
    "DCGAN, tuned rates": ("dcgan-b64", ["learning_rate=1e-3", "beta1=0", "beta2=0.9"]),
    "Small GAN": ("small", []),
}
SEEDS, STEPS = 3, (500, 2_000)
N = 1_000  # images of each distance, and of the haze
COLUMNS = ["training", "seed", "steps", "FD-ct", "floor", "n", "haze"]


def main(results: Path) -> None:
    ct = data.load("phantom", 64, phantoms=2_000)
    blank = metrics.blank_space(ct.images)
    curves, table = results / "losses_64.csv", results / "losses_64_runs.csv"
    losses = pd.read_csv(curves, index_col="step") if curves.exists() else pd.DataFrame()
    rows = pd.read_csv(table).values.tolist() if table.exists() else []
    for seed in range(SEEDS):
        for name, (experiment, settings) in RUNS.items():
            if (column := f"{name}, seed {seed}") in losses:
                continue
            trainer, found = new_trainer(get_experiment(experiment, "lesson", settings), ct, seed), []
            while trainer.step < STEPS[-1]:
                found.append(float(trainer.train_step()["critic_loss"]))
                if trainer.step in STEPS:
                    fd = distances(ct, {name: trainer.G_ema}, N, seed)
                    haze = sample(trainer.G_ema, N, seed)[:, 0][:, blank].float().mean().item()
                    measured = [round(value, 2) for value in (fd[name], fd["floor"])]
                    rows.append([name, seed, trainer.step, *measured, N, round(haze, 2)])
            steps = pd.RangeIndex(1, 1 + len(found), name="step")
            losses = losses.assign(**{column: found}) if len(losses) else pd.DataFrame({column: found}, steps)
            atomic_write(curves, losses.to_csv(float_format="%.4g").encode())
            atomic_write(table, pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False).encode())
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The log of a run: history.jsonl, what the doctor says of it, and TensorBoard if it is asked for."""

import json
import time
from pathlib import Path

import torch

from ctgan_utils.doctor import diagnose
from ctgan_utils.runtime import UserError, atomic_write

HISTORY = "history.jsonl"


def read_history(folder):
    """The log of a run as a list of {name: number}. A last line cut short by a kill is left out."""
    path = Path(folder) / HISTORY
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class Log:
    """Averages what the steps return, and writes it without making the device wait at each step."""

    def __init__(self, folder, trainer, tensorboard=False):
        self.folder, self.trainer = Path(folder), trainer
        self.rows = [row for row in read_history(folder) if row["step"] <= trainer.step]
        atomic_write(self.folder / HISTORY, "".join(json.dumps(row) + "\n" for row in self.rows).encode())
        self.writer = open_tensorboard(self.folder) if tensorboard else None
        self.pending, self.since, self.said = [], time.perf_counter(), set()

    def add(self, terms):
        """Keep what Trainer.train_step returned until the next line."""
        self.pending.append(terms)

    def write(self, bar):
        """Average the steps since the last line into a new one, and say below the bar what the doctor says.

        Raises UserError, naming the step, when a value is not finite.
        """
        if not self.pending:
            return
        step = self.trainer.step
        names = list(self.pending[0])
        values = torch.stack([torch.stack([terms[name] for name in names]) for terms in self.pending]).cpu()
        bad = (~values.isfinite()).nonzero().tolist()
        if bad:
            first, which = bad[0]
            raise UserError(not_finite(names[which], step - len(values) + 1 + first, self.folder))
        row = {"step": step, "images": self.trainer.images_seen}
        row |= {name: round(mean, 5) for name, mean in zip(names, values.mean(0).tolist())}
        shown = self.trainer.images_seen * len(self.pending) / step
        row["images_per_second"] = round(shown / (time.perf_counter() - self.since), 1)
        row["spread"] = round(self.trainer.spread(), 4)
        self._keep(row)
        self._warn(row, bar)
        self.pending, self.since = [], time.perf_counter()

    def _keep(self, row):
        self.rows.append(row)
        with open(self.folder / HISTORY, "a") as file:
            file.write(json.dumps(row) + "\n")
        if self.writer:
            for name, value in row.items():
                self.writer.add_scalar(name, value, row["step"])

    def _warn(self, row, bar):
        for verdict in diagnose(self.rows, self.trainer.experiment.objective):
            illness = tuple(verdict.split()[:4])
            if illness not in self.said:
                self.said.add(illness)
                bar.write(f"step {row['step']:,}: {verdict}")
        bar.set_postfix(estimate=f"{row['estimate']:.3g}", refresh=False)


def open_tensorboard(folder):
    """A writer of scalars into a run folder. Raises UserError when TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard: not installed; pip install tensorboard, or leave it out") from None
    return SummaryWriter(folder / "tensorboard")


def not_finite(name, step, folder):
    """What to tell the user when a run has blown up."""
    return (
        f"{folder}: {name} is not finite at step {step}; the last good state is kept. "
        "Try a lower learning_rate or a larger gradient_penalty (--set), with another --out"
    )

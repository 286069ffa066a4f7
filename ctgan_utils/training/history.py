"""The log of a run: history.jsonl, what the doctor says of it, and TensorBoard if it is asked for."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from tqdm import tqdm

from ctgan_utils.losses import Terms
from ctgan_utils.runtime import UserError, atomic_write
from ctgan_utils.systems.base import History, System
from ctgan_utils.training.doctor import diagnose

if TYPE_CHECKING:  # TensorBoard may be absent
    from torch.utils.tensorboard import SummaryWriter

HISTORY = "history.jsonl"


def read_history(run: Path | str) -> History:
    """The log of a run, its folder or the file itself, as a list of {name: number}.

    A last line cut short by a kill is left out, and a folder without a log has no rows. Raises UserError that
    names the line for any other that is no row, or goes back in steps.
    """
    path = Path(run) if Path(run).is_file() else Path(run) / HISTORY
    if not path.exists():
        return []
    rows: History = []
    lines = path.read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line, parse_constant=float)
        except (ValueError, RecursionError):
            row = None
        if not _is_row(row) or (rows and row["step"] <= rows[-1]["step"]):
            if number == len(lines) and not line.endswith("\n"):
                break
            raise UserError(f"{path}: line {number} is no row of a history; remove that line, or restore it")
        rows.append(row)
    return rows


def _is_row(row: object) -> bool:
    """True for {name: number} with a step."""
    numbers = isinstance(row, dict) and all(type(value) in (int, float) for value in row.values())
    return numbers and type(row.get("step")) is int  # type: ignore[attr-defined]


class Diverged(UserError):
    """A run that has blown up: something of it is not finite at a step."""

    def __init__(self, name: str, step: int, folder: Path | str) -> None:
        self.step = step
        super().__init__(
            f"{folder}: {name} is not finite at step {step}; the last good state is kept. "
            "Try a lower learning_rate or a heavier penalty (--set), with another --out"
        )


def seconds_of(history: History) -> float:
    """The time that a run has trained, in all the parts in which it was.

    A row of no images a second, to the tenth that is kept, counts nothing: the process was held up.
    """
    seen, seconds = 0.0, 0.0
    for row in history:
        if row["images_per_second"]:
            seconds += (row["images"] - seen) / row["images_per_second"]
        seen = row["images"]
    return seconds


class Watched(Protocol):
    """What the log reads of a run; a Trainer has it."""

    step: int
    system: System
    device: torch.device

    @property
    def images_seen(self) -> int: ...

    def spread(self) -> float | None: ...


class Log:
    """Averages what the steps return, and writes it without making the device wait at each step."""

    def __init__(self, folder: Path | str, trainer: Watched, tensorboard: bool = False) -> None:
        self.folder, self.trainer = Path(folder), trainer
        self.rows = [row for row in read_history(folder) if row["step"] <= trainer.step]
        atomic_write(self.folder / HISTORY, "".join(json.dumps(row) + "\n" for row in self.rows).encode())
        self.writer = open_tensorboard(self.folder) if tensorboard else None
        self.pending: list[Terms] = []
        self.said: set[str] = set()
        self.since = time.perf_counter()

    def add(self, terms: Terms) -> None:
        """Keep what Trainer.train_step returned until the next line."""
        self.pending.append(terms)

    def write(self, bar: tqdm) -> None:
        """Average the steps since the last line into a new one, and say below the bar what the doctor says.

        Raises Diverged when a value is not finite.
        """
        if not self.pending:
            return
        step = self.trainer.step
        names = list({name: None for terms in self.pending for name in terms})
        absent = torch.tensor(math.nan, device=self.trainer.device)  # a term that only some steps have
        table = [torch.stack([terms.get(name, absent).float() for name in names]) for terms in self.pending]
        values = torch.stack(table).cpu()
        has = torch.tensor([[name in terms for name in names] for terms in self.pending])
        bad = (has & ~values.isfinite()).nonzero().tolist()
        if bad:
            first, which = bad[0]
            raise Diverged(names[which], step - len(values) + 1 + first, self.folder)
        row: dict[str, float] = {"step": step, "images": self.trainer.images_seen}
        row |= {name: round(mean, 5) for name, mean in zip(names, values.nanmean(0).tolist())}
        shown = self.trainer.images_seen * len(self.pending) / step
        row["images_per_second"] = round(shown / (time.perf_counter() - self.since), 1)
        if (spread := self.trainer.spread()) is not None:
            row["spread"] = round(spread, 4)
        self._keep(row)
        self._warn(row, bar)
        self.pending, self.since = [], time.perf_counter()

    def _keep(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        with open(self.folder / HISTORY, "a") as file:
            file.write(json.dumps(row) + "\n")
        if self.writer:
            for name, value in row.items():
                self.writer.add_scalar(name, value, row["step"])

    def _warn(self, row: dict[str, float], bar: tqdm) -> None:
        for verdict in diagnose(self.rows, self.trainer.system):
            if verdict.key not in self.said:
                self.said.add(verdict.key)
                bar.write(f"step {row['step']:,}: {verdict.text}")
        bar.set_postfix(estimate=f"{row['estimate']:.3g}", refresh=False)


def open_tensorboard(folder: Path) -> "SummaryWriter":
    """A writer of scalars into a run folder. Raises UserError when TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("--tensorboard: not installed; pip install tensorboard, or leave it out") from None
    return SummaryWriter(folder / "tensorboard")

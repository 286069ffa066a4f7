"""The results of a campaign, read from its run folders: a row for each run, a summary for each entry."""

import csv
import fcntl
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctgan_utils import metrics
from ctgan_utils.campaign.plan import Entry, Plan, Run
from ctgan_utils.runtime import UserError, atomic_write

RUNS, TABLE, PAGE, PLAN = "runs", "campaign.csv", "campaign.html", "plan.csv"
RESULT, MACHINES, SHEET = "result.json", "machines.txt", "samples.png"  # in a run's folder
DISTANCES = "FD-ct", "FWD"
MEASURES = "precision", "recall", "density", "coverage", "1-NN accuracy"

Result = dict[str, Any]  # images, seconds, machine, outcome, and the report of evaluate or None
Row = dict[str, Any]  # {column: value}; None where nothing was measured


def folder_of(campaign: Path, run: Run) -> Path:
    return campaign / RUNS / run.folder


def read_result(campaign: Path, run: Run) -> Result | None:
    """What a run has come to, or None while it is not done. Raises UserError for a damaged file."""
    path = folder_of(campaign, run) / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return {name: result[name] for name in ("images", "seconds", "machine", "outcome", "report")}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}: no result; remove it, and the run is measured again") from None


def row_of(run: Run, result: Result) -> Row:
    """A line of the table: each distance with floor and 95 % interval, each measure with its floor.

    The floor is what real slices of other patients measure.
    """
    entry, report = run.entry, result["report"]
    row: Row = {
        "experiment": entry.name,
        "data": entry.data,
        "seed": run.seed,
        **{name: result[name] for name in ("images", "seconds", "machine", "outcome")},
        "n": report and report["n"],
    }
    other = "other patients"
    for name in DISTANCES:
        values = report["distances"][name] if report else {}
        low, high = values.get("interval", (None, None))
        row |= {name: values.get("generated"), f"{name} floor": values.get(other)}
        row |= {f"{name} low": low, f"{name} high": high}
    for name in MEASURES:
        values = report["measures"][name] if report else {}
        row |= {name: values.get("generated"), f"{name} floor": values.get(other)}
    found = ((report or {}).get("memorisation") or {}).get("features") or {}
    row |= {"copied": found.get("copied_share"), "copied by chance": found.get("copied_share_expected")}
    critics = (report or {}).get("critic") or {}
    generated = critics.get("generated", {})
    low, high = generated.get("auc_interval", (None, None))
    row |= {"critic AUC": generated.get("auc"), "critic AUC floor": critics.get(other, {}).get("auc")}
    return row | {"critic AUC low": low, "critic AUC high": high}


def rows_of(campaign: Path, plan: Plan) -> list[Row]:
    """A row for each run that is done, in the plan's order."""
    found = ((run, read_result(campaign, run)) for run in plan.runs())
    rows = {run: row_of(run, result) for run, result in found if result}
    order = {entry: k for k, entry in enumerate(plan.entries)}
    return [rows[run] for run in sorted(rows, key=lambda run: (order[run.entry], run.seed))]


@dataclass(frozen=True)
class Summary:
    """What the seeds of an entry have come to."""

    entry: Entry
    rows: list[Row]

    def mean(self, column: str) -> float | None:
        """Over the seeds that were measured."""
        values = self._values(column)
        return float(np.mean(values)) if values else None

    def interval(self, column: str) -> tuple[float, float] | None:
        """The 95 % interval of that mean by Student's t; None for fewer than two seeds."""
        return metrics.mean_interval(self._values(column))

    def _values(self, column: str) -> list[float]:
        return [row[column] for row in self.rows if row[column] is not None]


def summaries(plan: Plan, rows: Iterable[Row]) -> list[Summary]:
    """One for each entry of a plan, whether something of it is done or not."""
    done = list(rows)
    return [
        Summary(entry, [row for row in done if (row["experiment"], row["data"]) == (entry.name, entry.data)])
        for entry in plan.entries
    ]


def write_table(campaign: Path, plan: Plan) -> list[Row]:
    """Write campaign.csv from all results that are there; returns its rows."""
    rows = rows_of(campaign, plan)
    nothing: Result = dict.fromkeys(("images", "seconds", "machine", "outcome", "report"))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row_of(Run(plan.entries[0], 0), nothing)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _written(value) for name, value in row.items()} for row in rows)
    atomic_write(campaign / TABLE, text.getvalue().encode())
    return rows


def _written(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


@contextmanager
def one_at_a_time(campaign: Path) -> Iterator[None]:
    """Let one process at a time write the tables, so that the last one writes all that is done."""
    with open(campaign / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

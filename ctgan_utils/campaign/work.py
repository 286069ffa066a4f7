"""One process at work on a campaign: it trains what is left, run after run, and measures each alike."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ctgan_utils import data
from ctgan_utils.campaign.plan import Plan, Run
from ctgan_utils.campaign.table import MACHINES, RESULT, SHEET, Result, folder_of, read_result
from ctgan_utils.data.image_files import grid_png
from ctgan_utils.data.slices import CTImages
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.evaluate import evaluate
from ctgan_utils.evaluation.references import UNSEEN, References, references
from ctgan_utils.runtime import UserError, atomic_write, choose_device, choose_precision, machine
from ctgan_utils.sampling import given_by, load_generator, sample
from ctgan_utils.systems.base import System
from ctgan_utils.training import checkpoints
from ctgan_utils.training.history import Diverged, read_history, seconds_of
from ctgan_utils.training.runs import HELD_OUT, new_trainer, slices_for
from ctgan_utils.training.trainer import train

SHOWN = 16  # samples of a run on the page


@dataclass
class Site:
    """Where a campaign lies, where its data lie, and how its runs are trained and measured."""

    folder: Path
    places: Mapping[str, str] = field(default_factory=dict)  # {name of data in the plan: a --data of `train`}
    profile: str = "lesson"
    phantoms: int = 17_500  # slices of 1,250 patients, of whom 1,000 are trained on
    n: int = 1_000  # images in each set that is measured, or as many as there are
    critic: bool = False  # train new critics too
    device: torch.device = field(default_factory=choose_device)
    sides: dict[tuple[str, int], tuple[CTImages, References]] = field(default_factory=dict, repr=False)

    def slices(self, name: str, system: System) -> tuple[CTImages, References]:
        """(the slices to train on, what is measured against) of a set at a system's size, held in memory."""
        key = name, system.image_size
        if key not in self.sides:
            ct = slices_for(system, self.places.get(name, name), phantoms=self.phantoms)
            train_set, held_out = data.split(ct, HELD_OUT)
            real = references(train_set, held_out, None, 0, UNSEEN)
            if real.n > self.n:
                real = references(train_set, held_out, self.n, 0, UNSEEN)
            self.sides[key] = train_set, real
        return self.sides[key]


def work(
    plan: Plan, site: Site, shard: tuple[int, int] = (1, 1), until: float = math.inf
) -> Iterator[tuple[Run, Result | None]]:
    """Train and measure what is left of shard i of n of a plan; yields (run, its result) as each ends.

    The result is None for a run that was stopped at `until`, the time of time.monotonic() at which to end. A
    run that another process is at is left to it. Raises UserError for data or settings that don't fit, and
    KeyboardInterrupt, after saving, on Ctrl-C or SIGTERM.
    """
    part, parts = shard
    for number, run in enumerate(plan.runs()):
        if number % parts != part - 1 or is_done(run, site):
            continue
        if time.monotonic() >= until:
            return
        try:
            yield run, carry_out(run, site, until)
        except checkpoints.Busy:
            continue


def is_done(run: Run, site: Site) -> bool:
    """True once a run has a result for as many images as are planned, or has diverged."""
    result = read_result(site.folder, run)
    return result is not None and (result["images"] >= run.entry.images or result["report"] is None)


def carry_out(run: Run, site: Site, until: float = math.inf) -> Result | None:
    """Train one run to its end from wherever it is, measure it, and keep the result; None if time is up."""
    system = run.entry.system(site.profile)
    train_set, real = site.slices(run.entry.data, system)
    steps = math.ceil(run.entry.images / (system.critic_steps * system.batch_size))
    folder = folder_of(site.folder, run)
    dtype = choose_precision("auto", site.device)
    with checkpoints.run_folder(folder, system, train_set, run.seed, resume=True):
        if is_done(run, site):  # by another process, a moment ago
            return read_result(site.folder, run)
        trainer = new_trainer(system, train_set, run.seed, device=site.device, dtype=dtype)
        trainer.load(folder)
        here = f"{machine(site.device)}, {str(dtype).removeprefix('torch.')}"
        machines = [*filter(None, _lines(folder / MACHINES)), here]
        atomic_write(folder / MACHINES, "\n".join(dict.fromkeys(machines)).encode())
        result: Result = {
            "images": steps * system.critic_steps * system.batch_size,
            "machine": "; ".join(_lines(folder / MACHINES)),
            "outcome": "trained",
            "report": None,
        }
        try:
            train(trainer, steps, folder, until=until)
        except Diverged as end:
            result |= {"outcome": f"diverged at step {end.step:,}"}
            result["images"] = end.step * system.critic_steps * system.batch_size
        else:
            if trainer.step < steps:
                return None
            result["report"] = measured(folder, real, site)
        result["seconds"] = round(seconds_of(read_history(folder)))
        atomic_write(folder / RESULT, json.dumps(result, indent=1).encode())
        return result


def measured(folder: Path, real: References, site: Site) -> dict[str, Any]:
    """The report on a run's generator; 16 samples are left in its folder."""
    G, system = load_generator(folder)
    fake = sample(G, real.n, given=given_by(real.main, system))
    atomic_write(folder / SHEET, grid_png(fake[:SHOWN]))
    extractor = features.load_extractor("ct").to(site.device)
    return evaluate(real, fake, extractor, critic=site.critic).report


def seconds_left(plan: Plan, site: Site) -> float | None:
    """How long the unfinished runs take one process like those before; None until one has trained."""
    rates: dict[str, list[float]] = {}  # of each entry, seconds for an image
    left: list[tuple[str, float]] = []
    for run in plan.runs():
        folder = folder_of(site.folder, run)
        try:
            history = read_history(folder)
        except UserError:  # the run itself will say so
            history = []
        seen = history[-1]["images"] if history else 0.0
        if seen:
            rates.setdefault(run.entry.name, []).append(seconds_of(history) / seen)
        if not is_done(run, site):
            left.append((run.entry.name, max(0.0, run.entry.images - seen)))
    if not rates:
        return None
    means = {name: sum(found) / len(found) for name, found in rates.items()}
    usual = sum(means.values()) / len(means)
    return sum(images * means.get(name, usual) for name, images in left)


def progress_of(plan: Plan, site: Site) -> str:
    """How many runs are done, and how long the others take."""
    runs = list(plan.runs())
    done, left = sum(is_done(run, site) for run in runs), seconds_left(plan, site)
    hours = f", about {left / 3600:.1f} h left for one process" if left else ""
    return f"{done:,} of {len(runs):,} runs done{hours}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

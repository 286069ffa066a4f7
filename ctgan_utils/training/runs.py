"""One place that assembles a run: from a system and a set of slices to a Trainer, and through it."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from ctgan_utils import data
from ctgan_utils.data.formats.base import DEFAULT, Reading
from ctgan_utils.data.slices import CTImages
from ctgan_utils.runtime import choose_device, choose_precision, say, seed_everything
from ctgan_utils.systems import System, get_experiment, get_profile, total_steps
from ctgan_utils.systems.base import History
from ctgan_utils.training import checkpoints
from ctgan_utils.training.distributed import Worker
from ctgan_utils.training.trainer import Trainer, train

HELD_OUT = 0.2  # of the slices, whole patients or groups, unless a run asks otherwise


def slices_for(
    system: System,
    source: str | Path,
    *,
    phantoms: int,
    skip_unreadable: bool = False,
    reading: Reading = DEFAULT,
) -> CTImages:
    """The slices that a --data names, at the system's size, with all that its batches hold."""
    truth = set(system.inputs) - {"images", "labels"}
    size = system.image_size
    return data.load(
        source, size, phantoms=phantoms, skip_unreadable=skip_unreadable, truth=truth, reading=reading
    )


def new_trainer(
    system: System,
    ct: CTImages,
    seed: int = 0,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    worker: Worker | None = None,
) -> Trainer:
    """A Trainer of freshly initialised networks on slices; device and dtype are the best there are."""
    device = device or choose_device()
    dtype = dtype or choose_precision("auto", device)
    tensors = ct.tensors(system.inputs)
    seed_everything(seed)
    return Trainer(system, *system.networks(), tensors, seed=seed, device=device, dtype=dtype, worker=worker)


def train_experiment(
    name: str,
    profile: str,
    ct: CTImages,
    out: str | Path,
    seed: int = 0,
    settings: Iterable[str] = (),
    share: float = 1.0,
) -> tuple[Path, History]:
    """Train an experiment into a folder of its own under out/runs; returns (folder, history).

    share shortens the runs of the short profiles. A run of the thesis profile is always whole, and goes on
    where it stopped; the others start anew. A lesson goes on after three minutes, however slow the machine:
    the run then ends where it is, and a line says at which step.
    """
    scale = get_profile(profile)
    system = get_experiment(name, profile, settings)
    steps = total_steps(scale, system, len(ct))
    label = "-".join([name, *settings, profile, ct.fingerprint[:6], str(seed)])
    folder = Path(out) / "runs" / label.replace("=", "-")
    if scale.steps is not None:
        steps = max(2, round(share * steps))
        shutil.rmtree(folder, ignore_errors=True)
    trainer = new_trainer(system, ct, seed)
    with checkpoints.run_folder(folder, system, ct, seed, resume=True):
        trainer.load(folder)
        history = train(trainer, steps, folder, until=time.monotonic() + scale.live_seconds)
    if trainer.step < steps:
        where = f"step {trainer.step:,} of {steps:,}, after {scale.live_seconds:.0f} seconds"
        say(f"{name}: stopped at {where}: this machine is slow or busy")
    return folder, history

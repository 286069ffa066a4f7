"""The command that trains an experiment."""

import resource
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import torch

from ctgan_utils import data, outputs, systems
from ctgan_utils.commands.options import check_source, reading_of
from ctgan_utils.data.slices import CTImages
from ctgan_utils.memory import require_memory
from ctgan_utils.networks import count_parameters
from ctgan_utils.runtime import UserError, choose_device, choose_precision, say
from ctgan_utils.systems.base import System
from ctgan_utils.training import checkpoints, distributed, runs
from ctgan_utils.training.estimate import memory_of
from ctgan_utils.training.trainer import Trainer, train


def _to_train_on(ct: CTImages, share: float | None, tell: Callable[..., None]) -> CTImages:
    """The slices without the share that is held out; with all of them where they can't be divided."""
    if share == 0:
        return ct
    if share is None and len(ct.groups.unique()) < 2:
        tell(f"{ct.source}: all of one {ct.grouped_by}, so that no slices can be held out")
        return ct
    return data.split(ct, share or runs.HELD_OUT)[0]


def run_train(args: Namespace) -> None:
    system = systems.get_experiment(args.experiment, args.profile, args.set)
    profile = systems.get_profile(args.profile)
    device = choose_device(args.device)
    dtype = choose_precision(args.precision, device)
    folder = args.out or Path("build", "runs", system.name)
    resume = args.resume or distributed.restarts() > 0
    if args.steps is None:
        systems.total_steps(profile, system, 1, args.epochs)  # raises UserError where nobody says how many
    if args.tensorboard and find_spec("tensorboard") is None:
        raise UserError("--tensorboard: not installed; pip install tensorboard, or leave it out")
    check_source("--data", args.data)
    if not args.dry_run:
        outputs.check_place(folder, "--out")
        checkpoints.check_run_folder(folder, resume)
    with distributed.joined(device) as worker:
        tell = say if worker.leads else lambda *lines: None
        if device.type != "cuda":
            require_memory_of(system, system.micro_batch or max(1, system.batch_size // worker.size), dtype)
        with worker.leader_first():
            options = {"phantoms": profile.phantoms, "skip_unreadable": args.skip_unreadable}
            ct = runs.slices_for(system, args.data, **options, reading=reading_of(args))
            ct = _to_train_on(ct, args.hold_out, tell)
        steps = args.steps or systems.total_steps(profile, system, len(ct), args.epochs)
        trainer = runs.new_trainer(system, ct, args.seed, device=device, dtype=dtype, worker=worker)
        processes = f" in {worker.size} processes" if worker.size > 1 else ""
        tell(f"{system.name} on {ct.source}: {steps:,} steps, {device}{processes}, {dtype}")
        if args.dry_run:
            tell(*_plan(trainer, steps))
            return
        with checkpoints.run_folder(folder, system, ct, args.seed, resume) if worker.leads else nullcontext():
            with worker.leader_first():
                if resume:
                    trainer.load(folder)
            if resume:
                tell(f"going on from step {trainer.step:,}")
            begun, first_image = time.perf_counter(), trainer.images_seen
            try:
                train(trainer, steps, folder, args.tensorboard)
            except KeyboardInterrupt:
                command = shlex.join(["python", "-m", "ctgan_utils", "train", *args.argv])
                again = command if args.resume else f"{command} --resume"
                stopped = f"stopped at step {trainer.step:,}, saved in {folder}"
                raise UserError(f"{stopped}; go on with: {again}") from None
        seconds = time.perf_counter() - begun
        images = trainer.images_seen - first_image
        speed = f"{images:,} images in {seconds:.0f} s ({images / seconds:.0f} images/s)"
        tell(f"{speed}, peak memory {_peak_memory()}")
        source = f" --data {shlex.quote(args.data)}" if system.given else ""
        look = f"python -m ctgan_utils sample {shlex.quote(str(folder))} --n 64{source} --out grid.png"
        tell(f"run folder: {folder}; see it with: {look}")


def require_memory_of(system: System, images: int, dtype: torch.dtype = torch.float32) -> None:
    """Raises UserError, naming what to lower, if training on so many images at a time needs more memory."""
    weights, activations = memory_of(system, images, dtype)
    batch = "micro_batch" if system.micro_batch else "batch_size"
    what = f"width={system.width}, z_dim={system.z_dim}" if weights > activations else f"{batch}={images}"
    require_memory(weights + activations, f"{system.name} with {what}")


def _plan(trainer: Trainer, steps: int, measured: int = 5) -> tuple[str, ...]:
    """Runs a few steps, writes nothing; returns what a run would take, in lines."""
    trainer.train_step()
    trainer.spread()
    begun = time.perf_counter()
    for _ in range(measured):
        trainer.train_step()["critic_loss"].item()  # waits for the device
    seconds = (time.perf_counter() - begun) / measured
    sizes = (f"{name} {count_parameters(n):,}" for name, n in (("G", trainer.G), ("D", trainer.D)))
    hours = steps * seconds / 3600
    time_left = f"{hours:.1f} h" if hours > 2 else f"{60 * hours:.0f} min"
    return (
        f"  parameters: {', '.join(sizes)}",
        f"  {seconds:.3f} s a step: about {time_left} in all",
        f"  peak memory {_peak_memory()}",
    )


def _peak_memory() -> str:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB on the GPU"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB"

"""The command that makes a quiz of real and generated slices, and scores what its readers said."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgan_utils import data, metrics, outputs
from ctgan_utils.commands.options import check_source, is_generator, reading_of
from ctgan_utils.data import image_files
from ctgan_utils.data.slices import CTImages, by_use
from ctgan_utils.evaluation import quiz
from ctgan_utils.runtime import UserError, atomic_write, printable, say
from ctgan_utils.sampling import given_by, load_generator, sample
from ctgan_utils.training import checkpoints


def run_quiz(args: Namespace) -> None:
    if args.score:
        if args.real or args.fake or args.out:
            raise UserError(
                "--score: it takes the files of answers alone; leave --real, --fake and --out out"
            )
        found = quiz.scores([quiz.read_answers(path) for path in args.score])
        say(*([json.dumps(found)] if args.json else _lines(found)))
        return
    for option in ("real", "fake", "out"):
        if not getattr(args, option):
            raise UserError(f"--{option}: missing; a quiz takes --real, --fake and --out, or --score FILES")
    outputs.check_file(args.out, "--out", [".html", ".htm"], lambda path: outputs.is_marked(path, "quiz"))
    check_source("--real", args.real)
    half = args.n // 2
    real, fake, about = _slices(args, half)
    atomic_write(args.out, quiz.quiz_page(real, fake, about, args.seed))
    say(f"{args.out}: {2 * half} slices, half of them real; open it in a browser, and save the answers",
        "then: python -m ctgan_utils quiz --score answers-*.json")  # fmt: skip


def _slices(args: Namespace, half: int) -> tuple[Tensor, Tensor, str]:
    """(real slices, generated ones, a sentence on them), as many of each."""
    reading, skip = reading_of(args), args.skip_unreadable
    if is_generator(args.fake):
        G, system = load_generator(args.fake)
        ct = data.load(
            args.real, system.image_size, skip_unreadable=skip, truth=system.given, reading=reading
        )
        real = _of_different_patients(_unseen(ct, args.fake), half, args)
        fake = sample(G, half, args.seed, given=given_by(real, system))
    else:
        check_source("--fake", args.fake, "a run folder, a file that 'export' wrote, or images")
        width, height = image_files.size_of_first(args.fake) or (64, 64)
        if width != height:
            raise UserError(f"--fake {args.fake}: images of {width}x{height}; square ones are needed")
        ct = data.load(args.real, width, skip_unreadable=skip, reading=reading)
        real = _of_different_patients(ct, half, args)
        made = data.load(args.fake, width, skip_unreadable=skip, reading=reading)
        if len(made) < half:
            raise UserError(f"--n {args.n}: {args.fake} holds {len(made)} images, {half} are needed")
        order = torch.randperm(len(made), generator=torch.Generator().manual_seed(args.seed))
        fake = made.images[order[:half]]
    return real.images, fake, printable(f"Real slices: {ct.source}. Generated ones: {args.fake.name}.")


def _unseen(ct: CTImages, run: Path) -> CTImages:
    """Slices of patients that a generator never saw, where its files tell; else all."""
    seen = checkpoints.read_seen(run)
    unseen = by_use(ct, seen)[1] if seen is not None else ct
    return unseen if len(unseen) else ct


def _of_different_patients(ct: CTImages, n: int, args: Namespace) -> CTImages:
    """n slices, one of each patient or group as far as there are so many, then any others."""
    rng = np.random.default_rng(args.seed)
    first = rng.permutation(metrics.one_of_each(ct.groups.numpy(), rng))
    others = rng.permutation(np.setdiff1d(np.arange(len(ct)), first))
    chosen = np.concatenate([first, others])[:n]
    if len(chosen) < n:
        raise UserError(f"--n {args.n}: {ct.source}: {len(ct)} slices, {n} are needed")
    return ct[torch.from_numpy(chosen)]


def _lines(found: dict[str, Any]) -> Iterator[str]:
    n, made = found["slices"], found["generated"]
    yield f"{n} slices, {made} of them generated; {len(found['readers'])} reader(s)"
    for r in found["readers"]:
        low, high = r["accuracy_interval"]
        share = f"{r['right'] / n:.0%}, 95 % interval {low:.0%} to {high:.0%}"
        text = f"  {r['reader']}: right in {r['right']} ({share})"
        if made:
            text += f", {r['generated_taken_for_real']} of {made} generated taken for real"
        yield text + ("" if r["d_prime"] is None else f", d' {r['d_prime']:.2f}")
    if found["mean_accuracy_interval"]:
        low, high = found["mean_accuracy_interval"]
        mean = found["mean_accuracy"]
        yield f"  all: right in {mean:.0%}, 95 % interval over readers {low:.0%} to {high:.0%}"
        kappa = found["kappa"]
        agree = "not defined, all said the same" if kappa is None else f"{kappa:.2f}"
        yield f"  agreement beyond chance, Fleiss' kappa: {agree}"
    most = ", ".join(f"slice {t['slice']} by {t['readers']}" for t in found["taken_for_real"][:8])
    if most:
        yield f"  generated slices that were taken for real most often: {most}"

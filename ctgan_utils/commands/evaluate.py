"""The command that measures generated against real images."""

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ctgan_utils import data, outputs
from ctgan_utils.commands.options import check_source, is_generator, reading_of
from ctgan_utils.data import discovery, image_files
from ctgan_utils.data.slices import CTImages, by_use
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.references import FOREIGN, SEEN, UNKNOWN, UNSEEN
from ctgan_utils.runtime import UserError, atomic_write, choose_device, printable, say
from ctgan_utils.sampling import given_by, load_generator, sample
from ctgan_utils.training import checkpoints

NEW_PATIENTS = 2**31  # a seed of phantoms on which nothing is trained


SIZES = 64, 128, 256, 32  # pixels a side at which images can be compared


def run_evaluate(args: Namespace) -> None:
    from ctgan_utils.evaluation import evaluate, ranking, report  # scikit-learn takes seconds to import
    from ctgan_utils.evaluation.references import references

    if args.html:
        outputs.check_file(args.html, "--html", [".html", ".htm"], outputs.is_marked)
    check_source("--real", args.real)
    for path in args.fake:
        if not is_generator(path):
            check_source("--fake", path, "a run folder, a file that 'export' wrote, or images")
    extractor = features.load_extractor(args.features).to(choose_device(args.device))
    size = _common_size(args.fake, args.size)
    reading = reading_of(args)
    truth = {name for path in args.fake if is_generator(path) for name in load_generator(path)[1].given}
    skip = args.skip_unreadable
    ct = data.load(args.real, size, skip_unreadable=skip, truth=truth, reading=reading)
    train, held_out, about = _by_use(ct, args.fake, args.hold_out)
    if held_out is None and args.real == "phantom":  # new patients can always be drawn
        held_out = data.load("phantom", size, seed=NEW_PATIENTS + args.seed, truth=truth)
    real = references(train, held_out, args.n, args.seed, about)
    fakes = {path: _generated(path, size, args, real.main) for path in args.fake}
    fewest = min(fakes, key=lambda path: len(fakes[path]))
    n = len(fakes[fewest])
    if args.n and n < args.n:
        raise UserError(f"--n {args.n}: {fewest} holds {n} images")
    if n < real.n:
        real = references(train, held_out, n, args.seed, about)
    swapped = _swapped(args.real)
    evaluations = {}
    for path, fake in fakes.items():
        e = evaluate.evaluate(real, fake[:n], extractor, seed=args.seed, critic=args.critic)
        e.report["fake"] = printable(path)
        e.report["warnings"] += swapped
        evaluations[printable(path)] = e
    places = ranking.rank(evaluations, _systems_of(args.fake))
    in_order = {run: evaluations[run] for place in places for run in place.runs}
    if args.html:
        atomic_write(args.html, report.page(in_order, places))
    if args.json:
        reports = [e.report for e in in_order.values()]
        ranked = {"ranking": [asdict(place) for place in places], "reports": reports}
        say(json.dumps(ranked if len(reports) > 1 else reports[0]))
        return
    for name, e in in_order.items():
        say(name, *report.lines(e.report))
    if len(fakes) > 1:
        say("ranking", *report.ranking(places, e.report["metric"]))


def _by_use(
    ct: CTImages, paths: Sequence[Path], share: float | None
) -> tuple[CTImages, CTImages | None, str]:
    """(slices the generators learnt from, those of patients that none of them saw, what is known of them).

    Where a generator's files do not record its slices, --hold-out says which they are.
    """
    recorded = [_seen_by(path) for path in paths]
    if share:
        train, held_out = data.split(ct, share)
        recorded = [train.keys if keys is None else keys for keys in recorded]
    known = [keys for keys in recorded if keys is not None]
    if len(known) < len(recorded):
        return ct, None, UNKNOWN
    train, held_out = by_use(ct, torch.cat(known))
    if not len(train):
        return ct, None, FOREIGN
    if not len(held_out):
        return train, None, SEEN
    return train, held_out, UNSEEN


def _seen_by(path: Path) -> Tensor | None:
    """The keys of the slices that a generator learnt from, or the run whose samples lie in a folder."""
    if (path / discovery.SAMPLED).exists():
        try:
            run = Path(json.loads((path / discovery.SAMPLED).read_text())["run"])
        except (ValueError, KeyError, TypeError):
            return None
        return checkpoints.read_seen(run) if run.exists() else None
    return checkpoints.read_seen(path) if is_generator(path) else None


def _systems_of(paths: Sequence[Path]) -> dict[str, str]:
    """{run: its settings and data as a text} of run folders; the text is equal if only the seed differs."""
    systems_of = {}
    for path in paths:
        if (path / checkpoints.CONFIG).exists():
            config = checkpoints.read_config(path)
            about = json.dumps([config["experiment"], config["data"]["fingerprint"]], sort_keys=True)
            systems_of[printable(path)] = about
    return systems_of


def _common_size(paths: Sequence[Path], size: int | None) -> int:
    """The size at which images are compared: of the runs, else the one asked for, else of the first file."""
    sizes = {load_generator(path)[1].image_size for path in paths if is_generator(path)}
    if len(sizes) > 1 or (size and sizes - {size}):
        found = ", ".join(f"{s}x{s}" for s in sorted(sizes))
        raise UserError(f"--fake: the runs make {found} images; compare runs of one size, without --size")
    choices = ", ".join(map(str, SIZES))
    if size and size not in SIZES:
        raise UserError(f"--size {size}: it must be one of {choices}")
    if sizes or size:
        return size or sizes.pop()
    width, height = image_files.size_of_first(paths[0]) or (SIZES[0], SIZES[0])
    if width != height or width not in SIZES:
        raise UserError(f"{paths[0]}: images of {width}x{height}; pass --size, one of {choices}")
    return width


def _generated(path: Path, size: int, args: Namespace, real: CTImages) -> Tensor:
    """As many samples of a run as there are real slices, or images of a folder; all if it has fewer.

    A run that translates is given what belongs to the real slices.
    """
    n = len(real)
    if is_generator(path):
        G, system = load_generator(path)
        return sample(G, n, args.seed, given=given_by(real, system))
    ct = data.load(path, size, skip_unreadable=args.skip_unreadable, reading=reading_of(args))
    return ct.images[torch.randperm(len(ct), generator=torch.Generator().manual_seed(args.seed))[:n]]


def _swapped(real: str) -> list[str]:
    """A warning where --real holds samples of a run."""
    is_sampled = (Path(real) / discovery.SAMPLED).exists()
    return [printable(f"{real} holds samples of a run: are --real and --fake swapped?")] if is_sampled else []

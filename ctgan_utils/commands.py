"""What each command of the command line does with its parsed arguments."""

import csv
import io
import json
import resource
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ctgan_utils import __version__, data, outputs, phantom, systems
from ctgan_utils.data import discovery, image_files, inspection, kaggle, mednist, sources
from ctgan_utils.data.formats.base import GIGABYTE, Reading
from ctgan_utils.data.slices import CTImages, blank
from ctgan_utils.evaluation import ct_features, features
from ctgan_utils.memory import require_memory
from ctgan_utils.networks import count_operations, count_parameters
from ctgan_utils.runtime import (
    UserError,
    atomic_write,
    choose_device,
    choose_precision,
    printable,
    progress,
    say,
)
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems.base import System, ThesisRecord
from ctgan_utils.training import checkpoints, distributed, runs
from ctgan_utils.training.estimate import memory_of
from ctgan_utils.training.trainer import Trainer, train


def reading_of(args: Namespace) -> Reading:
    return Reading(span=args.range, limit=int(args.max_gb * GIGABYTE))


def run_phantom(args: Namespace) -> None:
    outputs.check_folder(args.out)
    with progress(args.n, "drawing phantoms", "slice") as bar:
        drawn = phantom.generate(args.n, args.size, args.seed, lambda done, total: bar.update(done - bar.n))
    classes = [phantom.CLASSES[k] for k in drawn.classes]
    names = [f"{name}/{i:05d}.png" for i, name in enumerate(classes)]
    image_files.write_images(args.out, drawn.images, names)
    truth = {name: getattr(drawn, name) for name in ("hu", "labels", "masks")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **truth, tissues=np.array(phantom.TISSUES))
    atomic_write(args.out / discovery.GROUND_TRUTH, buffer.getvalue())
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "class", "patient", "z_mm", "lesion_pixels"])
    writer.writerows(zip(names, classes, drawn.patients, drawn.z, drawn.masks.sum((1, 2))))
    atomic_write(args.out / discovery.INDEX, table.getvalue().encode())
    held = f"{discovery.GROUND_TRUTH} (hu, labels, masks, tissues; in the index's order)"
    say(f"{args.out}: {args.n} slices of {args.size}x{args.size}, {discovery.INDEX} and {held}")


def run_data_check(args: Namespace) -> None:
    report = inspection.inspect_folder(args.folder, reading_of(args))
    if args.json:
        say(*json.dumps(report, indent=2).splitlines())
        return
    say(f"{report['folder']}: {report['images']} slices in {report['files']} files")
    for title in ("classes", "sizes", "modes", "orientations"):
        say(f"  {title:16} {_counted(report[title])}")
    for title in ("exact_duplicates", "near_duplicates"):
        extra = sum(len(names) - 1 for names in report[title])
        say(f"  {title.replace('_', ' '):16} {extra} slices, of {len(report[title])} others")
    say(f"  {'stacks':16} {report['stacks']} by similarity; split by these, not by slice")
    say(f"  {'unreadable':16} {len(report['unreadable'])}")
    if report["left_out"]:
        say(f"  {'left out':16} {_counted(report['left_out'])}")
    for sentence in report["assumed"]:
        say(f"  assumed: {sentence}")
    for names in report["same_class_in_different_case"]:
        say(f"  one class, different case: {', '.join(names)}; rename one")
    for name, reason in report["unreadable"].items():
        say(f"  unreadable: {name}: {reason}")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def run_data_kaggle(args: Namespace) -> None:
    _download(args.out, kaggle.download)


def run_data_mednist(args: Namespace) -> None:
    _download(args.out, mednist.download)
    say(mednist.ATTRIBUTION)


def _download(out: Path, download: Callable[[Path], dict[str, int]]) -> None:
    outputs.check_folder(out, is_ours=lambda folder: True)  # an interrupted download goes on
    say(f"{out}: {_counted(download(out))}")


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
    _check_source("--data", args.data)
    if not args.dry_run:
        outputs.check_place(folder, "--out")
        checkpoints.check_run_folder(folder, resume)
    with distributed.joined(device) as worker:
        tell = say if worker.leads else lambda *lines: None
        if device.type != "cuda":
            _require_memory(system, system.micro_batch or max(1, system.batch_size // worker.size), dtype)
        with worker.leader_first():
            options = {"phantoms": profile.phantoms, "skip_unreadable": args.skip_unreadable}
            ct = runs.slices_for(system, args.data, **options, reading=reading_of(args))
            if args.hold_out:
                ct, _ = data.split(ct, args.hold_out)
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
        look = f"python -m ctgan_utils sample {shlex.quote(str(folder))} --n 64 --out grid.png"
        tell(f"run folder: {folder}; see it with: {look}")


def _check_source(option: str, path: Path | str, wanted: str = "a folder of images, or one file") -> None:
    """Raises UserError for a file that holds weights in place of images."""
    if Path(path).suffix.lower() in (".pt", ".pth", ".safetensors"):
        raise UserError(f"{option} {path}: weights, not images; name {wanted}")


def _require_memory(system: System, images: int, dtype: torch.dtype = torch.float32) -> None:
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


def run_sample(args: Namespace) -> None:
    is_sheet = args.out.suffix != ""
    if is_sheet and args.out.suffix.lower() != ".png":
        raise UserError(f"--out {args.out}: end it in .png for one sheet, or in no suffix for a folder")
    if is_sheet:
        outputs.check_file(args.out, "--out", [".png"], _is_sheet)
    else:
        outputs.check_folder(args.out)
    G, system = load_generator(args.run)
    if args.truncation and "z" not in system.noise(1, torch.Generator()):
        raise UserError(f"--truncation: {system.name} draws no normal latents z; leave it out")
    bytes_each = 2 * system.image_size**2 + 4 * system.z_dim  # an image, its part of the output, its latent
    require_memory(args.n * bytes_each, f"--n {args.n}")
    images = sample(G, args.n, args.seed, args.truncation)
    if is_sheet:
        atomic_write(args.out, image_files.grid_png(images))
    else:
        image_files.write_images(args.out, images[:, 0].numpy(), [f"{i:05d}.png" for i in range(args.n)])
        about = {"run": str(args.run), "seed": args.seed, "truncation": args.truncation}
        atomic_write(args.out / discovery.SAMPLED, json.dumps(about).encode())
    say(f"{args.out}: {args.n} samples of {args.run}")


def _is_sheet(path: Path) -> bool:
    """True for a PNG file that was written here."""
    try:
        with Image.open(path) as image:
            return image.info.get("Software") == image_files.SHEET
    except (OSError, SyntaxError, ValueError):
        return False


def run_evaluate(args: Namespace) -> None:
    from ctgan_utils.evaluation import evaluate, report  # scikit-learn and seaborn take seconds to import

    if args.html:
        outputs.check_file(args.html, "--html", [".html", ".htm"], outputs.is_marked)
    _check_source("--real", args.real)
    for path in args.fake:
        if not _is_generator(path):
            _check_source("--fake", path, "a run folder, a file that 'export' wrote, or images")
    extractor = features.load_extractor(args.features).to(choose_device(args.device))
    size = _common_size(args.fake, args.size)
    reading = reading_of(args)
    real, held_out = data.load(args.real, size, skip_unreadable=args.skip_unreadable, reading=reading), None
    if args.hold_out:
        real, held_out = data.split(real, args.hold_out)
    n = args.n or len(real) // 2
    found = {}
    for path in args.fake:
        fake = _generated(path, size, args, min(n, 5_000, len(real)))
        if len(fake) < (args.n or 0) or (args.n or 0) > len(real):
            raise UserError(f"--n {args.n}: there are {len(real)} real images, and {len(fake)} of {path}")
        fake = fake[:n]
        e = evaluate.evaluate(real, fake, extractor, seed=args.seed, held_out=held_out)
        e.report["warnings"] += _provenance(args.real, path, real)
        found[printable(path)] = e
    ranked = evaluate.rank({name: e.report | {"fake": name} for name, e in found.items()})
    if args.html:
        atomic_write(args.html, report.page({name: found[name] for name in ranked}))
    if args.json:
        say(json.dumps(next(iter(ranked.values())) if len(ranked) == 1 else list(ranked.values())))
        return
    for name, r in ranked.items():
        say(name, *report.lines(r))
    if len(ranked) > 1:
        say("ranking", *report.ranking(ranked))


SIZES = 64, 128, 256, 32  # pixels a side at which images can be compared


def _is_generator(path: Path) -> bool:
    return (path / checkpoints.CONFIG).exists() or path.suffix == ".safetensors"


def _common_size(paths: Sequence[Path], size: int | None) -> int:
    """The size at which images are compared: of the runs, else the one asked for, else of the first file."""
    sizes = {load_generator(path)[1].image_size for path in paths if _is_generator(path)}
    if len(sizes) > 1 or (size and sizes - {size}):
        found = ", ".join(f"{s}x{s}" for s in sorted(sizes))
        raise UserError(f"--fake: the runs make {found} images; compare runs of one size, without --size")
    if size and size not in SIZES:
        raise UserError(f"--size {size}: it must be one of {', '.join(map(str, SIZES))}")
    if sizes or size:
        return size or sizes.pop()
    width, height = image_files.size_of_first(paths[0]) or (SIZES[0], SIZES[0])
    if width != height or width not in SIZES:
        raise UserError(f"{paths[0]}: images of {width}x{height}; pass --size, one of {SIZES}")
    return width


def _generated(path: Path, size: int, args: Namespace, n: int) -> Tensor:
    """n samples of a run, or all the images of a folder."""
    if _is_generator(path):
        return sample(load_generator(path)[0], n, args.seed)
    return data.load(path, size, skip_unreadable=args.skip_unreadable, reading=reading_of(args)).images


def _provenance(real: str, fake: Path, ct: CTImages) -> list[str]:
    """Warnings where files say that real and fake may be mistaken for each other, or for others."""
    warnings = []
    if (Path(real) / discovery.SAMPLED).exists():
        warnings.append(f"{real} holds samples of a run: are --real and --fake swapped?")
    if (fake / checkpoints.CONFIG).exists():
        trained_on = checkpoints.read_config(fake)["data"]
        if trained_on["fingerprint"] != ct.fingerprint:
            warnings.append(f"{fake} was trained on other slices: {trained_on['source']}")
    return [printable(warning) for warning in warnings]


def run_experiments(args: Namespace) -> None:
    row = "{:17} {:>7} {:>7} {:>4} {:>5} {:>14} {:>6} {:>10} {:>10} {:>8} {:>8} {:>6} {:>4}"
    head = "experiment section  pixels  z  batch objective kernel G-numbers D-numbers G-ops D-ops epochs FID"
    say(row.format(*head.split()))
    for name, preset in systems.EXPERIMENTS.items():
        s = systems.get_experiment(name, args.profile)
        _require_memory(s, 2)
        G, D = s.networks()
        sizes = [f"{count_parameters(network):,}" for network in (G, D)]
        G_ops, D_ops = (f"{n / 1e6:,.0f} M" for n in _operations(s, G, D))
        layout, thesis = s.layout(), preset.thesis or ThesisRecord("")
        values: tuple[Any, ...] = (name, thesis.section or None, s.image_size, s.z_dim, s.batch_size)
        values += (layout.get("objective"), layout.get("kernel"))
        values += (*sizes, G_ops, D_ops, thesis.epochs, thesis.fid)
        say(row.format(*("-" if value is None else value for value in values)))
    say(f"numbers: parameters; ops: multiplications for one image; both of the {args.profile} profile")
    say("section, epochs and FID are the thesis'; systems without a section are not from it")


def _operations(system: System, G: nn.Module, D: nn.Module) -> Iterator[int]:
    """Multiplications for one image, of G and of D."""
    batch = blank(system.inputs, 2, system.image_size) | system.noise(2, torch.Generator())
    yield count_operations(G, batch["images"], lambda: system.generate(G, batch))
    yield count_operations(D, batch["images"], lambda: system.score(D, batch))


def run_export(args: Namespace) -> None:
    outputs.check_file(args.out, "--out", [".safetensors"], lambda path: _names(path, "exported_from"))
    G, system = load_generator(args.run)
    about = {**checkpoints.read_metadata(checkpoints.weights_file(args.run)), "exported_from": args.run.name}
    atomic_write(args.out, checkpoints.pack_weights({"G_ema": G}, about, args.bits))
    say(f"{args.out}: G_ema of {system.name}, {args.out.stat().st_size / 1e6:.2f} MB")


def _names(weights: Path, key: str) -> bool:
    """True for a safetensors file of ours whose metadata have that key."""
    try:
        return key in checkpoints.read_metadata(weights)
    except UserError:
        return False


def run_course(args: Namespace) -> int | None:
    from ctgan_utils.course import execute  # papermill and nbconvert take a second to import

    systems.get_profile(args.profile)
    _check_source("--data", args.data)
    execute.check_out(args.out)
    source = sources.resolve(args.data)
    if args.data == "auto":
        say(f"--data auto: {source}")
    if source != "phantom":
        discovery.image_files(source)
        source = str(Path(source).resolve())
    for option, name in (("--data", source), ("--out", str(args.out))):
        if name.encode(errors="ignore").decode() != name:
            raise UserError(f"{option} {name}: notebooks take no name with broken letters; rename it")
    failed = execute.run_course(source, args.profile, args.seed, args.out)
    if failed:
        index = printable(args.out / "index.html")
        print(f"error: failed: {', '.join(failed)}; see {index}", file=sys.stderr)
        return 1
    return None


def run_notebooks(args: Namespace) -> None:
    from ctgan_utils.course import execute

    execute.rerun_in_place(args.names)


def run_student(args: Namespace) -> None:
    from ctgan_utils.course import student

    written = student.write_student_copies(args.out)
    say(f"{len(written)} notebooks in {args.out}, their solutions emptied; the originals have them folded")


def run_features(args: Namespace) -> None:
    outputs.check_file(args.out, "--out", [".safetensors"], lambda path: _names(path, "phantoms"))
    with progress(args.n, "drawing phantoms", "slice") as bar:
        drawn = phantom.generate(args.n, 64, args.seed, lambda done, total: bar.update(done - bar.n))
    extractor = ct_features.train_ct_features(drawn, args.steps, seed=args.seed)
    about = {"phantoms": args.n, "steps": args.steps, "seed": args.seed, "version": __version__}
    atomic_write(args.out, checkpoints.pack_weights({"features": extractor}, about))
    say(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")

"""What each command of the command line does with its parsed arguments."""

import csv
import io
import json
import resource
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctgan_utils import __version__, data, phantom, systems
from ctgan_utils.data import image_files, inspection, kaggle
from ctgan_utils.data.slices import CTImages, blank
from ctgan_utils.evaluation import ct_features, features
from ctgan_utils.networks import count_operations, count_parameters
from ctgan_utils.runtime import UserError, atomic_write, choose_device, choose_precision, progress
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems.base import System, ThesisRecord
from ctgan_utils.training import checkpoints, distributed, runs
from ctgan_utils.training.trainer import Trainer, train


def run_phantom(args: Namespace) -> None:
    with progress(args.n, "drawing phantoms", "slice") as bar:
        drawn = phantom.generate(args.n, args.size, args.seed, lambda done, total: bar.update(done - bar.n))
    classes = [phantom.CLASSES[k] for k in drawn.classes]
    names = [f"{name}/{i:05d}.png" for i, name in enumerate(classes)]
    image_files.write_images(args.out, drawn.images, names)
    truth = {name: getattr(drawn, name) for name in ("hu", "labels", "masks")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **truth, tissues=np.array(phantom.TISSUES))
    atomic_write(args.out / image_files.GROUND_TRUTH, buffer.getvalue())
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "class", "patient", "z_mm", "lesion_pixels"])
    writer.writerows(zip(names, classes, drawn.patients, drawn.z, drawn.masks.sum((1, 2))))
    atomic_write(args.out / "index.csv", table.getvalue().encode())
    about = f"index.csv and {image_files.GROUND_TRUTH} (hu, labels, masks, tissues; in the index's order)"
    print(f"{args.out}: {args.n} slices of {args.size}x{args.size}, {about}")


def run_data_check(args: Namespace) -> None:
    report = inspection.inspect_folder(args.folder)
    if args.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{report['folder']}: {report['images']} slices in {report['files']} files")
    for title in ("classes", "sizes", "modes", "orientations"):
        print(f"  {title:16}", ", ".join(f"{name} {count}" for name, count in report[title].items()))
    for title in ("exact_duplicates", "near_duplicates"):
        extra = sum(len(names) - 1 for names in report[title])
        print(f"  {title.replace('_', ' '):16} {extra} slices, of {len(report[title])} others")
    print(f"  {'stacks':16} {report['stacks']} by similarity; split by these, not by slice")
    print(f"  {'unreadable':16} {len(report['unreadable'])}")
    for names in report["same_class_in_different_case"]:
        print(f"  one class, different case: {', '.join(names)}; rename one")
    for name, reason in report["unreadable"].items():
        print(f"  unreadable: {name}: {reason}")


def run_data_kaggle(args: Namespace) -> None:
    counts = kaggle.download(args.out)
    print(f"{args.out}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def run_train(args: Namespace) -> None:
    system = systems.get_experiment(args.experiment, args.profile, args.set)
    profile = systems.get_profile(args.profile)
    device = choose_device(args.device)
    dtype = choose_precision(args.precision, device)
    folder = args.out or Path("build", "runs", system.name)
    resume = args.resume or distributed.restarts() > 0
    with distributed.joined(device) as worker:
        say: Callable[[str], object] = print if worker.leads else lambda text: None
        with worker.leader_first():
            options = {"phantoms": profile.phantoms, "skip_unreadable": args.skip_unreadable}
            ct = runs.slices_for(system, args.data, **options)
            if args.hold_out:
                ct, _ = data.split(ct, args.hold_out)
        steps = args.steps or systems.total_steps(profile, system, len(ct), args.epochs)
        trainer = runs.new_trainer(system, ct, args.seed, device=device, dtype=dtype, worker=worker)
        processes = f" in {worker.size} processes" if worker.size > 1 else ""
        say(f"{system.name} on {ct.source}: {steps:,} steps, {device}{processes}, {dtype}")
        if args.dry_run:
            say(_plan(trainer, steps))
            return
        with worker.leader_first():
            if worker.leads:
                checkpoints.open_run(folder, system, ct, args.seed, resume)
            if resume:
                trainer.load(folder)
        if resume:
            say(f"going on from step {trainer.step:,}")
        begun, first_image = time.perf_counter(), trainer.images_seen
        try:
            train(trainer, steps, folder, args.tensorboard)
        except KeyboardInterrupt:
            command = f"python -m ctgan_utils train {' '.join(map(_quote, args.argv))}"
            again = command if args.resume else f"{command} --resume"
            stopped = f"stopped at step {trainer.step:,}, saved in {folder}"
            raise UserError(f"{stopped}; go on with: {again}") from None
        seconds = time.perf_counter() - begun
        images = trainer.images_seen - first_image
        speed = f"{images:,} images in {seconds:.0f} s ({images / seconds:.0f} images/s)"
        say(f"{speed}, peak memory {_peak_memory()}")
        say(f"run folder: {folder}; see it with: python -m ctgan_utils sample {folder} --n 64 --out grid.png")


def _plan(trainer: Trainer, steps: int, measured: int = 5) -> str:
    """Runs a few steps, writes nothing; returns what a run would take."""
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
        f"  parameters: {', '.join(sizes)}\n  {seconds:.3f} s a step: about {time_left} in all\n"
        f"  peak memory {_peak_memory()}"
    )


def _quote(word: str) -> str:
    return f"'{word}'" if " " in word else word


def _peak_memory() -> str:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB on the GPU"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB"


def run_sample(args: Namespace) -> None:
    G, _ = load_generator(args.run)
    images = sample(G, args.n, args.seed, args.truncation)
    if args.out.suffix.lower() == ".png":
        atomic_write(args.out, image_files.grid_png(images))
    else:
        image_files.write_images(args.out, images[:, 0].numpy(), [f"{i:05d}.png" for i in range(args.n)])
        about = {"run": str(args.run), "seed": args.seed, "truncation": args.truncation}
        atomic_write(args.out / image_files.SAMPLED, json.dumps(about).encode())
    print(f"{args.out}: {args.n} samples of {args.run}")


def run_evaluate(args: Namespace) -> None:
    from ctgan_utils.evaluation import evaluate, report  # scikit-learn and seaborn take seconds to import

    extractor = features.load_extractor(args.features).to(choose_device(args.device))
    size = _common_size(args.fake, args.size)
    real, held_out = data.load(args.real, size, skip_unreadable=args.skip_unreadable), None
    if args.hold_out:
        real, held_out = data.split(real, args.hold_out)
    n = args.n or len(real) // 2
    found = {}
    for path in args.fake:
        fake = _generated(path, size, args, min(n, 5_000))
        if len(fake) < (args.n or 0) or (args.n or 0) > len(real):
            raise UserError(f"--n {args.n}: there are {len(real)} real images, and {len(fake)} of {path}")
        fake = fake[:n]
        e = evaluate.evaluate(real, fake, extractor, seed=args.seed, held_out=held_out)
        e.report["warnings"] += _provenance(args.real, path, real)
        found[str(path)] = e
    ranked = evaluate.rank({name: e.report | {"fake": name} for name, e in found.items()})
    if args.html:
        atomic_write(args.html, report.page({name: found[name] for name in ranked}))
    if args.json:
        print(json.dumps(next(iter(ranked.values())) if len(ranked) == 1 else list(ranked.values())))
        return
    for name, r in ranked.items():
        print(name, *report.lines(r), sep="\n")
    if len(ranked) > 1:
        print("ranking", *report.ranking(ranked), sep="\n")


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
    return data.load(path, size, skip_unreadable=args.skip_unreadable).images


def _provenance(real: str, fake: Path, ct: CTImages) -> list[str]:
    """Warnings where files say that real and fake may be mistaken for each other, or for others."""
    warnings = []
    if (Path(real) / image_files.SAMPLED).exists():
        warnings.append(f"{real} holds samples of a run: are --real and --fake swapped?")
    if (fake / checkpoints.CONFIG).exists():
        trained_on = checkpoints.read_config(fake)["data"]
        if trained_on["fingerprint"] != ct.fingerprint:
            warnings.append(f"{fake} was trained on other slices: {trained_on['source']}")
    return warnings


def run_experiments(args: Namespace) -> None:
    row = "{:17} {:>7} {:>7} {:>4} {:>5} {:>14} {:>6} {:>10} {:>10} {:>8} {:>8} {:>6} {:>4}"
    head = "experiment section  pixels  z  batch objective kernel G-numbers D-numbers G-ops D-ops epochs FID"
    print(row.format(*head.split()))
    for name, preset in systems.EXPERIMENTS.items():
        s = systems.get_experiment(name, args.profile)
        G, D = s.networks()
        sizes = [f"{count_parameters(network):,}" for network in (G, D)]
        G_ops, D_ops = (f"{n / 1e6:,.0f} M" for n in _operations(s, G, D))
        layout, thesis = s.layout(), preset.thesis or ThesisRecord("")
        values: tuple[Any, ...] = (name, thesis.section or None, s.image_size, s.z_dim, s.batch_size)
        values += (layout.get("objective"), layout.get("kernel"))
        values += (*sizes, G_ops, D_ops, thesis.epochs, thesis.fid)
        print(row.format(*("-" if value is None else value for value in values)))
    print("numbers: parameters; ops: multiplications for one image; both of the", args.profile, "profile")
    print("section, epochs and FID are the thesis'; systems without a section are not from it")


def _operations(system: System, G: nn.Module, D: nn.Module) -> Iterator[int]:
    """Multiplications for one image, of G and of D."""
    batch = blank(system.inputs, 2, system.image_size) | system.noise(2, torch.Generator())
    yield count_operations(G, batch["images"], lambda: system.generate(G, batch))
    yield count_operations(D, batch["images"], lambda: system.score(D, batch))


def run_export(args: Namespace) -> None:
    G, system = load_generator(args.run)
    about = {**checkpoints.read_metadata(checkpoints.weights_file(args.run)), "exported_from": args.run.name}
    atomic_write(args.out, checkpoints.pack_weights({"G_ema": G}, about))
    print(f"{args.out}: G_ema of {system.name}, {args.out.stat().st_size / 1e6:.2f} MB")


def run_course(args: Namespace) -> int | None:
    from ctgan_utils.course import execute  # papermill and nbconvert take a second to import

    if args.data != "phantom":
        image_files.image_files(args.data)
        args.data = str(Path(args.data).resolve())
    systems.get_profile(args.profile)
    failed = execute.run_course(args.data, args.profile, args.seed, args.out)
    if failed:
        print(f"error: failed: {', '.join(failed)}; see {args.out / 'index.html'}", file=sys.stderr)
        return 1
    return None


def run_notebooks(args: Namespace) -> None:
    from ctgan_utils.course import execute

    execute.rerun_in_place(args.names)


def run_student(args: Namespace) -> None:
    from ctgan_utils.course import student

    written = student.write_student_copies(args.out)
    print(f"{len(written)} notebooks in {args.out}, their solutions emptied; the originals have them folded")


def run_features(args: Namespace) -> None:
    with progress(args.n, "drawing phantoms", "slice") as bar:
        drawn = phantom.generate(args.n, 64, args.seed, lambda done, total: bar.update(done - bar.n))
    extractor = ct_features.train_ct_features(drawn, args.steps, seed=args.seed)
    about = {"phantoms": args.n, "steps": args.steps, "seed": args.seed, "version": __version__}
    atomic_write(args.out, checkpoints.pack_weights({"features": extractor}, about))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")

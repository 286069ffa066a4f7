"""Commands on what was trained, or can be: sample, export, experiments, features."""

import json
import math
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ctgan_utils import __version__, data, outputs, phantom, systems
from ctgan_utils.commands.options import names_key
from ctgan_utils.commands.train import require_memory_of
from ctgan_utils.data import discovery, image_files
from ctgan_utils.data.slices import TRUTH, blank
from ctgan_utils.evaluation import ct_features, features
from ctgan_utils.memory import require_memory
from ctgan_utils.networks import count_operations, count_parameters
from ctgan_utils.runtime import IN_CHECKOUT, UserError, atomic_write, brief, nearest, progress, say
from ctgan_utils.sampling import given_by, load_generator, sample
from ctgan_utils.systems.base import System, ThesisRecord
from ctgan_utils.systems.continuous import ContinuousGAN
from ctgan_utils.systems.told import Told
from ctgan_utils.training import checkpoints


def run_sample(args: Namespace) -> None:
    is_sheet = args.out.suffix != ""
    if is_sheet and args.out.suffix.lower() != ".png":
        raise UserError(f"--out {args.out}: end it in .png for one sheet, or in no suffix for a folder")
    if is_sheet:
        outputs.check_file(args.out, "--out", [".png"], _is_sheet)
    else:
        outputs.check_folder(args.out)
    G, system = load_generator(args.run)
    noise = system.noise(1, torch.Generator())
    if args.truncation and "z" not in noise:
        raise UserError(f"--truncation: {system.name} draws no normal latents z; leave it out")
    numbers = sum(tensor.numel() for tensor in noise.values())
    bytes_each = 2 * system.image_size**2 + 4 * numbers  # an image, its part of the output, its noise
    require_memory(args.n * bytes_each, f"--n {args.n}")
    given = _given(system, args) | _wanted(system, args) | _asked(G, system, args)
    images = sample(G, args.n, args.seed, args.truncation, given=given)
    if is_sheet:
        atomic_write(args.out, image_files.grid_png(images))
    else:
        image_files.write_images(args.out, images[:, 0].numpy(), [f"{i:05d}.png" for i in range(args.n)])
        about = {"run": str(args.run), "seed": args.seed, "truncation": args.truncation}
        about |= {"class": args.wanted, "asked": args.ask}
        atomic_write(args.out / discovery.SAMPLED, json.dumps(about).encode())
    say(f"{args.out}: {args.n} samples of {args.run}")


def _is_sheet(path: Path) -> bool:
    """True for a PNG file that was written here."""
    try:
        with Image.open(path) as image:
            return image.info.get("Software") == image_files.SHEET
    except (OSError, SyntaxError, ValueError):
        return False


def _given(system: System, args: Namespace) -> dict[str, Tensor]:
    """What a system translates, of as many slices of --data as are asked for."""
    if not system.given and args.data:
        raise UserError(f"--data {args.data}: {system.name} translates no slices; leave it out")
    if not args.data:
        return {}
    truth = TRUTH.keys() & set(system.given)
    ct = data.load(args.data, system.image_size, phantoms=args.n, seed=args.seed, truth=truth)
    if len(ct) < args.n:
        raise UserError(f"--n {args.n}: {args.data} holds {len(ct)} slices")
    return given_by(ct[: args.n], system)


def _wanted(system: System, args: Namespace) -> dict[str, Tensor]:
    """The class that is asked for, n times; nothing if none is."""
    if args.wanted is None:
        return {}
    if not isinstance(system, Told):
        raise UserError(f"--class {args.wanted}: {system.name} is told no class; leave it out")
    names = checkpoints.read_classes(args.run) or [str(k) for k in range(system.classes)]
    if args.wanted not in names:
        raise UserError(f"--class {args.wanted}: no class of that name; {nearest(args.wanted, names)}")
    return {"wanted": torch.full((args.n,), names.index(args.wanted))}


def _asked(G: nn.Module, system: System, args: Namespace) -> dict[str, Tensor]:
    """The numbers that are asked for, each n times; nothing if none is."""
    if not args.ask:
        return {}
    if not isinstance(system, ContinuousGAN):
        raise UserError(f"--ask {brief(args.ask[0])}: {system.name} is told no numbers; leave it out")
    found = {}
    for wish in args.ask:
        name, _, text = wish.partition("=")
        if name not in system.names:
            raise UserError(f"--ask {brief(wish)}: no number of that name; {nearest(name, system.names)}")
        low, high = (float(f"{bound:.4g}") for bound in system.bounds(G)[name])
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise UserError(f"--ask {brief(wish)}: give a number from {low:g} to {high:g}, as it has learnt")
        found[name] = torch.full((args.n,), value)
    return found


def run_experiments(args: Namespace) -> None:
    row = "{:17} {:>7} {:>7} {:>4} {:>5} {:>14} {:>6} {:>10} {:>10} {:>8} {:>8} {:>6} {:>4}"
    head = "experiment section  pixels  z  batch objective kernel G-numbers D-numbers G-ops D-ops epochs FID"
    say(row.format(*head.split()))
    for name, preset in systems.EXPERIMENTS.items():
        s = systems.get_experiment(name, args.profile)
        require_memory_of(s, 2)
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
    outputs.check_file(args.out, "--out", [".safetensors"], lambda path: names_key(path, "exported_from"))
    G, system = load_generator(args.run)
    about = {**checkpoints.read_metadata(checkpoints.weights_file(args.run)), "exported_from": args.run.name}
    about["classes"] = checkpoints.read_classes(args.run)
    seen = checkpoints.read_seen(args.run)
    atomic_write(args.out, checkpoints.pack_weights({"G_ema": G}, about, args.bits, seen))
    say(f"{args.out}: G_ema of {system.name}, {args.out.stat().st_size / 1e6:.2f} MB")


def run_features(args: Namespace) -> None:
    out = args.out or (
        features.CT_WEIGHTS[args.size] if IN_CHECKOUT else Path(features.CT_WEIGHTS[args.size].name)
    )
    outputs.check_file(out, "--out", [".safetensors"], lambda path: names_key(path, "phantoms"))
    with progress(args.n, "drawing phantoms", "slice") as bar:
        drawn = phantom.generate(args.n, args.size, args.seed, lambda done, total: bar.update(done - bar.n))
    network = ct_features.train_ct_features(drawn, args.steps, seed=args.seed)
    about = {
        "size": args.size,
        "phantoms": args.n,
        "steps": args.steps,
        "seed": args.seed,
        "version": __version__,
    }
    atomic_write(out, checkpoints.pack_weights({"features": network}, about))
    say(f"{out}: {out.stat().st_size / 1e6:.2f} MB")

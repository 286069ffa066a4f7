"""Commands that draw, look at and fetch slices: phantom, data check, data kaggle, data mednist."""

import csv
import io
import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ctgan_utils import outputs, phantom
from ctgan_utils.commands.options import reading_of
from ctgan_utils.data import discovery, image_files, inspection, kaggle, measured, mednist
from ctgan_utils.runtime import atomic_write, progress, say


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
    numbers = measured.of(drawn)
    writer.writerow(["file", "class", "patient", "z_mm", "lesion_pixels", *numbers])
    lesions = drawn.masks.sum((1, 2))
    writer.writerows(zip(names, classes, drawn.patients, drawn.z, lesions, *numbers.values()))
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

"""Where slices come from: a folder, Kaggle, or the phantom. They are kept decoded, as uint8."""

import contextlib
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ctgan_utils import grey, phantom
from ctgan_utils.data import image_files, kaggle, similarity
from ctgan_utils.data.slices import CTImages, digest
from ctgan_utils.runtime import WORKPLACE, UserError, atomic_write, cache_folder, progress

Kept = tuple[dict[str, Tensor], dict[str, Any]]  # what the cache keeps: tensors, and notes
CT_KIDNEY = WORKPLACE / "data" / "ct_kidney"  # where `data kaggle` puts the slices


def load(
    data: str | Path,
    size: int,
    *,
    phantoms: int = 2_000,
    seed: int = 0,
    skip_unreadable: bool = False,
    truth: bool = False,
) -> CTImages:
    """The CTImages that --data names, at size x size pixels.

    "phantom"; a folder, or one file; "kaggle", which is fetched first; or "auto": data/ct_kidney if it is
    there, else Kaggle if the environment holds a token, else the phantom. `source` says which it was. With
    truth, the phantom's slices come with what it knows of them (slices.TRUTH); of others nobody knows it.
    """
    name = str(data)
    if name == "auto":
        name = str(CT_KIDNEY) if CT_KIDNEY.is_dir() else "kaggle" if kaggle.has_token() else "phantom"
    if name == "phantom":
        return load_phantom(phantoms, size, seed, truth)
    if name == "kaggle":
        kaggle.download(CT_KIDNEY)
        name = str(CT_KIDNEY)
    return load_folder(name, size, skip_unreadable)


def load_phantom(n: int, size: int, seed: int = 0, truth: bool = False) -> CTImages:
    """n slices of the built-in phantom, with its truth if that is asked for; patients are the groups."""
    key = digest(_code(phantom), _code(grey), f"{n} {size} {seed}".encode())

    def make():
        with progress(n, "drawing phantoms", "slice") as bar:
            drawn = phantom.generate(n, size, seed, progress=lambda done, total: bar.update(done - bar.n))
        arrays = {"images": drawn.images[:, None], "labels": drawn.classes, "groups": drawn.patients}
        if truth:
            known = {"tissues": drawn.labels, "lesions": drawn.masks, "hu": drawn.hu}
            arrays |= {name: array[:, None] for name, array in known.items()}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, {}

    tensors, _ = _cached(f"phantom{'-truth' * truth}-{key}", make)
    first = {name: tensors.pop(name) for name in ("images", "labels", "groups")}
    source = f"built-in phantom, {n:,} slices, seed {seed}"
    return CTImages(
        **first,
        classes=phantom.CLASSES,
        grouped_by="patient",
        source=source,
        fingerprint=key,
        truth=tensors,
    )


def load_folder(folder: str | Path, size: int, skip_unreadable: bool = False) -> CTImages:
    """Every image below a folder, or in one file, as grey levels at size x size pixels.

    PNG and JPEG (8, 12 or 16 bits, grey, colour, palette or transparent on black), DICOM, .npy and .npz.
    The class of a slice is the name of the folder it lies in, unless its file says otherwise. Width and
    height are scaled apart, as in thesis 4.2.3. Groups are patients where the files (DICOM, .npz) or the
    columns file and patient of an index.csv name them for all slices; else slices that look alike. Cached by
    content. Raises UserError for a missing or empty folder, for class folders that differ in case only, and
    for unreadable files unless they are skipped.
    """
    folder = Path(folder)
    paths = image_files.image_files(folder)
    root = folder if folder.is_dir() else folder.parent
    index = root / "index.csv"
    patients_by_name = _read_index(index) if index.is_file() else {}
    with ThreadPoolExecutor() as pool:
        contents = list(pool.map(lambda path: digest(path.read_bytes()), paths))
    names = [path.relative_to(root).as_posix() for path in paths]
    about = json.dumps([size, skip_unreadable, sorted(patients_by_name.items()), root.resolve().name])
    key = digest(about.encode(), *map(str.encode, names + contents))

    def make():
        files, unreadable = image_files.read_all(paths, size)
        if unreadable and not skip_unreadable:
            first, reason = next(iter(unreadable.items()))
            more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
            raise UserError(f"{first}{more}: {reason}; remove or replace it, or pass --skip-unreadable")
        if not files:
            raise UserError(f"{folder}: none of its {len(paths)} images can be read; run 'data check' on it")
        slice_classes, patients = [], []
        for path, file in zip((path for path in paths if path not in unreadable), files):
            count = len(file.pixels)
            slice_classes += file.classes or [image_files.class_of(path, root)] * count
            patients += file.patients or [patients_by_name.get(path.relative_to(root).as_posix())] * count
        classes = _class_names(folder, slice_classes)
        images = torch.from_numpy(image_files.to_8_bit([file.pixels for file in files]))[:, None]
        known = all(patients)
        if known:
            groups = np.unique(patients, return_inverse=True)[1]
        else:
            groups = similarity.group(similarity.perceptual_hash(images), similarity.SAME_STACK)
        tensors = {
            "images": images,
            "labels": torch.tensor([classes.index(name) for name in slice_classes]),
            "groups": torch.from_numpy(groups),
        }
        notes = {"classes": classes, "grouped_by": "patient" if known else "similarity"}
        return tensors, notes | {"unreadable": len(unreadable)}

    tensors, notes = _cached(f"folder-{digest(key.encode(), _code(image_files), _code(similarity))}", make)
    left_out = f" ({notes['unreadable']} unreadable left out)" if notes["unreadable"] else ""
    return CTImages(
        images=tensors["images"],
        labels=tensors["labels"],
        groups=tensors["groups"],
        classes=tuple(notes["classes"]),
        grouped_by=notes["grouped_by"],
        source=f"folder {root.resolve().name}, {len(tensors['images']):,} slices{left_out}",
        fingerprint=key,
    )


def _read_index(path: Path) -> dict[str, str]:
    """{file: patient} of an index.csv with these two columns, as the phantom writes it; else {}."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"file", "patient"} <= set(rows.fieldnames or ()):
            return {}
        return {row["file"]: row["patient"] for row in rows}


def _class_names(folder: Path, names: Iterable[str]) -> list[str]:
    """The sorted names. Raises UserError if two differ in case only."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[name.casefold()].add(name)
    for same in spellings.values():
        if len(same) > 1:
            pair = "' and '".join(sorted(same)[:2])
            raise UserError(f"{folder}: '{pair}' look like one class; give their folders one spelling")
    return sorted(set(names))


def _cached(name: str, make: Callable[[], Kept]) -> Kept:
    """What make() returns, tensors and notes, from the cache if it is there; a broken cache is no error."""
    path = cache_folder() / f"{name}.safetensors"
    try:
        with safetensors.safe_open(path, "pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["notes"])
    except (OSError, safetensors.SafetensorError):
        tensors, notes = make()
    with contextlib.suppress(OSError):
        atomic_write(path, safetensors.torch.save(tensors, {"notes": json.dumps(notes)}))
    return tensors, notes


def _code(module):
    """The source of a module or package: what it draws or reads changes with it."""
    path = Path(module.__file__)
    paths = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    return b"".join(p.read_bytes() for p in paths)

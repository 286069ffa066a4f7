"""Where slices come from: a folder, Kaggle, MedNIST, or the phantom. They are kept decoded, as uint8."""

import contextlib
import hashlib
import json
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ctgan_utils import grey, phantom
from ctgan_utils.data import discovery, formats, image_files, kaggle, mednist, patients, scale, similarity
from ctgan_utils.data.formats.base import DEFAULT, LeftOut, Reading
from ctgan_utils.data.slices import CTImages, digest
from ctgan_utils.runtime import (
    WORKPLACE,
    UserError,
    atomic_write,
    cache_folder,
    printable,
    progress,
    remove_leftovers,
)

Kept = tuple[dict[str, Tensor], dict[str, Any]]  # what the cache keeps: tensors, and notes
CT_KIDNEY = WORKPLACE / "data" / "ct_kidney"  # where `data kaggle` puts the slices
MEDNIST = WORKPLACE / "data" / "mednist"  # and `data mednist`
READERS = discovery, formats, image_files, patients, scale, similarity
LOG = logging.getLogger(__name__)


def resolve(name: str | Path) -> str:
    """What --data names: "phantom", or a folder or file; what is asked for by its name is fetched first.

    "kaggle" is CT KIDNEY, "mednist" MedNIST's abdominal slices; "auto" is the first of these that is there,
    else the phantom, and fetches nothing.
    """
    name = str(name)
    if name == "auto":
        return str(CT_KIDNEY if CT_KIDNEY.is_dir() else MEDNIST) if _at_hand() else "phantom"
    if name == "kaggle":
        kaggle.download(CT_KIDNEY)
        return str(CT_KIDNEY)
    if name == "mednist":
        mednist.download(MEDNIST)
        return str(MEDNIST)
    return name


def _at_hand() -> bool:
    return CT_KIDNEY.is_dir() or mednist.present(MEDNIST)


def load(
    data: str | Path,
    size: int,
    *,
    phantoms: int = 2_000,
    seed: int = 0,
    skip_unreadable: bool = False,
    truth: bool = False,
    reading: Reading = DEFAULT,
) -> CTImages:
    """The CTImages that --data names, at size x size pixels.

    "phantom"; a folder, or one file; or another name that resolve knows. `source` says which it was. With
    truth, the phantom's slices come with what it knows of them (slices.TRUTH); of others nobody knows it.
    """
    name = resolve(data)
    if name == "phantom":
        return load_phantom(phantoms, size, seed, truth)
    return load_folder(name, size, skip_unreadable, reading)


def load_phantom(n: int, size: int, seed: int = 0, truth: bool = False) -> CTImages:
    """n slices of the built-in phantom, with its truth if that is asked for; patients are the groups."""
    key = digest(_code(phantom, grey).encode(), f"{n} {size} {seed}".encode())

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
        truth=tensors,
    )


def load_folder(
    folder: str | Path, size: int, skip_unreadable: bool = False, reading: Reading = DEFAULT
) -> CTImages:
    """Every slice below a folder, or in one file, as grey levels at size x size pixels.

    PNG, JPEG, BMP and TIFF (8 to 32 bits, grey, colour, palette or transparent on black), DICOM, NIfTI, .npy
    and .npz. The class of a slice is the name of the folder it lies in, unless its file says otherwise. Width
    and height are scaled apart, as in thesis 4.2.3. Groups are patients where the files (DICOM, .npz) or the
    columns file and patient of an index.csv name them for all slices; else slices that look alike. Cached by
    content. What is left out, and what had to be assumed, is logged as one warning. Raises UserError for a
    missing or empty folder, for class folders that look the same, and for unreadable files unless they are
    skipped.
    """
    found = discovery.find(folder)
    folder = Path(folder)
    paths = found.paths
    if not paths:
        raise discovery.nothing_in(folder, found.left_out)
    root = folder if folder.is_dir() else folder.parent
    try:
        index, index_notes = patients.read_index(root / discovery.INDEX)
        with ThreadPoolExecutor() as pool:
            contents = list(pool.map(_digest_of_file, paths))
    except OSError as error:
        raise UserError(f"{error.filename or folder}: can't be read ({error.strerror})") from None
    names = [path.relative_to(root).as_posix() for path in paths]
    about = repr([size, skip_unreadable, reading, sorted(index.items()), root.resolve().name])
    key = digest(*(os.fsencode(text) for text in [about, *names, *contents, _code(*READERS)]))

    def make() -> Kept:
        left_out, unreadable, stacks = Counter(found.left_out), dict[Path, str](), list[image_files.Slices]()
        assumed: set[str] = set()
        slice_classes: list[str] = []
        known: list[str | None] = []
        origins: list[str] = []
        for path, result in image_files.read_all(paths, size, reading):
            if isinstance(result, LeftOut):
                left_out[str(result)] += 1
            elif isinstance(result, UserError):
                unreadable[path] = str(result)
            else:
                count, file = len(result.pixels), result.file
                stacks.append(result)
                assumed.update(file.notes)
                slice_classes += file.classes or [image_files.class_of(path, root)] * count
                origins += [path.name] * count
                who = index.get(patients.key_of(path, root))
                known += [who] * count if who or not file.patients else file.patients
        if unreadable and not skip_unreadable:
            first_path, reason = next(iter(unreadable.items()))
            more = f" (and {len(unreadable) - 1:,} more)" if len(unreadable) > 1 else ""
            raise UserError(f"{first_path}{more}: {reason}; remove or replace it, or pass --skip-unreadable")
        if unreadable:
            left_out["unreadable"] = len(unreadable)
        if not stacks:
            raise discovery.nothing_in(folder, left_out)
        try:
            pixels, raw, extents = zip(*((s.pixels, s.raw, s.extent) for s in stacks))
            grey_levels, scale_notes = scale.to_grey(pixels, raw, extents, reading.span)
        except UserError as error:
            raise UserError(f"{folder}: {error}") from None
        classes = _class_names(folder, slice_classes)
        images = torch.from_numpy(grey_levels)[:, None]
        by_patient = all(known)
        if by_patient:
            groups = np.unique(np.array(known, str), return_inverse=True)[1]
        else:
            groups = similarity.group(similarity.perceptual_hash(images), similarity.SAME_STACK)
            if any(known):
                first = next(name for name, who in zip(origins, known) if not who)
                named = sum(map(bool, known))
                assumed.add(
                    f"a patient is named for {named:,} of {len(known):,} slices (not for {first}), so "
                    "slices are grouped by similarity"
                )
        tensors = {
            "images": images,
            "labels": torch.tensor([classes.index(name) for name in slice_classes]),
            "groups": torch.from_numpy(groups),
        }
        notes = sorted(assumed) + scale_notes + index_notes
        if left_out:
            notes.insert(0, f"left out: {discovery.in_words(left_out)}")
        return tensors, {"classes": classes, "by_patient": by_patient, "notes": notes}

    tensors, notes = _cached(f"folder-{key}", make)
    if notes["notes"]:
        LOG.warning("%s: %s", printable(str(folder)), printable("; ".join(notes["notes"])))
    return CTImages(
        images=tensors["images"],
        labels=tensors["labels"],
        groups=tensors["groups"],
        classes=tuple(notes["classes"]),
        grouped_by="patient" if notes["by_patient"] else "similarity",
        source=f"folder {printable(root.resolve().name)}, {len(tensors['images']):,} slices",
    )


def _class_names(folder: Path, names: Iterable[str]) -> list[str]:
    """The sorted names. Raises UserError if two differ in case or spaces only."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[" ".join(name.casefold().split())].add(name)
    for same in spellings.values():
        if len(same) > 1:
            pair = "' and '".join(sorted(same)[:2])
            raise UserError(f"{folder}: '{pair}' look like one class; give their folders one spelling")
    return sorted(set(names))


def _cached(name: str, make: Callable[[], Kept]) -> Kept:
    """What make() returns, tensors and notes, from the cache if it is there; a broken cache is no error."""
    path = cache_folder() / f"{name}.safetensors"
    unreadable = OSError, safetensors.SafetensorError, LookupError, TypeError, ValueError
    with contextlib.suppress(*unreadable), safetensors.safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        notes = json.loads(file.metadata()["notes"])
        if len({len(tensors[key]) for key in ("images", "labels", "groups")}) == 1:
            return tensors, notes
    tensors, notes = make()
    with contextlib.suppress(OSError):
        remove_leftovers(path.parent)
        atomic_write(path, safetensors.torch.save(tensors, {"notes": json.dumps(notes)}))
    return tensors, notes


def _digest_of_file(path: Path) -> str:
    """Of its bytes, read in parts."""
    state = hashlib.blake2b(digest_size=12)
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            state.update(part)
    return state.hexdigest()


def _code(*modules: ModuleType) -> str:
    """The source of modules and packages: what they draw or read changes with it."""
    parts = []
    for module in modules:
        path = Path(str(module.__file__))
        paths = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
        parts += [p.read_bytes() for p in paths]
    return digest(*parts)

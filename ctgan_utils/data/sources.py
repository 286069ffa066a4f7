"""Where slices come from: a folder, Kaggle, MedNIST, or the phantom. They are kept decoded, as uint8."""

import contextlib
import hashlib
import json
import logging
import math
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
from ctgan_utils.data import (
    discovery,
    formats,
    image_files,
    kaggle,
    measured,
    mednist,
    patients,
    scale,
    similarity,
)
from ctgan_utils.data.formats.base import DEFAULT, LeftOut, Reading
from ctgan_utils.data.slices import TRUTH, CTImages, digest
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
READERS = discovery, formats, grey, image_files, patients, scale, similarity
LOG = logging.getLogger(__name__)


def resolve(name: str | Path) -> str:
    """What --data names: "phantom", or a folder or file; what is asked for by its name is fetched first.

    "kaggle" is CT KIDNEY, "mednist" MedNIST's abdominal slices; "auto" is the first of these that is there,
    else the phantom, and fetches nothing.
    """
    name = str(name)
    if name == "auto":
        return str(next(iter(at_hand().values()), "phantom"))
    if name == "kaggle":
        kaggle.download(CT_KIDNEY)
        return str(CT_KIDNEY)
    if name == "mednist":
        mednist.download(MEDNIST)
        return str(MEDNIST)
    return name


def at_hand() -> dict[str, Path]:
    """The real sets that have been fetched, as {name and credit: folder}."""
    sets = {
        "CT KIDNEY (Islam et al., 2022)": (CT_KIDNEY, CT_KIDNEY.is_dir()),
        "MedNIST (B. J. Erickson, Mayo Clinic, CC BY-SA 4.0)": (MEDNIST, mednist.present(MEDNIST)),
    }
    return {name: folder for name, (folder, is_there) in sets.items() if is_there}


def load(
    data: str | Path,
    size: int,
    *,
    phantoms: int = 2_000,
    seed: int = 0,
    skip_unreadable: bool = False,
    truth: Iterable[str] = (),
    reading: Reading = DEFAULT,
) -> CTImages:
    """The CTImages that --data names, at size x size pixels.

    "phantom"; a folder, or one file; or another name that resolve knows. `source` says which it was. truth
    names what the phantom's slices come with of what it knows (slices.TRUTH); those of a folder come with
    the numbers that its index.csv has in columns of these names.
    """
    name = resolve(data)
    if name == "phantom":
        return load_phantom(phantoms, size, seed, truth)
    return load_folder(name, size, skip_unreadable, reading, truth)


def load_phantom(n: int, size: int, seed: int = 0, truth: Iterable[str] = ()) -> CTImages:
    """n slices of the built-in phantom, with what truth names of slices.TRUTH; patients are the groups."""
    source = f"built-in phantom, {n:,} slices, seed {seed}"
    wanted = TRUTH.keys() & set(truth)
    drawn = _drawn(n, size, seed, bool(wanted - phantom.PARTNERS.keys()))
    first = {name: drawn.pop(name) for name in ("images", "labels", "groups")}
    for partner in wanted & phantom.PARTNERS.keys():
        drawn[partner] = _drawn(n, size, seed, False, partner)["images"]
    known = {name: tensor for name, tensor in drawn.items() if name in wanted}
    return CTImages(**first, classes=phantom.CLASSES, grouped_by="patient", source=source, truth=known)


def _drawn(n: int, size: int, seed: int, truth: bool, partner: str | None = None) -> dict[str, Tensor]:
    """Images, labels and groups of phantoms, or of their partners; with truth what is known of them too."""
    code = _code(phantom, grey, *([measured] if truth else []))
    key = digest(code.encode(), f"{n} {size} {seed}".encode())

    def make() -> Kept:
        what = f"drawing phantoms{', ' * bool(partner)}{partner or ''}"
        with progress(n, what, "slice") as bar:
            p = phantom.generate(
                n, size, seed, progress=lambda done, total: bar.update(done - bar.n), partner=partner
            )
        arrays = {"images": p.images[:, None], "labels": p.classes, "groups": p.patients}
        if truth:
            known = {"tissues": p.labels, "lesions": p.masks, "hu": p.hu}
            arrays |= {name: array[:, None] for name, array in known.items()} | measured.of(p)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, {}

    kind = "-truth" * truth + (f"-{partner}" if partner else "")
    return _cached(f"phantom{kind}-{key}", make)[0]


def load_folder(
    folder: str | Path,
    size: int,
    skip_unreadable: bool = False,
    reading: Reading = DEFAULT,
    numbers: Iterable[str] = (),
) -> CTImages:
    """Every slice below a folder, or in one file, as grey levels at size x size pixels.

    PNG, JPEG, BMP and TIFF (8 to 32 bits, grey, colour, palette or transparent on black), DICOM, NIfTI, .npy
    and .npz. The class of a slice is the name of the folder it lies in, unless its file says otherwise. Width
    and height are scaled apart, as in thesis 4.2.3. Groups are patients where the files (DICOM, .npz) or the
    columns file and patient of an index.csv name them for all slices; else slices that look alike. truth
    has those of the numbers asked for that are a column of it, nan where it doesn't tell. Cached by
    content. What is left out, and what had to be assumed, is logged as one warning. Raises UserError for a
    missing or empty folder, for class folders that look the same, for a number that is none, and for
    unreadable files unless they are skipped.
    """
    found = discovery.find(folder)
    folder = Path(folder)
    if not found.paths:
        raise discovery.nothing_in(folder, found.left_out)
    root = folder if folder.is_dir() else folder.parent
    try:
        index, index_notes = patients.read_index(root / discovery.INDEX)
        columns = patients.read_numbers(root / discovery.INDEX, numbers)
        with ThreadPoolExecutor() as pool:
            contents = list(pool.map(_digest_of_file, found.paths))
    except OSError as error:
        raise UserError(f"{error.filename or folder}: can't be read ({error.strerror})") from None
    names = [path.relative_to(root).as_posix() for path in found.paths]
    asked = [size, skip_unreadable, reading, root.resolve().name]
    about = repr([asked, sorted(index.items()), sorted(found.left_out.items()), columns])
    key = digest(*(os.fsencode(text) for text in [about, *names, *contents, _code(*READERS)]))

    def make() -> Kept:
        files, left_out = _read(folder, found, size, skip_unreadable, reading)
        tensors, notes = _assembled(folder, root, files, left_out, index, reading)
        for name, column in columns.items():
            known = [
                [column.get(patients.key_of(path, root), math.nan)] * len(slices.pixels)
                for path, slices in files.items()
            ]
            tensors[name] = torch.tensor(sum(known, []))
        return tensors, notes

    tensors, notes = _cached(f"folder-{key}", make)
    if told := notes["told"] + index_notes:
        LOG.warning("%s: %s", printable(str(folder)), printable("; ".join(told)))
    return CTImages(
        images=tensors["images"],
        labels=tensors["labels"],
        groups=tensors["groups"],
        classes=tuple(notes["classes"]),
        grouped_by=notes["grouped_by"],
        source=f"folder {printable(root.resolve().name)}, {len(tensors['images']):,} slices",
        truth={name: tensors[name] for name in columns},
    )


def _read(
    folder: Path, found: discovery.Found, size: int, skip_unreadable: bool, reading: Reading
) -> tuple[dict[Path, image_files.Slices], Counter[str]]:
    """({file: its slices}, what is left out of the folder, now with what only a file's inside tells).

    Raises UserError for unreadable files, unless they are skipped, and where no slice is left.
    """
    files, unreadable, left_out = dict[Path, image_files.Slices](), dict[Path, str](), Counter(found.left_out)
    for path, result in image_files.read_all(found.paths, size, reading):
        if isinstance(result, LeftOut):
            left_out[str(result)] += 1
        elif isinstance(result, UserError):
            unreadable[path] = str(result)
        else:
            files[path] = result
    if unreadable and not skip_unreadable:
        first, reason = next(iter(unreadable.items()))
        more = f" (and {len(unreadable) - 1:,} more)" if len(unreadable) > 1 else ""
        raise UserError(f"{first}{more}: {reason}; remove or replace it, or pass --skip-unreadable")
    if unreadable:
        left_out["unreadable"] = len(unreadable)
    if not files:
        raise discovery.nothing_in(folder, left_out)
    return files, left_out


def _assembled(
    folder: Path,
    root: Path,
    files: dict[Path, image_files.Slices],
    left_out: Counter[str],
    index: dict[str, str],
    reading: Reading,
) -> Kept:
    """One set of what was read: grey levels on one scale, classes, groups, and what is to be told of it."""
    named: list[str] = []  # the class of each slice
    known: list[str | None] = []  # its patient
    origins: list[str] = []  # the name of its file
    for path, slices in files.items():
        count, who = len(slices.pixels), index.get(patients.key_of(path, root))
        origins += [path.name] * count
        named += slices.file.classes or [image_files.class_of(path, root)] * count
        known += [who] * count if who or not slices.file.patients else slices.file.patients
    try:
        pixels, raw, extents = zip(*((s.pixels, s.raw, s.extent) for s in files.values()))
        grey_levels, told = scale.to_grey(pixels, raw, extents, reading.span)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    images = torch.from_numpy(grey_levels)[:, None]
    if all(known):
        groups = np.unique(np.array(known, str), return_inverse=True)[1]
    else:
        groups = similarity.group(similarity.perceptual_hash(images), similarity.SAME_STACK)
    if any(known) and not all(known):
        first = origins[known.index(next(who for who in known if not who))]
        told.append(
            f"a patient is named for {sum(map(bool, known)):,} of {len(known):,} slices (not for {first}), "
            "so slices are grouped by similarity"
        )
    classes = _class_names(folder, named)
    labels = torch.tensor([classes.index(name) for name in named])
    told = sorted({note for slices in files.values() for note in slices.file.notes}) + told
    if left_out:
        told.insert(0, f"left out: {discovery.in_words(left_out)}")
    notes = {"classes": classes, "grouped_by": "patient" if all(known) else "similarity", "told": told}
    return {"images": images, "labels": labels, "groups": torch.from_numpy(groups)}, notes


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

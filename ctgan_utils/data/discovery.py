"""What lies below a folder: files that may hold slices, and what is left out, with the reason."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctgan_utils.data.formats import arrays, dicom, nifti, pictures
from ctgan_utils.runtime import UserError

KINDS = "PNG, JPEG, BMP, TIFF, DICOM, NIfTI, .npy or .npz"
INDEX = "index.csv"  # which patient a file shows
GROUND_TRUTH = "ground_truth.npz"  # what the phantom knows of its slices, beside them
SAMPLED = "sampled.json"  # beside images that a run made: which run
OURS = {INDEX, GROUND_TRUTH, SAMPLED}


@dataclass
class Found:
    """Files that may hold slices, in natural order, and why others are left out: {reason: files}."""

    paths: list[Path]
    left_out: Counter[str] = field(default_factory=Counter)


def find(folder: Path | str) -> Found:
    """What is below a folder, or the one file named.

    Linked folders are followed, but none is read twice: a link to what was read already is left out and
    counted, so a loop ends. Raises UserError for a folder that is missing or can't be opened.
    """
    if not str(folder).strip() or "\0" in str(folder):
        raise UserError("an empty name is no folder; name one with images, or 'phantom'")
    folder = Path(folder)
    try:
        if folder.is_file():
            return Found([folder])
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name one with images, or 'phantom'")
        found = Found([])
        for path in _walk(folder, found.left_out):
            reason = _why_not(path)
            if reason:
                found.left_out[reason] += 1
            elif path.name not in OURS:
                found.paths.append(path)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: can't be read ({error.strerror})") from None
    found.paths.sort(key=lambda path: _natural(path.relative_to(folder).as_posix()))
    return found


def image_files(folder: Path | str) -> list[Path]:
    """The files below a folder that may hold slices, or the one file named, in natural order: 2 before 10.

    Raises UserError if there are none.
    """
    found = find(folder)
    if not found.paths:
        raise nothing_in(folder, found.left_out)
    return found.paths


def nothing_in(folder: Path | str, left_out: Counter[str]) -> UserError:
    """The error of a folder without slices."""
    about = f"; left out: {in_words(left_out)}" if left_out else ""
    return UserError(f"{folder}: no images in it ({KINDS}){about}; name the folder that holds them")


def in_words(left_out: Counter[str], most: int = 8) -> str:
    """What is left out in one phrase, the most frequent reasons first."""
    common = [f"{count:,} {reason}" for reason, count in left_out.most_common(most)]
    rest = left_out.total() - sum(count for _, count in left_out.most_common(most))
    return ", ".join(common + ([f"{rest:,} others"] if rest else []))


def _walk(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Every file below a folder; first what really lies there, then what links lead to."""
    seen: set[str] = set()
    waiting: list[Path] = [folder]
    links: list[Path] = []
    while waiting or links:
        here = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(here)
        if real in seen:
            left_out["linked folder that is read already"] += 1
            continue
        seen.add(real)
        with os.scandir(here) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.name.startswith("."):  # .partial, and the ._ files that macOS leaves beside others
                    left_out["hidden"] += 1
                elif entry.is_dir():
                    (links if entry.is_symlink() else waiting).append(path)
                else:
                    yield path


def _why_not(path: Path) -> str | None:
    """Why a file is left out; None if it may hold slices."""
    suffix = path.suffix.lower()
    if not path.is_file():
        return "broken link" if path.is_symlink() else "no regular file"
    is_known = suffix in pictures.SUFFIXES | arrays.SUFFIXES | dicom.SUFFIXES or path.name in OURS
    if is_known or path.name.lower().endswith(nifti.SUFFIXES) or has_dicom_prefix(path):
        return None
    return suffix if re.fullmatch(r"\.\w{1,12}", suffix, re.ASCII) else "without a known suffix"


def has_dicom_prefix(path: Path) -> bool:
    """True for DICOM files under any name, as on a clinical disc."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == dicom.PREFIX
    except PermissionError:
        return False


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(int(part[:18]), "") if part[:1].isdecimal() else (0, part.lower()) for part in parts]

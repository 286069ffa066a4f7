"""NumPy arrays: .npy, and .npz, which may name the classes and the patients of its slices."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ctgan_utils.data.formats.base import CUT, NOT_FINITE, ImageFile, Reading, words
from ctgan_utils.runtime import UserError

SUFFIXES = {".npy", ".npz"}
AXES = "slices are numbers [N, H, W]"
SIDE = {"labels": "class", "patients": "patient"}  # arrays of an .npz that speak of each slice
LIMIT_OF_SIDES = 10**8  # bytes: millions of labels


def read(path: Path, reading: Reading) -> ImageFile:
    """The slices of an array [H, W], [N, H, W], [N, 1, H, W] or [N, H, W, 1].

    In an .npz they are called images, or train_images, val_images, ... as MedMNIST calls them, or are the
    only array; labels and patients, one for each slice, may stand beside them. uint8 are grey levels; other
    numbers stay as stored. Nothing is unpickled. Raises UserError, without the file's name, if it can't be
    read, takes too much memory, or holds something else.
    """
    try:
        return (_read_npz if path.suffix.lower() == ".npz" else _read_npy)(path, reading)
    except UserError:
        raise
    except Exception as error:  # of a damaged file, of any kind
        raise UserError(words(error, f"damaged, or no NumPy {path.suffix.lower()} file")) from None


def _read_npy(path: Path, reading: Reading) -> ImageFile:
    with open(path, "rb") as file:
        shape, fortran, dtype = _header(file)
        offset = file.tell()
    shape, notes = _stack_shape(shape, dtype)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if path.stat().st_size < offset + needed:
        raise UserError(CUT)
    reading.check(needed)
    array = np.memmap(path, dtype, "r", offset, shape, order="F" if fortran else "C")
    return ImageFile(_checked(array), shape[0], shape[:0:-1], str(dtype), notes=notes)


def _read_npz(path: Path, reading: Reading) -> ImageFile:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if any(info.flag_bits & 1 for info in members.values()):
            raise UserError("encrypted; write it again without a password")
        names = [name for name in members if re.fullmatch(r"(\w+_)?images", name)] or list(members)[:1]
        if not names or (len(members) > 1 and not names[0].endswith("images")):
            raise UserError(f"holds {', '.join(members) or 'nothing'}; call the array of slices 'images'")
        reading.check(sum(members[name].file_size for name in names))
        headers = []
        for name in names:
            with archive.open(members[name]) as file:
                shape, _, dtype = _header(file)
                headers.append((*_stack_shape(shape, dtype), dtype))
        if len({(shape[1:], dtype) for shape, _, dtype in headers}) > 1:
            raise UserError(f"{', '.join(names)} differ in size or type; write them to files of their own")
        counts = {name: shape[0] for name, (shape, *_) in zip(names, headers)}
        (_, height, width), notes, dtype = headers[0]
        beside = {key: _side_array(archive, members, counts, key) for key in SIDE}
    known = {*names, *(_side(name, key) for name in names for key in SIDE)}
    if others := sorted(members.keys() - known):
        notes += (f"arrays {', '.join(others[:4])}{' ...' * (len(others) > 4)} are not read",)
    slices = _checked(_stream(path, names))
    count, size = sum(counts.values()), (width, height)
    return ImageFile(slices, count, size, str(dtype), beside["labels"], beside["patients"], notes)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether in Fortran's order, type) of an array whose numbers are yet to be read."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise UserError("holds Python objects, not numbers; save it as an array of numbers")
    return shape, fortran, dtype


def _stack_shape(shape: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """(N, H, W) and what had to be assumed. Raises UserError for numbers that are no stack of slices."""
    refused = f"shape {list(shape)} of {dtype}; {AXES}"
    if dtype.kind not in "iuf" or 0 in shape:
        raise UserError(refused)
    if len(shape) == 4 and 1 in (shape[1], shape[3]):
        n, height, width = (shape[0], *shape[2:]) if shape[1] == 1 else shape[:3]
    elif len(shape) in (2, 3):
        n, height, width = (1,) * (3 - len(shape)) + shape
    else:
        raise UserError(refused)
    if len(shape) == 3 and ((width in (3, 4) and height > 4) or height == n != width):
        is_colour = width in (3, 4)
        several = "a picture in colour" if is_colour else f"{width} slices along the last axis"
        mend = "make it grey" if is_colour else "numpy.moveaxis(array, -1, 0) puts their number first"
        raise UserError(f"shape {list(shape)} looks like {several}; {AXES}: {mend}")
    notes = (f"the first axis of {list(shape)} taken for the slices",) if len(shape) == 3 and n <= 4 else ()
    return (n, height, width), notes


def _side_array(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], counts: dict[str, int], key: str
) -> list[str] | None:
    """What labels or patients say of each slice, in words; None if the file has none.

    Raises UserError if they are not one for each slice.
    """
    found: list[str] = []
    without = [name for name in counts if _side(name, key) not in members]
    if len(without) == len(counts):
        return None
    if without:
        raise UserError(f"{without[0]} has no {_side(without[0], key)} like the others; add it")
    for name, count in counts.items():
        side = _side(name, key)
        if members[side].file_size > LIMIT_OF_SIDES:
            raise UserError(f"{side} is too large; one {SIDE[key]} for each slice is needed")
        with archive.open(members[side]) as file:
            _header(file)
        with archive.open(members[side]) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        if array.shape not in ((count,), (count, 1)):
            mend = " (numpy.argmax turns one-hot labels into such)" if array.ndim > 1 else ""
            counted = f"{side} has shape {list(array.shape)}, {name} {count} slices"
            raise UserError(f"{counted}; one {SIDE[key]} for each slice is needed{mend}")
        found += [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in array.ravel()]
    return found


def _side(name: str, key: str) -> str:
    """What stands beside images or train_images: labels or train_labels."""
    return name.removesuffix("images") + key


def _stream(path: Path, names: Iterable[str]) -> Iterator[np.ndarray]:
    """The slices [H, W] of arrays in an .npz, one after the other, as they are unpacked."""
    with zipfile.ZipFile(path) as archive:
        for name in names:
            member = name if name in archive.namelist() else f"{name}.npy"
            with archive.open(member) as file:
                shape, fortran, dtype = _header(file)
                (n, height, width), _ = _stack_shape(shape, dtype)
                if fortran:
                    numbers = np.frombuffer(file.read(), dtype).reshape(shape, order="F")
                    yield from numbers.reshape(n, height, width)
                    continue
                for _ in range(n):
                    data = file.read(height * width * dtype.itemsize)
                    yield np.frombuffer(data, dtype).reshape(height, width)


def _checked(slices: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Each slice in the machine's byte order. Raises UserError for numbers that are not finite."""
    try:
        for slice_ in slices:
            if slice_.dtype.kind == "f" and not np.isfinite(slice_).all():
                raise UserError(NOT_FINITE)
            yield slice_.astype(slice_.dtype.newbyteorder("="), copy=False)
    except UserError:
        raise
    except Exception as error:  # of a damaged archive, of any kind
        raise UserError(words(error, "damaged: its numbers can't be unpacked")) from None

"""NIfTI volumes: their axial slices as radiologists look at them, from the feet.

The format: https://nifti.nimh.nih.gov/nifti-1 and https://nifti.nimh.nih.gov/nifti-2
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ctgan_utils.data.formats.base import CUT, EMPTY, NOT_FINITE, ImageFile, LeftOut, Reading, words
from ctgan_utils.runtime import UserError

SUFFIXES = ".nii", ".nii.gz"
MODE = "NIfTI"
LARGEST_HEADER = 540  # bytes
PAIRS = b"ni1", b"ni2"  # in a header whose voxels lie in a file of their own
LEFT_ANTERIOR_SUPERIOR = np.array([[0, -1], [1, 1], [2, 1]])  # as nibabel writes an orientation
NO_ORIENTATION = "no orientation in the file: its axes taken to run to the left, to the front, upwards"


def read(path: Path, reading: Reading) -> ImageFile:
    """The axial slices of a volume [X, Y, Z], from the lowest to the highest, as float32 numbers.

    The patient's right is on a slice's left, the front is up; an oblique volume is not resampled. Numbers are
    in the file's unit, its slope and intercept applied; the whole set decides their grey levels. Voxels of a
    .nii file are read slice by slice. Raises LeftOut for other things than volumes of numbers, and UserError,
    without the file's name, if it can't be read, takes too much memory or holds several volumes; the slices
    raise it for numbers that are not finite.
    """
    try:
        import nibabel  # noqa: F401
    except ImportError:
        raise UserError("NIfTI needs nibabel: run 'pip install nibabel' and try again") from None
    try:
        return _read(path, reading)
    except (LeftOut, UserError):
        raise
    except (gzip.BadGzipFile, zlib.error):
        raise UserError("damaged: it can't be unpacked") from None
    except Exception as error:  # of a damaged file, of any kind
        raise UserError(words(error, "damaged: its header can't be read")) from None


def _read(path: Path, reading: Reading) -> ImageFile:
    from nibabel.orientations import apply_orientation

    if path.stat().st_size == 0:
        raise UserError(EMPTY)
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if path.name.lower().endswith(".gz") and not packed:
        raise UserError("not a gzip file, whatever its name says")
    with gzip.open(path) if packed else open(path, "rb") as file:
        header = _header(file.read(LARGEST_HEADER))
        shape, dtype = _volume(header)
        start = max(header.get_data_offset(), header.sizeof_hdr + 4)
        size = math.prod(shape) * dtype.itemsize
        if packed:
            reading.check(start + size)
            file.seek(start)
            content = file.read(size)
            file.read(1)  # beyond the voxels stands the checksum
            if len(content) < size:
                raise UserError(CUT)
            stored: np.ndarray = np.ndarray(shape, dtype, content, order="F")
        elif path.stat().st_size < start + size:
            raise UserError(CUT)
        else:
            stored = np.memmap(path, dtype, "r", start, shape, order="F")
    orientation, notes = _orientation(header)
    volume = apply_orientation(stored, orientation)  # a view
    width, height, count = volume.shape
    if 1 in (width, height):
        raise LeftOut("NIfTI of a slice that is not axial")
    reading.check(width * height * 32)
    slope, intercept = header.get_slope_inter()
    scaling = (1.0 if slope is None else slope, intercept or 0.0)
    return ImageFile(_slices(volume, *scaling), count, (width, height), MODE, notes=notes)


def _header(block: bytes) -> Any:
    """nibabel's header of a file's first bytes, without its extensions, in either byte order."""
    from nibabel import Nifti1Header, Nifti2Header

    for kind, size, magic, place in (Nifti1Header, 348, b"n+1", 344), (Nifti2Header, 540, b"n+2", 4):
        found = block[place : place + 3]
        if found in PAIRS:
            raise UserError("only the header of a pair of files; save both as one .nii file")
        if found == magic and len(block) >= size:
            return kind(block[:size], check=False)
    raise UserError("not a NIfTI file, whatever its name says")


def _volume(header: Any) -> tuple[tuple[int, int, int], np.dtype]:
    """((X, Y, Z), type of the voxels). Raises LeftOut or UserError for other things than one volume."""
    shape, dtype = tuple(int(n) for n in header.get_data_shape()), header.get_data_dtype()
    if dtype.names:
        raise LeftOut("NIfTI in colour")
    if dtype.kind == "c":
        raise LeftOut("NIfTI of complex numbers")
    if dtype.kind not in "iuf" or min(shape) < 1:
        raise UserError("damaged: its header can't be read")
    if len(shape) == 1:
        raise LeftOut("NIfTI of a single dimension")
    x, y, z, *more = shape if len(shape) > 2 else (*shape, 1)
    if (volumes := math.prod(more)) > 1:
        raise UserError(f"holds {volumes} volumes; save each as a file (nibabel.four_to_three splits them)")
    return (x, y, z), dtype


def _orientation(header: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """(where each axis runs, for apply_orientation: to the right, the front, up; what was assumed of it)."""
    from nibabel.orientations import io_orientation

    if header["sform_code"] > 0 or header["qform_code"] > 0:
        try:
            affine = header.get_best_affine()
            if np.linalg.matrix_rank(affine[:3, :3]) == 3:
                return io_orientation(affine), ()
        except Exception:  # numbers that are no rotation
            pass
    return LEFT_ANTERIOR_SUPERIOR, (NO_ORIENTATION,)


def _slices(volume: np.ndarray, slope: float, intercept: float) -> Iterator[np.ndarray]:
    """The slices [H, W] of a volume whose axes run to the right, the front, up."""
    try:
        for k in range(volume.shape[2]):
            with np.errstate(all="ignore"):
                numbers = (volume[::-1, ::-1, k].T * np.float64(slope) + intercept).astype(np.float32)
            if not np.isfinite(numbers).all():
                raise UserError(NOT_FINITE)
            yield numbers
    except OSError:
        raise UserError("damaged: its voxels can't be read") from None

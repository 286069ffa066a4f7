"""What every format gives: an ImageFile, or the reason why a file holds no slices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ctgan_utils.runtime import UserError

GIGABYTE = 10**9
EMPTY = "an empty file"
CUT = "damaged: the file ends too early"
NOT_FINITE = "holds NaN or infinite values; replace them, with -1000 HU for air, say"


def words(error: Exception, otherwise: str) -> str:
    """What to tell of an error of the system or of a library, in our words; otherwise if it tells nothing."""
    if isinstance(error, MemoryError):
        return "needs more memory than there is; close other programs, or leave the file out"
    if isinstance(error, EOFError):
        return CUT
    if isinstance(error, OSError) and error.errno:
        return f"can't be read ({error.strerror})"
    return otherwise


class LeftOut(Exception):
    """A file that is whole but holds no CT slice. Its text is the reason, the same for all of its kind."""


@dataclass(frozen=True)
class Reading:
    """What the user decides about reading.

    span    the numbers that become black and white, in the file's own unit (HU in DICOM); None: the file's
            window, or what the numbers seem to be
    limit   the most memory that opening one file may take, in bytes
    """

    span: tuple[float, float] | None = None
    limit: int = GIGABYTE

    def check(self, needed: int) -> None:
        """Raises UserError, before a file is opened, if that takes more memory than the limit, in bytes."""
        if needed > self.limit:
            size, least = needed / GIGABYTE, -(-needed // GIGABYTE)
            raise UserError(f"takes {size:.1f} GB of memory to open; pass --max-gb {least} if that is meant")


DEFAULT = Reading()


@dataclass(frozen=True)
class ImageFile:
    """The slices of one file: one in a picture, many in a stack, a volume or a multi-frame DICOM file."""

    slices: Iterable[np.ndarray]  # arrays [H, W], to be read once: uint8 grey levels, or other numbers
    count: int  # of the slices
    size: tuple[int, int]  # width, height
    mode: str  # what the file holds: Pillow's mode, DICOM, NIfTI, or the type of an array
    classes: list[str] | None = None  # of each slice, where the file itself names them
    patients: list[str] | None = None  # of each slice
    notes: Sequence[str] = ()  # what had to be assumed; complete when the slices have been read

"""What the header of a DICOM file says: its elements, whether it is a CT slice, how its pixels are stored."""

import math
import re
from collections.abc import MutableSequence
from typing import Any, NamedTuple

from ctgan_utils.data.formats.base import LeftOut
from ctgan_utils.runtime import UserError

STANDARD = "1.2.840.10008."  # its own classes; others are a maker's
STORAGE = STANDARD + "5.1.4.1.1."
CT_CLASSES = {STORAGE + kind for kind in ("2", "2.1", "2.2")}  # CT, Enhanced, Legacy Converted Enhanced
CAPTURES = {STORAGE + kind for kind in ("7", "7.1", "7.2", "7.3", "7.4")}  # Secondary Capture
DIRECTORY = STANDARD + "1.3.10"


def values_of(dataset: Any, keyword: str) -> list:
    """The values of an element; none where it is absent or empty."""
    try:
        value = dataset.get(keyword)
    except Exception:
        raise UserError(f"damaged: its {keyword} can't be read") from None
    several = list(value) if isinstance(value, MutableSequence) else [value]
    return [v for v in several if (v.strip(" \0") if isinstance(v, str) else v not in (None, b""))]


def text_of(dataset: Any, keyword: str) -> str:
    """The first value in printable characters; "" where there is none."""
    text = "".join(str(value) for value in values_of(dataset, keyword)[:1]).strip(" \0")
    return "".join(c if c.isprintable() else "?" for c in text)


def number_of(dataset: Any, keyword: str) -> float | None:
    """The first value as a number; None where there is none."""
    for value in values_of(dataset, keyword):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"damaged: its {keyword} is no number")
        return number
    return None


def whole_of(dataset: Any, keyword: str, choices: range) -> int | None:
    """The first value as one of some whole numbers; None where there is none."""
    number = number_of(dataset, keyword)
    if number is None:
        return None
    if number % 1 or int(number) not in choices:
        raise UserError(f"damaged: its {keyword} is {number:.6g}")
    return int(number)


def check_kind(header: Any, meta: Any) -> None:
    """Raises LeftOut for what is no CT slice. A screen shot that isn't in colour may be one."""
    from pydicom.uid import UID

    sop_class = text_of(header, "SOPClassUID") or text_of(meta, "MediaStorageSOPClassUID")
    if sop_class == DIRECTORY or "DirectoryRecordSequence" in header:
        raise LeftOut("DICOM directory")
    modality = text_of(header, "Modality").upper()
    for keyword, text, form in (
        ("SOPClassUID", sop_class, r"[\d.]{0,64}"),
        ("Modality", modality, r"[\w ]{0,16}"),
    ):
        if not re.fullmatch(form, text, re.ASCII):
            raise UserError(f"damaged: its {keyword} can't be read")
    is_capture = sop_class in CAPTURES
    if modality not in ("", "CT") and not (is_capture and modality in ("OT", "SC")):
        raise LeftOut(f"DICOM of modality {modality}")
    of_a_maker = modality == "CT" and not sop_class.startswith(STANDARD)
    if sop_class and not (is_capture or sop_class in CT_CLASSES or of_a_maker):
        raise LeftOut(f"DICOM of class {UID(sop_class).name}")
    if values_of(header, "SamplesPerPixel")[:1] not in ([], [1]):
        raise LeftOut("DICOM in colour")
    if text_of(header, "PhotometricInterpretation").upper().startswith(("PALETTE", "RGB", "YBR")):
        raise LeftOut("DICOM in colour")
    if "LOCALIZER" in [str(value).strip(" \0").upper() for value in values_of(header, "ImageType")]:
        raise LeftOut("DICOM localizer (scout view)")


class Layout(NamedTuple):
    """How the pixels are stored."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: int
    photometric: str  # MONOCHROME1 or MONOCHROME2

    @property
    def pixels(self) -> int:
        return self.rows * self.columns * self.frames

    def memory(self, size_of_file: int) -> int:
        """Bytes: the file, the grey levels of all frames, and the numbers of one while it is shown."""
        return size_of_file + self.pixels + 100 * self.frames + 40 * self.rows * self.columns


def read_layout(header: Any, notes: list[str]) -> Layout:
    """What the header says of the pixels. Adds to the notes what it doesn't say."""
    sides = range(1, 1 << 16)
    rows, columns = whole_of(header, "Rows", sides), whole_of(header, "Columns", sides)
    allocated = whole_of(header, "BitsAllocated", range(1, 65))
    if rows is None or columns is None or allocated is None:
        raise UserError("damaged: it doesn't say how large its image is")
    if allocated not in (8, 16, 32):
        raise UserError(f"{allocated} bits for each pixel; save it with 16 bits")
    frames = whole_of(header, "NumberOfFrames", range(1 << 31)) or 1
    stored = whole_of(header, "BitsStored", range(1, allocated + 1))
    signed = whole_of(header, "PixelRepresentation", range(2))
    photometric = text_of(header, "PhotometricInterpretation").upper()
    if whole_of(header, "HighBit", range(64)) not in (None, (stored or allocated) - 1):
        notes.append("another HighBit in the file than BitsStored - 1: values taken from the lowest bits")
    if stored is None:
        notes.append("no BitsStored in the file: taken as all that are allocated")
    if signed is None:
        notes.append("no PixelRepresentation in the file: stored values taken as unsigned")
    if not photometric:
        notes.append("no PhotometricInterpretation in the file: low values taken as dark")
    elif photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UserError(f"damaged: its PhotometricInterpretation is {photometric[:16]}")
    return Layout(
        rows, columns, frames, allocated, stored or allocated, signed or 0, photometric or "MONOCHROME2"
    )

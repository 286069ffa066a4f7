"""DICOM: CT slices as a viewer shows them.

PS3.3 is the part of the standard that is followed: https://dicom.nema.org/medical/dicom/current/output/html
"""

import io
import itertools
import logging
import math
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, MutableSequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ctgan_utils.data.formats.base import ImageFile, LeftOut, Reading
from ctgan_utils.grey import window
from ctgan_utils.runtime import UserError

MODE = "DICOM"
SUFFIXES = {".dcm", ".dicom", ".ima"}
PREFIX = b"DICM"  # after 128 bytes

STANDARD = "1.2.840.10008."  # its own classes; others are a maker's
STORAGE = STANDARD + "5.1.4.1.1."
CT_CLASSES = {STORAGE + kind for kind in ("2", "2.1", "2.2")}  # CT, Enhanced, Legacy Converted Enhanced
CAPTURES = {STORAGE + kind for kind in ("7", "7.1", "7.2", "7.3", "7.4")}  # Secondary Capture
DIRECTORY = STANDARD + "1.3.10"
PIXEL_TAGS = b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"  # (7FE0,0010) in either byte order
UNDEFINED = 0xFFFFFFFF  # the length of what ends with a delimiter

DEFLATED = STANDARD + "1.2.1.99"
JPEG_EXTENDED = STANDARD + "1.2.4.51"
DECODERS = {  # what to install for a compression, where python-gdcm can't read it
    JPEG_EXTENDED: "pylibjpeg pylibjpeg-libjpeg",
    **{STANDARD + f"1.2.4.{kind}": "pylibjpeg pylibjpeg-openjpeg" for kind in (201, 202, 203)},
}

OTHERWISE = "--range LOW:HIGH decides otherwise"
NO_WINDOW = f"no window in the file: shown as 40 +- 200 HU; {OTHERWISE}"
NO_RESCALE = f"no rescale slope in the file: stored values taken for HU; {OTHERWISE}"
ARE_GREY = f"8 bits and no window in the file: stored values taken for grey levels; {OTHERWISE}"
NO_PATIENT = "no PatientID: each series is taken for a patient; an index.csv names them"
CUT = "damaged: the file ends too early"
UNDECODED = "damaged: its pixels can't be decoded"

warnings.filterwarnings("ignore", module="pydicom")  # of elements that concern no grey level
logging.getLogger("pydicom").propagate = False  # what fails is told in one line


def read(path: Path, reading: Reading) -> ImageFile:
    """The CT slices of a file, each frame one, as grey levels.

    A slice is shown in reading.span, else in the file's first window or its VOI lookup table, else as
    40 +- 200 HU; padding is black. Raises LeftOut for what is no CT slice, by the header, and UserError,
    without the file's name, if it can't be read or takes too much memory; where a file has several frames,
    the slices raise it too.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise UserError("DICOM needs pydicom: run 'pip install pydicom' and try again") from None
    try:
        return _read(path, reading)
    except (LeftOut, UserError):
        raise
    except Exception as error:  # of a damaged file, of any kind
        raise UserError(_words(error, "damaged: its header can't be read")) from None


def _words(error: Exception, otherwise: str) -> str:
    if isinstance(error, MemoryError):
        return "needs more memory than there is; close other programs, or leave the file out"
    if isinstance(error, OSError) and error.errno:
        return f"can't be read ({error.strerror})"
    return otherwise


def _read(path: Path, reading: Reading) -> ImageFile:
    from pydicom import dcmread

    with _File(path) as file:
        if not file.size:
            raise UserError("an empty file")
        prefixed = file.read(132)[128:] == PREFIX
        meta, source = _unpacked(file, reading) if prefixed else (None, file)
        header = dcmread(source, stop_before_pixels=True, force=True)
        if not (prefixed or _text(header, "SOPClassUID").startswith(STANDARD) or _values(header, "Rows")):
            raise UserError("not a DICOM file, whatever its name says")
        _check_kind(header, meta if meta is not None else header.file_meta)
        _check_pixels(header, source.read(4))
        notes: list[str] = []
        layout = _layout(header, notes)
        reading.check(layout.memory(file.size))
        decoder = _decoder(header, layout)

        source.seek(0)
        dataset = dcmread(source, force=True)
    _tidy(dataset, decoder, layout)
    views = _views(dataset, layout, reading.span, notes)
    patient = _text(dataset, "PatientID")
    if not patient and (patient := _text(dataset, "SeriesInstanceUID")):
        notes.append(NO_PATIENT)
    frames = _frames(dataset, decoder, views)
    first = next(frames)
    return ImageFile(
        [first] if layout.frames == 1 else itertools.chain([first], frames),
        layout.frames,
        (layout.columns, layout.rows),
        MODE,
        patients=[patient] * layout.frames if patient else None,
        notes=tuple(dict.fromkeys(notes)),
    )


class _File(io.BufferedReader):
    """A file that is never asked for more bytes than it has, whatever length an element claims."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(str(path)))
        self.size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 0:
            size = min(size, max(self.size - self.tell(), 0))
        return super().read(size)


def _unpacked(file: _File, reading: Reading) -> tuple[Any, BinaryIO]:
    """(the file meta information, the bytes to parse): the file itself, or what a deflated one holds."""
    from pydicom.filereader import read_dataset

    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 2
    )
    if _text(meta, "TransferSyntaxUID") == DEFLATED:
        return meta, io.BytesIO(_inflate(file, reading))
    file.seek(0)
    return meta, file


def _inflate(file: BinaryIO, reading: Reading) -> bytearray:
    """The rest of a file, inflated; the bytes, the pixels among them and a frame stand in memory at once."""
    stream, content = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    try:
        while not stream.eof and (block := file.read(1 << 16)):
            while block and not stream.eof:
                content += stream.decompress(block, 1 << 20)
                reading.check(3 * len(content))
                block = stream.unconsumed_tail
    except zlib.error:
        raise UserError("damaged: it can't be inflated") from None
    if not stream.eof:
        raise UserError(CUT)
    return content


def _values(dataset: Any, keyword: str) -> list:
    """The values of an element; none where it is absent or empty."""
    try:
        value = dataset.get(keyword)
    except Exception:
        raise UserError(f"damaged: its {keyword} can't be read") from None
    several = list(value) if isinstance(value, MutableSequence) else [value]
    return [v for v in several if (v.strip(" \0") if isinstance(v, str) else v not in (None, b""))]


def _text(dataset: Any, keyword: str) -> str:
    """The first value in printable characters; "" where there is none."""
    text = "".join(str(value) for value in _values(dataset, keyword)[:1]).strip(" \0")
    return "".join(c if c.isprintable() else "?" for c in text)


def _number(dataset: Any, keyword: str) -> float | None:
    """The first value as a number; None where there is none."""
    for value in _values(dataset, keyword):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"damaged: its {keyword} is no number")
        return number
    return None


def _whole(dataset: Any, keyword: str, choices: range) -> int | None:
    """The first value as one of some whole numbers; None where there is none."""
    number = _number(dataset, keyword)
    if number is None:
        return None
    if number % 1 or int(number) not in choices:
        raise UserError(f"damaged: its {keyword} is {number:.6g}")
    return int(number)


def _check_kind(header: Any, meta: Any) -> None:
    """Raises LeftOut for what is no CT slice. A screen shot that isn't in colour may be one."""
    from pydicom.uid import UID

    sop_class = _text(header, "SOPClassUID") or _text(meta, "MediaStorageSOPClassUID")
    if sop_class == DIRECTORY or "DirectoryRecordSequence" in header:
        raise LeftOut("DICOM directory")
    modality = _text(header, "Modality").upper()
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
    if _values(header, "SamplesPerPixel")[:1] not in ([], [1]):
        raise LeftOut("DICOM in colour")
    if _text(header, "PhotometricInterpretation").upper().startswith(("PALETTE", "RGB", "YBR")):
        raise LeftOut("DICOM in colour")
    if "LOCALIZER" in [str(value).strip(" \0").upper() for value in _values(header, "ImageType")]:
        raise LeftOut("DICOM localizer (scout view)")


def _check_pixels(header: Any, tag: bytes) -> None:
    """Raises LeftOut, or UserError for a damaged file, unless the element after the header holds pixels."""
    from pydicom.dataelem import RawDataElement

    if tag in PIXEL_TAGS:
        return
    if len(tag) == 4:
        raise LeftOut("DICOM of floating-point pixels")
    raw = [element for element in header.elements() if isinstance(element, RawDataElement)]
    if _values(header, "Rows") or any(len(e.value or b"") < e.length < UNDEFINED for e in raw):
        raise UserError(CUT)
    raise LeftOut("DICOM without an image")


class _Layout(NamedTuple):
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


def _layout(header: Any, notes: list[str]) -> _Layout:
    """What the header says of the pixels. Adds to the notes what it doesn't say."""
    sides = range(1, 1 << 16)
    rows, columns = _whole(header, "Rows", sides), _whole(header, "Columns", sides)
    allocated = _whole(header, "BitsAllocated", range(1, 65))
    if rows is None or columns is None or allocated is None:
        raise UserError("damaged: it doesn't say how large its image is")
    if allocated not in (8, 16, 32):
        raise UserError(f"{allocated} bits for each pixel; save it with 16 bits")
    frames = _whole(header, "NumberOfFrames", range(1 << 31)) or 1
    stored = _whole(header, "BitsStored", range(1, allocated + 1))
    signed = _whole(header, "PixelRepresentation", range(2))
    photometric = _text(header, "PhotometricInterpretation").upper()
    if _whole(header, "HighBit", range(64)) not in (None, (stored or allocated) - 1):
        notes.append("another HighBit in the file than BitsStored - 1: values taken from the lowest bits")
    if stored is None:
        notes.append("no BitsStored in the file: taken as all that are allocated")
    if signed is None:
        notes.append("no PixelRepresentation in the file: stored values taken as unsigned")
    if not photometric:
        notes.append("no PhotometricInterpretation in the file: low values taken as dark")
    elif photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UserError(f"damaged: its PhotometricInterpretation is {photometric[:16]}")
    return _Layout(
        rows, columns, frames, allocated, stored or allocated, signed or 0, photometric or "MONOCHROME2"
    )


def _decoder(header: Any, layout: _Layout) -> Any:
    """pydicom's decoder of a file. Raises UserError that names what to install, where it is missing."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

    # without file meta information, and after inflating, the pixels are uncompressed
    native = ExplicitVRLittleEndian if header.original_encoding[1] else ExplicitVRBigEndian
    syntax = UID(_text(header.file_meta, "TransferSyntaxUID") or native)
    name = syntax.name.split(",")[0][:64]
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UserError(f"compressed as {name}, which can't be read; save it uncompressed") from None
    too_deep = syntax == JPEG_EXTENDED and layout.bits_stored > 8
    if not decoder.is_available or (too_deep and "pylibjpeg" not in decoder.available_plugins):
        package = DECODERS.get(syntax, "python-gdcm")
        raise UserError(f"compressed as {name}: run 'pip install {package}' and try again")
    return decoder


def _tidy(dataset: Any, decoder: Any, layout: _Layout) -> None:
    """Writes into a dataset what its decoder asks for and its header may lack."""
    if "PixelData" not in dataset:
        raise UserError(CUT)
    if decoder.is_native and dataset["PixelData"].is_undefined_length:
        raise UserError("damaged: its pixels are compressed, but it doesn't say how")
    if decoder.is_native and len(dataset.PixelData) < layout.pixels * layout.bits_allocated // 8:
        raise UserError(CUT)
    dataset.file_meta.TransferSyntaxUID = decoder.UID
    dataset.SamplesPerPixel, dataset.NumberOfFrames = 1, layout.frames
    dataset.BitsStored, dataset.PixelRepresentation = layout.bits_stored, layout.signed
    dataset.PhotometricInterpretation = layout.photometric


def _frames(dataset: Any, decoder: Any, views: list["_View"]) -> Iterator[np.ndarray]:
    """The grey levels of each frame, decoded one at a time."""
    try:
        # asked for by number, frames come as arrays that pydicom 3.0 can correct the sign of
        decoded = decoder.iter_array(dataset, indices=range(len(views)), raw=True, allow_excess_frames=False)
        for view in views:
            frame = next(decoded, None)
            if frame is None:
                raise UserError(CUT)
            with np.errstate(all="ignore"):
                yield view(frame[0])
    except UserError:
        raise
    except Exception as error:
        raise UserError(_words(error, UNDECODED)) from None


_View = Callable[[np.ndarray], np.ndarray]  # from an array [H, W] to one


def _views(dataset: Any, layout: _Layout, span: tuple[float, float] | None, notes: list[str]) -> list[_View]:
    """What turns the stored values of each frame into grey levels. Adds to the notes what was assumed."""
    if _values(dataset, "PerFrameFunctionalGroupsSequence"):
        return [_view(dataset, frame, layout, span, notes) for frame in range(layout.frames)]
    return [_view(dataset, 0, layout, span, notes)] * layout.frames


def _view(
    dataset: Any, frame: int, layout: _Layout, span: tuple[float, float] | None, notes: list[str]
) -> _View:
    """What turns the stored values of one frame into grey levels: modality, then values of interest."""
    rescale = _modality(dataset, frame)
    shade = _values_of_interest(dataset, frame)
    if span is not None:
        low, high = span
        shade = lambda values: window(values, (low + high) / 2, high - low)  # noqa: E731
    elif shade is None and layout.bits_stored <= 8 and not layout.signed and rescale is None:
        notes.append(ARE_GREY)
        shade = lambda values: _levels(values / (2**layout.bits_stored - 1))  # noqa: E731
    elif shade is None:
        notes.extend([NO_WINDOW] if rescale else [NO_WINDOW, NO_RESCALE])
        shade = window
    padding = _padding(dataset, layout)
    inverted = layout.photometric == "MONOCHROME1"

    def view(stored: np.ndarray) -> np.ndarray:
        values = stored.astype(np.float64)
        grey = shade(rescale(values) if rescale else values)
        grey = 255 - grey if inverted else grey
        if padding:
            grey[(stored >= padding[0]) & (stored <= padding[1])] = 0
        return grey

    return view


def _groups(dataset: Any, frame: int, keyword: str) -> Iterator[Any]:
    """What may describe a frame, the closest first: its own functional group, the shared one, the file."""
    for groups, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        if items := _values(dataset, groups):
            yield from _values(items[index], keyword)[:1]
    yield dataset


def _modality(dataset: Any, frame: int) -> _View | None:
    """From stored values to HU, by a lookup table or a line (PS3.3 C.11.1); None where they are equal."""
    if tables := _values(dataset, "ModalityLUTSequence"):
        return _lookup(tables[0], dataset)[0]
    for group in _groups(dataset, frame, "PixelValueTransformationSequence"):
        slope, intercept = _number(group, "RescaleSlope"), _number(group, "RescaleIntercept")
        if slope == 0:
            raise UserError("damaged: its RescaleSlope is 0")
        if slope is not None or intercept is not None:
            factor, offset = 1.0 if slope is None else slope, intercept or 0.0
            return lambda stored: stored * factor + offset
    return None


def _values_of_interest(dataset: Any, frame: int) -> _View | None:
    """From HU to grey levels, by the first window or lookup table (PS3.3 C.11.2); None without either."""
    for group in _groups(dataset, frame, "FrameVOILUTSequence"):
        center, width = _number(group, "WindowCenter"), _number(group, "WindowWidth")
        function = _text(group, "VOILUTFunction").upper() or "LINEAR"
        if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
            continue
        return _window_function(function, center, width)
    if tables := _values(dataset, "VOILUTSequence"):
        lookup, bits = _lookup(tables[0], dataset)
        return lambda values: _levels(lookup(values) / (2**bits - 1))
    return None


def _window_function(function: str, center: float, width: float) -> _View:
    """A window of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return lambda values: _levels(1 / (1 + np.exp(-4 * (values - center) / width)))
    if function == "LINEAR_EXACT":
        return lambda values: _levels((values - center) / width + 0.5)
    if function != "LINEAR":
        raise UserError(f"its VOILUTFunction {function[:16]} is unknown; pass --range LOW:HIGH")
    if width == 1:
        return lambda values: _levels(values > center - 0.5)
    return lambda values: _levels((values - (center - 0.5)) / (width - 1) + 0.5)


def _levels(shares: np.ndarray) -> np.ndarray:
    """Grey levels uint8 of shares of white; what lies outside [0, 1] is clipped."""
    return np.rint(np.clip(shares, 0.0, 1.0) * 255).astype(np.uint8)


def _lookup(item: Any, dataset: Any) -> tuple[_View, int]:
    """(a lookup table, the bits of its entries) from an item of its sequence (PS3.3 C.11.1.1.1)."""
    entries, first, bits = (int(value) for value in _values(item, "LUTDescriptor"))
    entries = entries or 1 << 16
    if first + entries > 1 << 16:  # a negative number that was written as an unsigned one
        first -= 1 << 16
    data = item.get("LUTData")
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        data = np.frombuffer(data, "u1" if len(data) < 2 * entries else f"{order}u2")
    table = np.asarray(data, np.float64)[:entries]
    if len(table) < entries or not 8 <= bits <= 16:
        raise UserError("damaged: its lookup table is incomplete")
    return lambda values: table[np.clip(np.rint(values) - first, 0, entries - 1).astype(np.intp)], bits


def _padding(dataset: Any, layout: _Layout) -> tuple[float, float] | None:
    """The least and the greatest stored value that stand for no tissue (PS3.3 C.7.5.1.1.2)."""
    value = _number(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = _number(dataset, "PixelPaddingRangeLimit")
    whole = 1 << layout.bits_stored
    ends = []
    for end in (value, value if limit is None else limit):
        if not -whole // 2 <= end < whole:
            return None  # no pixel can have it
        least = -whole // 2 if layout.signed else 0
        ends.append((end - least) % whole + least)  # as the pixels are, signed or not
    return min(ends), max(ends)

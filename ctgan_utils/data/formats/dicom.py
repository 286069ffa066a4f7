"""DICOM: the frames of a CT file, decoded one at a time and shown as a viewer shows them."""

import io
import itertools
import logging
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ctgan_utils.data.formats.base import CUT, EMPTY, ImageFile, LeftOut, Reading, words
from ctgan_utils.data.formats.dicom_grey import View, views_of
from ctgan_utils.data.formats.dicom_header import (
    STANDARD,
    Layout,
    check_kind,
    read_layout,
    text_of,
    values_of,
)
from ctgan_utils.runtime import UserError

MODE = "DICOM"
SUFFIXES = {".dcm", ".dicom", ".ima"}
PREFIX = b"DICM"  # after 128 bytes

PIXEL_TAGS = b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"  # (7FE0,0010) in either byte order
UNDEFINED = 0xFFFFFFFF  # the length of what ends with a delimiter

DEFLATED = STANDARD + "1.2.1.99"
JPEG_EXTENDED = STANDARD + "1.2.4.51"
DECODERS = {  # what to install for a compression, where python-gdcm can't read it
    JPEG_EXTENDED: "pylibjpeg pylibjpeg-libjpeg",
    **{STANDARD + f"1.2.4.{kind}": "pylibjpeg pylibjpeg-openjpeg" for kind in (201, 202, 203)},
}

NO_PATIENT = "no PatientID: each series is taken for a patient; an index.csv names them"
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
        raise UserError(words(error, "damaged: its header can't be read")) from None


def _read(path: Path, reading: Reading) -> ImageFile:
    from pydicom import dcmread

    with _File(path) as file:
        if not file.size:
            raise UserError(EMPTY)
        prefixed = file.read(132)[128:] == PREFIX
        meta, source = _unpacked(file, reading) if prefixed else (None, file)
        header = dcmread(source, stop_before_pixels=True, force=True)
        if not (prefixed or text_of(header, "SOPClassUID").startswith(STANDARD) or values_of(header, "Rows")):
            raise UserError("not a DICOM file, whatever its name says")
        check_kind(header, meta if meta is not None else header.file_meta)
        _check_pixels(header, source.read(4))
        notes: list[str] = []
        layout = read_layout(header, notes)
        reading.check(layout.memory(file.size))
        decoder = _decoder(header, layout)

        source.seek(0)
        dataset = dcmread(source, force=True)
    _tidy(dataset, decoder, layout)
    views = views_of(dataset, layout, reading.span, notes)
    patient = text_of(dataset, "PatientID")
    if not patient and (patient := text_of(dataset, "SeriesInstanceUID")):
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
    if text_of(meta, "TransferSyntaxUID") == DEFLATED:
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


def _check_pixels(header: Any, tag: bytes) -> None:
    """Raises LeftOut, or UserError for a damaged file, unless the element after the header holds pixels."""
    from pydicom.dataelem import RawDataElement

    if tag in PIXEL_TAGS:
        return
    if len(tag) == 4:
        raise LeftOut("DICOM of floating-point pixels")
    raw = [element for element in header.elements() if isinstance(element, RawDataElement)]
    if values_of(header, "Rows") or any(len(e.value or b"") < e.length < UNDEFINED for e in raw):
        raise UserError(CUT)
    raise LeftOut("DICOM without an image")


def _decoder(header: Any, layout: Layout) -> Any:
    """pydicom's decoder of a file. Raises UserError that names what to install, where it is missing."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

    # without file meta information, and after inflating, the pixels are uncompressed
    native = ExplicitVRLittleEndian if header.original_encoding[1] else ExplicitVRBigEndian
    syntax = UID(text_of(header.file_meta, "TransferSyntaxUID") or native)
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


def _tidy(dataset: Any, decoder: Any, layout: Layout) -> None:
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


def _frames(dataset: Any, decoder: Any, views: list[View]) -> Iterator[np.ndarray]:
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
        raise UserError(words(error, UNDECODED)) from None

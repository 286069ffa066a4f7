"""Image files: read as slices, brought to one size, written."""

import contextlib
import io
import os
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ctgan_utils.data.discovery import image_files
from ctgan_utils.data.formats import arrays, dicom, nifti, pictures
from ctgan_utils.data.formats.base import DEFAULT, ImageFile, LeftOut, Reading
from ctgan_utils.runtime import UserError, atomic_write, printable, progress

LARGE = 4_000_000  # pixels; larger images are read one at a time, so that their memory does not add up
ONE_AT_A_TIME = threading.Lock()
SLICE, SHEET = "ctgan_utils", "ctgan_utils sample"  # in the text of PNG files: by it, ours are known


@dataclass(frozen=True)
class Slices:
    """What was read of one file, at the size asked for."""

    pixels: np.ndarray  # [k, size, size], uint8 grey levels or other numbers
    raw: bool  # True if the whole set decides what these numbers look like
    extent: tuple[float, float]  # the lowest and the highest number that is stored
    digests: list[int]  # of each slice as it was stored: equal for equal pixels
    file: ImageFile


def read(path: Path, reading: Reading = DEFAULT) -> ImageFile:
    """One file as an ImageFile, by its suffix; a file of any other name is taken for DICOM.

    Raises LeftOut if it is whole but holds no slice, and UserError, without its name, if it can't be read.
    """
    try:
        suffix = path.suffix.lower()
        if path.name.lower().endswith(nifti.SUFFIXES):
            return nifti.read(path, reading)
        if suffix in pictures.SUFFIXES:
            return pictures.read(path, reading)
        return arrays.read(path, reading) if suffix in arrays.SUFFIXES else dicom.read(path, reading)
    except OSError as error:
        raise UserError(f"can't be opened ({error.strerror or error})") from None


def class_of(path: Path, folder: Path) -> str:
    """The class of an image file: the name of the folder that it lies in, in Unicode's composed form."""
    name = path.parent.name if path.parent != folder else folder.resolve().name
    return unicodedata.normalize("NFC", printable(name))


def size_of_first(folder: Path | str) -> tuple[int, int] | None:
    """(width, height) of the first image below a folder that can be read; None if there is none."""
    for path in image_files(folder):
        with contextlib.suppress(UserError, LeftOut):
            return read(path).size
    return None


def resize(array: np.ndarray, size: int) -> np.ndarray:
    """[H, W] to [size, size]; Lanczos averages over the pixels that it drops, so that nothing aliases.

    uint8 stay uint8, and integers of 16 bits what they are; other numbers become float32.
    """
    is_short = array.dtype in (np.uint8, np.uint16, np.int16)
    if array.shape == (size, size):
        return np.ascontiguousarray(array if is_short else array.astype(np.float32))
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.LANCZOS))
    scaled = Image.fromarray(array.astype(np.float32)).resize((size, size), Image.Resampling.LANCZOS)
    if not is_short:
        return np.asarray(scaled)
    least, most = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
    return np.asarray(scaled).round().clip(least, most).astype(array.dtype)


def read_slices(path: Path, size: int, reading: Reading = DEFAULT) -> Slices:
    """The Slices of one file at size x size pixels. Raises what read raises."""
    file = read(path, reading)
    is_large = file.size[0] * file.size[1] > LARGE
    with ONE_AT_A_TIME if is_large else contextlib.nullcontext():
        read_once = [
            (resize(slice_, size), float(slice_.min()), float(slice_.max()), hash(slice_.tobytes()))
            for slice_ in file.slices
        ]
    pixels, low, high, digests = (list(part) for part in zip(*read_once))
    raw = file.mode != dicom.MODE and (pixels[0].dtype != np.uint8 or reading.span is not None)
    return Slices(np.stack(pixels), raw, (min(low), max(high)), digests, file)


def read_all(
    paths: Sequence[Path], size: int, reading: Reading = DEFAULT
) -> Iterator[tuple[Path, Slices | LeftOut | UserError]]:
    """Every file in turn, read on all cores: (path, its Slices, or why there are none)."""

    def attempt(path):
        try:
            return read_slices(path, size, reading)
        except (LeftOut, UserError) as error:
            return error
        except MemoryError:
            return UserError("needs more memory than there is; make it smaller")

    with ThreadPoolExecutor(os.cpu_count()) as pool, progress(len(paths), "reading images", "image") as bar:
        for path, result in zip(paths, pool.map(attempt, paths)):
            bar.update()
            yield path, result


def png(array: np.ndarray, software: str = SLICE) -> bytes:
    """A grey image uint8 [H, W] as the bytes of a PNG file."""
    buffer, about = io.BytesIO(), PngInfo()
    about.add_text("Software", software)
    Image.fromarray(array).save(buffer, "png", pnginfo=about)
    return buffer.getvalue()


def grid_png(images: np.ndarray | Tensor, columns: int = 8) -> bytes:
    """Images uint8 [N, 1, H, W] side by side, a pixel of black between them, as the bytes of a PNG file."""
    n, _, height, width = images.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1), np.uint8)
    for i, image in enumerate(images[:, 0]):
        y, x = i // columns * (height + 1), i % columns * (width + 1)
        sheet[y : y + height, x : x + width] = image
    return png(sheet, SHEET)


def read_grid(path: Path, side: int) -> np.ndarray:
    """The images of a sheet that grid_png wrote, uint8 [rows, columns, 1, side, side]."""
    with Image.open(path) as image:
        sheet = np.pad(np.asarray(image), (0, 1))  # a line behind the last ones too
    rows, columns = (length // (side + 1) for length in sheet.shape)
    tiles = sheet.reshape(rows, side + 1, columns, side + 1).transpose(0, 2, 1, 3)
    return tiles[:, :, None, :side, :side]


def write_images(folder: Path | str, images: np.ndarray, names: Sequence[str]) -> None:
    """Write images uint8 [N, H, W] as PNG files of those names below a folder that holds no images yet."""
    folder = Path(folder)
    if folder.exists() and any(path.suffix.lower() in pictures.SUFFIXES for path in folder.rglob("*")):
        raise UserError(f"{folder}: holds images already; name another folder")
    for image, name in zip(images, names):
        atomic_write(folder / name, png(np.ascontiguousarray(image)))

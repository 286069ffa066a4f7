"""PNG, JPEG, BMP and TIFF, as a picture viewer shows them: turned as EXIF says, transparency on black."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ctgan_utils.data.formats.base import CUT, EMPTY, ImageFile, Reading, words
from ctgan_utils.runtime import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")  # of all that Pillow knows: some of the others start programs
IN_COLOUR = "pictures in colour, turned to grey"
COLOUR = 16  # grey levels between two channels of a pixel that is not grey
ORIENTATION = 0x0112  # EXIF's tag; above 4 the sides are swapped
WHITE_IS_ZERO = 262, 0  # tag and value of a TIFF whose low numbers are bright

Image.MAX_IMAGE_PIXELS = None  # Reading.check bounds the sizes, before any pixel is decoded
warnings.filterwarnings("ignore", module="PIL")  # of tags that concern no grey level


def read(path: Path, reading: Reading) -> ImageFile:
    """The picture of a file, or the pages of a TIFF.

    8 bits, colour and palettes become grey levels; 16 bits, 32 bits and floats stay as stored. Raises
    UserError, without the file's name, if it can't be read or takes too much memory.
    """
    if path.stat().st_size == 0:
        raise UserError(EMPTY)
    try:
        with Image.open(path, formats=FORMATS) as image:
            pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            width, height = image.size
            reading.check(width * height * (_bytes_per_pixel(image) + 4 * (pages - 1)))
            turned = image.getexif().get(ORIENTATION, 1) > 4
            size, mode = (height, width) if turned else (width, height), image.mode
    except UserError:
        raise
    except Image.UnidentifiedImageError:
        raise UserError("not an image, whatever its name says") from None
    except Exception as error:  # of a damaged file, of any kind
        raise UserError(words(error, _damage(error))) from None
    notes: list[str] = []
    return ImageFile(_pages(path, pages, (width, height), notes), pages, size, mode, notes=notes)


def _pages(path: Path, pages: int, size: tuple[int, int], notes: list[str]) -> Iterator[np.ndarray]:
    """The arrays [H, W] of a file's pages, decoded one at a time. Adds to the notes what they show."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            for page in range(pages):
                image.seek(page)
                if image.size != size:
                    raise UserError("pages of different sizes; write them to files of their own")
                yield _grey(image)
                if not notes and _is_in_colour(image):
                    notes.append(IN_COLOUR)
    except UserError:
        raise
    except Exception as error:
        raise UserError(words(error, _damage(error))) from None


def _grey(image: Image.Image) -> np.ndarray:
    """One picture as [H, W]: uint8 grey levels, or the numbers that are stored."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        stored = np.asarray(upright).astype(np.uint16)
        tags = getattr(image, "tag_v2", {})
        return 65535 - stored if tags.get(WHITE_IS_ZERO[0]) == WHITE_IS_ZERO[1] else stored
    if upright.mode in ("I", "F"):
        return np.asarray(upright)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright)
    return np.asarray(upright.convert("L"))


def _bytes_per_pixel(image: Image.Image) -> int:
    """What decoding takes at its peak, the copies for turning and for grey levels among it."""
    if image.has_transparency_data:
        return 16
    return {"1": 3, "L": 3, "P": 4}.get(image.mode, 12)


def _is_in_colour(image: Image.Image) -> bool:
    """True where more than one pixel in a hundred of a decoded picture is not grey; seen in a small copy."""
    if image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;"):
        return False
    small = image if max(image.size) <= 64 else image.resize((64, 64), Image.Resampling.NEAREST)
    channels = np.asarray(small.convert("RGB")).astype(np.int16)
    return bool((np.ptp(channels, -1) > COLOUR).mean() > 0.01)


def _damage(error: Exception) -> str:
    return CUT if "truncated" in str(error) else "damaged: its pixels can't be decoded"

"""Image files: found, read as grey levels, written, inspected."""

import io
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from ctgan_utils.runtime import UserError, atomic_write, progress

SUFFIXES = {".png", ".jpg", ".jpeg"}
MASKS = "masks"  # a folder of this name holds lesion masks, not slices


def image_files(folder):
    """The PNG and JPEG files below a folder, in natural order: 2 before 10. Masks are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one with images, or 'phantom'")
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and MASKS not in path.relative_to(folder).parts
    ]
    if not found:
        raise UserError(f"{folder}: no PNG or JPEG images in it; name the folder that holds them")
    return sorted(found, key=lambda path: _natural(path.relative_to(folder).as_posix()))


def _natural(name):
    return [(int(part), "") if part.isdigit() else (0, part.lower()) for part in re.split(r"(\d+)", name)]


def class_of(path, folder):
    """The class of an image file: the name of the folder that it lies in."""
    return path.parent.name if path.parent != folder else folder.resolve().name


def read_image(path):
    """One image as a grey array [H, W], uint8, or uint16 as stored. Raises UserError if it can't be read."""
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith("I") or image.mode == "F":
                return np.asarray(image).clip(0, 65535).astype(np.uint16)
            if image.has_transparency_data:
                rgba = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)
            return np.asarray(image.convert("L"))
    except Image.UnidentifiedImageError:
        raise UserError("not an image, whatever its name says") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"unreadable ({error})") from None


def _resize(array, size):
    """[H, W] to [size, size]; Lanczos averages over the pixels that it drops, so that nothing aliases."""
    if array.shape == (size, size):
        return array
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.LANCZOS))
    scaled = Image.fromarray(array.astype(np.float32)).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(scaled).round().clip(0, 65535).astype(np.uint16)


def decode_all(paths, size):
    """(uint8 [n, size, size] of the readable files, {path: reason} of the others), decoded on all cores."""

    def decode(path):
        try:
            return _resize(read_image(path), size)
        except UserError as error:
            return str(error)

    arrays, unreadable = [], {}
    with ThreadPoolExecutor() as pool, progress(len(paths), "reading images", "image") as bar:
        for path, result in zip(paths, pool.map(decode, paths)):
            if isinstance(result, str):
                unreadable[path] = result
            else:
                arrays.append(result)
            bar.update()
    return _to_8_bit(arrays), unreadable


def _to_8_bit(arrays):
    """[N, H, W] uint8. 16-bit files share one scale, so that slices stay comparable: 12 bits if all fit."""
    deep = [array for array in arrays if array.dtype == np.uint16]
    full_scale = 4095 if deep and max(array.max() for array in deep) <= 4095 else 65535
    if not arrays:
        return np.empty((0, 0, 0), np.uint8)
    grey = [a if a.dtype == np.uint8 else (a * (255 / full_scale)).round().astype(np.uint8) for a in arrays]
    return np.stack(grey)


def png(array):
    """A grey image uint8 [H, W] as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def grid_png(images, columns=8):
    """Images uint8 [N, 1, H, W] side by side, a pixel of black between them, as the bytes of a PNG file."""
    n, _, height, width = images.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1), np.uint8)
    for i, image in enumerate(images[:, 0]):
        y, x = i // columns * (height + 1), i % columns * (width + 1)
        sheet[y : y + height, x : x + width] = image
    return png(sheet)


def write_images(folder, images, names):
    """Write images uint8 [N, H, W] as PNG files of those names below a folder that holds no images yet."""
    folder = Path(folder)
    if folder.exists() and any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*")):
        raise UserError(f"{folder}: holds images already; name another folder")
    for image, name in zip(images, names):
        atomic_write(folder / name, png(np.ascontiguousarray(image)))


def inspect_folder(folder):
    """What is in a folder of images, as JSON values: counts, sizes, modes, equal and unreadable files."""
    folder = Path(folder)
    paths = image_files(folder)
    report = {"folder": str(folder), "images": len(paths)}
    counts = {"classes": Counter(), "sizes": Counter(), "modes": Counter()}
    contents, unreadable = defaultdict(list), {}

    def look(path):
        try:
            read_image(path)
        except UserError as error:
            return str(error)
        with Image.open(path) as image:
            return f"{image.width}x{image.height}", image.mode, image.tobytes()

    with ThreadPoolExecutor() as pool, progress(len(paths), "checking images", "image") as bar:
        for path, seen in zip(paths, pool.map(look, paths)):
            name = path.relative_to(folder).as_posix()
            if isinstance(seen, str):
                unreadable[name] = seen
            else:
                size, mode, pixels = seen
                counts["classes"][class_of(path, folder)] += 1
                counts["sizes"][size] += 1
                counts["modes"][mode] += 1
                contents[hash((size, mode, pixels))].append(name)
            bar.update()
    duplicates = [names for names in contents.values() if len(names) > 1]
    report |= {name: dict(counter.most_common()) for name, counter in counts.items()}
    return report | {"exact_duplicates": duplicates, "unreadable": unreadable}

"""Image files: found, read as grey levels, written."""

import contextlib
import io
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ctgan_utils.grey import window
from ctgan_utils.runtime import UserError, atomic_write, progress

PICTURES = {".png", ".jpg", ".jpeg"}
STACKS = {".npy", ".npz"}
DICOM = {".dcm", ".dicom"}
KINDS = "PNG, JPEG, DICOM, .npy or .npz"
GROUND_TRUTH = "ground_truth.npz"  # what the phantom knows of its slices, beside them
SAMPLED = "sampled.json"  # beside images that a run made: which run


@dataclass(frozen=True)
class ImageFile:
    """The k slices of one file: one in a picture, many in a stack or a multi-frame DICOM file."""

    pixels: np.ndarray  # [k, H, W]: uint8 grey levels, or uint16 as stored
    mode: str  # what the file holds: Pillow's mode, or DICOM, or the type of an array
    classes: list | None = None  # [k], where the file itself names them
    patients: list | None = None  # [k]


def image_files(folder: Path | str) -> list[Path]:
    """The image files below a folder, or the one file named, in natural order: 2 before 10."""
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one with images, or 'phantom'")
    found = [path for path in folder.rglob("*") if _is_image(path) and not _is_hidden(path, folder)]
    if not found:
        raise UserError(f"{folder}: no images in it ({KINDS}); name the folder that holds them")
    return sorted(found, key=lambda path: _natural(path.relative_to(folder).as_posix()))


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    known = suffix in PICTURES | STACKS | DICOM or (not suffix and _has_dicom_prefix(path))
    return known and path.name != GROUND_TRUTH and path.is_file()


def _is_hidden(path: Path, folder: Path) -> bool:
    """True below .partial, and for the ._ files that macOS leaves beside others."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _has_dicom_prefix(path: Path) -> bool:
    """True for DICOM files without a suffix, as on a clinical disc."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part.lower()) for part in re.split(r"(\d+)", name)]


def class_of(path: Path, folder: Path) -> str:
    """The class of an image file: the name of the folder that it lies in."""
    return path.parent.name if path.parent != folder else folder.resolve().name


def read(path: Path) -> ImageFile:
    """One file as an ImageFile. Raises UserError, without the file's name, if it can't be read."""
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        return _read_picture(path)
    return _read_stack(path) if suffix in STACKS else _read_dicom(path)


def _read_picture(path: Path) -> ImageFile:
    try:
        with Image.open(path) as image:
            image.load()
            mode = image.mode
            if mode.startswith("I") or mode == "F":
                return ImageFile(np.asarray(image).clip(0, 65535).astype(np.uint16)[None], mode)
            flat: Image.Image = image
            if image.has_transparency_data:
                rgba = image.convert("RGBA")
                flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)
            return ImageFile(np.asarray(flat.convert("L"))[None], mode)
    except Image.UnidentifiedImageError:
        raise UserError("not an image, whatever its name says") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"unreadable ({error})") from None


def _read_stack(path: Path) -> ImageFile:
    """NumPy arrays. An .npz file may name the classes and patients of its slices beside them."""
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"images": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise UserError(f"unreadable ({error})") from None
    # "images", or MedMNIST's train_images, val_images, test_images, or the only array
    names = [name for name in arrays if re.fullmatch(r"(\w+_)?images", name)] or list(arrays)[:1]
    if not names or (len(arrays) > 1 and not names[0].endswith("images")):
        raise UserError(f"holds {', '.join(arrays) or 'nothing'}; call the array of slices 'images'")

    def beside(key):
        found = [arrays.get(name.replace("images", key)) for name in names]
        return None if any(a is None for a in found) else np.concatenate(found).ravel().astype(str).tolist()

    stacks = [_grey_stack(arrays[name]) for name in names]
    if len({stack.dtype for stack in stacks}) > 1 or len({stack.shape[1:] for stack in stacks}) > 1:
        raise UserError(f"{', '.join(names)} differ in size or type; write them to files of their own")
    pixels = np.concatenate(stacks)
    return ImageFile(pixels, str(arrays[names[0]].dtype), beside("labels"), beside("patients"))


def _grey_stack(array: np.ndarray) -> np.ndarray:
    """[H, W], [N, H, W], [N, 1, H, W] or [N, H, W, 1] as [N, H, W], uint8 or uint16.

    uint8 and uint16 stay as stored. Floats in [0, 1] or [-1, 1] are scaled to 0..255; other floats and signed
    integers are Hounsfield units, seen in the window 40 +- 200.
    """
    shape = array.shape
    if array.ndim == 4 and 1 in (shape[1], shape[3]):
        array = array[:, 0] if shape[1] == 1 else array[..., 0]
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "iuf":
        raise UserError(f"shape {list(shape)} of {array.dtype}; slices are numbers [N, H, W]")
    if array.dtype in (np.uint8, np.uint16):
        return array
    if not np.isfinite(array).all():
        raise UserError("holds NaN or infinite values; replace them, with -1000 HU for air, say")
    if array.dtype.kind == "f" and array.min() >= -1 and array.max() <= 1:
        low = -1 if array.min() < 0 else 0
        return np.rint((array - low) * (255 / (1 - low))).astype(np.uint8)
    return window(array)


def _read_dicom(path: Path) -> ImageFile:
    """CT slices in the file's own window, or 40 +- 200 HU; the patient is that of the file."""
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut
    except ImportError:
        raise UserError("DICOM needs pydicom: run 'pip install pydicom' and try again") from None
    try:
        dicom = pydicom.dcmread(path)
        if "PixelData" not in dicom:
            raise UserError("a DICOM file without pixel data")
        stored = dicom.pixel_array
        frames = stored[None] if stored.ndim == 2 else stored
        if frames.ndim != 3 or dicom.get("SamplesPerPixel", 1) != 1:
            raise UserError(f"a DICOM file of shape {list(stored.shape)}; slices are grey [H, W]")
        # slope and intercept of an enhanced file stand in its functional groups
        holder = dicom
        if "SharedFunctionalGroupsSequence" in dicom and "RescaleSlope" not in dicom:
            shared = dicom.SharedFunctionalGroupsSequence[0]
            holder = shared.get("PixelValueTransformationSequence", [dicom])[0]
        hu = apply_modality_lut(frames, holder)
        center, width = (
            float(np.ravel(dicom.get(key, default))[0])
            for key, default in (("WindowCenter", 40), ("WindowWidth", 400))
        )
        grey = window(hu, center, max(width, 1))
        if dicom.PhotometricInterpretation == "MONOCHROME1":  # low values are bright
            grey = 255 - grey
        patient = str(dicom.get("PatientID", "") or dicom.get("SeriesInstanceUID", ""))
    except UserError:
        raise
    except Exception as error:  # pydicom's decoders raise many kinds
        raise UserError(f"unreadable ({str(error).splitlines()[0] if str(error) else error!r})") from None
    return ImageFile(grey, "DICOM", patients=[patient] * len(grey) if patient else None)


def size_of_first(folder: Path | str) -> tuple[int, int] | None:
    """(width, height) of the first image below a folder that can be read; None if there is none."""
    for path in image_files(folder):
        with contextlib.suppress(UserError):
            return read(path).pixels[0].shape[::-1]
    return None


def resize(array: np.ndarray, size: int) -> np.ndarray:
    """[H, W] to [size, size]; Lanczos averages over the pixels that it drops, so that nothing aliases."""
    if array.shape == (size, size):
        return array
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.LANCZOS))
    scaled = Image.fromarray(array.astype(np.float32)).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(scaled).round().clip(0, 65535).astype(np.uint16)


def read_all(paths: Sequence[Path], size: int) -> tuple[list[ImageFile], dict[Path, str]]:
    """All files on all cores: (list of ImageFile with pixels uint8 [k, size, size], {path: reason}).

    Unreadable files are in the second result only.
    """

    def decode(path):
        try:
            file = read(path)
            pixels = np.stack([resize(slice_, size) for slice_ in file.pixels])
            return ImageFile(pixels, file.mode, file.classes, file.patients)
        except UserError as error:
            return str(error)

    files: list[ImageFile] = []
    unreadable: dict[Path, str] = {}
    with ThreadPoolExecutor() as pool, progress(len(paths), "reading images", "image") as bar:
        for path, result in zip(paths, pool.map(decode, paths)):
            if isinstance(result, str):
                unreadable[path] = result
            else:
                files.append(result)
            bar.update()
    return files, unreadable


def to_8_bit(stacks: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 [N, H, W]. uint16 stacks share one scale, so that slices stay comparable: 12 bits if all fit."""
    deep = [stack for stack in stacks if stack.dtype == np.uint16]
    full_scale = 4095 if deep and max(stack.max() for stack in deep) <= 4095 else 65535
    return np.concatenate(
        [s if s.dtype == np.uint8 else (s * (255 / full_scale)).round().astype(np.uint8) for s in stacks]
    )


def png(array: np.ndarray) -> bytes:
    """A grey image uint8 [H, W] as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def grid_png(images: np.ndarray | Tensor, columns: int = 8) -> bytes:
    """Images uint8 [N, 1, H, W] side by side, a pixel of black between them, as the bytes of a PNG file."""
    n, _, height, width = images.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1), np.uint8)
    for i, image in enumerate(images[:, 0]):
        y, x = i // columns * (height + 1), i % columns * (width + 1)
        sheet[y : y + height, x : x + width] = image
    return png(sheet)


def write_images(folder: Path | str, images: np.ndarray, names: Sequence[str]) -> None:
    """Write images uint8 [N, H, W] as PNG files of those names below a folder that holds no images yet."""
    folder = Path(folder)
    if folder.exists() and any(path.suffix.lower() in PICTURES for path in folder.rglob("*")):
        raise UserError(f"{folder}: holds images already; name another folder")
    for image, name in zip(images, names):
        atomic_write(folder / name, png(np.ascontiguousarray(image)))

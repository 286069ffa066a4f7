"""CT slices from a folder or from the phantom, as uint8 in memory; splits; batches."""

import contextlib
import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from ctgan_utils import phantom
from ctgan_utils.image_files import class_of, decode_all, image_files
from ctgan_utils.runtime import REPOSITORY, UserError, atomic_write, progress

KAGGLE = "nazmul0087/ct-kidney-dataset-normal-cyst-tumor-and-stone"


@dataclass(frozen=True)
class CTImages:
    """A set of slices in memory."""

    images: torch.Tensor  # uint8 [N, 1, H, W]
    labels: torch.Tensor  # int64 [N], index into classes
    classes: tuple[str, ...]
    groups: torch.Tensor | None  # int64 [N], the patient of each slice; None where nobody knows
    source: str  # for captions: what the slices are
    fingerprint: str  # changes when a pixel does

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """The same set with only the slices of an index tensor or a slice object."""
        groups = None if self.groups is None else self.groups[index]
        return replace(self, images=self.images[index], labels=self.labels[index], groups=groups)

    def counts(self):
        """Slices per class, as {class: number}."""
        return {name: int((self.labels == k).sum()) for k, name in enumerate(self.classes)}


def load(data, size, *, phantoms=2_000, seed=0, skip_unreadable=False):
    """The CTImages that --data names: "phantom", or a folder of images. Sizes are in pixels."""
    if str(data) == "phantom":
        return load_phantom(phantoms, size, seed)
    return load_folder(data, size, skip_unreadable)


def load_phantom(n, size, seed=0):
    """n slices of the built-in phantom; patients are the groups."""
    sources = (path.read_bytes() for path in sorted(Path(phantom.__file__).parent.glob("*.py")))
    key = _digest(*sources, f"{n} {size} {seed}".encode())

    def make():
        with progress(n, "drawing phantoms", "slice") as bar:
            drawn = phantom.generate(n, size, seed, progress=lambda done, total: bar.update(done - bar.n))
        as_tensor = torch.from_numpy
        return {
            "images": as_tensor(drawn.images)[:, None],
            "labels": as_tensor(drawn.classes),
            "groups": as_tensor(drawn.patients),
        }

    tensors = _cached(f"phantom-{key}", make)
    return CTImages(
        **tensors,
        classes=phantom.CLASSES,
        source=f"built-in phantom, {n:,} slices, seed {seed}",
        fingerprint=key,
    )


def load_folder(folder, size, skip_unreadable=False):
    """Every PNG and JPEG below a folder, as grey levels at size x size pixels.

    The class of a slice is the name of the folder it lies in. Any size, 8 or 16 bits, grey, colour, palette
    or transparent (on black). Width and height are scaled apart, as in thesis 4.2.3. The result is cached by
    content. Raises UserError for a missing or empty folder, and for unreadable files unless they are skipped.
    """
    folder = Path(folder)
    paths = image_files(folder)
    with ThreadPoolExecutor() as pool:
        contents = list(pool.map(lambda path: _digest(path.read_bytes()), paths))
    names = [path.relative_to(folder).as_posix() for path in paths]
    key = _digest(f"{size} {skip_unreadable}".encode(), *map(str.encode, names + contents))
    classes = tuple(sorted({class_of(path, folder) for path in paths}))

    def make():
        arrays, unreadable = decode_all(paths, size)
        if unreadable and not skip_unreadable:
            first, reason = next(iter(unreadable.items()))
            more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
            raise UserError(f"{first}{more}: {reason}; remove or replace it, or pass --skip-unreadable")
        if not len(arrays):
            raise UserError(f"{folder}: none of its {len(paths)} images can be read; run 'data check' on it")
        kept = [path for path in paths if path not in unreadable]
        return {
            "images": torch.from_numpy(arrays)[:, None],
            "labels": torch.tensor([classes.index(class_of(path, folder)) for path in kept]),
        }

    tensors = _cached(f"folder-{key}", make)
    left_out = len(paths) - len(tensors["images"])
    source = f"folder {folder.resolve().name}, {len(tensors['images']):,} slices"
    source += f" ({left_out} unreadable left out)" if left_out else ""
    return CTImages(**tensors, classes=classes, groups=None, source=source, fingerprint=key)


def download_kaggle(out):
    """Fetch CT KIDNEY (Islam 2022) from Kaggle into a folder; returns its slices per class.

    Goes on where an earlier try stopped. A token, if Kaggle wants one, comes from the environment
    (KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY). Raises UserError when kagglehub or the network is
    missing, or when a class is not complete.
    """
    try:
        import kagglehub
    except ImportError:
        raise UserError("kagglehub is not installed: run 'pip install kagglehub' and try again") from None
    try:
        kagglehub.dataset_download(KAGGLE, output_dir=str(out))
    except Exception as error:  # its own, requests' and the operating system's
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        mend = "check the network and KAGGLE_API_TOKEN, or download the set in a browser and pass its folder"
        raise UserError(f"{KAGGLE}: download failed ({reason}); {mend}") from None
    counts = Counter(class_of(path, Path(out)) for path in image_files(out))
    expected = dict(zip(phantom.CLASSES, phantom.CLASS_COUNTS))
    if counts != expected:
        raise UserError(f"{out}: {dict(counts)} slices, expected {expected}; delete the folder and try again")
    return expected


def cache_folder():
    """Where decoded sets are kept: $CTGAN_CACHE, or build/cache in the repository."""
    return Path(os.environ.get("CTGAN_CACHE") or REPOSITORY / "build" / "cache")


def _cached(name, make):
    """The tensors that make() returns, from the cache if they are there; a broken cache is no error."""
    path = cache_folder() / f"{name}.safetensors"
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError):
        tensors = make()
    with contextlib.suppress(OSError):
        atomic_write(path, safetensors.torch.save(tensors))
    return tensors


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def split(data, fraction, seed=0):
    """Two CTImages, the second with about that fraction of the slices; patients are never divided.

    Where groups are unknown the split is by slice, and neighbouring slices leak from one side to the other.
    """
    groups = torch.arange(len(data)) if data.groups is None else data.groups
    names = groups.unique()
    order = names[torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))]
    held_out = torch.isin(groups, order[: max(1, round(fraction * len(names)))])
    return data[~held_out], data[held_out]


class Batches:
    """An endless shuffled stream: batches[k] is float [batch_size, 1, H, W] in [-1, 1].

    Every slice comes once per pass. Batch k follows from (seed, k) alone, so a run resumes anywhere.
    """

    def __init__(self, images, batch_size, seed):
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.order, self.epoch = None, None

    def __getitem__(self, k):
        n = len(self.images)
        positions = range(k * self.batch_size, (k + 1) * self.batch_size)
        index = [self._shuffled(position // n)[position % n] for position in positions]
        return to_float(self.images[torch.tensor(index, device=self.images.device)])

    def _shuffled(self, epoch):
        if epoch != self.epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self.order, self.epoch = rng.permutation(len(self.images)), epoch
        return self.order


def to_float(images):
    """uint8 [0, 255] to float [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images):
    """float [-1, 1] to uint8 [0, 255], rounded."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

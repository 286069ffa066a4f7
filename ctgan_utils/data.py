"""CT slices from a folder, from Kaggle or from the phantom, as uint8 in memory; splits; batches."""

import contextlib
import csv
import hashlib
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from ctgan_utils import image_files, kaggle, phantom, similarity
from ctgan_utils.runtime import REPOSITORY, UserError, atomic_write, cache_folder, progress

CT_KIDNEY = REPOSITORY / "data" / "ct_kidney"  # where `data kaggle` puts the slices


@dataclass(frozen=True)
class CTImages:
    """A set of slices in memory."""

    images: torch.Tensor  # uint8 [N, 1, H, W]
    labels: torch.Tensor  # int64 [N], index into classes
    classes: tuple[str, ...]
    groups: torch.Tensor  # int64 [N], what a split must keep together
    grouped_by: str  # "patient", or "similarity" where nobody knows the patients
    source: str  # for captions: what the slices are
    fingerprint: str  # changes when a pixel does

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """The same set with only the slices of an index tensor or a slice object."""
        return replace(self, images=self.images[index], labels=self.labels[index], groups=self.groups[index])

    def counts(self):
        """Slices per class, as {class: number}."""
        return {name: int((self.labels == k).sum()) for k, name in enumerate(self.classes)}


def load(data, size, *, phantoms=2_000, seed=0, skip_unreadable=False):
    """The CTImages that --data names, at size x size pixels.

    "phantom"; a folder, or one file; "kaggle", which is fetched first; or "auto": data/ct_kidney if it is
    there, else Kaggle if the environment holds a token, else the phantom. `source` says which it was.
    """
    name = str(data)
    if name == "auto":
        name = str(CT_KIDNEY) if CT_KIDNEY.is_dir() else "kaggle" if kaggle.has_token() else "phantom"
    if name == "phantom":
        return load_phantom(phantoms, size, seed)
    if name == "kaggle":
        kaggle.download(CT_KIDNEY)
        name = CT_KIDNEY
    return load_folder(name, size, skip_unreadable)


def load_phantom(n, size, seed=0):
    """n slices of the built-in phantom; patients are the groups."""
    key = _digest(_code(phantom), f"{n} {size} {seed}".encode())

    def make():
        with progress(n, "drawing phantoms", "slice") as bar:
            drawn = phantom.generate(n, size, seed, progress=lambda done, total: bar.update(done - bar.n))
        arrays = {"images": drawn.images[:, None], "labels": drawn.classes, "groups": drawn.patients}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, {}

    tensors, _ = _cached(f"phantom-{key}", make)
    source = f"built-in phantom, {n:,} slices, seed {seed}"
    return CTImages(**tensors, classes=phantom.CLASSES, grouped_by="patient", source=source, fingerprint=key)


def load_folder(folder, size, skip_unreadable=False):
    """Every image below a folder, or in one file, as grey levels at size x size pixels.

    PNG and JPEG (8, 12 or 16 bits, grey, colour, palette or transparent on black), DICOM, .npy and .npz.
    The class of a slice is the name of the folder it lies in, unless its file says otherwise. Width and
    height are scaled apart, as in thesis 4.2.3. Groups are patients where the files (DICOM, .npz) or the
    columns file and patient of an index.csv name them for all slices; else slices that look alike. Cached by
    content. Raises UserError for a missing or empty folder, for class folders that differ in case only, and
    for unreadable files unless they are skipped.
    """
    folder = Path(folder)
    paths = image_files.image_files(folder)
    root = folder if folder.is_dir() else folder.parent
    index = root / "index.csv"
    patients_by_name = _read_index(index) if index.is_file() else {}
    with ThreadPoolExecutor() as pool:
        contents = list(pool.map(lambda path: _digest(path.read_bytes()), paths))
    names = [path.relative_to(root).as_posix() for path in paths]
    about = json.dumps([size, skip_unreadable, sorted(patients_by_name.items()), root.resolve().name])
    key = _digest(about.encode(), *map(str.encode, names + contents))

    def make():
        files, unreadable = image_files.read_all(paths, size)
        if unreadable and not skip_unreadable:
            first, reason = next(iter(unreadable.items()))
            more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
            raise UserError(f"{first}{more}: {reason}; remove or replace it, or pass --skip-unreadable")
        if not files:
            raise UserError(f"{folder}: none of its {len(paths)} images can be read; run 'data check' on it")
        slice_classes, patients = [], []
        for path, file in zip((path for path in paths if path not in unreadable), files):
            count = len(file.pixels)
            slice_classes += file.classes or [image_files.class_of(path, root)] * count
            patients += file.patients or [patients_by_name.get(path.relative_to(root).as_posix())] * count
        classes = _class_names(folder, slice_classes)
        images = torch.from_numpy(image_files.to_8_bit([file.pixels for file in files]))[:, None]
        known = all(patients)
        if known:
            groups = np.unique(patients, return_inverse=True)[1]
        else:
            groups = similarity.group(similarity.perceptual_hash(images), similarity.SAME_STACK)
        tensors = {
            "images": images,
            "labels": torch.tensor([classes.index(name) for name in slice_classes]),
            "groups": torch.from_numpy(groups),
        }
        notes = {"classes": classes, "grouped_by": "patient" if known else "similarity"}
        return tensors, notes | {"unreadable": len(unreadable)}

    tensors, notes = _cached(f"folder-{_digest(key.encode(), _code(image_files), _code(similarity))}", make)
    left_out = f" ({notes['unreadable']} unreadable left out)" if notes["unreadable"] else ""
    return CTImages(
        **tensors,
        classes=tuple(notes["classes"]),
        grouped_by=notes["grouped_by"],
        source=f"folder {root.resolve().name}, {len(tensors['images']):,} slices{left_out}",
        fingerprint=key,
    )


def _read_index(path):
    """{file: patient} of an index.csv with these two columns, as the phantom writes it; else {}."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"file", "patient"} <= set(rows.fieldnames or ()):
            return {}
        return {row["file"]: row["patient"] for row in rows}


def _class_names(folder, names):
    """The sorted names. Raises UserError if two differ in case only."""
    spellings = defaultdict(set)
    for name in names:
        spellings[name.casefold()].add(name)
    for same in spellings.values():
        if len(same) > 1:
            pair = "' and '".join(sorted(same)[:2])
            raise UserError(f"{folder}: '{pair}' look like one class; give their folders one spelling")
    return sorted(set(names))


def _cached(name, make):
    """What make() returns, tensors and notes, from the cache if it is there; a broken cache is no error."""
    path = cache_folder() / f"{name}.safetensors"
    try:
        with safetensors.safe_open(path, "pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["notes"])
    except (OSError, safetensors.SafetensorError):
        tensors, notes = make()
    with contextlib.suppress(OSError):
        atomic_write(path, safetensors.torch.save(tensors, {"notes": json.dumps(notes)}))
    return tensors, notes


def _code(module):
    """The source of a module or package: what it draws or reads changes with it."""
    path = Path(module.__file__)
    paths = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    return b"".join(p.read_bytes() for p in paths)


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def split(data, fraction, seed=0):
    """Two CTImages, the second with about that fraction of every class; groups are never divided.

    In random order a group is held out if that brings its class closer to the fraction. Raises UserError if
    there is one group only.
    """
    names, numbers = data.groups.unique(return_inverse=True)
    if len(names) < 2:
        raise UserError(f"{data.source}: one group by {data.grouped_by} can't be split; add slices")
    sizes, wanted = numbers.bincount(), fraction * data.labels.bincount(minlength=len(data.classes))
    held_out = torch.zeros(len(names), dtype=torch.bool)
    for group in torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)):
        k = data.labels[numbers == group].mode().values
        if sizes[group] < 2 * wanted[k]:
            held_out[group], wanted[k] = True, wanted[k] - sizes[group]
    if not held_out.any():
        held_out[sizes.argmin()] = True
    parts = []
    for name, chosen in (("all but", ~held_out), ("only", held_out)):
        key = _digest(data.fingerprint.encode(), f"{name} {fraction} {seed}".encode())
        source = f"{data.source}, {name} {held_out.sum():,} held-out groups"
        parts.append(replace(data[chosen[numbers]], source=source, fingerprint=key))
    return tuple(parts)


class Batches:
    """An endless shuffled stream: batches[k] is float [batch_size, 1, H, W] in [-1, 1].

    Every slice comes once per pass. Batch k follows from (seed, k) alone, so a run resumes anywhere.
    """

    def __init__(self, images, batch_size, seed):
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.orders = {}

    def __getitem__(self, k):
        n, start, parts = len(self.images), k * self.batch_size, []
        while start < (k + 1) * self.batch_size:
            end = min((k + 1) * self.batch_size, (start // n + 1) * n)  # of the batch, or of the pass
            first = start // n * n
            parts.append(self._order(start // n)[start - first : end - first])
            start = end
        return to_float(self.images[torch.cat(parts)])

    def _order(self, epoch):
        """The order of the slices in a pass, kept on their device: no step waits for a transfer."""
        if epoch not in self.orders:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
            self.orders = {epoch: torch.from_numpy(order).to(self.images.device)}
        return self.orders[epoch]


def to_float(images):
    """uint8 [0, 255] to float [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images):
    """float [-1, 1] to uint8 [0, 255], rounded."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

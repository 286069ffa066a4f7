"""A set of CT slices in memory, its splits, and the batches that training takes from it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ctgan_utils.grey import to_float
from ctgan_utils.runtime import UserError

TRUTH = {  # what the phantom knows of a slice besides its grey levels, its class and its patient
    "tissues": "uint8 [N, 1, H, W]: the tissue that fills most of the pixel, index into phantom.TISSUES",
    "lesions": "bool [N, 1, H, W]: the lesion; empty for class Normal",
    "hu": "int16 [N, 1, H, W]: Hounsfield units",
    "low_dose": "uint8 [N, 1, H, W]: grey levels of another scan, at a hundredth of the dose",
    "unenhanced": "uint8 [N, 1, H, W]: grey levels of a scan before the contrast agent was given",
    "arterial": "uint8 [N, 1, H, W]: grey levels of a scan with the contrast agent in the arteries",
    "healthy": "uint8 [N, 1, H, W]: grey levels of a scan of the same patient without the lesion",
    "width": "float [N]: width of the body, per cent of the image's",
    "enhancement": "float [N]: mean Hounsfield units of the aorta",
}
KNOWN = "the phantom's are, and numbers that stand in a column of index.csv"
GREY = {"images", "low_dose", "unenhanced", "arterial", "healthy"}  # float in [-1, 1] in a batch


@dataclass(frozen=True)
class CTImages:
    """A set of slices in memory."""

    images: Tensor  # uint8 [N, 1, H, W]
    labels: Tensor  # int64 [N], index into classes
    classes: tuple[str, ...]
    groups: Tensor  # int64 [N], what a split must keep together
    grouped_by: str  # "patient", or "similarity" where nobody knows the patients
    source: str  # for captions: what the slices are
    truth: dict[str, Tensor] = field(default_factory=dict)  # what is known besides: TRUTH, or index.csv

    @cached_property
    def fingerprint(self) -> str:
        """Changes when a pixel or a label does, and with nothing else."""
        shape = str(list(self.images.shape)).encode()
        labels = self.labels.to(torch.int64)
        return digest(shape, self.images.numpy().tobytes(), labels.numpy().tobytes())

    @cached_property
    def keys(self) -> Tensor:
        """int64 [N]: a number for each slice, which follows from its pixels alone."""
        digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in self.images.numpy())
        return torch.from_numpy(np.frombuffer(b"".join(digests), np.int64).copy())

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor | slice) -> "CTImages":
        """The same set with only the slices of an index tensor or a slice object."""
        truth = {name: known[index] for name, known in self.truth.items()}
        labels, groups = self.labels[index], self.groups[index]
        return replace(self, images=self.images[index], labels=labels, groups=groups, truth=truth)

    def tensors(self, names: Iterable[str] = ("images",)) -> dict[str, Tensor]:
        """Those of images, labels and truth that are asked for, by name.

        Raises UserError for what is not known of these slices.
        """
        known = {"images": self.images, "labels": self.labels, **self.truth}
        for name in names:
            if name not in known:
                raise UserError(f"{self.source}: {name} of its slices are not known; {KNOWN}")
        return {name: known[name] for name in names}

    def counts(self) -> dict[str, int]:
        """Slices per class, as {class: number}."""
        return {name: int((self.labels == k).sum()) for k, name in enumerate(self.classes)}


def split(data: CTImages, fraction: float, seed: int = 0) -> tuple[CTImages, CTImages]:
    """Two CTImages, the second with about that fraction of every class; groups are never divided.

    In random order a group is held out if that brings its class closer to the fraction. Raises UserError if
    either side would be empty.
    """
    names, numbers = data.groups.unique(return_inverse=True)
    is_known = data.grouped_by == "patient"
    one, called = ("patient", "patients") if is_known else ("group", "groups of slices that look alike")
    if len(names) < 2:
        raise UserError(f"{data.source}: all of one {one}; slices of two are needed for a split")
    sizes, wanted = numbers.bincount(), fraction * data.labels.bincount(minlength=len(data.classes))
    held_out = torch.zeros(len(names), dtype=torch.bool)
    for group in torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)):
        k = data.labels[numbers == group].mode().values
        if sizes[group] < 2 * wanted[k]:
            held_out[group], wanted[k] = True, wanted[k] - sizes[group]
    if not held_out.any():
        held_out[sizes.argmin()] = True
    if held_out.all():
        most = 1 - int(sizes.min()) / len(data)
        raise UserError(
            f"{data.source}: there are {len(names)} {called}, and a share of {fraction:g} leaves none to "
            f"train on; hold out {most:.2g} at most"
        )

    def part(name: str, chosen: Tensor) -> CTImages:
        source = f"{data.source}, {name} {held_out.sum():,} held-out groups"
        return replace(data[chosen[numbers]], source=source)

    return part("all but", ~held_out), part("only", held_out)


def by_use(data: CTImages, seen: Tensor) -> tuple[CTImages, CTImages]:
    """(the slices that were seen, those of groups of which no slice was), either of them perhaps empty.

    seen holds the keys of the slices that a generator learnt from, int64 [K]. Slices that it has not seen, of
    a patient that it has, are in neither.
    """
    was_seen = torch.isin(data.keys, seen)
    known = torch.isin(data.groups, data.groups[was_seen].unique())
    first = replace(data[was_seen.nonzero()[:, 0]], source=f"{data.source}, those it learnt from")
    second = replace(data[(~known).nonzero()[:, 0]], source=f"{data.source}, of groups it never saw")
    return first, second


def blank(names: Iterable[str], n: int, size: int) -> dict[str, Tensor]:
    """A batch of n black slices of class 0, of whose insides nothing is known: {name: tensor [n, ...]}.

    What is neither a picture nor a class is a number of each slice, and 0.
    """
    pixels = torch.zeros(n, 1, size, size)
    kinds = {
        **dict.fromkeys(GREY, pixels - 1),
        "labels": torch.zeros(n, dtype=torch.int64),
        "tissues": pixels.to(torch.uint8),
        "lesions": pixels.bool(),
        "hu": pixels.to(torch.int16),
    }
    return {name: kinds.get(name, torch.zeros(n)) for name in names}


def as_batch(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What CTImages.tensors gave, as a system sees it: grey levels from uint8 to float in [-1, 1]."""
    return {name: to_float(t) if name in GREY else t for name, t in tensors.items()}


class Batches:
    """An endless shuffled stream: batches[k] is {name: tensor [batch_size, ...]}, grey levels in [-1, 1].

    tensors are what CTImages.tensors gave, all [N, ...]. Every slice comes once per pass. Batch k follows
    from (seed, k) alone, so a run resumes anywhere.
    """

    def __init__(self, tensors: dict[str, Tensor], batch_size: int, seed: int) -> None:
        self.tensors, self.batch_size, self.seed = tensors, batch_size, seed
        self.orders: dict[int, Tensor] = {}

    def __getitem__(self, k: int) -> dict[str, Tensor]:
        n, start, parts = len(self.tensors["images"]), k * self.batch_size, []
        while start < (k + 1) * self.batch_size:
            end = min((k + 1) * self.batch_size, (start // n + 1) * n)  # of the batch, or of the pass
            first = start // n * n
            parts.append(self._order(start // n)[start - first : end - first])
            start = end
        found = {name: tensor[torch.cat(parts)] for name, tensor in self.tensors.items()}
        return as_batch(found)

    def _order(self, epoch: int) -> Tensor:
        """The order of the slices in a pass, kept on their device: no step waits for a transfer."""
        if epoch not in self.orders:
            images = self.tensors["images"]
            order = np.random.default_rng([self.seed, epoch]).permutation(len(images))
            self.orders = {epoch: torch.from_numpy(order).to(images.device)}
        return self.orders[epoch]


def digest(*parts: bytes) -> str:
    """24 hexadecimal digits that change when a part does."""
    state = hashlib.blake2b(digest_size=12)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()

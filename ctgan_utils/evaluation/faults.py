"""Sets of slices with one known fault at a known strength, to see what a distance reacts to.

Every fault takes a CTImages, a strength from 0 (none) to 1 and a torch.Generator, and returns uint8 images of
the set's shape. As in figure 3 of Heusel 2017, a distance worth its name grows with each of them.

Some faults bring another one along: slices that take the place of others come twice, and of fewer patients.
Each of these has a control, which repeats as many slices of as many patients and has no other fault. What a
distance sees of the fault itself is how much farther the faulty set lies than its control.
"""

import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from ctgan_utils.data.slices import CTImages

MODES = 10
NORMAL = "Normal"  # the class without a lesion, in CT KIDNEY and in the phantom


def blur(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """A Gaussian of up to 1/32 of the slice's side, standard deviation."""
    sigma = strength * ct.images.shape[-1] / 32
    if sigma == 0:
        return ct.images
    width = 2 * math.ceil(3 * sigma) + 1
    return _grey(gaussian_blur(ct.images.float(), width, sigma))


def noise(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """White Gaussian noise of up to 32 grey levels, standard deviation."""
    return _grey(ct.images + 32 * strength * torch.randn(ct.images.shape, generator=rng))


def swirl(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """Turned about the middle by up to a quarter turn, less and less towards the edge."""
    axis = torch.linspace(-1, 1, ct.images.shape[-1])
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle = strength * torch.pi / 2 * torch.exp(-2 * (x**2 + y**2))
    cos, sin = angle.cos(), angle.sin()
    grid = torch.stack([cos * x - sin * y, sin * x + cos * y], -1).expand(len(ct), -1, -1, -1)
    return _grey(functional.grid_sample(ct.images.float(), grid, padding_mode="border", align_corners=True))


def missing_lesions(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """That share of the slices with a lesion replaced by slices of class Normal."""
    lost, pool = _replaced(ct, strength, rng)
    return _with(ct, lost, pool, rng)


def replaced_lesions(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """The control of missing_lesions: replaced by slices with a lesion, of as many patients."""
    lost, normal = _replaced(ct, strength, rng)
    diseased = (ct.labels != ct.classes.index(NORMAL)).nonzero()[:, 0]
    patients = len(ct.groups[normal].unique())
    return _with(ct, lost, _of_patients(ct, diseased, patients, rng)[: len(normal)], rng)


def mode_dropping(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """Slices of ever fewer of ten modes, down to one, each as often as it takes.

    Modes are clusters of slices that look alike: k-means on thumbnails of 16x16 pixels.
    """
    return _repeated(ct, _kept_modes(ct, strength, rng))


def few_slices(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """The control of mode_dropping: as few slices, of as few patients, of all modes."""
    kept = _kept_modes(ct, strength, rng)
    patients = len(ct.groups[kept].unique())
    pool = _of_patients(ct, torch.arange(len(ct)), patients, rng)
    return _repeated(ct, pool[: len(kept)])


def _replaced(ct: CTImages, strength: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """(which slices with a lesion are replaced, bool [N]; the index of the slices of class Normal)."""
    normal = ct.labels == ct.classes.index(NORMAL)
    return ~normal & (torch.rand(len(ct), generator=rng) < strength), normal.nonzero()[:, 0]


def _with(ct: CTImages, lost: Tensor, pool: Tensor, rng: torch.Generator) -> Tensor:
    """The images, those that are lost replaced by some of an index tensor's."""
    images = ct.images.clone()
    images[lost] = ct.images[pool[torch.randint(len(pool), (int(lost.sum()),), generator=rng)]]
    return images


def _kept_modes(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """Index of the slices that are left when that share of all modes but one is dropped."""
    thumbnails = functional.adaptive_avg_pool2d(ct.images.float(), 16).flatten(1).numpy()
    count = min(MODES, len(ct))
    modes = torch.from_numpy(KMeans(count, n_init=3, random_state=0).fit_predict(thumbnails))
    kept = torch.randperm(count, generator=rng)[: count - round((count - 1) * strength)]
    return torch.isin(modes, kept).nonzero()[:, 0]


def _of_patients(ct: CTImages, index: Tensor, patients: int, rng: torch.Generator) -> Tensor:
    """Those of an index tensor that are of so many patients, at random; first come one of each patient."""
    index = index[torch.randperm(len(index), generator=rng)]
    names = ct.groups[index].unique()
    drawn = names[torch.randperm(len(names), generator=rng)[:patients]]
    index = index[torch.isin(ct.groups[index], drawn)]
    is_first = torch.zeros(len(index), dtype=torch.bool)
    is_first[np.unique(ct.groups[index].numpy(), return_index=True)[1]] = True
    return torch.cat([index[is_first], index[~is_first]])


def _repeated(ct: CTImages, pool: Tensor) -> Tensor:
    """As many images as there are slices, those of an index tensor over and over."""
    return ct.images[pool[torch.arange(len(ct)) % len(pool)]]


def _grey(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8)


FAULTS = {
    "blur": blur,
    "noise": noise,
    "swirl": swirl,
    "missing lesions": missing_lesions,
    "mode dropping": mode_dropping,
}
CONTROLS = {"missing lesions": replaced_lesions, "mode dropping": few_slices}

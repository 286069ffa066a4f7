"""Sets of slices with one known fault at a known strength, to see what a distance reacts to.

Every fault takes a CTImages, a strength from 0 (none) to 1 and a torch.Generator, and returns uint8 images of
the set's shape. As in figure 3 of Heusel 2017, a distance worth its name grows with each of them.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from ctgan_utils.data.slices import CTImages

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
    normal = ct.labels == ct.classes.index(NORMAL)
    lost = ~normal & (torch.rand(len(ct), generator=rng) < strength)
    pool = normal.nonzero()[:, 0]
    images = ct.images.clone()
    images[lost] = ct.images[pool[torch.randint(len(pool), (int(lost.sum()),), generator=rng)]]
    return images


def mode_dropping(ct: CTImages, strength: float, rng: torch.Generator) -> Tensor:
    """Slices of ever fewer patients, down to 1 in 100, each as often as it takes."""
    groups = ct.groups.unique()
    kept = max(1, round(len(groups) * 10 ** (-2 * strength)))
    of = groups[torch.randperm(len(groups), generator=rng)[:kept]]
    pool = torch.isin(ct.groups, of).nonzero()[:, 0]
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

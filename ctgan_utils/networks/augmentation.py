"""Differentiable augmentation: what the critic is shown instead of the images themselves."""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

MOVED = 0.1  # of half the image's side: standard deviation of a shift
STRETCHED = 0.06  # standard deviation of the logarithm of a zoom, along each axis
BRIGHTENED = 0.08  # standard deviation of the logarithm of a factor of all grey levels


def augment(images: Tensor, probability: float) -> Tensor:
    """Images [N, 1, S, S] in [-1, 1], each with that probability moved and stretched, and brightened.

    A critic that sees few patients learns them by heart. Shown each of them otherwise every time, it can't;
    generated images go the same way, so that what it judges is the same for both, and gradients pass through
    (Zhao 2020). As long as many images stay as they are, the generator does not learn the changes (Karras
    2020, section 2.2). What comes in from outside is black. Draws from PyTorch's global random state.
    """
    n, device = len(images), images.device
    moved, brightened = (torch.rand(2, n, device=device) < probability).float()
    transform = torch.zeros(n, 2, 3, device=device)
    zoom = (STRETCHED * moved[:, None] * torch.randn(n, 2, device=device)).exp()
    transform[:, 0, 0], transform[:, 1, 1] = zoom.T
    transform[:, :, 2] = MOVED * moved[:, None] * torch.randn(n, 2, device=device)
    grid = affine_grid(transform, list(images.shape), align_corners=False)
    light = grid_sample(images + 1, grid, align_corners=False)  # from 0, black
    factor = (BRIGHTENED * brightened * torch.randn(n, device=device)).exp()
    return (light * factor[:, None, None, None]).clamp(0, 2) - 1

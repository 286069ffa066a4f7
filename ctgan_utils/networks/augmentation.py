"""Differentiable augmentation: what the critic is shown instead of the images themselves."""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import affine_grid, grid_sample, pad

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


def colour(images: Tensor) -> Tensor:
    """Images [N, C, H, W] with another brightness, then another contrast, drawn for each of them.

    Brightness adds a number from [-0.5, 0.5); contrast multiplies the distance to the image's mean by one
    from [0.5, 1.5). The saturation between them, in Zhao 2020, changes nothing in an image of one channel.
    """
    shift, factor = torch.rand(2, len(images), 1, 1, 1, device=images.device)
    shifted = images + (shift - 0.5)
    mean = shifted.mean((1, 2, 3), keepdim=True)
    return (shifted - mean) * (factor + 0.5) + mean


def translation(images: Tensor, ratio: float = 0.125) -> Tensor:
    """Images [N, C, H, W] moved by whole pixels, up to that share of a side; 0, middle grey, comes in."""
    n, _, height, width = images.shape
    reach = [int(side * ratio + 0.5) for side in (height, width)]
    framed = pad(images, (reach[1], reach[1], reach[0], reach[0]))
    rows, columns = (
        torch.randint(2 * most + 1, (n, 1), device=images.device) + torch.arange(side, device=images.device)
        for most, side in zip(reach, (height, width))
    )
    which = torch.arange(n, device=images.device)[:, None, None]
    return framed.movedim(1, 3)[which, rows[:, :, None], columns[:, None]].movedim(3, 1)


def cutout(images: Tensor, ratio: float = 0.5) -> Tensor:
    """Images [N, C, H, W] with a square of that share of a side set to 0; it may lie partly outside."""
    n, _, *sides = images.shape
    inside = []
    for side in sides:
        size = int(side * ratio + 0.5)
        first = torch.randint(side + 1 - size % 2, (n, 1), device=images.device) - size // 2
        places = torch.arange(side, device=images.device)
        inside.append((places >= first) & (places < first + size))
    rows, columns = inside
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


def flip(images: Tensor) -> Tensor:
    """Images [N, C, H, W], left and right exchanged: the liver on the wrong side."""
    return images.flip(-1)


POLICIES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "none": (),
    "diffaugment": (colour, translation, cutout),  # Zhao 2020, if the probability is 1
    "flips": (flip,),
}


def apply_policy(images: Tensor, policy: str, probability: float | Tensor) -> Tensor:
    """Images [N, C, H, W] through each change of a policy, each image with that probability.

    With POLICIES["diffaugment"] and probability 1 this is DiffAugment (Zhao 2020: colour, translation and
    cutout, with the sizes of the authors' code). Draws from PyTorch's global random state.
    """
    for change in POLICIES[policy]:
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
        images = torch.where(chosen, change(images), images)
    return images


class AdaptiveProbability(nn.Module):
    """How often the critic is shown changed images, driven by how far it overfits (Karras 2020, section 3).

    Its state lies in buffers, so that a run goes on with it. `observe` collects the signs of the critic's
    scores of real images from training; their mean is r_t of equation 1, 0 for a critic that can't tell and 1
    for one that is sure of each. `adjust` moves the probability a step towards more changes if r_t lies above
    the target, and towards fewer if below. It stays within 0 and 1.
    """

    probability: Tensor
    signs: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("probability", "signs", "seen"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def observe(self, scores: Tensor) -> None:
        """Add the critic's scores [N] of real images, changed as they were shown."""
        self.signs += scores.sign().sum()
        self.seen += len(scores)

    @torch.no_grad()
    def adjust(self, target: float, reach: int) -> None:
        """One step; `reach` real images take the probability from 0 to 1. Forgets what was observed."""
        if distributed.is_available() and distributed.is_initialized():
            for total in (self.signs, self.seen):
                distributed.all_reduce(total)
        if self.seen:
            step = torch.sign(self.signs / self.seen - target) * self.seen / reach
            self.probability.copy_((self.probability + step).clamp(0, 1))
        self.signs.zero_()
        self.seen.zero_()

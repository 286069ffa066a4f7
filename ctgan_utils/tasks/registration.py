"""Registration: to find the displacement that lays one image over another.

A displacement is float [N, 2, H, W] in pixels: at each pixel how far to the right and how far down the place
lies from which it takes its value. Warped by u, an image I becomes I(x + u(x)).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional


def warp(images: Tensor, displacement: Tensor, mode: str = "bilinear") -> Tensor:
    """I(x + u(x)) of images I float [N, C, H, W] (Jaderberg 2015); outside, the border's values go on.

    mode is "bilinear", or "nearest" for maps of labels.
    """
    height, width = images.shape[-2:]
    rows, columns = torch.arange(height).float(), torch.arange(width).float()
    x = (columns + displacement[:, 0]) * 2 / (width - 1) - 1
    y = (rows[:, None] + displacement[:, 1]) * 2 / (height - 1) - 1
    return functional.grid_sample(images, torch.stack([x, y], -1), mode, "border", align_corners=True)


def roughness(displacement: Tensor) -> Tensor:
    """Mean square of the steps from pixel to pixel, along rows and along columns (Balakrishnan 2019)."""
    return sum((displacement.diff(dim=axis).square().mean() for axis in (2, 3)), torch.zeros(()))


def breathing(n: int, size: int, rng: torch.Generator) -> Tensor:
    """n displacements [n, 2, size, size], from one stage of breathing to another, in plane.

    The front wall (top) rises or sinks by up to a sixteenth of the image; the motion fades towards the back,
    where the spine stays. Organs give way a little, smoothly, by about a hundredth. The larger part of
    breathing, along the body axis, leaves the plane of a slice: it is not in here.
    """
    rise = (2 * torch.rand(n, 1, 1, generator=rng) - 1) * size / 16
    depth = torch.linspace(0, 1, size)[:, None]
    fade = torch.cos(math.pi / 2 * depth).square()
    give = torch.randn(n, 2, 4, 4, generator=rng) * size / 100
    smooth = functional.interpolate(give, (size, size), mode="bicubic", align_corners=True)
    return torch.stack([smooth[:, 0] * fade, rise * fade + smooth[:, 1] * fade], 1)


def place_after(point: tuple[float, float], displacement: Tensor) -> tuple[int, int]:
    """Where a point (row, column) of an image is found in the image warped by a displacement [2, H, W].

    The pixel (row, column) that takes its value from nearest to the point.
    """
    height, width = displacement.shape[-2:]
    rows = torch.arange(height)[:, None] + displacement[1]
    columns = torch.arange(width) + displacement[0]
    nearest = int(((rows - point[0]).square() + (columns - point[1]).square()).argmin())
    return nearest // width, nearest % width


def landmarks(organs: Tensor, least: int = 12) -> list[tuple[float, float]]:
    """Centres (row, column) of the organs of a map int64 [H, W], each kidney's or other part's its own.

    The map is split at the body's middle column, so that paired organs give two; parts of fewer than `least`
    pixels are left out, and so is 0, the background.
    """
    found, columns = [], torch.arange(organs.shape[-1])
    inside = organs.any(0).nonzero()[:, 0].float()
    middle = inside.mean() if len(inside) else torch.tensor(0.0)
    for organ in organs.unique().tolist():
        for side in (columns < middle, columns >= middle):
            places = ((organs == organ) & side).nonzero().float()
            if organ and len(places) >= least:
                row, column = places.mean(0).tolist()
                found.append((row, column))
    return found

"""Filters on images: convolution, the bilateral filter, slopes."""

import math

import numpy as np
import torch
from torch import Tensor, nn


def convolve(image: Tensor, kernel: Tensor) -> Tensor:
    """image * kernel, both 2-D, with zeros around and the image's size kept (thesis 2.3, 2.4).

    The origin (0, 0) of equation 2.3 is the kernel's middle. PyTorch's conv2d correlates: it does not turn
    the kernel, as a convolution does. Raises ValueError for a kernel with an even side.
    """
    rows, columns = kernel.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"kernel {rows}x{columns}: its sides must be odd, for it to have a middle")
    turned = kernel.flip(0, 1)
    padding = (rows // 2, columns // 2)
    return nn.functional.conv2d(image[None, None], turned[None, None], padding=padding)[0, 0]


def bilateral(images: np.ndarray, sigma_d: float, sigma_r: float, radius: int | None = None) -> np.ndarray:
    """Images [..., H, W] smoothed within edges: float64, on the scale of the input.

    A mean of the neighbours within `radius` pixels along each axis (by default ceil(3.5 sigma_d)), weighted
    by Gaussians of their distance (sigma_d, pixels) and of their difference in value (sigma_r, in units of
    the image). Pixels beyond the border repeat the outermost. Tomasi and Manduchi 1998, equations 3 and 4;
    thesis equations 3.1 and 3.2, which are printed without the pixel that is averaged. Raises ValueError
    unless both sigmas are above 0 and radius at least 0.
    """
    if not (sigma_d > 0 and sigma_r > 0 and (radius is None or radius >= 0)):
        given = f"sigma_d={sigma_d}, sigma_r={sigma_r}, radius={radius}"
        raise ValueError(f"{given}: both sigmas must be above 0, the radius at least 0")
    D = math.ceil(3.5 * sigma_d) if radius is None else radius
    images = np.asarray(images, np.float64)
    padded = np.pad(images, [(0, 0)] * (images.ndim - 2) + [(D, D)] * 2, mode="edge")
    height, width = images.shape[-2:]
    total, weights = np.zeros_like(images), np.zeros_like(images)
    for m in range(-D, D + 1):
        for n in range(-D, D + 1):
            moved = padded[..., D + m : D + m + height, D + n : D + n + width]
            distance = (m**2 + n**2) / (2 * sigma_d**2)
            weight = np.exp(-distance - (moved - images) ** 2 / (2 * sigma_r**2))
            weights += weight
            total += weight * moved
    return total / weights


def sobel(images: Tensor) -> Tensor:
    """sobel_magnitude of images [N, 1, H, W] as a function that gradients pass through.

    At most 1e-4 is added, where the slope is 0, so that its root has a derivative.
    """
    p = nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    columns = p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]
    rows = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    across, down = columns[..., 2:] - columns[..., :-2], rows[..., 2:, :] - rows[..., :-2, :]
    return torch.sqrt(across**2 + down**2 + 64e-8) / 8


def sobel_magnitude(images: np.ndarray) -> np.ndarray:
    """Length of the gradient of images [..., H, W] by Sobel's two kernels, float64 in grey levels per pixel.

    The kernels' sum is divided by 8, so that a ramp of one grey level per pixel has slope 1; a step by s has
    s / 2 on both its sides. Images are mirrored at the outermost pixels, whose slope across the border is 0.
    """
    images = np.asarray(images, np.float64)
    p = np.pad(images, [(0, 0)] * (images.ndim - 2) + [(1, 1)] * 2, mode="reflect")
    columns = p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]
    rows = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    return np.hypot(columns[..., 2:] - columns[..., :-2], rows[..., 2:, :] - rows[..., :-2, :]) / 8

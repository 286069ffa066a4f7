"""Figures of latents: how they are distributed, and walks between them."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from ctgan_utils.figures import GREY, ONE, OTHER, add_caption, new_figure, show_image


def truncated_figure(samples: Mapping[float, np.ndarray], caption: str) -> Figure:
    """Figure 2.4: samples {truncation: [n]} of the truncated normal, and the density each should have."""
    fig, axes = new_figure(1, len(samples), figsize=(2.7 * len(samples), 2.5), sharex=True, sharey=True)
    x = np.linspace(-3.5, 3.5, 701)
    for axis, (truncation, z) in zip(axes, samples.items()):
        axis.hist(z, bins=np.linspace(-3.5, 3.5, 71), density=True, color=ONE, alpha=0.35, label="samples")
        axis.plot(x, stats.truncnorm.pdf(x, -truncation, truncation), color=ONE, lw=1.5, label="truncated")
        axis.plot(x, stats.norm.pdf(x), color=GREY, ls=":", label="normal")
        axis.set(title=f"$|z| \\leq {truncation:g}$", xlabel="$z$")
    axes[0].set_ylabel("density")
    axes[-1].legend(fontsize=8)
    return add_caption(fig, caption)


def walk_figure(
    images: np.ndarray | Tensor,
    t: float,
    lengths: Mapping[str, np.ndarray | Tensor],
    typical: float,
    caption: str,
) -> Figure:
    """Two latents' images, those at position t of two paths between them, and how long the latents are there.

    images is uint8 [4, H, W]: an end, the two paths, the other end; lengths is {path: [K]} over 0 to 1.
    """
    fig, axes = new_figure(1, 5, figsize=(10.5, 2.4), width_ratios=(1, 1, 1, 1, 1.6))
    names = ("position 0", *(f"{path}, {t:.2f}" for path in lengths), "position 1")
    for axis, image, name in zip(axes, images, names):
        show_image(axis, image, name)
    right = axes[-1]
    right.axhline(typical, color=GREY, ls=":", label="√n")
    for (path, length), colour in zip(lengths.items(), (ONE, OTHER)):
        right.plot(np.linspace(0, 1, len(length)), length, color=colour, label=path)
    right.axvline(t, color="0.3", lw=0.8)
    right.set(xlabel="position between the latents", ylabel="length of z", ylim=(0, 1.4 * typical))
    right.legend(ncols=3, fontsize=8, loc="lower center", frameon=True, framealpha=1, edgecolor="white")
    return add_caption(fig, caption)

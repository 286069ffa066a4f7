"""Figures of what ProGAN, StyleGAN and BigGAN add: crossed styles, attention, quality against variety."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ctgan_utils.figures import FAKE, ONE, add_caption, new_figure, show_image


def styles_figure(
    left: np.ndarray | Tensor, top: np.ndarray | Tensor, mixed: np.ndarray | Tensor, caption: str
) -> Figure:
    """Style mixing: images left [R, 1, H, W], top [C, 1, H, W], and mixed [R, C, 1, H, W] in the middle."""
    rows, columns = len(left) + 1, len(top) + 1
    fig, axes = new_figure(rows, columns, figsize=(1.3 * columns, 1.3 * rows + 0.3))
    axes[0, 0].axis("off")
    axes[0, 0].text(0.95, 0.5, "all other styles →", ha="right", va="center", transform=axes[0, 0].transAxes)
    axes[0, 0].text(0.5, 0.02, "coarse styles ↓", ha="center", transform=axes[0, 0].transAxes)
    for axis, image in zip(axes[0, 1:], top):
        show_image(axis, image[0])
    for line, image, made in zip(axes[1:], left, mixed):
        show_image(line[0], image[0])
        for axis, cell in zip(line[1:], made):
            show_image(axis, cell[0])
    for axis in (*axes[0, 1:], *axes[1:, 0]):
        axis.spines[:].set(visible=True, color=FAKE, linewidth=2)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    return add_caption(fig, caption)


def attention_figure(
    image: np.ndarray | Tensor,
    looks: Sequence[tuple[tuple[int, int], np.ndarray | Tensor]],
    caption: str,
) -> Figure:
    """An image [H, W] and, for each ((row, column), weights [h, w]), where that place of a map looks.

    Rows and columns count places of the attended map, which has twice the side of weights.
    """
    fig, axes = new_figure(1, len(looks) + 1, figsize=(2.4 * (len(looks) + 1), 2.6))
    side = len(image)
    show_image(axes[0], image, "slice")
    for axis, ((row, column), weights) in zip(axes[1:], looks):
        show_image(axis, image, f"strongest weight {float(weights.max()):.3f}")
        axis.imshow(weights, cmap="inferno", alpha=0.65, extent=(-0.5, side - 0.5, side - 0.5, -0.5))
        scale = side / (2 * len(weights))
        corner = scale * column - 0.5, scale * row - 0.5
        axis.add_patch(Rectangle(corner, scale, scale, fill=False, ec=ONE, lw=3))
    return add_caption(fig, caption)


def tradeoff_figure(curve: Mapping[str, tuple[float, float]], caption: str) -> Figure:
    """Precision against recall, {name of the point: (recall, precision)}, the points joined in order."""
    fig, axis = new_figure(figsize=(6, 4))
    recalls, precisions = zip(*curve.values())
    axis.plot(recalls, precisions, "o-", color=FAKE, clip_on=False)
    for name, place in curve.items():
        axis.annotate(name, place, (8, -12), textcoords="offset points")
    axis.set(xlabel="recall (variety)", ylabel="precision (quality)", xlim=(0, 1), ylim=(-0.06, 1.05))
    return add_caption(fig, caption)

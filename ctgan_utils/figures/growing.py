"""Figures of generators that grow and are styled."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ctgan_utils.figures import FAKE, add_caption, new_figure, show_image


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

"""Figures of images: sheets, neighbours, thumbnails."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from ctgan_utils.figures import add_caption, new_figure, show_image


def images_figure(
    images: np.ndarray | Tensor,
    caption: str,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    scale: float = 1.25,
) -> Figure:
    """Images uint8 [N, 1, H, W] or [N, H, W] in a grid (figures 3.3, 4.18, 4.19, and class examples)."""
    images = np.asarray(images).reshape(len(images), *images.shape[-2:])
    rows = -(-len(images) // columns)
    height = scale * rows * (1.2 if titles else 1.0)
    fig, axes = new_figure(rows, columns, figsize=(scale * columns, height + 0.4), squeeze=False)
    for k, axis in enumerate(axes.flat):
        if k < len(images):
            show_image(axis, images[k], titles[k] if titles else None)
        else:
            axis.axis("off")
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def nearest_figure(
    fake: np.ndarray | Tensor,
    train: np.ndarray | Tensor,
    pairs: Sequence[tuple[int, int]],
    caption: str,
    columns: int = 8,
) -> Figure:
    """Images beside the training slices they lie nearest to; pairs is [(index of fake, index of train)]."""
    rows = -(-len(pairs) // columns)
    fig, axes = new_figure(2 * rows, columns, figsize=(1.3 * columns, 2.7 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for k, (i, j) in enumerate(pairs):
        row, column = 2 * (k // columns), k % columns
        show_image(axes[row, column], fake[i, 0], "generated" if column == 0 else None)
        show_image(axes[row + 1, column], train[j, 0], "nearest" if column == 0 else None)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def thumbnails_figure(
    paths: Sequence[str | Path], titles: Sequence[str], caption: str, columns: int = 6
) -> Figure:
    """Small pictures (PNG files) in rows, each under its title."""
    rows = -(-len(paths) // columns)
    fig, axes = new_figure(rows, columns, figsize=(1.9 * columns, 1.65 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
        axis.set_anchor("N")
    for axis, path, title in zip(axes.flat, paths, titles):
        axis.imshow(plt.imread(path))
        axis.set_title(title)
    return add_caption(fig, caption)

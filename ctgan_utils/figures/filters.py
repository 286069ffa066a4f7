"""Figures of filters and edges: kernels as surfaces, filtered slices, edge maps."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ctgan_utils.figures import add_caption, new_figure, show_image


def surfaces_figure(
    surfaces: Mapping[str, np.ndarray],
    caption: str,
    xlabel: str = "column (pixels)",
    ylabel: str = "row (pixels)",
) -> Figure:
    """Figures 3.1 and 3.2: {title: array [H, W]} as surfaces over the pixels, each on its own height."""
    size = {"figsize": (3.6 * len(surfaces), 3.4), "subplot_kw": {"projection": "3d"}, "squeeze": False}
    fig, axes = new_figure(1, len(surfaces), **size)
    for axis, (title, values) in zip(axes.flat, surfaces.items()):
        rows, columns = np.mgrid[: values.shape[0], : values.shape[1]]
        small = max(values.shape) < 9
        colour = {"color": "#9dbcd4"} if small else {"cmap": "viridis", "rcount": 40, "ccount": 40}
        axis.plot_surface(columns, rows, values, edgecolor="0.3", lw=0.2, **colour)
        axis.set(title=title, xlabel=xlabel, ylabel=ylabel, zlabel="value")
        if small:
            axis.scatter(columns, rows, values, color="k", s=12, depthshade=False)
            axis.set(xticks=range(values.shape[1]), yticks=range(values.shape[0]))
        axis.set_box_aspect(None, zoom=0.82)
    return add_caption(fig, caption)


def filtered_figure(
    pictures: Mapping[str, np.ndarray],
    caption: str,
    low: float | None = 0,
    high: float = 255,
    columns: int = 5,
    scale: float = 2.1,
) -> Figure:
    """{title: image [H, W]} in rows, all on one grey scale; low=None stretches each by its percentiles."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    fig, axes = new_figure(rows, columns, figsize=(scale * columns, (scale + 0.3) * rows), squeeze=False)
    for axis in axes.flat[len(pictures) :]:
        axis.axis("off")
    for axis, (title, image) in zip(axes.flat, pictures.items()):
        limits = (low, high) if low is not None else np.percentile(image, [1, 99])
        show_image(axis, image, title, *limits)
    return add_caption(fig, caption)


def edges_figure(rows: Mapping[str, Sequence[ArrayLike]], caption: str, scale: float = 1.35) -> Figure:
    """Figure 3.10: {label: [images [H, W], one a column]} as rows; bool images are edge maps, in black."""
    count = max(map(len, rows.values()))
    fig, axes = new_figure(len(rows), count, figsize=(scale * count + 0.4, scale * len(rows)), squeeze=False)
    for line, (label, images) in zip(axes, rows.items()):
        for axis, image in zip(line, images):
            image = np.asarray(image)
            if image.dtype == bool:
                image = np.where(image, 0, 255)
            show_image(axis, image)
        line[0].set_ylabel(label, rotation=90, fontsize=8)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def grids_figure(grids: Mapping[str, ArrayLike], caption: str, digits: int = 1) -> Figure:
    """Small arrays {title: [H, W]} with their numbers written in, on one grey scale (figure 2.2)."""
    fig, axes = new_figure(1, len(grids), figsize=(2.1 * len(grids), 2.5), squeeze=False)
    arrays = {title: np.asarray(grid) for title, grid in grids.items()}
    low, high = min(a.min() for a in arrays.values()), max(a.max() for a in arrays.values())
    for axis, (title, grid) in zip(axes.flat, arrays.items()):
        show_image(axis, grid, title, low, high)
        for (row, column), value in np.ndenumerate(grid):
            colour = "white" if value < (low + high) / 2 else "black"
            text = f"{value:.{digits}f}"
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    return add_caption(fig, caption)

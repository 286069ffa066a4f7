"""Figures of medical tasks: measures with intervals, organs, cleaned scans with lesions, a deformation."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from ctgan_utils.figures import CYCLE, GREY, ONE, OTHER, add_caption, new_figure, show_image

Estimate = tuple[float, float, float]  # a mean, and the ends of its interval


def intervals_figure(
    found: Mapping[str, Mapping[str, Estimate]],
    caption: str,
    label: str,
    line: tuple[float, str] | None = None,
) -> Figure:
    """Means with their intervals {arm: {what: (mean, low, high)}}, arms side by side; perhaps a grey line."""
    columns = list(dict.fromkeys(name for values in found.values() for name in values))
    fig, axis = new_figure(figsize=(9, 3.6))
    for k, (colour, (arm, values)) in enumerate(zip(CYCLE, found.items())):
        places = [columns.index(name) + 0.8 * (k + 0.5) / len(found) - 0.4 for name in values]
        means, lows, highs = np.transpose(list(values.values()))
        bars = [means - lows, highs - means]
        axis.errorbar(places, means, bars, fmt="o", color=colour, capsize=3, label=arm)
    if line:
        axis.axhline(line[0], color=GREY, ls="--", lw=1, label=line[1])
    axis.set_xticks(range(len(columns)), columns)
    axis.set(ylabel=label, xlim=(-0.5, len(columns) - 0.5))
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return add_caption(fig, caption)


def organs_figure(slices: Tensor, maps: Mapping[str, Tensor], names: Sequence[str], caption: str) -> Figure:
    """Slices uint8 [n, 1, H, W] and rows of maps of organs int64 [n, H, W] over them, in colours."""
    n = len(slices)
    fig, axes = new_figure(1 + len(maps), n, figsize=(1.6 * n + 2, 1.6 * (1 + len(maps))), squeeze=False)
    for line, (name, found) in zip(axes, {"slice": None, **maps}.items()):
        for k, axis in enumerate(line):
            show_image(axis, slices[k, 0])
            if found is not None:
                shown = np.ma.masked_equal(np.asarray(found[k]), 0)
                drawn = axis.imshow(shown, "Set1", vmin=0.5, vmax=9.5, alpha=0.75, interpolation="nearest")
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    handles = [
        axes[0, 0].plot([], [], "s", color=drawn.cmap(drawn.norm(k)), label=organ)[0]
        for k, organ in enumerate(names, start=1)
    ]
    fig.legend(handles=handles, loc="outside right center")
    return add_caption(fig, caption)


def cleaned_figure(rows: Mapping[str, Tensor], lesions: Tensor, caption: str) -> Figure:
    """Rows {name: float [n, 1, H, W] in [-1, 1]}, the outline of lesions bool [n, 1, H, W] in each."""
    n = len(lesions)
    fig, axes = new_figure(len(rows), n, figsize=(1.8 * n + 1.2, 1.8 * len(rows)), squeeze=False)
    for line, (name, images) in zip(axes, rows.items()):
        for axis, image, lesion in zip(line, images, lesions):
            show_image(axis, image[0], low=-1, high=1)
            if lesion.any():
                axis.contour(lesion[0], [0.5], colors=OTHER, linewidths=1)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def registration_figure(images: Mapping[str, ArrayLike], u: Tensor, v: Tensor, caption: str) -> Figure:
    """Images {title: [H, W] in [-1, 1]}, and the grid as the true u and the found v, [2, H, W], bend it."""
    fig, axes = new_figure(2, 3, figsize=(9, 6.2))
    for axis, (title, image) in zip(axes.flat, images.items()):
        difference = title.startswith("difference")
        drawn = show_image(axis, image, title, low=-1, high=1)
        if difference:
            drawn.set_cmap("PuOr")
    _grid(axes[1, 1], u, "true displacement", ONE)
    _grid(axes[1, 2], v, "found displacement", OTHER)
    return add_caption(fig, caption)


def _grid(axis: Axes, displacement: Tensor, title: str, colour: str) -> None:
    rows, columns = np.mgrid[: displacement.shape[1], : displacement.shape[2]]
    x, y = columns + displacement[0].numpy(), rows + displacement[1].numpy()
    for part in (slice(None, None, 4), slice(-1, None)):
        axis.plot(x[part].T, y[part].T, color=colour, lw=0.7)
        axis.plot(x[:, part], y[:, part], color=colour, lw=0.7)
    axis.set(title=title, xlabel="pixels", ylabel="pixels", aspect="equal")
    axis.invert_yaxis()

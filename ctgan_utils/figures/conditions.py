"""Figures of conditional generators: points of a toy by what was asked, and what judges say of images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from ctgan_utils.figures import CYCLE, FAKE, GREY, REAL, add_caption, new_figure


def spots_figure(points: Mapping[str, Tensor], asked: Tensor, centres: Tensor, caption: str) -> Figure:
    """Generated points {title: [N, 2]} in the colour of what was asked, [N]; centres [K, 2] as crosses."""
    size = 4 * len(points), 4
    fig, axes = new_figure(1, len(points), figsize=size, squeeze=False, sharex=True, sharey=True)
    colours = np.array(CYCLE)[: len(centres)]
    for axis, (title, made) in zip(axes[0], points.items()):
        axis.scatter(*made.T, c=colours[asked], s=8)
        axis.scatter(*centres.T, marker="+", s=160, c=colours)
        axis.set(title=title, xlabel="first coordinate", ylabel="second coordinate", aspect="equal")
    return add_caption(fig, caption)


def confusion_figure(
    found: Mapping[str, tuple[ArrayLike, ArrayLike]], classes: Sequence[str], caption: str
) -> Figure:
    """Confusion matrices {title: (what is true or was asked, what the judge says)}, in per cent of a row."""
    fig, axes = new_figure(1, len(found), figsize=(4.3 * len(found), 3.6), squeeze=False)
    for axis, (title, (true, said)) in zip(axes[0], found.items()):
        counts = np.zeros((len(classes), len(classes)))
        np.add.at(counts, (np.asarray(true), np.asarray(said)), 1)
        shares = 100 * counts / np.maximum(1, counts.sum(1, keepdims=True))
        axis.imshow(shares, cmap="Greys", vmin=0, vmax=100)
        for (row, column), share in np.ndenumerate(shares):
            color = "white" if share > 60 else "black"
            axis.text(column, row, f"{share:.0f}", ha="center", va="center", color=color)
        ticks = range(len(classes))
        axis.set_xticks(ticks, classes)
        axis.set_yticks(ticks, classes)
        axis.set(title=title, xlabel="what the judge says", ylabel="what is true, or was asked")
    return add_caption(fig, caption)


def asked_figure(
    found: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]], units: Mapping[str, str], caption: str
) -> Figure:
    """Numbers {name: {kind of slice: (what is true or was asked [N], what a judge says [N])}} as points.

    A row for each name, a column for each kind, all of a row on the same axes; units is {name: unit}. On the
    dashed line lies what the judge says just as it is, or was asked.
    """
    rows, columns = len(found), max(map(len, found.values()))
    size = 3.3 * columns, 3.1 * rows
    fig, axes = new_figure(rows, columns, figsize=size, squeeze=False, sharex="row", sharey="row")
    for line, (name, kinds) in zip(axes, found.items()):
        for axis, color, (kind, (asked, said)) in zip(line, (REAL, FAKE), kinds.items()):
            axis.scatter(asked, said, s=5, alpha=0.4, color=color, linewidths=0)
            middle = np.asarray(asked, float).mean()
            axis.axline((middle, middle), slope=1, color=GREY, linestyle="--", linewidth=1)
            axis.set(title=kind, xlabel=f"{name}, true or asked, {units[name]}")
        line[0].set(ylabel=f"{name}, by the judge, {units[name]}")
    return add_caption(fig, caption)

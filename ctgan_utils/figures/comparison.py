"""Figures that compare systems: samples in rows, reported scores, seeds, budgets, a search for settings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from ctgan_utils.figures import FAKE, GREY, ONE, REAL, add_caption, new_figure, plain_log, show_image
from ctgan_utils.metrics import mean_interval


def samples_figure(
    rows: Mapping[str, np.ndarray | Tensor], caption: str, scale: float = 1.4, columns: int | None = None
) -> Figure:
    """Images uint8 [n, 1, H, W] of each name, side by side; those of the first name are real slices.

    A name with more than `columns` images takes several rows. Without columns, each name has one row.
    """
    columns = columns or max(map(len, rows.values()))
    lines = [
        (name if start == 0 else "", images[start : start + columns], REAL if k == 0 else FAKE)
        for k, (name, images) in enumerate(rows.items())
        for start in range(0, len(images), columns)
    ]
    fig, axes = new_figure(
        len(lines), columns, figsize=(scale * columns + 1.5, scale * len(lines)), squeeze=False
    )
    for (name, images, colour), line in zip(lines, axes):
        for axis, image in zip(line, images):
            show_image(axis, image[0])
        for axis in line[len(images) :]:
            axis.axis("off")
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", color=colour)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def scores_figure(scores: Mapping[str, Mapping[float, float | None]], caption: str) -> Figure:
    """Reported scores {system: {epochs: score}}; scores of None are left out, those of one system joined."""
    fig, axis = new_figure(figsize=(7.5, 3.8))
    points = [(x, y) for record in scores.values() for x, y in record.items() if y is not None]
    for name, record in scores.items():
        known = [(x, y) for x, y in sorted(record.items()) if y is not None]
        if known:
            axis.plot(*zip(*known), "o-", color=FAKE)
            x, y = known[-1]
            below = any(other == x and above > y for other, above in points)
            axis.annotate(name, (x, y), (6, -9 if below else 3), textcoords="offset points")
    axis.set(xlabel="epochs of training, as reported", ylabel="FID, as reported", ylim=(0, None))
    axis.margins(x=0.2)
    return add_caption(fig, caption)


def seeds_figure(
    values: Mapping[str, Sequence[float]], floors: Mapping[str, float], caption: str, label: str = "FD-ct"
) -> Figure:
    """Values {system: one for each seed} as points, their mean as a line; floors {system: of real slices}."""
    fig, axis = new_figure(figsize=(7.5, 0.36 * len(values) + 1))
    for k, (name, seeds) in enumerate(values.items()):
        axis.plot([min(seeds), max(seeds)], [k, k], color=FAKE, alpha=0.4)
        axis.plot(seeds, [k] * len(seeds), "o", color=FAKE, markersize=4)
        axis.plot(sum(seeds) / len(seeds), k, "|", color="black", markersize=10)
        axis.plot(floors[name], k, "|", color=REAL, markersize=10)
    axis.set_yticks(range(len(values)), list(values))
    axis.set(xlabel=f"{label} (log scale)", ylim=(len(values) - 0.5, -0.5))
    plain_log(axis.xaxis)
    return add_caption(fig, caption)


def changes_figure(changes: Mapping[str, Sequence[float]], caption: str, label: str) -> Figure:
    """Changes {what was changed: one difference for each seed} as points, with the mean's 95 % interval.

    The interval is metrics.mean_interval, a bar; a single seed has none. Zero, no change, is a grey line.
    """
    fig, axis = new_figure(figsize=(7.5, 0.36 * len(changes) + 1))
    for k, differences in enumerate(changes.values()):
        if ends := mean_interval(differences):
            axis.plot(ends, [k, k], color=ONE, alpha=0.4, lw=5, solid_capstyle="butt")
        axis.plot(differences, [k] * len(differences), "o", color=ONE, markersize=4)
        axis.plot(sum(differences) / len(differences), k, "|", color="black", markersize=10)
    axis.axvline(0, color=GREY, lw=1)
    axis.set_yticks(range(len(changes)), list(changes))
    axis.set(xlabel=label, ylim=(len(changes) - 0.5, -0.5))
    return add_caption(fig, caption)


def search_figure(
    found: Mapping[str, np.ndarray],
    rows: Sequence[str],
    columns: Sequence[str],
    caption: str,
    label: str = "FD-ct",
) -> Figure:
    """What a search found: {system: values [rows, columns]}, darker where larger; framed, the least."""
    fig, axes = new_figure(1, len(found), figsize=(9, 0.6 * len(rows) + 1.3), squeeze=False)
    every = np.stack(list(found.values()))
    norm = LogNorm(every.min(), every.max())
    for axis, (name, values) in zip(axes[0], found.items()):
        axis.imshow(values, cmap="Greys", norm=norm, alpha=0.7, aspect="auto")
        best = divmod(int(values.argmin()), values.shape[1])
        for (i, j), value in np.ndenumerate(values):
            frame = {"edgecolor": "black", "facecolor": "white"} if (i, j) == best else None
            color = "white" if norm(value) > 0.7 else "black"
            axis.text(j, i, f"{value:.1f}", ha="center", va="center", color=color, bbox=frame)
        axis.set(title=f"{name}: {label}", xticks=range(len(columns)), yticks=range(len(rows)))
        axis.set_xticklabels(columns)
        axis.set_yticklabels(rows if axis is axes[0, 0] else [])
    return add_caption(fig, caption)


def budget_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    floor: float,
    caption: str,
    label: str = "FD-ct",
) -> Figure:
    """Curves {system: (images seen, values)} and the floor of real slices."""
    fig, axis = new_figure(figsize=(9, 3.8))
    for (name, (images, values)), style in zip(curves.items(), ("o--", "o-", "s--", "s-")):
        axis.plot(images, values, style, color=FAKE, markersize=6, label=name)
    axis.axhline(floor, color=REAL, label="real slices against real slices")
    axis.set(xlabel="real images seen in training", ylabel=f"{label} (log scale)")
    plain_log(axis.yaxis)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return add_caption(fig, caption)

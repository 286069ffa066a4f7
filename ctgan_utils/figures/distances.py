"""Figures of distances: between distributions, and between sets of images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ctgan_utils import metrics
from ctgan_utils.figures import FAKE, ONE, OTHER, REAL, add_caption, new_figure, plain_log

DISTANCES = {
    "total variation": "#8d6a9f",
    "KL": OTHER,
    "Jensen-Shannon": ONE,
    "earth mover's": "#222222",
}
CONTROL = "control of "  # begins the name of a fault's control


def distances_figure(
    theta: ArrayLike, rows: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]], caption: str
) -> Figure:
    """Distances and their derivatives over a shift theta [K]; infinite and undefined ones are left out.

    rows is {what is shifted: {name of a distance: (values [K], derivatives [K])}}.
    """
    fig, axes = new_figure(len(rows), 2, figsize=(9.5, 2.6 * len(rows)), sharex=True, squeeze=False)
    for (title, curves), (left, right) in zip(rows.items(), axes):
        for name, (values, derivatives) in curves.items():
            for axis, y in ((left, values), (right, derivatives)):
                y = np.where(np.isfinite(y), y, np.nan)
                axis.plot(theta, y, ".-", color=DISTANCES[name], label=name, lw=1.4, markersize=3)
        left.set(title=title, ylabel="distance", ylim=(-0.1, 3))
        right.set(title="derivative in θ", ylabel="per unit of θ", ylim=(-4, 4))
    for axis in axes[-1]:
        axis.set_xlabel("shift θ")
    axes[0, 0].legend(fontsize=8, loc="upper center")
    return add_caption(fig, caption)


def pair_figure(
    x: ArrayLike, p: ArrayLike, q: ArrayLike, found: Mapping[str, tuple[float, float]], caption: str
) -> Figure:
    """Two distributions on a line, probabilities p and q [K] at places x [K], and how far apart they are.

    found is {name of a distance: (value, derivative in the shift of q)}; where a value is infinite there is
    no derivative.
    """
    fig, (left, *bars) = new_figure(1, 3, figsize=(10, 2.5), width_ratios=(5, 3, 3))
    for y, colour, name in ((p, REAL, "$P_r$"), (q, FAKE, "$P_θ$")):
        left.fill_between(x, y, color=colour, alpha=0.45, lw=0, label=name)
    left.set(xlabel="$x$", ylabel="probability of each place")
    left.legend(loc="upper left")
    for axis, column, label in zip(bars, (0, 1), ("distance", "derivative in θ")):
        numbers = [
            round(pair[column], 2) + 0.0 if np.isfinite(pair[0]) else np.nan for pair in found.values()
        ]
        shown = axis.barh(list(found), np.nan_to_num(numbers), color=[DISTANCES[name] for name in found])
        unknown = ("∞", "none")[column]
        axis.bar_label(shown, [f"{v:.2f}" if np.isfinite(v) else unknown for v in numbers], padding=3)
        axis.set_xlabel(label, fontsize=8)
        axis.invert_yaxis()
    bars[0].set_xlim(0, 4.5)
    bars[1].set(xlim=(-6, 6), yticks=[])
    bars[1].axvline(0, color="0.3", lw=0.8)
    return add_caption(fig, caption)


def curve_figure(
    real: np.ndarray, other: np.ndarray | None, fake: np.ndarray, caption: str, seed: int = 0
) -> Figure:
    """The Fréchet distance over the number of images, generated and real against real features [N, d]."""
    sizes = np.unique(np.geomspace(min(50, len(real)), len(real), 6).astype(int))
    fig, axis = new_figure(figsize=(8, 3.8))
    for features, colour, name in ((fake, FAKE, "real to generated"), (other, REAL, "real to real")):
        if features is None:
            continue
        values = metrics.frechet_curve(real, features, sizes, seed=seed)
        axis.fill_between(sizes, values.min(1), values.max(1), color=colour, alpha=0.25, linewidth=0)
        axis.plot(sizes, values.mean(1), "o-", color=colour, label=name, markersize=3)
    axis.set(xlabel="images on each side", ylabel="Fréchet distance")
    for side in (axis.xaxis, axis.yaxis):
        plain_log(side)
    axis.legend()
    return add_caption(fig, caption)


def ladder_figure(
    ladder: Mapping[str, Mapping[str, Sequence[float]]], strengths: Sequence[float], caption: str
) -> Figure:
    """Distances {distance: {fault: [one for each strength, of which the first is 0]}}, a panel each.

    What is named "control of" a fault is drawn dashed, in the fault's colour.
    """
    fig, axes = new_figure(1, len(ladder), figsize=(4.6 * len(ladder) + 2.2, 4.2), squeeze=False)
    for axis, (title, faults) in zip(axes.flat, ladder.items()):
        colours = {name: f"C{k}" for k, name in enumerate(f for f in faults if not f.startswith(CONTROL))}
        for name, values in faults.items():
            style = "o--" if name.startswith(CONTROL) else "o-"
            colour = colours[name.removeprefix(CONTROL)]
            axis.plot(strengths[1:], values[1:], style, markersize=4, color=colour, label=name)
            axis.axhline(values[0], color="0.5", lw=1, ls=":")
        axis.set(title=title, xlabel="strength of the fault (0 to 1)", ylabel="distance")
        plain_log(axis.yaxis)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
    return add_caption(fig, caption)


def resamples_figure(distance: float, resampled: Mapping[str, np.ndarray], caption: str) -> Figure:
    """A distance (line), and its values over bootstrap resamples {what was drawn: [R]} as histograms."""
    fig, axis = new_figure(figsize=(8, 3.6))
    edges = np.histogram_bin_edges(np.concatenate(list(resampled.values())), 40)
    for colour, (name, values) in zip((ONE, OTHER), resampled.items()):
        axis.hist(values, edges, color=colour, alpha=0.6, label=f"drawing {name}")
    axis.axvline(distance, color="0.2", lw=1.5, label="the distance itself")
    axis.set(xlabel="distance", ylabel="resamples")
    axis.legend()
    return add_caption(fig, caption)


def coverage_figure(tried: pd.DataFrame, caption: str) -> Figure:
    """Intervals (columns low, high) of many draws beside the truth, a panel for each kind in "resampled".

    Green intervals hold the truth, orange ones miss it.
    """
    kinds = list(tried["resampled"].unique())
    fig, axes = new_figure(1, len(kinds), figsize=(5 * len(kinds), 4.6), sharex=True, sharey=True)
    for axis, kind in zip(axes, kinds):
        of = tried[tried["resampled"] == kind].sort_values("value").reset_index(drop=True)
        holds = (of["low"] <= of["truth"]) & (of["truth"] <= of["high"])
        axis.hlines(of.index, of["low"], of["high"], colors=np.where(holds, ONE, OTHER), lw=2)
        axis.plot(of["value"], of.index, "|", color="0.2", markersize=5)
        axis.axvline(of["truth"].iloc[0], color="0.2", lw=1.5)
        axis.set(title=f"drawing {kind}: {holds.mean():.0%} hold the truth", xlabel="distance", yticks=[])
    axes[0].set_ylabel("draws of patients")
    return add_caption(fig, caption)

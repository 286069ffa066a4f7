"""Figures of the visual test: how far an answer can be trusted, and how well readers see a difference."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ctgan_utils.figures import GREY, ONE, OTHER, add_caption, new_figure


def width_figure(counts: np.ndarray, intervals: Mapping[str, np.ndarray], caption: str) -> Figure:
    """Intervals {name: [K, 2], from 0 to 1} of shares by the number of slices counts [K], as bands."""
    fig, axis = new_figure(figsize=(7.5, 3.6))
    for (name, bounds), colour in zip(intervals.items(), (GREY, OTHER, ONE)):
        axis.fill_between(counts, *(100 * bounds.T), color=colour, alpha=0.3, label=name)
    axis.axhline(50, color="black", lw=0.8, ls="--")
    axis.set(xscale="log", xlabel="slices judged", ylabel="true share of right answers, %", ylim=(0, 100))
    axis.set_xticks(counts, [f"{count:,}" for count in counts])
    axis.minorticks_off()
    axis.legend(loc="lower right")
    return add_caption(fig, f"{caption} Dashed: guessing.")


def readers_figure(seen: Mapping[str, float], caption: str) -> Figure:
    """d' {reader or test: value} as bars; 0 is guessing."""
    fig, axis = new_figure(figsize=(7, 0.5 * len(seen) + 1))
    colours = [OTHER if value > 0.2 else GREY for value in seen.values()]
    axis.barh(list(seen), list(seen.values()), color=colours)
    for row, value in enumerate(seen.values()):
        axis.text(max(value, 0) + 0.03, row, f"{value:.2f}", va="center")
    axis.axvline(0, color="black", lw=0.8)
    axis.invert_yaxis()
    axis.set(xlabel="d' (0: guessing)", xlim=(min(0, *seen.values()) - 0.1, max(seen.values()) + 0.5))
    return add_caption(fig, caption)

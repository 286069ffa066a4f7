"""Figures of scarce data: values over the number of patients or of images, and the scores of an attack."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ctgan_utils.figures import CYCLE, GREY, ONE, OTHER, REAL, add_caption, new_figure

Series = Mapping[str, Mapping[int, list[float]]]  # {arm: {place: the value of each seed}}


def series_figure(
    panels: Mapping[str, Series],
    xlabel: str,
    ylabel: str,
    caption: str,
    level: tuple[float, str] | None = None,
    spaced: bool = False,
) -> Figure:
    """Values over numbers, panel by panel {title: {arm: {number: [one value a seed]}}}; lines join the means.

    level is (a value, what it means), drawn as a dashed line. The numbers are patients, one place each, or,
    `spaced`, images at their distances. Arms whose name begins with "real" or "as many" are real data
    alone, and blue.
    """
    fig, axes = new_figure(1, len(panels), figsize=(3.9 * len(panels) + 1.6, 3.5), sharey=True, squeeze=False)
    names = list(dict.fromkeys(arm for series in panels.values() for arm in series))
    real = [name for name in names if name.startswith(("real", "as many")) and "GAN" not in name]
    made = [name for name in names if name not in real]
    styles = {name: (REAL, line) for name, line in zip(real, ("-", "--", ":", "-."))}
    styles |= {name: (colour, "-") for colour, name in zip(CYCLE, made)}
    for axis, (title, series) in zip(axes[0], panels.items()):
        numbers = sorted({number for values in series.values() for number in values})
        for shift, (name, values) in zip(np.linspace(-0.12, 0.12, len(series)), series.items()):
            colour, line = styles[name]
            known = [n for n in numbers if n in values]
            x = known if spaced else [numbers.index(n) + shift for n in known]
            axis.plot(x, [np.mean(values[n]) for n in known], line, color=colour, label=name, lw=1.5)
            for place, n in zip(x, known):
                axis.plot([place] * len(values[n]), values[n], "o", color=colour, markersize=3.5, alpha=0.6)
        if level:
            axis.axhline(level[0], color=GREY, lw=1, ls=(0, (1, 2)), label=level[1])
        if not spaced:
            axis.set_xticks(range(len(numbers)), numbers)
        axis.set(title=title, xlabel=xlabel)
    axes[0, 0].set_ylabel(ylabel)
    handles: dict = {}
    for axis in axes[0]:
        handles |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels())}
    fig.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8)
    return add_caption(fig, caption)


def attack_figure(found: Mapping[str, tuple[np.ndarray, np.ndarray]], caption: str) -> Figure:
    """Scores of an attack {title: (of members [P], of others [Q])}, a point for each patient."""
    fig, axes = new_figure(1, len(found), figsize=(4.2 * len(found), 2.3), squeeze=False)
    for axis, (title, sides) in zip(axes[0], found.items()):
        for row, (scores, colour) in enumerate(zip(sides, (OTHER, ONE))):
            places = row + np.linspace(-0.2, 0.2, len(scores)) if len(scores) > 1 else [row]
            axis.plot(scores, places, "o", color=colour, markersize=5, alpha=0.7)
        axis.set_yticks([0, 1], ["learnt from", "never seen"])
        axis.set(title=title, xlabel="score of the attack", ylim=(1.5, -0.5))
    return add_caption(fig, f"{caption} A point is a patient.")

"""Figures of the game between a generator and its critic, and of GANs in the plane."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from torch import Tensor

from ctgan_utils.figures import FAKE, ONE, OTHER, REAL, add_caption, new_figure, show_image


def game_figure(z: np.ndarray | Tensor, fake: ArrayLike, real: ArrayLike, caption: str) -> Figure:
    """Figure 2.1: a latent z [z_dim], what a generator makes of it and a real slice, both uint8 [H, W].

    z is shown as a square of its first numbers, from -3 (black) to 3.
    """
    fig, axis = new_figure(figsize=(8.5, 3.2))
    axis.set(xlim=(0, 10.2), ylim=(-0.2, 3.7), aspect="equal")
    axis.axis("off")
    side = int(len(z) ** 0.5)
    pictures = (
        (z[: side**2].reshape(side, side), (0.2, 0.3), "noise $z$", (-3, 3)),
        (fake, (4.1, 0.3), "generated $G(z)$", (0, 255)),
        (real, (4.1, 2.2), "real $x$", (0, 255)),
    )
    for image, (left, bottom), name, (low, high) in pictures:
        inset = axis.inset_axes((left, bottom, 1.2, 1.2), transform=axis.transData)
        show_image(inset, image, low=low, high=high)
        axis.text(left + 0.6, bottom + 1.25, name, fontsize=8, ha="center", va="bottom", color="0.3")
    for left, bottom, text in ((2.1, 0.55, "generator\n$G$"), (6.4, 1.5, "discriminator\nor critic $D$")):
        axis.add_patch(FancyBboxPatch((left, bottom), 1.3, 0.7, "round,pad=0.05", fc="#e8eef4", ec="0.4"))
        axis.text(left + 0.65, bottom + 0.35, text, ha="center", va="center", fontsize=8)
    arrow = {"arrowstyle": "->", "color": "0.3"}
    ways = (((1.45, 0.9), (2.02, 0.9)), ((3.48, 0.9), (4.05, 0.9)), ((7.8, 1.85), (8.3, 1.85)))
    for start, end in (*ways, ((5.35, 2.8), (6.3, 2.1)), ((5.35, 0.9), (6.3, 1.6))):
        axis.annotate("", end, start, arrowprops=arrow)
    axis.text(8.4, 1.85, "score: how real?", va="center", fontsize=8)
    back = {"arrowstyle": "->", "color": OTHER, "ls": "--", "connectionstyle": "arc3,rad=-0.33"}
    axis.annotate("", (2.75, 0.45), (8.7, 1.65), arrowprops=back)
    axis.text(7.9, 0.3, "gradient of the score", fontsize=8, color=OTHER)
    return add_caption(fig, caption)


def surfaces_figure(
    panels: Mapping[str, tuple[Callable[[Tensor], Tensor], Tensor, Tensor]],
    extent: float,
    caption: str,
    label: str,
    probability: bool = False,
) -> Figure:
    """What critics say of the plane, panels {title: (critic, real [n, 2], fake [n, 2])}, as coloured levels.

    The square reaches from -extent to extent. With probability, scores go through a sigmoid first and the
    panels share one bar of colours; without, each has its own.
    """
    fig, axes = new_figure(1, len(panels), figsize=(2.6 * len(panels) + 0.6, 2.9), squeeze=False)
    line = torch.linspace(-extent, extent, 81)
    places = torch.cartesian_prod(line, line)
    for axis, (title, (critic, real, fake)) in zip(axes.flat, panels.items()):
        with torch.no_grad():
            scores = critic(places)
        scores = (torch.sigmoid(scores) if probability else scores).reshape(81, 81).T
        levels = np.linspace(0, 1, 11) if probability else 15
        surface = axis.contourf(line, line, scores, levels, cmap="PuOr_r", alpha=0.75)
        for points, colour in ((real, REAL), (fake, FAKE)):
            axis.plot(*points.detach().T, ".", color=colour, markersize=2)
        axis.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", title=title, xlabel="$x_1$")
        if axis is axes[0, 0]:
            axis.plot([], [], "o", color=REAL, ms=4, label="real")
            axis.plot([], [], "o", color=FAKE, ms=4, label="generated")
            axis.legend(fontsize=8, loc="upper left", frameon=True, framealpha=0.8, borderpad=0.3)
        if not probability:
            fig.colorbar(surface, ax=axis, shrink=0.65, ticks=MaxNLocator(4), format="{x:.3g}", label=label)
    axes[0, 0].set_ylabel("$x_2$")
    if probability:
        fig.colorbar(surface, ax=axes, shrink=0.75, label=label)
    return add_caption(fig, caption)


def trials_figure(
    rows: Mapping[str, Sequence[tuple[Tensor, str]]], real: Tensor, extent: float, caption: str
) -> Figure:
    """Where trainings ended, {how: [(points [n, 2], title), ...]}, over real points [m, 2]."""
    columns = max(map(len, rows.values()))
    size = (1.6 * columns + 1.2, 1.7 * len(rows) + 0.3)
    fig, axes = new_figure(len(rows), columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    for row, (name, trials) in zip(axes, rows.items()):
        row[0].set_ylabel(f"{name}\n$x_2$", fontsize=8)
        for axis, (points, title) in zip(row, trials):
            axis.plot(*real.T, ".", color=REAL, markersize=1.5, alpha=0.5)
            axis.plot(*points.T, ".", color=FAKE, markersize=1.5)
            axis.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
            axis.set_title(title, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("$x_1$")
    fig.legend(axes[0, 0].lines[:2], ["real", "generated"], loc="outside upper right", ncols=2, markerscale=5)
    return add_caption(fig, caption)


def weights_figure(critics: Mapping[str, tuple[ArrayLike, float | None]], caption: str) -> Figure:
    """Histograms of critics' weights, {name: (weights [n], bound of the clipping, or None)}."""
    fig, axes = new_figure(1, len(critics), figsize=(2.6 * len(critics), 2.4), sharey=True)
    for axis, (name, (weights, bound)) in zip(axes, critics.items()):
        weights = np.asarray(weights)
        axis.hist(weights, bins=51, color=ONE, weights=np.full(len(weights), 1 / len(weights)))
        axis.set(title=name, xlabel="weight", yscale="log")
        axis.xaxis.set_major_locator(MaxNLocator(3))
        if bound is not None:
            axis.set_xticks([-bound, 0, bound])
    axes[0].set_ylabel("share of the weights (log)")
    return add_caption(fig, caption)

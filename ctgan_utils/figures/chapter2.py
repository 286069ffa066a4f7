"""Figures of chapter 2 and appendix A: convolution, noise, distances, and GANs in the plane."""

import numpy as np
import torch
from matplotlib.patches import FancyBboxPatch
from scipy import stats

from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure, show_image

GREY = "#6c757d"
DISTANCES = {
    "total variation": "#8d6a9f",
    "KL": "#c97b1a",
    "Jensen-Shannon": "#3d8361",
    "earth mover's": REAL,
}


def game_figure(z, fake, real, caption):
    """Figure 2.1: a latent z [z_dim], what a generator makes of it and a real slice, both uint8 [H, W]."""
    fig, axis = new_figure(figsize=(8.5, 2.9))
    axis.set(xlim=(0, 10.6), ylim=(0, 3.4), aspect="equal")
    axis.axis("off")
    side = int(len(z) ** 0.5)
    pictures = (
        (z[: side**2].reshape(side, side), (0.2, 0.3), "noise $z$", (-3, 3)),
        (fake, (4.1, 0.2), "generated $G(z)$", (0, 255)),
        (real, (4.1, 2.0), "real $x$", (0, 255)),
    )
    for image, (left, bottom), name, (low, high) in pictures:
        inset = axis.inset_axes((left, bottom, 1.2, 1.2), transform=axis.transData)
        show_image(inset, image, low=low, high=high)
        axis.text(left + 1.35, bottom + 0.1, name, fontsize=8, va="center", color="0.3")
    for left, bottom, text in ((2.1, 0.5, "generator\n$G$"), (6.6, 1.35, "discriminator\nor critic $D$")):
        axis.add_patch(FancyBboxPatch((left, bottom), 1.3, 0.7, "round,pad=0.05", fc="#e8eef4", ec="0.4"))
        axis.text(left + 0.65, bottom + 0.35, text, ha="center", va="center", fontsize=8)
    arrow = {"arrowstyle": "->", "color": "0.3"}
    ways = (((1.45, 0.85), (2.02, 0.85)), ((3.48, 0.85), (4.05, 0.85)), ((8.0, 1.7), (8.5, 1.7)))
    for start, end in (*ways, ((5.35, 2.6), (6.5, 1.95)), ((5.35, 0.8), (6.5, 1.45))):
        axis.annotate("", end, start, arrowprops=arrow)
    axis.text(8.6, 1.7, "score: real?", va="center", fontsize=8)
    back = {"arrowstyle": "->", "color": FAKE, "ls": "--", "connectionstyle": "arc3,rad=-0.28"}
    axis.annotate("", (2.75, 0.42), (8.9, 1.5), arrowprops=back)
    axis.text(7.7, 0.35, "gradient of the score", fontsize=8, color=FAKE)
    return add_caption(fig, caption)


def grids_figure(grids, caption, digits=1):
    """Small arrays {title: [H, W]} with their numbers written in, on one grey scale (figure 2.2)."""
    fig, axes = new_figure(1, len(grids), figsize=(2.1 * len(grids), 2.5), squeeze=False)
    grids = {title: np.asarray(grid) for title, grid in grids.items()}
    low, high = min(g.min() for g in grids.values()), max(g.max() for g in grids.values())
    for axis, (title, grid) in zip(axes.flat, grids.items()):
        show_image(axis, grid, title, low, high)
        for (row, column), value in np.ndenumerate(grid):
            colour = "white" if value < (low + high) / 2 else "black"
            text = f"{value:.{digits}f}"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return add_caption(fig, caption)


def truncated_figure(samples, caption):
    """Figure 2.4: samples {truncation: [n]} of the truncated normal, and the density each should have."""
    fig, axes = new_figure(1, len(samples), figsize=(2.7 * len(samples), 2.5), sharex=True, sharey=True)
    x = np.linspace(-3.5, 3.5, 701)
    for axis, (truncation, z) in zip(axes, samples.items()):
        axis.hist(z, bins=np.linspace(-3.5, 3.5, 71), density=True, color=FAKE, alpha=0.35, label="samples")
        axis.plot(x, stats.truncnorm.pdf(x, -truncation, truncation), color=FAKE, lw=1.5, label="truncated")
        axis.plot(x, stats.norm.pdf(x), color=GREY, ls=":", label="normal")
        axis.set(title=f"$|z| \\leq {truncation:g}$", xlabel="$z$")
    axes[0].set_ylabel("density")
    axes[-1].legend(fontsize=8)
    return add_caption(fig, caption)


def distances_figure(theta, rows, caption):
    """Distances and their derivatives over a shift theta [K]; infinite and undefined ones are left out.

    rows is {what is shifted: {name of a distance: (values [K], derivatives [K])}}.
    """
    fig, axes = new_figure(len(rows), 2, figsize=(9.5, 2.6 * len(rows)), sharex=True, squeeze=False)
    for (title, curves), (left, right) in zip(rows.items(), axes):
        for name, (values, derivatives) in curves.items():
            for axis, y in ((left, values), (right, derivatives)):
                y = np.where(np.isfinite(y), y, np.nan)
                axis.plot(theta, y, ".-", color=DISTANCES[name], label=name, lw=1.4, markersize=3)
        left.set(title=f"distance: {title}", ylabel="probability (TV), nats, θ (EM)", ylim=(-0.1, 3))
        right.set(title="derivative in θ", ylabel="per unit of θ", ylim=(-4, 4))
    for axis in axes[-1]:
        axis.set_xlabel("shift θ")
    axes[0, 0].legend(fontsize=7, loc="upper center")
    return add_caption(fig, caption)


def pair_figure(x, p, q, values, caption):
    """Two distributions on a line, probabilities p and q [K] at places x [K], with their distances."""
    fig, (left, right) = new_figure(1, 2, figsize=(9, 2.4), width_ratios=(3, 2))
    for y, colour, name in ((p, REAL, "$P_r$"), (q, FAKE, "$P_θ$")):
        left.fill_between(x, y, color=colour, alpha=0.45, lw=0, label=name)
    left.set(xlabel="$x$", ylabel="probability")
    left.legend()
    shown = [value if np.isfinite(value) else 0 for value in values.values()]
    bars = right.barh(list(values), shown, color=[DISTANCES[name] for name in values])
    right.bar_label(bars, [f"{v:.2f}" if np.isfinite(v) else "∞" for v in values.values()], padding=3)
    right.set(xlim=(0, 4), xlabel="distance")
    right.invert_yaxis()
    return add_caption(fig, caption)


def surfaces_figure(panels, extent, caption, label, probability=False):
    """What critics say of the plane, panels {title: (critic, real [n, 2], fake [n, 2])}, as coloured levels.

    The square reaches from -extent to extent; with probability, scores go through a sigmoid first.
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
        if not probability:
            fig.colorbar(surface, ax=axis, shrink=0.75)
    axes[0, 0].set_ylabel("$x_2$")
    if probability:
        fig.colorbar(surface, ax=axes, shrink=0.75, label=label)
    return add_caption(fig, caption)

"""Figures of chapter 2 and appendix A: convolution, noise, distances, and GANs in the plane."""

import numpy as np
import torch
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator
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
    back = {"arrowstyle": "->", "color": FAKE, "ls": "--", "connectionstyle": "arc3,rad=-0.33"}
    axis.annotate("", (2.75, 0.45), (8.7, 1.65), arrowprops=back)
    axis.text(7.9, 0.3, "gradient of the score", fontsize=8, color=FAKE)
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
        left.set(title=title, ylabel="distance", ylim=(-0.1, 3))
        right.set(title="derivative in θ", ylabel="per unit of θ", ylim=(-4, 4))
    for axis in axes[-1]:
        axis.set_xlabel("shift θ")
    axes[0, 0].legend(fontsize=7, loc="upper center")
    return add_caption(fig, caption)


def pair_figure(x, p, q, found, caption):
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


def walk_figure(images, t, lengths, typical, caption):
    """Two latents' images, those at position t of two paths between them, and how long the latents are there.

    images is uint8 [4, H, W]: an end, the two paths, the other end; lengths is {path: [K]} over 0 to 1.
    """
    fig, axes = new_figure(1, 5, figsize=(10.5, 2.4), width_ratios=(1, 1, 1, 1, 1.6))
    names = ("position 0", *(f"{path}, {t:.2f}" for path in lengths), "position 1")
    for axis, image, name in zip(axes, images, names):
        show_image(axis, image, name)
    right = axes[-1]
    right.axhline(typical, color=GREY, ls=":", label="√n")
    for (path, length), colour in zip(lengths.items(), (FAKE, REAL)):
        right.plot(np.linspace(0, 1, len(length)), length, color=colour, label=path)
    right.axvline(t, color="0.3", lw=0.8)
    right.set(xlabel="position between the latents", ylabel="length of z", ylim=(0, 1.4 * typical))
    right.legend(ncols=3, fontsize=7, loc="lower center")
    return add_caption(fig, caption)


def surfaces_figure(panels, extent, caption, label, probability=False):
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
        if not probability:
            fig.colorbar(surface, ax=axis, shrink=0.65, ticks=MaxNLocator(4), format="{x:.3g}", label=label)
    axes[0, 0].set_ylabel("$x_2$")
    if probability:
        fig.colorbar(surface, ax=axes, shrink=0.75, label=label)
    return add_caption(fig, caption)


def trials_figure(rows, real, extent, caption):
    """Where trainings ended, {how: [(points [n, 2], title), ...]}, over real points [m, 2]."""
    columns = max(map(len, rows.values()))
    size = (1.35 * columns + 1.2, 1.5 * len(rows))
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
    return add_caption(fig, caption)


def weights_figure(critics, caption):
    """Histograms of critics' weights, {name: (weights [n], bound of the clipping, or None)}."""
    fig, axes = new_figure(1, len(critics), figsize=(2.6 * len(critics), 2.4), sharey=True)
    for axis, (name, (weights, bound)) in zip(axes, critics.items()):
        weights = np.asarray(weights)
        axis.hist(weights, bins=51, color=REAL, weights=np.full(len(weights), 1 / len(weights)))
        axis.set(title=name, xlabel="weight", yscale="log")
        axis.xaxis.set_major_locator(MaxNLocator(3))
        if bound is not None:
            axis.set_xticks([-bound, 0, bound])
    axes[0].set_ylabel("share of the weights (log)")
    return add_caption(fig, caption)

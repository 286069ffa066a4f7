"""Figures of an evaluation: what a number stands for, and what it hides."""

import numpy as np

from ctgan_utils import metrics
from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure, show_image


def curve_figure(real, other, fake, caption, seed=0):
    """The Fréchet distance over the number of images, generated and real against real features [N, d]."""
    sizes = np.unique(np.geomspace(min(50, len(real)), len(real), 6).astype(int))
    fig, axis = new_figure(figsize=(6.5, 3.2))
    for features, colour, name in ((fake, FAKE, "real to generated"), (other, REAL, "real to real")):
        if features is None:
            continue
        values = metrics.frechet_curve(real, features, sizes, seed=seed)
        axis.fill_between(sizes, values.min(1), values.max(1), color=colour, alpha=0.25, linewidth=0)
        axis.plot(sizes, values.mean(1), "o-", color=colour, label=name, markersize=3)
    axis.set(xscale="log", yscale="log", xlabel="images on each side", ylabel="Fréchet distance")
    axis.legend()
    return add_caption(fig, caption)


def appearance_figure(real, fake, caption):
    """Grey levels and power spectra of two sets of images uint8 [N, 1, S, S]."""
    fig, (left, right) = new_figure(1, 2, figsize=(9, 3))
    for images, colour, name in ((real, REAL, "real"), (fake, FAKE, "generated")):
        share, edges = np.histogram(images.numpy(), bins=64, range=(0, 256))
        left.stairs(share / images.numel(), edges, color=colour, label=name)
        frequency, power = metrics.radial_power_spectrum(images[:, 0].numpy())
        right.plot(frequency[1:], power[1:], color=colour, label=name)
    left.set(xlabel="grey level (0 to 255)", ylabel="share of pixels (log)", yscale="log")
    right.set(xlabel="frequency (cycles per pixel)", ylabel="power (grey levels²)", yscale="log")
    left.legend()
    return add_caption(fig, caption)


def nearest_figure(fake, train, pairs, caption, columns=8):
    """Images beside the training slices they lie nearest to; pairs is [(index of fake, index of train)]."""
    rows = -(-len(pairs) // columns)
    fig, axes = new_figure(2 * rows, columns, figsize=(0.9 * columns, 1.9 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for k, (i, j) in enumerate(pairs):
        row, column = 2 * (k // columns), k % columns
        show_image(axes[row, column], fake[i, 0], "generated" if column == 0 else None)
        show_image(axes[row + 1, column], train[j, 0], "nearest" if column == 0 else None)
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def ladder_figure(distances, strengths, caption):
    """Distances {fault: [one for each strength, of which the first is 0]}."""
    fig, axis = new_figure(figsize=(6.5, 3.2))
    for name, values in distances.items():
        axis.plot(strengths[1:], values[1:], "o-", markersize=3, label=name)
        axis.axhline(values[0], color="0.5", lw=1, ls=":")
    axis.set(xlabel="strength of the fault (0 to 1)", ylabel="Fréchet distance", yscale="log")
    axis.legend()
    return add_caption(fig, caption)

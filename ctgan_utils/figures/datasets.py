"""Figures of a set of slices: its classes, grey levels and spectrum."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ctgan_utils import metrics
from ctgan_utils.data.slices import CTImages
from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure


def counts_figure(data: CTImages) -> Figure:
    """Slices per class of a CTImages."""
    fig, axis = new_figure(figsize=(5, 2.2))
    counts = data.counts()
    bars = axis.barh(list(counts), list(counts.values()), color=REAL)
    axis.bar_label(bars, fmt="{:,.0f}", padding=3)
    axis.set_xlabel("slices")
    return add_caption(fig, f"Slices per class; {data.source}.")


def grey_levels_figure(data: CTImages) -> Figure:
    """Share of pixels at each grey level, by class."""
    fig, axis = new_figure(figsize=(7, 2.8))
    for k, name in enumerate(data.classes):
        pixels = data.images[data.labels == k].numpy()
        share, edges = np.histogram(pixels, bins=64, range=(0, 256))
        axis.stairs(share / max(1, pixels.size), edges, label=name)
    axis.set(xlabel="grey level (0 to 255)", ylabel="share of pixels (log)", yscale="log")
    axis.legend(ncols=len(data.classes))
    return add_caption(fig, f"Grey levels by class: the peak at 0 is air; {data.source}.")


def appearance_figure(real: Tensor, fake: Tensor, caption: str) -> Figure:
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

"""Figures of wavelet packets: at which frequencies sets of images differ, and in which direction."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure


def packets_figure(sets: Mapping[str, tuple[np.ndarray, np.ndarray]], caption: str) -> Figure:
    """{name: (metrics.packet_distances [F, F], metrics.packet_gains [F, F])} from the same real slices.

    A column for each set; the first is of real slices, the others are of generators. Above, how far each
    packet is away, all on one logarithmic scale of colours; below, how much more or less power the set has
    there, in dB, on a scale of 1 dB or more. Low frequencies stand at the lower left.
    """
    fig, axes = new_figure(
        2, len(sets), figsize=(2.9 * len(sets) + 1.2, 5.8), sharex=True, sharey=True, squeeze=False
    )
    distances, gains = (np.stack(values) for values in zip(*sets.values()))
    largest = distances.max(initial=1e-9)
    strongest = np.abs(gains[np.isfinite(gains)]).max(initial=1)
    looks = (
        (distances, {"norm": LogNorm(max(distances.min(), largest / 1e6), largest), "cmap": "viridis"}),
        (gains, {"vmin": -strongest, "vmax": strongest, "cmap": "PuOr"}),
    )
    for line, (values, look), label in zip(axes, looks, ("Fréchet distance", "power, dB above real slices")):
        for axis, grid in zip(line, values):
            shown = axis.imshow(grid, origin="lower", extent=(0, 0.5, 0, 0.5), **look)
        fig.colorbar(shown, ax=list(line), label=label)
        line[0].set_ylabel("vertical frequency\n(cycles per pixel)")
    for k, (name, top, bottom) in enumerate(zip(sets, *axes)):
        top.set_title(name, color=FAKE if k else REAL)
        bottom.set_xlabel("horizontal frequency\n(cycles per pixel)")
    axes[0, 0].set(xticks=(0, 0.25, 0.5), yticks=(0, 0.25, 0.5))
    return add_caption(fig, caption)

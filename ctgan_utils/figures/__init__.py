"""Figures: functions that return a matplotlib Figure, by chapter of the thesis."""

import io
from pathlib import Path

from matplotlib import pyplot as plt

from ctgan_utils.runtime import atomic_write

REAL, FAKE = "#1b6ca8", "#d1495b"  # the colours of real and generated data in every figure
STYLE = {  # one look for every figure of the course
    "figure.dpi": 80,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
}
plt.rcParams.update(STYLE)


def new_figure(*grid, **options):
    """plt.subplots in the course's style; the figure is closed, so that a notebook shows it once."""
    fig, axes = plt.subplots(*grid, layout="constrained", **options)
    plt.close(fig)
    return fig, axes


def show_image(axis, image, title=None, low=0, high=255):
    """A grey image on its own axis, without ticks, on a fixed grey scale."""
    shown = axis.imshow(image, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.set_title(title)
    return shown


def add_caption(fig, text):
    """One sentence below the figure: what it shows, on which data, in which profile."""
    fig.text(0.01, -0.03, text, fontsize=8, color="0.35", va="top", wrap=True)
    return fig


def save_figure(fig, figure_id, out):
    """Write out/figures/<id>.png and return the figure; the id is as "4.18" or "01-classes"."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    atomic_write(Path(out) / "figures" / f"{figure_id}.png", buffer.getvalue())
    return fig

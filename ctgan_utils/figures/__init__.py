"""Figures: functions that return a matplotlib Figure, each file by what it shows; here, their common look."""

import io
import sys
from os import PathLike
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike
from PIL import Image

from ctgan_utils.runtime import atomic_write

REAL, FAKE = "#1b6ca8", "#d1495b"  # the colours of real and generated data in every figure
GREY = "#6c757d"  # and that of what both are compared with
STYLE = {  # one look for every figure of the course
    "figure.dpi": 80,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
}
plt.style.use(STYLE)


def new_figure(*grid: int, **options: Any) -> tuple[Figure, Any]:
    """plt.subplots in the course's style; the figure is closed, so that a notebook shows it once."""
    fig, axes = plt.subplots(*grid, layout="constrained", **options)
    plt.close(fig)
    return fig, axes


def show_image(
    axis: Axes, image: ArrayLike, title: str | None = None, low: float = 0, high: float = 255
) -> AxesImage:
    """A grey image on its own axis, without ticks, on a fixed grey scale."""
    shown = axis.imshow(image, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.set_title(title or "")
    return shown


def add_caption(fig: Figure, text: str) -> Figure:
    """One sentence below the figure: what it shows, on which data, in which profile."""
    fig.text(0.01, -0.03, text, fontsize=8, color="0.35", va="top", wrap=True)
    return fig


def save_figure(fig: Figure, figure_id: str, out: str | PathLike[str]) -> Figure:
    """Write out/figures/<id>.png and return the figure; the id is as "4.18" or "01-classes".

    A notebook that shows the figure keeps it in 256 colours, which takes a third of the space.
    """
    if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
        shell.display_formatter.formatters["image/png"].for_type(Figure, small_png)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    atomic_write(Path(out) / "figures" / f"{figure_id}.png", buffer.getvalue())
    return fig


def small_png(fig: Figure) -> bytes:
    """The figure with its caption as a PNG of 256 colours, at the resolution of the style."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    small = io.BytesIO()
    with Image.open(buffer) as image:
        colours = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    colours.save(small, "PNG", optimize=True)
    return small.getvalue()

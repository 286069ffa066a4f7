"""Figures: functions that return a matplotlib Figure, each file by what it shows; here, their common look."""

import io
import sys
from os import PathLike
from pathlib import Path
from typing import Any

from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike
from PIL import Image

from ctgan_utils.runtime import atomic_write

REAL, FAKE = "#1b6ca8", "#d1495b"  # blue and red: real and generated data
GREY = "#6c757d"  # what both are compared with
ONE, OTHER = "#3d8361", "#c97b1a"  # green and orange: two methods, losses or settings side by side
CYCLE = (ONE, OTHER, "#8d6a9f", GREY, "#b5a23c", "#4fa3a5", "#7d5a3c", "#222222")  # and more of them
STYLE = {  # one look for every figure of the course
    "figure.dpi": 120,
    "axes.prop_cycle": cycler(color=CYCLE),
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


def plain_log(axis: XAxis | YAxis) -> None:
    """A logarithmic x or y axis with plain numbers (0.5, 20) at 1, 2, 3 and 5 of each decade."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def add_caption(fig: Figure, text: str) -> Figure:
    """One sentence below the figure: what it shows, on which data, in which profile."""
    fig.text(0.01, -0.03, text, fontsize=8, color="0.35", va="top", wrap=True)
    return fig


def save_figure(fig: Figure, figure_id: str, out: str | PathLike[str]) -> Figure:
    """Write out/figures/<id>.png and return the figure; the id is as "4.18" or "01-classes".

    A notebook that shows the figure keeps it in few colours, which takes a third of the space, with its
    alternative text.
    """
    if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
        shell.display_formatter.formatters["image/png"].for_type(Figure, small_png)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    atomic_write(Path(out) / "figures" / f"{figure_id}.png", buffer.getvalue())
    return fig


def small_png(fig: Figure) -> tuple[bytes, dict[str, str]]:
    """The figure with its caption as a PNG, at the resolution of the style; its metadata.

    It has 256 colours if it shows images, and 64 if it is made of lines and points alone.
    """
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    small = io.BytesIO()
    count = 256 if any(axis.images for axis in fig.axes) else 64
    with Image.open(buffer) as image:
        rgb, coverage = image.convert("RGB"), Image.Quantize.MAXCOVERAGE
        reduced = rgb.quantize(count, coverage, kmeans=2, dither=Image.Dither.NONE)  # true tints
    reduced.save(small, "PNG", optimize=True)
    return small.getvalue(), {"alt": alternative_text(fig)}


def alternative_text(fig: Figure) -> str:
    """What the figure shows, in words, for whoever can't see it: its caption, then each panel.

    Of a panel it names the title, the axes and the legend; panels without any of them are left out.
    """
    sentences = [text.get_text().strip() for text in fig.texts]
    for axis in fig.axes:
        words = {"": axis.get_title(), "horizontal: ": axis.get_xlabel(), "vertical: ": axis.get_ylabel()}
        if legend := axis.get_legend():
            words["shown: "] = ", ".join(text.get_text() for text in legend.get_texts())
        parts = [kind + " ".join(text.split()) for kind, text in words.items() if text.strip()]
        if parts and (sentence := f"Panel: {'; '.join(parts)}.") not in sentences:
            sentences.append(sentence)
    return " ".join(sentences)

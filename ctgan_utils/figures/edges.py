"""Figures of what is wrong with edges: faults marked on edge maps, and differences from real slices."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ctgan_utils.figures import FAKE, GREY, REAL, add_caption, new_figure, show_image

MARKS = {  # what a pixel of an edge map is, and its colour; of two, the later one is seen
    "edge": "0.72",
    "in a short piece": "#e69f00",
    "drawn twice": "#009e73",
    "loose end": "black",
}


def marked_edges_figure(
    images: Mapping[str, np.ndarray],
    marks: Mapping[str, Mapping[str, np.ndarray]],
    caption: str,
    scale: float = 1.8,
) -> Figure:
    """Images beside their edge maps, with the faults in colour, a row for each label.

    images is {label: [n, H, W]}, marks is {label: {name in MARKS: bool [n, H, W]}}.
    """
    columns = max(map(len, images.values()))
    size = (2 * scale * columns + 0.4, scale * len(images) + 0.4)
    fig, axes = new_figure(len(images), 2 * columns, figsize=size, squeeze=False)
    for line, (label, row) in zip(axes, images.items()):
        for k, image in enumerate(row):
            picture = np.ones((*image.shape, 3))
            for name, colour in MARKS.items():
                picture[marks[label][name][k]] = to_rgb(colour)
            show_image(line[k], image)
            show_image(line[columns + k], picture)
        line[0].set_ylabel(label)
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    patches = [Patch(color=colour, label=name) for name, colour in MARKS.items()]
    fig.legend(handles=patches, loc="outside upper center", ncols=len(MARKS))
    return add_caption(fig, caption)


def differences_figure(
    differences: Mapping[str, Mapping[str, tuple[float, float, float]]],
    real: Sequence[str],
    caption: str,
    columns: int = 4,
) -> Figure:
    """Differences from a reference: {measure: {set: (difference, low, high)}}, a panel for each measure.

    The ends of an interval, low and high, are joined by a line. Sets named in `real` hold real slices.
    """
    rows = -(-len(differences) // columns)
    names = list(next(iter(differences.values())))
    size = (2.6 * columns + 1, (0.25 * len(names) + 1.1) * rows)
    fig, axes = new_figure(rows, columns, figsize=size, squeeze=False, sharey=True)
    for axis in axes.flat[len(differences) :]:
        axis.axis("off")
    for axis, (measure, values) in zip(axes.flat, differences.items()):
        axis.axvline(0, color=GREY, lw=1)
        for k, name in enumerate(names):
            value, low, high = values[name]
            colour = REAL if name in real else FAKE
            axis.plot([low, high], [k, k], color=colour, lw=2, alpha=0.5)
            axis.plot(value, k, "o", color=colour, markersize=4)
        axis.set_title(measure, fontsize=9)
        axis.set_xlabel("difference")
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
    return add_caption(fig, caption)

"""The faults of edges and surfaces that thesis 4.5.1 names, counted slice by slice (notebook 10)."""

from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.feature import canny

from ctgan_utils.metrics.edges import doubled_edges, loose_ends, short_pieces
from ctgan_utils.metrics.images import noise_level

SLOPE = 12.0  # grey levels per pixel, from which a line begins; it goes on above 0.4 of that
SOBEL = 8.0  # scikit-image's slopes, which lack Sobel's factor, are that many times as large
INSIDE = 30.0  # grey levels above the air's, from which a pixel belongs to the body

# {fault and unit: (counted in each slice [N], out of how much [N])}; for a share in %, each counts 100
Counts = dict[str, tuple[np.ndarray, np.ndarray]]


def line_marks(images: np.ndarray) -> dict[str, np.ndarray]:
    """What the pixels of Canny's lines are, bool [N, H, W] each: "edge", "in a short piece" (of fewer than 10
    pixels), "drawn twice" and "loose end". Images are uint8 [N, H, W]; Canny's Gaussian is one pixel wide.
    """
    slopes = 0.4 * SOBEL * SLOPE, SOBEL * SLOPE
    edges = np.stack([canny(image.astype(float), 1.0, *slopes) for image in images])
    return {
        "edge": edges,
        "in a short piece": short_pieces(edges, 10),
        "drawn twice": doubled_edges(edges, images),
        "loose end": loose_ends(edges),
    }


def blemishes(images: np.ndarray, blank: np.ndarray, air: float) -> Counts:
    """The faults of each slice of uint8 [N, H, W], so that sets of slices can be added up by `pooled`.

    blank, bool [H, W], is where slices show nothing but air (blank_space), and air the air's grey level. A
    surface is what lies in the body, a pixel or more away from Canny's lines. Grey levels are those of uint8.
    """
    marks = line_marks(images)
    edge, short, doubled, end = (mark.sum((1, 2)) for mark in marks.values())
    beside = binary_dilation(marks["edge"], np.ones((1, 3, 3)))
    surface = ~beside & (gaussian_filter(images.astype(float), (0, 1, 1)) > air + INSIDE)
    areas = np.full(len(images), blank.sum()), surface.sum((1, 2))
    noise = [np.nan_to_num(noise_level(images, where)) for where in (blank, surface)]
    return {
        "haze, grey levels": ((images[:, blank] - air).sum(1), areas[0]),
        "noise in the air, grey levels": (noise[0] * areas[0], areas[0]),
        "short pieces, %": (100 * short, edge),
        "loose ends per 100 pixels": (100 * end, edge),
        "drawn twice, %": (100 * doubled, edge),
        "noise on surfaces, grey levels": (noise[1] * areas[1], areas[1]),
        "edge density, %": (100 * edge, np.full(len(images), images[0].size)),
    }


def pooled(found: Counts, index: Any = slice(None)) -> dict[str, float]:
    """{fault: its value over the slices of an index, in its unit}; nan where there is nothing to share."""
    with np.errstate(invalid="ignore"):
        return {name: float(top[index].sum() / of[index].sum()) for name, (top, of) in found.items()}

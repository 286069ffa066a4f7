"""Measures on edge maps: boolean [N, H, W], true where a detector sees an edge."""

from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter, label, maximum_filter

RING = (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)  # the eight neighbours, clockwise
ASIDE = 0.75  # pixels that a second edge may lie beside the gradient's line, so that rounding hides none
LEAVING = 2  # pixels from the image's border, within which a line may simply leave the picture


def edge_precision_recall(found: np.ndarray, true: np.ndarray, tolerance: int = 1) -> tuple[float, float]:
    """(precision, recall) of found edges against true ones, bool [N, H, W], pooled over the images.

    Precision is the share of found pixels with a true one at most `tolerance` pixels away along both axes;
    recall is the share of true pixels with a found one as near. Where there is nothing to take a share of,
    the value is nan. Unlike Martin 2004 (IEEE TPAMI 26:530) one pixel may match several, so thick edges
    cost nothing within the tolerance. Raises ValueError for unequal shapes.
    """
    found, true = np.asarray(found, bool), np.asarray(true, bool)
    if found.shape != true.shape or found.ndim != 3:
        raise ValueError(f"edge maps [N, H, W] of one shape are needed, not {found.shape} and {true.shape}")
    near_found, near_true = (maximum_filter(e, (1, *2 * [2 * tolerance + 1])) for e in (found, true))
    pairs = ((found & near_true, found), (true & near_found, true))
    precision, recall = (float(h.sum() / part.sum()) if part.any() else float("nan") for h, part in pairs)
    return precision, recall


def edge_continuity(edges: np.ndarray, length: int = 10) -> float:
    """Share of edge pixels of bool [N, H, W] that lie in a connected piece of `length` or more pixels.

    Neighbours are the eight around a pixel. 1: long lines only; 0: crumbs only; nan: no edge at all. Give
    thin edges, one pixel wide: a thick crumb has as many pixels as a thin line.
    """
    edges = _checked(edges)
    long = edges & ~short_pieces(edges, length)
    return float(long.sum() / edges.sum()) if edges.any() else float("nan")


def short_pieces(edges: np.ndarray, length: int = 10) -> np.ndarray:
    """The edge pixels that lie in a connected piece of fewer than `length` pixels, bool [N, H, W].

    These are the pieces into which a contour breaks. Edges and pieces are those of edge_continuity.
    """
    within = np.zeros((3, 3, 3), bool)
    within[1] = True  # never across images
    pieces, count = label(_checked(edges), within)
    short = np.bincount(pieces.ravel(), minlength=count + 1) < length
    short[0] = False  # what is no edge
    return short[pieces]


def loose_ends(edges: np.ndarray) -> np.ndarray:
    """The pixels at which a thin line stops, bool [N, H, W]; a piece of one pixel is one such end.

    At an end, the line's other pixels among the eight neighbours are one, or two beside each other. A closed
    contour has no end, a gap in it makes two. Within two pixels of the image's border no end is counted, for
    there a line may leave the picture. Give edges one pixel wide, bool [N, H, W].
    """
    edges = _checked(edges)
    height, width = edges.shape[1:]
    padded = np.pad(edges, [(0, 0), (1, 1), (1, 1)])
    ring = np.stack([padded[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in RING])
    runs = (ring & ~np.roll(ring, 1, axis=0)).sum(0)  # of neighbours beside each other
    ends = edges & (ring.sum(0) <= 2) & (runs <= 1)
    inside = np.zeros_like(ends)
    inside[:, LEAVING:-LEAVING, LEAVING:-LEAVING] = True
    return ends & inside


def doubled_edges(
    edges: np.ndarray, images: np.ndarray, nearest: int = 2, farthest: int = 4, angle: float = 30
) -> np.ndarray:
    """The edge pixels whose edge is drawn a second time beside it, bool [N, H, W].

    From each edge pixel we look both ways along the gradient. It is doubled if another edge pixel lies there,
    `nearest` to `farthest` pixels away (up to rounding, half a pixel), whose gradient has the same direction,
    up to `angle` degrees. So a second step from dark to bright counts, while the far rim of a thin structure,
    a step back from bright to dark, does not. Gradients are those of the images [N, H, W], of any unit,
    smoothed with a Gaussian of deviation one pixel. Give edges one pixel wide, bool [N, H, W]. Anatomy has
    such steps too, as from air to fat to muscle: read the share beside real slices'. Raises ValueError for
    unequal shapes.
    """
    edges = _checked(edges)
    if edges.shape != np.shape(images):
        raise ValueError(f"edges {list(edges.shape)} are not those of images {list(np.shape(images))}")
    smooth = gaussian_filter(np.asarray(images, np.float32), (0, 1, 1))
    directions = np.arctan2(*np.gradient(smooth, axis=(1, 2)))  # from the rows, in radians
    reach = farthest + 1
    border = [(0, 0), (reach, reach), (reach, reach)]
    lines, directions = np.pad(edges, border), np.pad(directions, border)
    n, y, x = np.nonzero(lines)
    own, found = directions[n, y, x], np.zeros(len(n), bool)
    for dy, dx in product(range(-reach, reach + 1), repeat=2):
        along = np.abs(dy * np.sin(own) + dx * np.cos(own))
        aside = np.abs(dy * np.cos(own) - dx * np.sin(own))
        beside = (nearest - 0.5 <= along) & (along <= farthest + 0.5) & (aside <= ASIDE)
        there = n, y + dy, x + dx
        parallel = np.cos(directions[there] - own) >= np.cos(np.radians(angle))
        found |= lines[there] & beside & parallel
    doubled = np.zeros_like(edges)
    doubled[edges] = found
    return doubled


def _checked(edges: np.ndarray) -> np.ndarray:
    """Edge maps as bool [N, H, W]. Raises ValueError for another number of axes."""
    edges = np.asarray(edges, bool)
    if edges.ndim != 3:
        raise ValueError(f"edge maps [N, H, W] are needed, not {list(edges.shape)}")
    return edges

"""Measures on edge maps: boolean [N, H, W], true where a detector sees an edge."""

import numpy as np
from scipy.ndimage import label, maximum_filter


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
    edges = np.asarray(edges, bool)
    within = np.zeros((3, 3, 3), bool)
    within[1] = True  # never across images
    pieces = np.bincount(label(edges, within)[0].ravel())[1:]
    return float(pieces[pieces >= length].sum() / pieces.sum()) if len(pieces) else float("nan")

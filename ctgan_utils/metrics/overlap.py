"""How far two areas agree."""

import numpy as np
from numpy.typing import ArrayLike


def dice(found: ArrayLike, true: ArrayLike) -> float:
    """2 |A and B| / (|A| + |B|) of two areas, bool arrays of one shape (Dice 1945); NaN if both are empty.

    1 is the same area, 0 no pixel in common. It is the F1 score of the pixels. Raises ValueError for unequal
    shapes.
    """
    a, b = np.asarray(found, bool), np.asarray(true, bool)
    if a.shape != b.shape:
        raise ValueError(f"areas of one shape are needed, not {a.shape} and {b.shape}")
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")

"""The check that every measure on feature arrays makes first."""

import numpy as np


def checked_features(*sets, rows=2):
    """The feature arrays [N, d], each as float64, in a list.

    Raises ValueError for another shape, fewer than `rows` rows, unequal d, or values that are not finite.
    """
    arrays = [np.asarray(features, np.float64) for features in sets]
    least = {1: "one or more", 2: "two or more"}.get(rows, f"{rows} or more")
    for array in arrays:
        if array.ndim != 2 or len(array) < rows:
            raise ValueError(f"features of shape {array.shape}: {least} rows [N, d] are needed")
        if not np.isfinite(array).all():
            raise ValueError("features hold values that are not finite")
        if array.shape[1] != arrays[0].shape[1]:
            dimensions = f"{arrays[0].shape[1]} and {array.shape[1]}"
            raise ValueError(f"features of {dimensions} dimensions can't be compared")
    return arrays

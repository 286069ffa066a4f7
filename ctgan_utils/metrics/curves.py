"""Measures on curves, such as a loss over the steps of a training."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike


def spike_share(values: ArrayLike, window: int = 51, deviations: float = 5) -> float:
    """Share of the points of a curve [N] that are spikes: that stand far out from the points around them.

    A point is a spike if it is more than `deviations` standard deviations away from the median of the
    `window` points around it. The standard deviation is 1.4826 times the median distance from that median,
    which spikes hardly move: the Hampel identifier (Davies and Gather 1993). A slow rise or fall, noise of
    any size, and the unit of the curve make no difference: of Gaussian noise one point in ten thousand is
    one. The first and last window // 2 points are not judged. Raises ValueError for an even window, fewer
    points than it holds, and values that are not finite.
    """
    values = np.asarray(values, np.float64)
    if window % 2 == 0 or values.ndim != 1 or len(values) < window:
        raise ValueError(f"values {list(values.shape)}: an odd window and a curve [N] to fill it are needed")
    if not np.isfinite(values).all():
        raise ValueError("the curve holds values that are not finite")
    windows = sliding_window_view(values, window)
    middle = np.median(windows, axis=1)
    scale = 1.4826 * np.median(np.abs(windows - middle[:, None]), axis=1)
    half = window // 2
    return float((np.abs(values[half : len(values) - half] - middle) > deviations * scale).mean())

"""The kernel distance between two feature arrays [N, d]: a comparison without a Gaussian fitted to either."""

import numpy as np

from ctgan_utils.metrics.arrays import checked_features

BLOCK = 512  # rows of the kernel matrix held at once


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two feature arrays [N, d] and [M, d], by a cubic kernel.

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over all pairs of different rows, with
    k(x, y) = (x.y / d + 1)^3 (Binkowski 2018, section 4; the estimate is Gretton 2012, equation 3). It is
    unbiased: sets of one distribution give 0 on average, whatever N, and half the time a little less than 0.
    It is called KID only on features of the reference Inception network. The work is in float64, a block of
    rows at a time. Raises ValueError for fewer than two rows, unequal d, or values that are not finite.
    """
    x, y = checked_features(x, y)
    cross = _kernel_sum(x, y) / (len(x) * len(y))
    return float(_mean_within(x) + _mean_within(y) - 2 * cross)


def _mean_within(x: np.ndarray) -> float:
    """The mean kernel of all pairs of different rows."""
    diagonal = ((np.einsum("nd,nd->n", x, x) / x.shape[1] + 1) ** 3).sum()
    return (_kernel_sum(x, x) - diagonal) / (len(x) * (len(x) - 1))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(x), BLOCK):
        kernel = x[start : start + BLOCK] @ y.T / x.shape[1] + 1
        total += (kernel * kernel * kernel).sum()
    return total


def kernel_distance_subsets(
    x: np.ndarray, y: np.ndarray, subsets: int = 100, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of the kernel distance over random subsets, as KID is mostly printed.

    Each subset holds `size` rows of x and of y, drawn without replacement (Binkowski 2018, section 4). The
    deviation is that of a set of `size`, not the error of the mean: subsets share rows. Raises ValueError if
    a set has fewer than `size` rows, and as kernel_distance does.
    """
    x, y = checked_features(x, y)
    if size > min(len(x), len(y)):
        raise ValueError(f"subsets of {size} can't be drawn from {min(len(x), len(y))} features")
    rng = np.random.default_rng(seed)
    values = [
        kernel_distance(*(features[rng.choice(len(features), size, replace=False)] for features in (x, y)))
        for _ in range(subsets)
    ]
    return float(np.mean(values)), float(np.std(values))

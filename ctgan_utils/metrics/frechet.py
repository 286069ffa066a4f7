"""The Fréchet distance between two feature arrays [N, d], and what belongs beside it."""

import numpy as np

from ctgan_utils.metrics.arrays import checked_features


def frechet_distance(x, y):
    """Fréchet distance between Gaussians fitted to two feature arrays [N, d] and [M, d].

    ||mean_x - mean_y||^2 + Tr(C_x + C_y - 2 (C_x C_y)^(1/2)) (Heusel 2017, equation 6; thesis 4.1, which
    prints it without the 2). C are unbiased covariances, everything is in float64. It is called FID only
    on features of the reference Inception network.

    Write the centred arrays, divided by sqrt(N - 1), as A and B: C_x = A'A, C_y = B'B. The trace of the
    square root is then the sum of the singular values of AB', so no root of a matrix is taken, nothing turns
    complex, and fewer images than features are no special case. Raises ValueError for fewer than two
    images, unequal d, or values that are not finite.
    """
    x, y = checked_features(x, y)
    a, b = _covariance_factor(x), _covariance_factor(y)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    mean_gap = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(max(0.0, mean_gap + (a**2).sum() + (b**2).sum() - 2 * cross))


def _covariance_factor(features):
    """A factor R with R'R the covariance of [N, d], in at most d rows."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else np.linalg.qr(centred, mode="r")


def frechet_floor(features, n, seed=0):
    """The distance between two disjoint random sets of n of the features: what sampling alone yields.

    A generator can't be told from the data once it comes down to this. Raises ValueError if 2 n > N.
    """
    if 2 * n > len(features):
        raise ValueError(f"two sets of {n} can't be drawn from {len(features)} features")
    order = np.random.default_rng(seed).permutation(len(features))
    return frechet_distance(features[order[:n]], features[order[n : 2 * n]])

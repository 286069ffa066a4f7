"""The Fréchet distance between two feature arrays [N, d], and what belongs beside it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ctgan_utils.metrics.arrays import checked_features


@dataclass(frozen=True)
class GaussianStatistics:
    """What a Fréchet distance needs of n features: their number, mean [d], and a factor R of their scatter.

    R'R is the sum over features of (x - mean)(x - mean)', and R has at most d rows, float64. A factor in
    place of the matrix keeps every digit: small variances are not lost beside large ones.
    """

    n: int
    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "GaussianStatistics":
        """Of an array [N, d]. Raises ValueError for fewer than two rows or values that are not finite."""
        (features,) = checked_features(features)
        mean = features.mean(0)
        return cls(len(features), mean, _at_most_square(features - mean))

    def __add__(self, other: "GaussianStatistics") -> "GaussianStatistics":
        """Of both sets together, as if their features had been in one array (Chan, Golub, LeVeque 1979).

        So that a stream, or several processes, come to the same number as one.
        """
        n = self.n + other.n
        between = np.sqrt(self.n * other.n / n) * (self.mean - other.mean)
        mean = self.mean + (other.mean - self.mean) * other.n / n
        return GaussianStatistics(n, mean, _at_most_square(np.vstack([self.factor, other.factor, between])))


def _at_most_square(factor: np.ndarray) -> np.ndarray:
    """R with the same R'R in at most as many rows as columns."""
    if len(factor) <= factor.shape[1]:
        return factor
    lower, singular = torch.linalg.cholesky_ex(torch.from_numpy(factor.T @ factor))
    if not singular:
        return lower.T.numpy()
    return torch.linalg.qr(torch.from_numpy(factor), mode="r").R.numpy()


def _sum_of_singular_values(matrix: np.ndarray) -> float:
    """Of a square matrix M; from the eigenvalues of MM', a third of the time, where these have the digits."""
    squares = torch.linalg.eigvalsh(torch.from_numpy(matrix @ matrix.T))
    rounding = np.finfo(float).eps * squares[-1]
    roots = squares.clamp(min=rounding).sqrt()
    if (rounding / roots).sum() < 1e-10 * roots.sum():
        return roots.sum().item()
    return torch.linalg.svdvals(torch.from_numpy(matrix)).sum().item()


def frechet_distance(x: np.ndarray | GaussianStatistics, y: np.ndarray | GaussianStatistics) -> float:
    """Fréchet distance between Gaussians fitted to two feature arrays [N, d] and [M, d], or to their
    GaussianStatistics.

    ||mean_x - mean_y||^2 + Tr(C_x + C_y - 2 (C_x C_y)^(1/2)) (Heusel 2017, equation 6; thesis 4.1, which
    prints it without the 2). C are unbiased covariances, everything is in float64. It is called FID only
    on features of the reference Inception network.

    With C_x = A'A and C_y = B'B, the trace of the square root is the sum of the singular values of AB': no
    root of a matrix is taken, nothing turns complex, and fewer images than features are no special case.
    Raises ValueError for fewer than two images, unequal d, or values that are not finite.
    """
    x, y = (s if isinstance(s, GaussianStatistics) else GaussianStatistics.of(s) for s in (x, y))
    if len(x.mean) != len(y.mean):
        raise ValueError(f"features of {len(x.mean)} and {len(y.mean)} dimensions can't be compared")
    a, b = (s.factor / np.sqrt(s.n - 1) for s in (x, y))
    if len(a) == len(b) == a.shape[1]:
        cross = _sum_of_singular_values(a @ b.T)
    else:  # fewer images than features
        cross = torch.linalg.svdvals(torch.from_numpy(a @ b.T)).sum().item()
    mean_gap = ((x.mean - y.mean) ** 2).sum()
    return max(0.0, float(mean_gap + (a**2).sum() + (b**2).sum() - 2 * cross))


def gaussian_samples(features: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n draws, float64 [n, d], from the Gaussian fitted to features [N, d], as the distance sees them.

    It has the features' mean and unbiased covariance (thesis 4.3.1); n need not be N, nor N exceed d.
    """
    return rng.multivariate_normal(features.mean(0), np.cov(features, rowvar=False), n, method="eigh")


def frechet_floor(features: np.ndarray, n: int, seed: int = 0) -> float:
    """The distance between two disjoint random sets of n of the features: what sampling alone yields.

    A generator can't be told from the data once it comes down to this. Raises ValueError if 2 n > N.
    """
    if 2 * n > len(features):
        raise ValueError(f"two sets of {n} can't be drawn from {len(features)} features")
    order = np.random.default_rng(seed).permutation(len(features))
    return frechet_distance(features[order[:n]], features[order[n : 2 * n]])


def frechet_curve(
    x: np.ndarray, y: np.ndarray, sizes: Iterable[int], draws: int = 5, seed: int = 0
) -> np.ndarray:
    """Distances [len(sizes), draws] between random sets of so many features of each array."""
    rng = np.random.default_rng(seed)
    return np.array(
        [
            [frechet_distance(*(rng.permutation(f)[:size] for f in (x, y))) for _ in range(draws)]
            for size in sizes
        ]
    )


def frechet_extrapolated(x: np.ndarray, y: np.ndarray, points: int = 10, seed: int = 0) -> float:
    """The distance at infinitely many images: where a line through distances over 1/n meets 1/n = 0.

    The distance at n images is too large by an amount that falls as 1/n (Chong and Forsyth 2020, section 3);
    sizes run evenly over 1/n from all the images to a quarter of them. Where there are few images for the
    features' dimension, the line is no longer one, and the value comes out too small, even below 0. Raises
    ValueError for fewer than eight images, and as frechet_distance does.
    """
    n = min(len(x), len(y))
    if n < 8:
        raise ValueError(f"{n} features are too few to extrapolate from: 8 are needed")
    sizes = np.unique(np.rint(n / np.linspace(1, 4, points)).astype(int))
    means = frechet_curve(x, y, sizes, 3, seed).mean(1)
    return float(np.polynomial.polynomial.polyfit(1 / sizes, means, 1)[0])

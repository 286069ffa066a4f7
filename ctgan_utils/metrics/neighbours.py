"""Measures by nearest neighbours on feature arrays [N, d]: fidelity, variety, memorisation.

Distances are Euclidean. They are found in float64 from x.x + y.y - 2 x.y, a block of rows at a time, and
the nearest are computed again from the differences, which near-copies need. All raise ValueError for arrays
of other shapes, unequal d, values that are not finite, and more neighbours than there are.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import mannwhitneyu

from ctgan_utils.metrics.arrays import checked_features

BLOCK = 256  # rows of the distance matrix held at once
ROUNDING = 1e-12  # of the largest squared norm: distances closer than that are equal


def nearest_distances(
    queries: np.ndarray, references: np.ndarray, k: int = 1, same: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distances [N, k] of queries [N, d] to their k nearest references [M, d], nearest first; indices [N, k].

    With same=True the queries are the references, and no row is its own neighbour.
    """
    queries, references = checked_features(queries, references, rows=1)
    if not 1 <= k <= len(references) - same:
        raise ValueError(f"{k} nearest neighbours can't be found among {len(references) - same} rows")
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for rows, squared in _squared_distances(queries, references):
        if same:
            squared[:, rows].fill_diagonal_(np.inf)
        near = squared.topk(k, largest=False).indices.numpy()
        exact = np.linalg.norm(references[near] - queries[rows, None], axis=2)
        order = exact.argsort(1, kind="stable")
        distances[rows], indices[rows] = (np.take_along_axis(a, order, 1) for a in (exact, near))
    return distances, indices


def _squared_distances(queries: np.ndarray, references: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
    """Blocks of the matrix of squared distances: each its rows, a slice, and a float64 tensor [rows, M]."""
    centre = references.mean(0)  # smaller norms cancel less
    x, y = torch.from_numpy(queries - centre), torch.from_numpy(references - centre)
    norms = torch.linalg.vector_norm(y, dim=1).square()
    for start in range(0, len(x), BLOCK):
        part = x[start : start + BLOCK]
        squared = torch.addmm(norms[None], part, y.T, alpha=-2)
        yield slice(start, start + len(part)), squared.add_(part.square().sum(1, keepdim=True))


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall of fake [M, d] against real [N, d], both in [0, 1].

    Precision is the share of fake rows that lie in a ball around some real row, as wide as the distance to
    its k-th nearest other real row. Recall exchanges the roles (Kynkaanniemi 2019, equations 1 and 2). Both
    depend on N and M: compare values only between equal numbers.
    """
    precision = (_balls(real, fake, k)[0] > 0).mean()
    recall = (_balls(fake, real, k)[0] > 0).mean()
    return float(precision), float(recall)


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Density and coverage of fake [M, d] against real [N, d].

    Density is the number of real rows' balls, as in precision_recall, that hold a fake row, averaged over
    fake rows and divided by k; it can exceed 1. Coverage is the share of real rows whose ball holds a fake
    row (Naeem 2020, section 3). For two sets of one distribution the expectations are 1, and
    1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k)), about 1 - 2^-k for N = M.
    """
    holding, holds = _balls(real, fake, k)
    return float(holding.mean() / k), float(holds.mean())


def _balls(centres: np.ndarray, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """How many of the centres' k-neighbour balls hold each point, [M], and if each ball holds one, bool [N].

    A ball is closed: a point on its edge, up to rounding, is held.
    """
    centres, points = checked_features(centres, points)
    radii = nearest_distances(centres, centres, k, same=True)[0][:, -1]
    largest = max(((rows - centres.mean(0)) ** 2).sum(1).max() for rows in (centres, points))
    reach = torch.from_numpy(radii**2 + ROUNDING * largest)
    holding, holds = np.empty(len(points), np.int64), np.zeros(len(centres), bool)
    for rows, squared in _squared_distances(points, centres):
        held = (squared <= reach).numpy()
        holding[rows] = np.count_nonzero(held, axis=1)
        holds |= held.any(0)
    return holding, holds


def nearest_neighbour_accuracy(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> float:
    """Accuracy of guessing which set a row is from by its nearest other row: a two-sample test.

    The leave-one-out accuracy of the 1-nearest-neighbour classifier on real [N, d] and fake [M, d] together
    (Lopez-Paz 2017; Xu 2018): 0.5 for sets alike, 1 for sets told apart, towards 0 for copies, whose nearest
    row is their original. Where the nearest rows of both sets are equally near, half a guess is right. The
    larger set is cut at random to the size of the smaller.
    """
    real, fake = checked_features(real, fake)
    rng, n = np.random.default_rng(seed), min(len(real), len(fake))
    real, fake = _drawn(real, n, rng), _drawn(fake, n, rng)
    between = nearest_distances(real, fake)[0], nearest_distances(fake, real)[0]
    within = (nearest_distances(rows, rows, same=True)[0] for rows in (real, fake))
    gaps = np.concatenate([b - w for b, w in zip(between, within)])
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def _drawn(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) == n else rows[rng.choice(len(rows), n, replace=False)]


def memorisation_ratio(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray, seed: int = 0) -> float:
    """The median over fake rows of: distance to the nearest training row / to the nearest held-out row.

    About 1 for a generator that has learnt the distribution, and far below 1 for one that copies. It is about
    1 also for one that merely makes poor images, because then both distances are large. The larger of two
    sets holds the nearer row by chance. So a larger held-out set is cut at random. A larger training set is
    not, since most originals of copies would go; instead the median is divided by the effect of its size,
    which is measured on the held-out rows: their median distance to the whole training set, divided by that
    to a random part of it that is as large as the held-out set. The two sets must hold different patients.
    Raises ValueError if half of the held-out rows stand in the training set.
    """
    fake, train, held_out = checked_features(fake, train, held_out)
    rng, n = np.random.default_rng(seed), min(len(train), len(held_out))
    held_out, part = _drawn(held_out, n, rng), _drawn(train, n, rng)
    to_train, to_held_out = nearest_distances(fake, train)[0], nearest_distances(fake, held_out)[0]
    with np.errstate(divide="ignore"):  # a fake row can equal a held-out one, or both
        ratios = np.divide(to_train, to_held_out, np.ones_like(to_train), where=to_train != to_held_out)
    by_numbers = [np.median(nearest_distances(held_out, rows)[0]) for rows in (train, part)]
    if by_numbers[0] == 0:
        raise ValueError("half of the held-out rows stand in the training set")
    return float(np.median(ratios) * by_numbers[1] / by_numbers[0])


def copied_share(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray, quantile: float = 0.01) -> float:
    """Share of fake rows that are as near to the training set as only a `quantile` of held-out rows are.

    A generator that has learnt the distribution yields `quantile`, for any numbers of rows. Images smoother
    than the data can lie nearer to it too: read memorisation_ratio beside. Raises ValueError for fewer
    held-out rows than the quantile needs, 1 / quantile - 1.
    """
    fake, train, held_out = checked_features(fake, train, held_out)
    if not 1 <= quantile * (len(held_out) + 1) <= len(held_out):
        raise ValueError(f"the quantile {quantile} can't be found from {len(held_out)} held-out rows")
    usual = nearest_distances(held_out, train)[0]
    threshold = np.quantile(usual, quantile, method="weibull")  # a new row falls below it as often as it says
    return float((nearest_distances(fake, train)[0] < threshold).mean())


def data_copying_z(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
    """Z_U of the test for data-copying (Meehan 2020, the global test: C_T with the whole space as one cell).

    The Mann-Whitney statistic of the distances to the training set, of fake rows against held-out rows, in
    standard deviations: below -3 says that fake rows lie too near to the training set, above 3 too far.
    Rows are taken as independent, which slices of one patient are not: they make the numbers larger.
    """
    fake, train, held_out = checked_features(fake, train, held_out)
    a, b = (nearest_distances(rows, train)[0].ravel() for rows in (fake, held_out))
    n, m = len(a), len(b)
    return float((mannwhitneyu(a, b).statistic - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))

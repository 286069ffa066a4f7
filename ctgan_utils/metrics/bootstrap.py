"""Draws of slices that come from patients: one of each, resamples, and the interval that these give."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit


def resample(n: int, rng: np.random.Generator) -> np.ndarray:
    """Index [n] of a resample of n independent rows: n draws with replacement (Efron 1979)."""
    return rng.integers(n, size=n)


def resample_patients(patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Index [M] of a two-stage resample of rows whose patient is known, int [N]; M is near N.

    As many patients as there are, drawn with replacement; of each drawn patient as many rows as it has, drawn
    with replacement (Davison and Hinkley 1997, section 3.8). Rows of one patient are alike, so that a hundred
    of them tell little more than ten: only whole patients are independent.
    """
    names, counts = np.unique(patients, return_counts=True)
    order, starts = np.argsort(patients, kind="stable"), np.cumsum(counts) - counts
    drawn = rng.integers(len(names), size=len(names))
    rows = np.repeat(drawn, counts[drawn])
    return order[starts[rows] + rng.integers(counts[rows])]


def one_of_each(patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Index [P] of one row of each patient, drawn at random, from the rows' patients, int [N]."""
    order = rng.permutation(len(patients))
    return order[np.unique(patients[order], return_index=True)[1]]


def interval(estimate: float, resampled: ArrayLike) -> tuple[float, float]:
    """The 95 % basic bootstrap interval of a distance, from its values over resamples, [R].

    (2 e - upper, 2 e - lower), cut off at 0, with the 2.5 and 97.5 % quantiles of the resamples (Davison and
    Hinkley 1997, section 5.2). It is for the distance that ever more patients and slices would give, and may
    lie below the estimate: few patients make a distance too large, and a resample, which holds fewer
    different ones still, adds about as much again. On phantoms, whose true distance can be had, 97 % of 100
    intervals from 70 patients hold it (data/results/patient_bootstrap.csv).
    """
    low, high = difference_interval(estimate, resampled)
    return max(0.0, low), max(0.0, high)


def difference_interval(estimate: float, resampled: ArrayLike) -> tuple[float, float]:
    """The same for the difference of two distances over the same resamples, which may be negative."""
    low, high = np.quantile(np.asarray(resampled), [0.025, 0.975])
    return float(2 * estimate - high), float(2 * estimate - low)


def mean_interval(values: ArrayLike) -> tuple[float, float] | None:
    """The 95 % interval of the mean of independent values, such as those of several seeds, by Student's t.

    None for fewer than two.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    reach = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)

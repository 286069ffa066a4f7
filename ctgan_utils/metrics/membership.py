"""Membership inference: was this patient among those that a network learnt from?

An attack gives each patient a score, higher where it takes the patient for a member. Two are the published
ones without a threshold: nearness to the nearest of many samples, for whoever has a generator or what it made
(Chen 2020, GAN-Leaks, the full black-box attack: no calibration), and the critic's own score, for whoever has
the critic (Hayes 2019, LOGAN, the white-box attack). How well an attack works is its area under the ROC
curve: how often a member gets a higher score than somebody else, 0.5 for a guess and 1 if always.
"""

import numpy as np
from scipy.stats import rankdata

from ctgan_utils.metrics.neighbours import nearest_distances

RESAMPLES = 2_000


def nearness(records: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Minus the Euclidean distance of each record [N, d] to the nearest of the samples [M, d]; [N]."""
    return -nearest_distances(records, samples)[0][:, 0]


def of_patients(scores: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """The mean score of each patient's slices, [P], from those of slices [N] and their patients, int [N]."""
    _, numbers = np.unique(patients, return_inverse=True)
    return np.bincount(numbers, scores) / np.bincount(numbers)


def roc_auc(members: np.ndarray, others: np.ndarray) -> float:
    """How often a member's score [P] lies above another's [Q]; equal ones count half (Mann and Whitney 1947).

    Raises ValueError if a side is empty or has a score that is not finite.
    """
    members, others = (np.asarray(side, np.float64) for side in (members, others))
    if not (len(members) and len(others)):
        raise ValueError("scores of at least one member and one other are needed")
    both = np.concatenate([members, others])
    if not np.isfinite(both).all():
        raise ValueError("scores must be finite")
    p = len(members)
    above = rankdata(both)[:p].sum() - p * (p + 1) / 2
    return float(above / (p * len(others)))


def auc_interval(members: np.ndarray, others: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of roc_auc: the quantiles over resamples of the patients of both sides (Efron 1979).

    Where every member lies above every other it has no width, however few there are: read the numbers of
    patients beside it.
    """
    members, others = np.asarray(members, np.float64), np.asarray(others, np.float64)
    rng, (p, q) = np.random.default_rng(seed), map(len, (members, others))
    gaps = np.subtract.outer(members, others)
    above = (gaps > 0) + 0.5 * (gaps == 0)
    drawn = [rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) for n in (p, q)]  # how often each patient
    values = ((drawn[0] @ above) * drawn[1]).sum(1) / (p * q)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)

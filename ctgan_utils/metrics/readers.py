"""How well readers tell two kinds of images apart, and how far they agree."""

import numpy as np
from scipy.special import betaincinv, ndtri


def binomial_interval(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a probability of which k of n trials tell (Clopper and Pearson 1934).

    It holds the truth in at least that share of cases. Raises ValueError unless 0 <= k <= n and n > 0.
    """
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} of {n}: k must lie from 0 to n, and n be at least 1")
    tail = (1 - confidence) / 2
    low = betaincinv(k, n - k + 1, tail) if k else 0.0
    high = betaincinv(k + 1, n - k, 1 - tail) if k < n else 1.0
    return float(low), float(high)


def d_prime(hits: int, signals: int, false_alarms: int, noises: int) -> float:
    """d' = z(hit rate) - z(false alarm rate): how far apart two kinds of images lie for a reader, whatever
    the reader is inclined to say (Green and Swets 1966).

    hits of the `signals` (generated images, say) were called signals, and false_alarms of the `noises`. One
    half is added to each count, and one to each number, so that a faultless reader gets a finite value
    (Hautus 1995). 0 is guessing. Raises ValueError for counts that can't be.
    """
    if not (0 <= hits <= signals and 0 <= false_alarms <= noises and signals and noises):
        raise ValueError(f"{hits} of {signals} and {false_alarms} of {noises}: no counts of a test")
    rates = (hits + 0.5) / (signals + 1), (false_alarms + 0.5) / (noises + 1)
    return float(ndtri(rates[0]) - ndtri(rates[1]))


def fleiss_kappa(counts: np.ndarray) -> float:
    """How far readers agree beyond chance: 1 if always, 0 as by chance (Fleiss 1971).

    counts [N, K]: how many of the readers put image n into category k, the same number of readers for each.
    NaN if all readers always say the same, so that no chance is left. Raises ValueError for other tables.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 2 or not len(counts) or (counts < 0).any():
        raise ValueError("counts [N, K] of at least one image are needed")
    readers = counts.sum(1)
    if (readers != readers[0]).any() or readers[0] < 2:
        raise ValueError("every image needs the same number of readers, two at least")
    n = readers[0]
    agreed = ((counts**2).sum(1) - n) / (n * (n - 1))
    by_chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreed.mean() - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")

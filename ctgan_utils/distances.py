"""Distances between distributions: what the losses of a GAN estimate."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """The largest |P(A) - Q(A)| over all events A, in [0, 1] (Arjovsky 2017, section 2; thesis A.3).

    p and q are probabilities [K] on the same K outcomes; the largest difference is half the sum of |p - q|.
    """
    return (p - q).abs().sum() / 2


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Sum of p log(p / q) over outcomes with p > 0, in nats (thesis A.4).

    p and q are probabilities [K]. It is 0 for p = q, infinite where q misses an outcome of p, not symmetric.
    """
    inside = p > 0
    return (p[inside] * (p[inside] / q[inside]).log()).sum()


def js_divergence(p: Tensor, q: Tensor) -> Tensor:
    """The mean KL divergence of p and q, probabilities [K], to their middle; in [0, log 2] nats.

    Thesis A.5 (and Arjovsky 2017, section 2) leaves the mean's 1/2 out: twice this.
    """
    middle = (p + q) / 2
    return (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2


def earth_movers_distance(p: Tensor, q: Tensor, spacing: float = 1.0) -> Tensor:
    """The least mass times way that turns p into q, probabilities [K] on a line (thesis 2.2, 2.6).

    Neighbouring outcomes lie `spacing` apart. What has to cross a gap is the difference of the distribution
    functions there.
    """
    return spacing * (p - q).cumsum(0).abs().sum()


def earth_movers_of_samples(x: Tensor, y: Tensor) -> float:
    """The exact earth mover's distance of two samples [n, d] of the same size: a float, by the best pairing.

    Takes n^3 operations: for n to some thousands. Raises ValueError if the sizes differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"samples of shapes {tuple(x.shape)} and {tuple(y.shape)}: they must be equal")
    ways = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return ways[linear_sum_assignment(ways.cpu().numpy())].mean().item()

"""The Fréchet distance at 2,048 dimensions: ours, torch-fidelity's and SciPy's sqrtm on the same features.

    python tests/benchmarks/frechet.py

One after another in this run, from features to the number. Minutes on two cores, and 2 GB.
"""

import time

import numpy as np
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from ctgan_utils.metrics import frechet_distance

DIMENSIONS, SIZES = 2_048, (500, 2_000, 10_000)


def draw(n, rng, mix, shift):
    """Features [n, 2048] whose variances fall off as those of a network's do."""
    return (shift + (1 + shift) * rng.normal(size=(n, DIMENSIONS)) @ mix).astype(np.float32)


def by_torch_fidelity(x, y):
    a, b = (fid_features_to_statistics(torch.from_numpy(f)) for f in (x, y))
    return fid_statistics_to_metric(a, b, verbose=False)["frechet_inception_distance"]


def by_sqrtm(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(a @ b).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)


def timed(distance, x, y):
    begun = time.perf_counter()
    return distance(x, y), time.perf_counter() - begun


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(DIMENSIONS, DIMENSIONS)))
    mix = np.arange(1, DIMENSIONS + 1)[:, None] ** -0.5 * turn
    for n in SIZES:
        x, y = draw(n, rng, mix, 0.0), draw(n, rng, mix, 0.1)
        ours, seconds = timed(frechet_distance, x, y)
        print(f"n = {n:,}: {ours:.4f}, {seconds:.1f} s", flush=True)
        for name, other in (("torch-fidelity", by_torch_fidelity), ("sqrtm", by_sqrtm)):
            value, theirs = timed(other, x, y)
            apart = abs(value - ours) / ours
            print(f"  {name:14} {theirs / seconds:5.1f} x the time; differs by {apart:.1e}", flush=True)

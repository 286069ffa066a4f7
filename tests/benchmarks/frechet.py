"""The Fréchet distance at 2,048 dimensions: ours, torch-fidelity's and SciPy's sqrtm on the same features.

    python tests/benchmarks/frechet.py

Three rounds of one after another, from features to the number; medians. Minutes on two cores, and 2 GB.
"""

import statistics
import time

import numpy as np
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from ctgan_utils.metrics import frechet_distance

DIMENSIONS, SIZES, ROUNDS = 2_048, (500, 2_000, 10_000), 3


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
    ways = {"ours": frechet_distance, "torch-fidelity": by_torch_fidelity, "sqrtm": by_sqrtm}
    for n in SIZES:
        x, y = draw(n, rng, mix, 0.0), draw(n, rng, mix, 0.1)
        rounds = [{name: timed(way, x, y) for name, way in ways.items()} for _ in range(ROUNDS)]
        seconds = {name: statistics.median(found[name][1] for found in rounds) for name in ways}
        values = {name: value for name, (value, _) in rounds[0].items()}
        print(f"n = {n:,}: {values['ours']:.4f}, {seconds['ours']:.2f} s", flush=True)
        for name in ("torch-fidelity", "sqrtm"):
            apart = abs(values[name] - values["ours"]) / values["ours"]
            ratio = seconds[name] / seconds["ours"]
            print(f"  {name:14} {ratio:5.1f} x the time; differs by {apart:.1e}", flush=True)

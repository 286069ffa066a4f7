"""The kernel distance against torch-fidelity, a double loop, and what theory expects."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from ctgan_utils.metrics import kernel_distance, kernel_distance_subsets


def rng():
    return np.random.default_rng(0)


def by_double_loop(x, y):
    def mean_kernel(a, b):
        same = a is b
        values = [
            (p @ q / len(p) + 1) ** 3 for i, p in enumerate(a) for j, q in enumerate(b) if not same or i != j
        ]
        return np.mean(values)

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (7, 12, 5), (12, 7, 40)])
def test_agrees_with_a_double_loop(n, m, d):
    x, y = rng().normal(size=(n, d)), rng().normal(1, 2, (m, d))
    assert kernel_distance(x, y) == pytest.approx(by_double_loop(x, y), rel=1e-9)


def test_agrees_with_torch_fidelity():
    x, y = rng().normal(0.4, 0.4, (700, 64)), rng().normal(0.5, 0.5, (700, 64))
    settings = {"kid_subsets": 1, "kid_subset_size": 700, "verbose": False}  # one subset: all rows
    theirs = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **settings)
    assert kernel_distance(x, y) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_subsets_agree_with_torch_fidelity():
    x, y = rng().normal(0.4, 0.4, (600, 64)), rng().normal(0.5, 0.5, (500, 64))
    settings = {"kid_subsets": 200, "kid_subset_size": 100, "verbose": False}
    theirs = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **settings)
    mean, deviation = kernel_distance_subsets(x, y, subsets=200, size=100)
    error = deviation * np.sqrt(2 / 200)
    assert abs(mean - theirs["kernel_inception_distance_mean"]) < 4 * error
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=0.25)
    assert (mean, deviation) == kernel_distance_subsets(x, y, subsets=200, size=100)
    assert mean != kernel_distance_subsets(x, y, subsets=200, size=100, seed=1)[0]


def test_is_unbiased():
    generator = rng()
    values = [kernel_distance(*generator.normal(size=(2, 100, 8))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert 0.3 < np.mean(np.less(values, 0)) < 0.7


def test_a_shift_in_one_dimension_is_the_closed_form():
    """For x ~ N(0, 1), y ~ N(c, 1): 3 (E y - E x)^2 + 3 (E y^2 - E x^2)^2 + (E y^3 - E x^3)^2."""
    c, generator = 0.5, rng()
    expected = 3 * c**2 + 3 * c**4 + (3 * c + c**3) ** 2
    draws = ((generator.normal(size=(400, 1)), generator.normal(c, 1, (300, 1))) for _ in range(200))
    values = [kernel_distance(x, y) for x, y in draws]
    assert abs(np.mean(values) - expected) < 3 * np.std(values) / np.sqrt(len(values))


def test_is_symmetric_and_does_not_see_rotations_nor_order():
    x, y = rng().normal(size=(600, 20)), rng().normal(1, 2, (530, 20))
    turn, _ = np.linalg.qr(rng().normal(size=(20, 20)))
    value = kernel_distance(x, y)
    assert kernel_distance(y, x) == pytest.approx(value, rel=1e-9)
    assert kernel_distance(x @ turn, y @ turn) == pytest.approx(value, rel=1e-9)
    assert kernel_distance(rng().permutation(x), y) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "two or more rows"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "3 and 4 dimensions"),
        (np.full((5, 3), np.inf), np.zeros((5, 3)), "not finite"),
    ],
)
def test_bad_features_are_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        kernel_distance(x, y)


def test_a_subset_needs_its_rows():
    with pytest.raises(ValueError, match="subsets of 10 can't be drawn from 9"):
        kernel_distance_subsets(np.zeros((20, 2)), np.zeros((9, 2)), size=10)

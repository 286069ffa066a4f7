"""Distances against closed forms and SciPy."""

import numpy as np
import pytest
import scipy.linalg

from ctgan_utils.metrics import (
    GaussianStatistics,
    frechet_curve,
    frechet_distance,
    frechet_extrapolated,
    frechet_floor,
)


def rng():
    return np.random.default_rng(0)


def by_sqrtm(x, y):
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(a @ b).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)


@pytest.mark.parametrize("shape", [(500, 20), (10, 40), (40, 40), (2, 7)])
def test_distance_to_itself_is_zero(shape):
    x = rng().normal(3, 5, shape)
    assert frechet_distance(x, x) < 1e-8


@pytest.mark.parametrize("shape", [(300, 12), (8, 30)])
def test_a_shift_by_c_costs_d_times_c_squared(shape):
    x = rng().normal(size=shape)
    assert frechet_distance(x, x + 3.0) == pytest.approx(9.0 * shape[1], rel=1e-9)


@pytest.mark.parametrize("shape", [(300, 12), (8, 30)])
def test_scaling_by_c_costs_the_trace_times_c_minus_one_squared(shape):
    x = rng().normal(size=shape)
    x -= x.mean(0)
    trace = np.trace(np.cov(x, rowvar=False))
    assert frechet_distance(x, 4 * x) == pytest.approx(9 * trace, rel=1e-9)


def test_one_dimension_is_the_difference_of_means_and_deviations():
    x, y = rng().normal(0, 1, (50, 1)), rng().normal(2, 3, (80, 1))
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(400, 300), (60, 500)])
def test_agrees_with_the_matrix_root(n, m):
    mix = rng().normal(size=(30, 30))
    x, y = rng().normal(size=(n, 30)) @ mix, rng().normal(1, 2, (m, 30))
    assert frechet_distance(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(400, 300), (5, 50), (5, 7)])
def test_is_symmetric_and_does_not_see_rotations(n, m):
    x, y = rng().normal(size=(n, 20)), rng().normal(1, 2, (m, 20))
    turn, _ = np.linalg.qr(rng().normal(size=(20, 20)))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_is_finite_and_real_with_fewer_images_than_features():
    x, y = rng().normal(size=(3, 200)), rng().normal(size=(4, 200))
    value = frechet_distance(x.astype(np.float32), y)
    assert isinstance(value, float)
    assert np.isfinite(value)
    assert value > 0


def test_the_floor_falls_with_the_number_of_images():
    features = rng().normal(size=(2_000, 16))
    floors = [frechet_floor(features, n) for n in (50, 200, 1_000)]
    assert floors[0] > floors[1] > floors[2] > 0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "two or more rows"),
        (np.zeros(5), np.zeros(5), "two or more rows"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "3 and 4 dimensions"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "not finite"),
    ],
)
def test_bad_features_are_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, y)


@pytest.mark.parametrize("parts", [(30, 50, 220), (3, 2, 5), (100, 2, 2)])
def test_statistics_of_parts_add_up_to_those_of_the_whole(parts):
    x = rng().normal(2, 3, (sum(parts), 12)) * np.arange(1, 13)
    first, second, third = map(GaussianStatistics.of, np.split(x, np.cumsum(parts)[:-1]))
    total = first + second + third
    np.testing.assert_allclose(total.mean, x.mean(0))
    covariance = total.factor.T @ total.factor / (total.n - 1)
    np.testing.assert_allclose(covariance, np.cov(x, rowvar=False), rtol=1e-10, atol=1e-10)
    assert total.n == len(x)
    assert frechet_distance(total, x) < 1e-8


def test_the_extrapolated_distance_is_nearer_to_the_truth():
    """Gaussians N(0, 1) and N(0.1, 1.1^2) in 20 dimensions: 20 (0.1^2 + 0.1^2) = 0.4."""
    errors, generator = [], rng()
    for seed in range(10):
        x, y = generator.normal(size=(600, 20)), generator.normal(0.1, 1.1, (600, 20))
        errors.append([frechet_distance(x, y) - 0.4, frechet_extrapolated(x, y, seed=seed) - 0.4])
    plain, extrapolated = np.mean(errors, axis=0)
    assert plain > 0.1
    assert abs(extrapolated) < plain / 4


def test_the_curve_falls_as_one_over_n():
    x, y = rng().normal(size=(4_000, 10)), np.random.default_rng(1).normal(size=(4_000, 10))
    small, large = frechet_curve(x, y, [100, 400], draws=20).mean(1)
    assert small / large == pytest.approx(4, rel=0.15)


def test_too_few_images_to_extrapolate_are_named():
    with pytest.raises(ValueError, match="8 are needed"):
        frechet_extrapolated(np.zeros((7, 2)), np.zeros((9, 2)))


def test_the_floor_needs_two_disjoint_sets():
    with pytest.raises(ValueError, match="can't be drawn from 9"):
        frechet_floor(np.zeros((9, 2)), 5)

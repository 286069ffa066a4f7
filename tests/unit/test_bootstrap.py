"""Resamples draw what they say they draw, and the interval is the textbook's."""

import numpy as np
import pytest
from scipy import stats

from ctgan_utils.metrics import (
    difference_interval,
    frechet_distance,
    interval,
    mean_interval,
    one_of_each,
    resample,
    resample_patients,
)

PATIENTS = np.repeat([7, 3, 9, 1], [1, 4, 2, 3])  # of rows that lie together, and
SHUFFLED = np.random.default_rng(0).permutation(PATIENTS)  # of rows that do not


@pytest.mark.parametrize("patients", [PATIENTS, SHUFFLED])
def test_as_many_patients_are_drawn_and_of_each_as_many_rows_as_it_has(patients):
    sizes = dict(zip(*np.unique(patients, return_counts=True)))
    for seed in range(50):
        rows = resample_patients(patients, np.random.default_rng(seed))
        drawn = patients[rows]
        names, counts = np.unique(drawn, return_counts=True)
        times = [count / sizes[name] for name, count in zip(names, counts)]
        assert all(time == int(time) for time in times)
        assert sum(times) == len(sizes)


def test_every_patient_and_every_row_of_a_patient_comes_as_often():
    rng = np.random.default_rng(1)
    counts = sum(np.bincount(resample_patients(SHUFFLED, rng), minlength=10) for _ in range(4_000))
    np.testing.assert_allclose(counts / 4_000, 1, atol=0.08)


def test_one_row_of_each_patient_any_of_them_as_often():
    rng = np.random.default_rng(9)
    draws = [one_of_each(SHUFFLED, rng) for _ in range(4_000)]
    assert all(sorted(SHUFFLED[rows]) == [1, 3, 7, 9] for rows in draws)
    often = np.bincount(np.concatenate(draws)) / 4_000
    sizes = np.bincount(SHUFFLED)[SHUFFLED]
    np.testing.assert_allclose(often, 1 / sizes, atol=0.04)


def test_rows_that_are_patients_of_their_own_are_drawn_as_independent_ones():
    """The mean over such resamples scatters as that over plain ones: by the standard error."""
    x = np.random.default_rng(2).normal(size=200)
    rng = np.random.default_rng(3)
    of_patients = [x[resample_patients(np.arange(200), rng)].mean() for _ in range(2_000)]
    plain = [x[resample(200, rng)].mean() for _ in range(2_000)]
    assert np.std(of_patients) == pytest.approx(stats.sem(x), rel=0.06)
    assert np.std(plain) == pytest.approx(stats.sem(x), rel=0.06)


def test_patients_whose_rows_are_equal_scatter_by_their_number_not_by_that_of_rows():
    """50 patients with 20 equal rows each: the standard error is that of 50 numbers, not of 1,000."""
    of_patient = np.random.default_rng(4).normal(size=50)
    x, patients = np.repeat(of_patient, 20), np.repeat(np.arange(50), 20)
    rng = np.random.default_rng(5)
    means = [x[resample_patients(patients, rng)].mean() for _ in range(2_000)]
    assert np.std(means) == pytest.approx(stats.sem(of_patient), rel=0.06)


def test_the_interval_is_scipys_basic_bootstrap():
    x = np.random.default_rng(6).normal(5, 1, 40)
    theirs = stats.bootstrap((x,), np.mean, method="basic", n_resamples=999, rng=np.random.default_rng(7))
    ours = difference_interval(x.mean(), theirs.bootstrap_distribution)
    assert ours == pytest.approx(tuple(theirs.confidence_interval))
    assert interval(x.mean(), theirs.bootstrap_distribution) == pytest.approx(ours)


def test_the_interval_of_a_distance_is_as_wide_as_repeated_experiments_scatter():
    """Against fresh draws from the same two Gaussians: what the bootstrap stands in for."""
    generator = np.random.default_rng(8)

    def draw():
        return generator.normal(size=(300, 6)), generator.normal(0.3, 1.2, (300, 6))

    def width():
        x, y = draw()
        rows = (resample(300, generator) for _ in range(200))
        resampled = [frechet_distance(x[row], y[resample(300, generator)]) for row in rows]
        low, high = interval(frechet_distance(x, y), resampled)
        return high - low

    scatter = np.std([frechet_distance(*draw()) for _ in range(200)])
    assert np.mean([width() for _ in range(5)]) / (2 * 1.96) == pytest.approx(scatter, rel=0.25)


def test_a_distance_is_never_negative_and_a_difference_may_be():
    assert interval(1.0, [1.0, 3.0]) == pytest.approx((0, 0.95))
    assert difference_interval(1.0, [1.0, 3.0]) == pytest.approx((-0.95, 0.95))


def test_the_interval_of_a_mean_is_students():
    values = [3.1, 2.7, 4.0, 3.3]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    assert mean_interval([3.1]) is None

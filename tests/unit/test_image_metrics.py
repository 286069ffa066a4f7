"""Measures on images against SciPy and waves of known frequency."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ctgan_utils.metrics import grey_level_distance, radial_power_spectrum


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("size", [32, 33])
def test_white_noise_has_a_flat_spectrum_of_its_variance(size):
    frequency, power = radial_power_spectrum(rng().normal(0, 3, (2000, size, size)))
    assert frequency[-1] == (size // 2) / size
    assert np.abs(power / 9 - 1).max() < 0.15
    assert power[3:].mean() == pytest.approx(9, rel=0.01)


def test_a_wave_stands_at_its_frequency():
    x = np.arange(64)
    wave = 10 * np.cos(2 * np.pi * x / 8) * np.ones((1, 64, 1))
    frequency, power = radial_power_spectrum(wave)
    assert frequency[power.argmax()] == 1 / 8
    assert np.delete(power, 8).max() < 1e-12
    turned = radial_power_spectrum(wave.transpose(0, 2, 1))[1]
    assert np.allclose(power, turned)


def test_grey_level_distance_is_scipys():
    x, y = rng().integers(0, 200, (5, 8, 8), np.uint8), rng().integers(90, 255, (3, 16, 16), np.uint8)
    assert grey_level_distance(x, y) == pytest.approx(wasserstein_distance(x.ravel(), y.ravel()))
    assert grey_level_distance(x, x + 7) == pytest.approx(7)

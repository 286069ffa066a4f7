"""Gradients along a line, and their autocorrelation, against closed forms and NumPy."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from ctgan_utils.gradients import autocorrelation, input_gradients


def test_gradients_of_a_cubic():
    x = torch.linspace(-1, 1, 7)[:, None]
    assert_close(input_gradients(lambda x: (x**3)[:, 0], x), 3 * x**2)


def test_gradients_leave_the_points_alone():
    x = torch.ones(3, 2)
    assert_close(input_gradients(lambda x: x[:, 0] * x[:, 1], x), torch.ones(3, 2))
    assert not x.requires_grad


def test_autocorrelation_is_numpys():
    series = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centred = series.numpy() - series.numpy().mean()
    expected = np.correlate(centred, centred, "full")[49:60] / (centred @ centred)
    np.testing.assert_allclose(autocorrelation(series[:, None], 10), expected)


def test_autocorrelation_of_a_wave_is_the_wave():
    t = torch.arange(10_000, dtype=torch.float64)
    wave = torch.stack([torch.cos(t / 10), torch.sin(t / 10)], 1)
    assert_close(autocorrelation(wave, 60), torch.cos(torch.arange(61) / 10).double(), atol=0.01, rtol=0)


def test_white_noise_has_none_and_a_constant_has_all():
    noise = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    assert autocorrelation(noise, 5)[1:].abs().max() < 0.02
    assert_close(autocorrelation(torch.full((9, 2), 0.3), 3), torch.ones(4, dtype=torch.float64))


def test_lags_must_fit():
    with pytest.raises(ValueError, match="a series of 4 has 0 to 3"):
        autocorrelation(torch.zeros(4, 1), 4)

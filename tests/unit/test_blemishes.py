"""The faults of thesis 4.5.1, on slices that were spoilt by one of them at a time."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgan_utils.metrics import blemishes, line_marks, pooled

AIR, BODY = 5.0, 120.0


@pytest.fixture(scope="module")
def discs():
    """uint8 [12, 64, 64]: a soft-edged disc in air."""
    y, x = np.mgrid[:64, :64] - 32.0
    disc = np.where(np.hypot(y, x) < 20, BODY, AIR)
    return np.repeat(gaussian_filter(disc, 1.0).round().astype(np.uint8)[None], 12, axis=0)


@pytest.fixture(scope="module")
def blank():
    y, x = np.mgrid[:64, :64] - 32.0
    return np.hypot(y, x) > 28


def test_a_disc_has_one_line_and_no_fault(discs, blank):
    found = pooled(blemishes(discs, blank, AIR))
    density = found.pop("edge density, %")
    assert density / 100 * 64**2 == pytest.approx(2 * np.pi * 20, rel=0.05)  # as many pixels as it is long
    assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=0.06)


@pytest.mark.parametrize("fault", ["haze, grey levels", "noise in the air, grey levels"])
def test_what_is_added_to_the_air_is_told(discs, blank, fault):
    rng = np.random.default_rng(0)
    added = 7.0 if fault.startswith("haze") else 20 + rng.normal(0, 6, discs.shape)
    spoilt = (
        np.where(np.hypot(*(np.mgrid[:64, :64] - 32.0)) > 25, discs + added, discs).round().astype(np.uint8)
    )
    value = pooled(blemishes(spoilt, blank, AIR))[fault]
    assert value == pytest.approx(7.0 if fault.startswith("haze") else 6.0, rel=0.06)


def test_noise_on_a_surface_is_told_and_not_its_edge(discs, blank):
    inside = np.hypot(*(np.mgrid[:64, :64] - 32.0)) < 19
    noise = np.random.default_rng(1).normal(0, 4, discs.shape)
    spoilt = np.where(inside, discs + noise, discs).round().astype(np.uint8)
    found = pooled(blemishes(spoilt, blank, AIR))
    assert found["noise on surfaces, grey levels"] == pytest.approx(4, rel=0.1)
    assert found["noise in the air, grey levels"] == pytest.approx(0, abs=0.02)


def test_a_line_drawn_twice_and_one_that_stops_are_told(discs):
    small = (np.hypot(*(np.mgrid[:64, :64] - 32.0)) < 16) * 60
    twice = (discs // 2 + gaussian_filter(small.astype(float), 0.7)).round().astype(np.uint8)
    marks = line_marks(twice)
    assert marks["drawn twice"].sum() > 0.9 * marks["edge"].sum()
    step = 100.0 + (np.arange(64) >= 32) * np.linspace(0, 100, 64)[:, None]  # fades towards the top
    fading = gaussian_filter(step, 1.0).round().astype(np.uint8)[None]
    assert line_marks(fading)["loose end"].sum() == 1


def test_sets_are_added_up_slice_by_slice(discs, blank):
    rng = np.random.default_rng(2)
    noisy = (discs + rng.normal(0, 9, discs.shape)).clip(0, 255).round().astype(np.uint8)
    both = blemishes(np.concatenate([discs, noisy]), blank, AIR)
    apart = pooled(blemishes(noisy, blank, AIR))
    assert pooled(both, np.arange(12, 24)) == pytest.approx(apart)
    tops = {name: (top[:0], of[:0]) for name, (top, of) in both.items()}
    assert all(np.isnan(value) for value in pooled(tops).values())

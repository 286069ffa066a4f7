"""Measures on edge maps and curves, on drawings whose answers are known."""

import math

import numpy as np
import pytest
from skimage.draw import circle_perimeter, line

from ctgan_utils.metrics import doubled_edges, edge_continuity, loose_ends, short_pieces, spike_share

MIDDLE, SIDE = 40, 80


def circles(*radii):
    """bool [1, 80, 80]: circles around the middle, one pixel wide."""
    edges = np.zeros((1, SIDE, SIDE), bool)
    for radius in radii:
        edges[0][circle_perimeter(MIDDLE, MIDDLE, radius)] = True
    return edges


def cone(folded_at=SIDE):
    """float [1, 80, 80]: a cone that rises from the middle outwards, and falls again beyond a radius."""
    y, x = np.mgrid[:SIDE, :SIDE] - MIDDLE
    distance = np.hypot(y, x)[None]
    return np.minimum(distance, 2 * folded_at - distance)


def segment(degrees, length=60, shift=0.0):
    """bool [1, 80, 80]: a straight line `shift` pixels beside the middle."""
    y, x = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    middle = MIDDLE + shift * x, MIDDLE - shift * y
    ends = [round(m + sign * length / 2 * d) for sign in (-1, 1) for m, d in zip(middle, (y, x))]
    edges = np.zeros((1, SIDE, SIDE), bool)
    edges[0][line(*ends)] = True
    return edges


def slope(degrees):
    """float [1, 80, 80]: a plane that rises along the normal of such a line."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return (y * np.cos(np.radians(degrees)) - x * np.sin(np.radians(degrees)))[None]


@pytest.mark.parametrize("radius", [3, 10, 30])
def test_a_circle_is_one_unbroken_line(radius):
    edges = circles(radius)
    assert edge_continuity(edges) == 1
    assert not short_pieces(edges).any()
    assert not loose_ends(edges).any()
    assert not doubled_edges(edges, cone()).any()


def test_a_gap_makes_two_ends_and_a_second_one_two_pieces():
    edges = circles(30)
    quarter = edges.sum() / 4
    edges[0, MIDDLE - 2 : MIDDLE + 3, MIDDLE + 30] = False
    assert loose_ends(edges).sum() == 2
    whole = int(edges.sum())
    assert not short_pieces(edges, whole).any()
    assert (short_pieces(edges, whole + 1) == edges).all()
    edges[0, MIDDLE + 30, MIDDLE - 2 : MIDDLE + 3] = False
    assert loose_ends(edges).sum() == 4
    shorter = short_pieces(edges, whole // 2)
    assert shorter.sum() == quarter - 5  # half of each gap
    assert edge_continuity(edges, whole // 2) == 1 - shorter.sum() / edges.sum()
    assert not doubled_edges(edges, cone()).any()  # the other side of a gap is no second edge


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_a_line_has_two_ends_whatever_its_direction(degrees):
    edges = segment(degrees)
    y, x = np.nonzero(loose_ends(edges)[0])
    assert len(y) == 2
    assert math.hypot(*np.ptp([y, x], axis=1)) == pytest.approx(60, abs=2)
    assert not doubled_edges(edges, slope(degrees)).any()


def test_a_staircase_of_pixels_has_two_ends_as_well():
    steps = np.zeros((1, 12, 12), bool)
    for k in range(2, 9):
        steps[0, k, k] = steps[0, k, k + 1] = True
    assert loose_ends(steps).sum() == 2
    assert loose_ends(steps.transpose(0, 2, 1)).sum() == 2


def test_a_single_pixel_is_an_end_and_a_line_that_leaves_the_picture_has_none():
    edges = np.zeros((2, 9, 9), bool)
    edges[0, 4, 4] = edges[1, 4, :] = True
    assert (loose_ends(edges)[0] == edges[0]).all()
    assert not loose_ends(edges)[1].any()
    edges[1, 4, 6:] = False
    assert np.argwhere(loose_ends(edges)[1]).tolist() == [[4, 5]]


def test_a_branch_adds_one_end():
    edges = np.zeros((1, 20, 20), bool)
    edges[0, 10, 3:17] = True
    assert loose_ends(edges).sum() == 2
    edges[0, 4:10, 9] = True
    assert loose_ends(edges).sum() == 3


def test_pieces_do_not_cross_images():
    edges = np.zeros((12, 6, 6), bool)
    edges[:, 3, 3] = True
    assert (short_pieces(edges, 2) == edges).all()
    assert not short_pieces(edges, 1).any()
    with pytest.raises(ValueError, match=r"\[N, H, W\] are needed, not \[6, 6\]"):
        loose_ends(edges[0])


@pytest.mark.parametrize("distance", [3, 4])
@pytest.mark.parametrize("radius", [8, 20, 30])
def test_two_circles_in_one_slope_are_doubled(radius, distance):
    edges = circles(radius, radius + distance)
    assert (doubled_edges(edges, cone()) == edges).all()
    assert not doubled_edges(edges, cone(), nearest=6, farthest=7).any()
    assert not doubled_edges(circles(radius, radius + 7), cone()).any()
    with_noise = cone() + np.random.default_rng(0).normal(0, 0.1, edges.shape)
    assert doubled_edges(edges, 7 * with_noise).sum() > 0.98 * edges.sum()  # in any unit


def test_the_two_rims_of_a_ring_are_no_double():
    edges = circles(18, 22)
    assert not doubled_edges(edges, cone(folded_at=20)).any()
    assert (doubled_edges(edges, cone()) == edges).all()


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_parallel_lines_are_doubled_whatever_their_direction(degrees):
    edges = segment(degrees, shift=-1.5) | segment(degrees, shift=1.5)
    assert doubled_edges(edges, slope(degrees)).sum() > 0.95 * edges.sum()
    far = segment(degrees, shift=-4) | segment(degrees, shift=4)
    assert not doubled_edges(far, slope(degrees)).any()


def test_a_corner_is_no_double_but_a_second_corner_beside_it_is():
    y, x = np.abs(np.mgrid[:SIDE, :SIDE] - MIDDLE)
    pyramid = np.maximum(y, x)[None]
    inner, outer = pyramid == 20, pyramid == 23
    assert not doubled_edges(inner, pyramid).any()
    assert doubled_edges(inner | outer, pyramid).sum() > 0.9 * (inner | outer).sum()


def test_doubles_stay_in_their_image_and_ask_for_it():
    one, two = circles(20), circles(23)
    stack, images = np.concatenate([one, two]), np.concatenate([cone(), cone()])
    assert not doubled_edges(stack, images).any()
    with pytest.raises(ValueError, match="are not those of images"):
        doubled_edges(stack, cone())
    assert doubled_edges(np.zeros((1, 9, 9), bool), np.zeros((1, 9, 9))).sum() == 0


def noise(n=20_000):
    return np.random.default_rng(0).normal(size=n)


def test_noise_and_slopes_have_no_spikes():
    assert spike_share(np.linspace(0, 5, 500)) == 0
    assert spike_share(np.full(60, 2.0)) == 0
    assert spike_share(noise()) < 5e-4
    assert spike_share(noise(), deviations=2) == pytest.approx(math.erfc(2 / math.sqrt(2)), rel=0.2)


def test_each_spike_is_counted():
    curve = noise() * 0.1 + np.linspace(0, 50, 20_000)
    where = np.arange(100, 19_900, 100)
    spiked = curve.copy()
    spiked[where] += 2
    assert spike_share(spiked) - spike_share(curve) == pytest.approx(len(where) / 19_950, rel=0.01)
    assert spike_share(-1000 * spiked + 3) == spike_share(spiked)


def test_a_curve_must_fill_the_window():
    with pytest.raises(ValueError, match="odd window"):
        spike_share(noise(50))
    with pytest.raises(ValueError, match="odd window"):
        spike_share(noise(), window=50)
    with pytest.raises(ValueError, match="not finite"):
        spike_share([*noise(60), math.inf])

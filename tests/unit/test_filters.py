"""The bilateral filter, slopes and edge measures: scikit-image, SciPy, and images of known answers."""

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters as reference
from skimage.restoration import _denoise as denoise
from skimage.restoration import denoise_bilateral

from ctgan_utils.filters import bilateral, sobel_magnitude
from ctgan_utils.metrics import edge_continuity, edge_density, edge_precision_recall


def picture(shape=(24, 30)):
    """A step with noise, float in 0 to 255."""
    image = np.random.default_rng(0).normal(60, 12, shape)
    image[..., shape[-1] // 2 :] += 120
    return image.clip(0, 255)


def aligned_weights(win_size, sigma, *, dtype=float):
    """scikit-image's table of spatial weights, on a grid of win_size points about 0.

    Its own, in 0.26, has one row and column more, so that its weights are read askew.
    """
    offsets = np.arange(win_size) - win_size // 2
    return np.exp(-np.add.outer(offsets**2, offsets**2) / (2 * sigma**2)).astype(dtype).ravel()


@pytest.mark.parametrize(("sigma_d", "sigma_r"), [(1.0, 20.0), (1.5, 60.0), (2.2, 8.0)])
def test_bilateral_is_scikit_images_with_its_table_aligned(sigma_d, sigma_r, monkeypatch):
    monkeypatch.setattr(denoise, "_compute_spatial_lut", aligned_weights, raising=False)
    image, radius = picture(), math.ceil(3.5 * sigma_d)
    settings = {"win_size": 2 * radius + 1, "sigma_spatial": sigma_d, "mode": "edge", "bins": 1_000_000}
    expected = denoise_bilateral(image, sigma_color=sigma_r, **settings)
    assert np.abs(bilateral(image, sigma_d, sigma_r) - expected).max() < 0.001


@pytest.mark.parametrize("sigma_r", [8.0, 60.0])
def test_a_range_filter_in_a_box_is_scikit_images(sigma_r):
    settings = {"win_size": 7, "sigma_spatial": 1e6, "mode": "edge", "bins": 1_000_000}
    expected = denoise_bilateral(picture(), sigma_color=sigma_r, **settings)
    assert np.abs(bilateral(picture(), 1e6, sigma_r, radius=3) - expected).max() < 0.001


def test_a_wide_range_is_gaussian_smoothing():
    image = picture()
    expected = ndimage.gaussian_filter(image, 1.5, radius=6, mode="nearest")
    assert np.allclose(bilateral(image, 1.5, 1e7, radius=6), expected, rtol=1e-9)


def test_a_narrow_range_leaves_the_image_alone():
    image = np.random.default_rng(0).permutation(400).reshape(20, 20).astype(float)
    assert np.abs(bilateral(image, 2, 0.05) - image).max() < 1e-12


def test_a_step_stays_a_step():
    step = np.zeros((9, 12))
    step[:, 6:] = 100
    assert np.abs(bilateral(step, 2, 10) - step).max() < 1e-12
    assert np.abs(bilateral(step, 2, 1000) - step).max() > 30


def test_stacks_are_filtered_image_by_image():
    stack = np.stack([picture(), picture()[::-1]])
    assert np.array_equal(bilateral(stack, 1, 20)[1], bilateral(stack[1], 1, 20))


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), (1, -2), (1, 1, -1)])
def test_widths_must_be_positive(arguments):
    with pytest.raises(ValueError, match="must be above 0"):
        bilateral(picture(), *arguments)


def test_slopes_are_scipys_and_scikit_images():
    image = picture()
    expected = np.hypot(*(ndimage.sobel(image, axis, mode="mirror") for axis in (0, 1))) / 8
    assert np.allclose(sobel_magnitude(image), expected)
    theirs = reference.sobel(image, mode="mirror") / math.sqrt(2)  # the root mean square of both directions
    assert np.allclose(sobel_magnitude(image), theirs)


def test_a_ramp_has_its_slope():
    ramp = np.add.outer(3 * np.arange(9), 4 * np.arange(9))
    assert np.allclose(sobel_magnitude(ramp)[1:-1, 1:-1], 5)
    assert sobel_magnitude(ramp)[0, 4] == pytest.approx(4)


def test_edge_density_counts_the_same_slopes():
    images = picture((3, 20, 20)).astype(np.uint8)
    share = (sobel_magnitude(images)[:, 1:-1, 1:-1] > 10).mean()
    assert edge_density(images, 10) == pytest.approx(share)


def line(column, shape=(1, 20, 20)):
    edges = np.zeros(shape, bool)
    edges[..., column] = True
    return edges


def test_precision_and_recall_of_lines():
    assert edge_precision_recall(line(5), line(6)) == (1, 1)
    assert edge_precision_recall(line(5), line(7)) == (0, 0)
    assert edge_precision_recall(line(5), line(7), tolerance=2) == (1, 1)
    assert edge_precision_recall(line(5) | line(12), line(5)) == (0.5, 1)
    half = line(5)
    half[:, 10:] = False
    assert edge_precision_recall(half, line(5)) == (1, 11 / 20)  # ten rows, and the one below
    precision, recall = edge_precision_recall(np.zeros((1, 20, 20), bool), line(5))
    assert math.isnan(precision)
    assert recall == 0


def test_matches_do_not_cross_images():
    first, second = np.zeros((2, 2, 20, 20), bool)
    first[0], second[1] = line(5)[0], line(5)[0]
    assert edge_precision_recall(first, second) == (0, 0)
    with pytest.raises(ValueError, match="of one shape"):
        edge_precision_recall(line(5), line(5)[0])


def test_continuity_is_the_share_in_long_pieces():
    assert edge_continuity(line(5)) == 1
    crumbs = line(5)
    crumbs[:, ::2] = False
    assert edge_continuity(crumbs) == 0
    assert edge_continuity(crumbs | line(12)) == 20 / 30
    assert edge_continuity(np.eye(12, dtype=bool)[None]) == 1
    assert math.isnan(edge_continuity(np.zeros((1, 5, 5), bool)))
    stack = np.zeros((20, 6, 6), bool)
    stack[:, 3, 3] = True
    assert edge_continuity(stack) == 0

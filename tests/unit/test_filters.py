"""Filters, slopes and edge measures: SciPy, scikit-image, sums written out, and images of known answers."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, signal, stats
from skimage import filters as reference
from skimage.restoration import denoise_bilateral
from torch.testing import assert_close

from ctgan_utils.filters import bilateral, convolve, sobel_magnitude
from ctgan_utils.metrics import edge_continuity, edge_density, edge_precision_recall
from ctgan_utils.networks.blocks import LearnableKernel


def test_kernel_is_a_correlation_with_zeros_around():
    kernel = LearnableKernel(3)
    x = torch.randn(2, 4, 6, 6)
    weights = kernel.kernel.detach()[0, 0].numpy()
    expected = np.stack(
        [[ndimage.correlate(c, weights, mode="constant") for c in image] for image in x.numpy()]
    )
    assert_close(kernel(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_kernel_starts_as_standard_normal_numbers():
    weights = torch.cat([LearnableKernel(7).kernel.detach().flatten() for _ in range(200)])
    assert stats.kstest(weights.numpy(), stats.norm.cdf).pvalue > 0.01


def test_convolve_is_scipys_convolution():
    image, kernel = torch.randn(9, 7), torch.randn(3, 5)
    expected = signal.convolve2d(image.numpy(), kernel.numpy(), mode="same")
    assert_close(convolve(image, kernel).numpy(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="must be odd"):
        convolve(image, torch.ones(2, 3))


def test_an_impulse_gives_the_kernel():
    impulse, kernel = torch.zeros(3, 3), torch.arange(9.0).reshape(3, 3)
    impulse[1, 1] = 1
    assert torch.equal(convolve(impulse, kernel), kernel)


def picture(shape=(24, 30)):
    """A step with noise, float in 0 to 255."""
    image = np.random.default_rng(0).normal(60, 12, shape)
    image[..., shape[-1] // 2 :] += 120
    return image.clip(0, 255)


def brute_force(image, sigma_d, sigma_r, radius):
    """The bilateral filter, pixel by pixel, with no array but the image."""
    height, width = image.shape
    out = np.empty(image.shape)
    for u in range(height):
        for v in range(width):
            total = weights = 0.0
            for m in range(-radius, radius + 1):
                for n in range(-radius, radius + 1):
                    value = image[min(max(u + m, 0), height - 1), min(max(v + n, 0), width - 1)]
                    near = math.exp(-(m * m + n * n) / (2 * sigma_d**2))
                    weight = near * math.exp(-((value - image[u, v]) ** 2) / (2 * sigma_r**2))
                    total += weight * value
                    weights += weight
            out[u, v] = total / weights
    return out


@pytest.mark.parametrize(("sigma_d", "sigma_r"), [(0.7, 20.0), (1.1, 60.0), (1.4, 8.0)])
def test_bilateral_is_its_sum_written_out(sigma_d, sigma_r):
    image = picture((11, 14))
    expected = brute_force(image, sigma_d, sigma_r, math.ceil(3.5 * sigma_d))
    assert np.allclose(bilateral(image, sigma_d, sigma_r), expected, rtol=1e-12)


def test_a_point_is_spread_evenly_about_itself():
    point = np.zeros((25, 25))
    point[12, 12] = 1
    answer = bilateral(point, 1.5, 1e6)
    assert ndimage.center_of_mass(answer) == pytest.approx((12, 12))
    assert np.allclose(answer, answer.T)
    assert np.allclose(answer, answer[::-1])


# With all distances weighed alike: as of 0.26, scikit-image reads its table of distances askew.
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

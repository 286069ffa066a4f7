"""Measures on images against SciPy, scikit-image, and images of known answers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance
from skimage.metrics import structural_similarity

from ctgan_utils.metrics import (
    blank_space,
    body_brightness,
    body_width,
    edge_density,
    grey_level_distance,
    ms_ssim,
    ms_ssim_diversity,
    nearest_correlation,
    noise_level,
    radial_power_spectrum,
    sliced_wasserstein,
)
from ctgan_utils.metrics.images import enlarged, laplacian_level


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


def textures(n=40, size=64, sigma=1.5, seed=0):
    """uint8 images [n, size, size] of smooth noise."""
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    smooth = gaussian_filter(noise, (0, sigma, sigma), mode="wrap")
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def noisy(images, deviation, seed=5):
    noise = np.random.default_rng(seed).normal(0, deviation, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def test_a_step_is_an_edge_on_both_its_sides():
    step = np.zeros((2, 1, 20, 12), np.uint8)
    step[..., 7:] = 100
    assert edge_density(step, 49.9) == 2 / 10
    assert edge_density(step, 50) == 0
    assert edge_density(step.transpose(0, 1, 3, 2), 49.9) == 2 / 10
    assert edge_density(np.full((3, 9, 9), 200, np.uint8), 0) == 0


def test_a_ramp_has_its_slope_as_gradient():
    ramp = np.add.outer(3 * np.arange(30), 4 * np.arange(30)).astype(np.uint8)[None]
    assert edge_density(ramp, 4.99) == 1
    assert edge_density(ramp, 5.01) == 0
    assert edge_density(np.concatenate([ramp, 0 * ramp]), 4.99) == 0.5


def test_blank_space_is_where_nearly_every_slice_shows_air():
    slices = np.full((50, 1, 20, 30), 7, np.uint8)
    slices[:, :, 5:15, 8:22] = 120  # the body
    slices[0, :, 4] = 200  # in one slice of fifty
    slices[:2, :, 3] = 200  # in two
    slices[:, :, 2] = 17  # within 10 grey levels of the air
    slices[:, :, 1] = 18
    expected = np.ones((20, 30), bool)
    expected[5:15, 8:22] = expected[3] = expected[1] = False
    assert (blank_space(slices) == expected).all()
    assert blank_space(slices, level=11)[1].all()
    assert blank_space(slices, share=0.95)[3].all()
    assert not blank_space(slices + slices // 2)[1:3].any()


@pytest.mark.parametrize("deviation", [4, 12])
def test_noise_level_is_the_deviation_of_white_noise(deviation):
    flat = np.full((80, 64, 64), 128, np.uint8)
    everywhere = np.ones((64, 64), bool)
    found = noise_level(noisy(flat, deviation), everywhere)
    assert found.shape == (80,)
    rounded = np.hypot(deviation, np.sqrt(1 / 12))
    assert found.mean() == pytest.approx(rounded, rel=0.01)
    ramp = np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.uint8)
    assert noise_level(noisy(flat // 4 + ramp, deviation), everywhere).mean() == pytest.approx(
        rounded, rel=0.01
    )


def test_noise_level_sees_its_region_only():
    flat = np.full((70, 64, 64), 100, np.uint8)
    flat[:, :32] = noisy(flat[:, :32], 9)
    region = np.zeros((70, 64, 64), bool)
    region[:40, :31] = region[40:69, 33:] = True
    levels = noise_level(flat[:, None], region)
    assert levels[:40].mean() == pytest.approx(9, rel=0.02)
    assert (levels[40:69] == 0).all()
    assert np.isnan(levels[69])


def test_nearest_correlation_finds_the_copy():
    images = textures(30)
    expected = np.corrcoef(images.reshape(30, -1)) - 2 * np.eye(30)
    assert np.allclose(nearest_correlation(images), expected.max(1))
    copied = np.concatenate([images, images[:1] // 2 + 20])
    found = nearest_correlation(copied)
    assert found[[0, -1]] == pytest.approx(1, abs=1e-3)
    assert found[1:30] == pytest.approx(expected.max(1)[1:], abs=1e-3)
    with_flat = nearest_correlation(np.concatenate([images, np.full((1, 64, 64), 9, np.uint8)]))
    assert np.isnan(with_flat[-1])
    assert np.allclose(with_flat[:-1], expected.max(1))


def test_the_pyramid_adds_up_to_the_image():
    images = textures(3)
    levels = [laplacian_level(images.astype(np.float32), level, 3) for level in range(3)]
    assert [level.shape for level in levels] == [(3, 64, 64), (3, 32, 32), (3, 16, 16)]
    whole = levels[0] + enlarged(levels[1] + enlarged(levels[2]))
    assert np.array_equal(whole.round(), images)
    assert np.abs(whole - images).max() < 1e-4


def test_the_pyramid_of_a_constant_is_its_last_level():
    constant = np.full((1, 32, 32), 7.0)
    assert np.abs(laplacian_level(constant, 0, 2)[:, 2:-2, 2:-2]).max() < 1e-12
    assert np.abs(laplacian_level(constant, 1, 2) - 7).max() < 1e-12


def test_equal_sets_are_at_no_sliced_distance_and_blur_moves_the_finest_level_away():
    x = noisy(textures(), 10)
    assert sliced_wasserstein(x, x[:, None]) == {64: 0, 32: 0, 16: 0}
    blurred = [gaussian_filter(x, (0, sigma, sigma)) for sigma in (0.4, 0.6, 0.9)]
    values = [sliced_wasserstein(x, y) for y in blurred]
    finest = [value[64] for value in values]
    assert finest[0] < finest[1] < finest[2]
    assert values[2][64] > 2 * values[2][16]


def test_sets_of_one_distribution_are_nearer_than_others():
    near = sliced_wasserstein(textures(seed=0), textures(seed=1))
    far = sliced_wasserstein(textures(seed=0), textures(seed=1, sigma=3))
    assert all(far[side] > 2 * near[side] for side in (64, 32))
    assert sliced_wasserstein(textures(seed=0), textures(seed=1), seed=0) == near
    assert sliced_wasserstein(textures(seed=0), textures(seed=1), seed=1) != near


def test_the_sliced_distance_is_blind_to_brightness_and_contrast():
    x = textures() // 2
    assert max(sliced_wasserstein(x, 2 * x + 1).values()) < 0.1


@pytest.mark.parametrize("size", [11, 21])
def test_one_scale_of_similarity_is_scikit_images(size):
    x = textures(size=size)
    y = noisy(x, 20)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = [structural_similarity(a, b, **settings) for a, b in zip(x, y)]
    assert np.allclose(ms_ssim(x, y), expected, rtol=1e-9)


def by_scikit_image(x, y, weights):
    """MS-SSIM of two images, from scikit-image's maps: their ratio to luminance is contrast and structure."""
    value = 1
    for k, weight in enumerate(weights):
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        full = structural_similarity(x, y, data_range=255, full=True, **settings)[1]
        a, b = (gaussian_filter(image, 1.5, truncate=3.5) for image in (x, y))
        c1 = (0.01 * 255) ** 2
        luminance = (2 * a * b + c1) / (a**2 + b**2 + c1)
        part = full if k == len(weights) - 1 else full / luminance
        value *= part[5:-5, 5:-5].mean() ** weight
        half = len(x) // 2
        x, y = (image[: 2 * half, : 2 * half].reshape(half, 2, half, 2).mean((1, 3)) for image in (x, y))
    return value


@pytest.mark.parametrize(("size", "scales"), [(176, 5), (172, 4), (64, 3), (32, 2)])
def test_similarity_multiplies_the_scales(size, scales):
    x = textures(2, size)
    y = noisy(x, 30)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    pairs = zip(x.astype(float), y.astype(float))
    expected = [by_scikit_image(*pair, weights / weights.sum()) for pair in pairs]
    assert np.allclose(ms_ssim(x, y), expected, rtol=1e-9)


def test_similarity_is_one_for_equal_and_falls_with_noise():
    x = textures(70)
    assert np.array_equal(ms_ssim(x, x[:, None]), np.ones(70))
    values = [ms_ssim(x, noisy(x, deviation)).mean() for deviation in (5, 20, 60)]
    assert 1 > values[0] > values[1] > values[2] > 0
    assert np.array_equal(ms_ssim(x, 255 - x), np.zeros(70))


def test_similarity_of_pairs_is_one_for_a_collapsed_set():
    x = textures(30)
    same = np.repeat(x[:1], 30, axis=0)
    assert ms_ssim_diversity(same, 50) == 1
    half = np.concatenate([same, x])
    assert ms_ssim_diversity(x, 200) < ms_ssim_diversity(half, 200) < 1
    pair = ms_ssim(x[:1], x[1:2])[0]
    assert ms_ssim_diversity(x[:2], 10) == pytest.approx(pair)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: edge_density(x.astype(float), 1), "uint8 images .* not float64"),
        (lambda x: edge_density(x[0], 1), "are needed, not uint8"),
        (lambda x: edge_density(x[:0], 1), "no images"),
        (lambda x: edge_density(x[:, :2], 1), "no inner pixels"),
        (lambda x: sliced_wasserstein(x, x[:2]), "not 4 and 2"),
        (lambda x: sliced_wasserstein(x, x[:, :16, :16]), "can't be compared"),
        (lambda x: sliced_wasserstein(x[:, :16], x[:, :16]), "square"),
        (lambda x: sliced_wasserstein(*2 * [np.zeros((1, 33, 33), np.uint8)]), "square"),
        (lambda x: sliced_wasserstein(*2 * [x[:, :8, :8]]), "square"),
        (lambda x: ms_ssim(x, x[:2]), "pairs of images"),
        (lambda x: ms_ssim(*2 * [x[:, :10]]), "11x11"),
        (lambda x: ms_ssim_diversity(x[:1]), "two or more images"),
    ],
)
def test_bad_images_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(textures(4, 32))


def test_a_body_is_as_wide_as_its_columns_and_as_bright_as_what_is_not_dark():
    images = np.zeros((3, 1, 32, 32), np.uint8)
    images[0, 0, 8:20, 4:24] = 100
    images[1, 0, 8:20, 4:24] = 100
    images[1, 0, 28, :] = 200  # a table
    images[1, 0, :, 0] = 20  # too dark to count
    assert body_width(images).tolist() == [20, 20, 0]
    brightness = body_brightness(images)
    assert brightness[:2].tolist() == [100, pytest.approx((240 * 100 + 31 * 200) / 271)]
    assert np.isnan(brightness[2])

"""Measures on images: spectra, grey levels, edges, noise, structure at several scales."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import correlate1d, gaussian_filter

from ctgan_utils.metrics.arrays import Images, checked_images
from ctgan_utils.metrics.neighbours import nearest_distances

BLOCK = 64  # images held as floats at once
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
SECOND_DIFFERENCES = np.array([1, -2, 1])
PATCH, PATCHES, DIRECTIONS = 7, 128, 512  # side, number per image, projections: Karras 2018, section 5
SCALE_WEIGHTS = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333  # finest scale first: Wang 2003, section 3.2


def radial_power_spectrum(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [K] in cycles per pixel, 0 to 0.5, and the mean power of images [N, H, H] at each.

    The squared discrete Fourier transform, in squared grey levels per pixel, averaged over images, then over
    rings one frequency step (1/H) wide: white noise of variance v has power v everywhere.
    """
    size = images.shape[-1]
    frequency = np.fft.fftfreq(size)
    ring = np.rint(size * np.hypot(frequency[:, None], frequency[: size // 2 + 1])).astype(int)
    weight = np.full(ring.shape, 2.0)  # rfft leaves out the columns that mirror these
    weight[:, [0, -1] if size % 2 == 0 else [0]] = 1
    power = np.zeros(ring.shape)
    for part in np.array_split(np.asarray(images), max(1, len(images) // 256)):
        power += (np.abs(np.fft.rfft2(part.astype(np.float64))) ** 2).sum(0)
    power /= len(images) * size**2
    total = np.bincount(ring.ravel(), (weight * power).ravel()) / np.bincount(ring.ravel(), weight.ravel())
    return np.arange(size // 2 + 1) / size, total[: size // 2 + 1]


def grey_level_distance(x: Images, y: Images) -> float:
    """Earth mover's distance of the grey levels of uint8 images x and y, of any shape, in grey levels."""
    shares = [np.bincount(levels, minlength=256) / len(levels) for levels in map(np.ravel, (x, y))]
    return float(np.abs(np.cumsum(shares[0] - shares[1])).sum())


def edge_density(images: Images, threshold: float) -> float:
    """Share of pixels of uint8 images [N, 1, H, W] or [N, H, W] on an edge, averaged over images.

    There the Sobel gradient is larger than `threshold`, in grey levels per pixel: a ramp that gains one grey
    level per pixel has gradient 1, a step by s grey levels has s / 2 on both its sides. The outermost pixels
    are left out.
    """
    (images,) = checked_images(images)
    if min(images.shape[1:]) < 3:
        raise ValueError(f"images of {list(images.shape[1:])} have no inner pixels")
    edges = 0
    for part in _float_blocks(images):
        slopes = [filtered(part, [1, 2, 1], [-1, 0, 1]), filtered(part, [-1, 0, 1], [1, 2, 1])]
        edges += (np.hypot(*slopes)[:, 1:-1, 1:-1] > 8 * threshold).sum()
    return float(edges / (len(images) * (images.shape[1] - 2) * (images.shape[2] - 2)))


def blank_space(real: Images, level: float = 10, share: float = 0.98) -> np.ndarray:
    """Where real slices show air and nothing else: bool [H, W], from uint8 [N, 1, H, W] or [N, H, W].

    A pixel is blank if its grey level is within `level` of the air's in at least `share` of the slices. The
    air's grey level is the median of the slices' corners. Neither the body nor its table reaches such pixels,
    so what a generator draws there is haze or noise. No pixel may be blank, where slices are cut close.
    """
    (real,) = checked_images(real)
    air = np.median(real[:, [0, 0, -1, -1], [0, -1, 0, -1]])
    return (np.abs(real - air) <= level).mean(0) >= share


def noise_level(images: Images, where: np.ndarray) -> np.ndarray:
    """The standard deviation of the noise of each image, in grey levels, [N].

    uint8 images [N, 1, H, W] or [N, H, W] are filtered with second differences down and across, which take
    away all that is flat or a slope, and the mean size of what is left is scaled so that white Gaussian noise
    of deviation s gives s (Immerkaer 1996). The mean is over the pixels of `where`, bool [H, W], or [N, H, W]
    for a region in each image; keep edges out of it. An image without such pixels has nan.
    """
    (images,) = checked_images(images)
    where = np.broadcast_to(where, images.shape)
    sums = [
        np.abs(filtered(part, SECOND_DIFFERENCES, SECOND_DIFFERENCES)).sum((1, 2), where=where[k : k + BLOCK])
        for k, part in zip(range(0, len(images), BLOCK), _float_blocks(images))
    ]
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.pi / 2) / 6 * np.concatenate(sums) / where.sum((1, 2))


def filtered(images: np.ndarray, down: ArrayLike, across: ArrayLike) -> np.ndarray:
    """Images [N, H, W] filtered along columns, then along rows, mirrored beyond the outermost pixels."""
    return correlate1d(correlate1d(images, down, 1, mode="mirror"), across, 2, mode="mirror")


def _float_blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(images), BLOCK):
        yield images[start : start + BLOCK].astype(np.float32)


def sliced_wasserstein(x: Images, y: Images, seed: int = 0) -> dict[int, float]:
    """Sliced Wasserstein distance of two sets of uint8 images at each resolution: {side: distance x 10^3}.

    x and y are as many square images, [N, 1, H, H] or [N, H, H]. From each level of the Laplacian pyramid, H
    down to 16, 128 patches of 7x7 are drawn per image and normalised by their set's mean and deviation. The
    distance is the mean difference of their sorted projections, over 512 random directions (Karras 2018,
    section 5 and its published code). Both sets are cut at the same places, so equal sets are at distance 0.
    Raises ValueError for unequal numbers, images that aren't square, and sides that don't halve down to 16.
    """
    x, y = checked_images(x, y)
    side = x.shape[-1]
    if len(x) != len(y):
        raise ValueError(f"as many images in each set are needed, not {len(x)} and {len(y)}")
    levels = max(0, side.bit_length() - 4)
    if x.shape[1] != side or not levels or side % 2 ** (levels - 1):
        raise ValueError(f"images of {list(x.shape[1:])}: square ones are needed that halve down to 16")
    distances = {}
    for level in range(levels):
        rng = np.random.default_rng([seed, level])
        corners = rng.integers((side >> level) - PATCH + 1, size=(2, len(x), PATCHES))
        a, b = (_patches(images, levels, level, corners) for images in (x, y))
        distances[side >> level] = 1000 * _mean_projected_distance(a, b, rng)
    return distances


def laplacian_level(images: np.ndarray, level: int, levels: int) -> np.ndarray:
    """One level of the Laplacian pyramid of float images [N, H, W], at 1 / 2^level of their side (Burt 1983).

    It holds what the next level, enlarged, lacks; the last of `levels` holds the rest. Together they add up
    to the image.
    """
    for _ in range(level):
        images = reduced(images)
    return images if level == levels - 1 else images - enlarged(reduced(images))


def reduced(images: np.ndarray) -> np.ndarray:
    return filtered(images, BINOMIAL, BINOMIAL)[:, ::2, ::2]


def enlarged(images: np.ndarray) -> np.ndarray:
    spread = np.zeros((len(images), 2 * images.shape[1], 2 * images.shape[2]), images.dtype)
    spread[:, ::2, ::2] = images
    return 4 * filtered(spread, BINOMIAL, BINOMIAL)


def _patches(images: np.ndarray, levels: int, level: int, corners: np.ndarray) -> np.ndarray:
    """Normalised patches float32 [N * 128, 49] of one level of the pyramid, at corners [2, N, 128]."""
    parts = []
    for k, block in enumerate(_float_blocks(images)):
        pixels = laplacian_level(block, level, levels)
        lines = np.lib.stride_tricks.sliding_window_view(pixels, PATCH, axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(lines, PATCH, axis=2)
        rows, columns = corners[:, k * BLOCK : k * BLOCK + len(pixels)]
        parts.append(windows[np.arange(len(pixels))[:, None], rows, columns].reshape(-1, PATCH**2))
    patches = np.concatenate(parts)
    patches -= patches.mean()
    return patches / max(patches.std(), np.finfo(np.float32).tiny)


def _mean_projected_distance(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> float:
    """Mean difference of the sorted projections of a and b [N, d], over random directions."""
    total = 0.0
    for _ in range(DIRECTIONS // 16):
        directions = rng.normal(size=(16, a.shape[1])).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        total += np.abs(np.sort(directions @ a.T, axis=1) - np.sort(directions @ b.T, axis=1)).mean()
    return float(total / (DIRECTIONS // 16))


def ms_ssim(x: Images, y: Images) -> np.ndarray:
    """Multi-scale structural similarity [N] of pairs of uint8 images [N, 1, H, W] or [N, H, W]; 1: equal.

    Five scales, each half the last, with Wang 2003's weights (equation 7), a Gaussian window of 11x11
    pixels, deviation 1.5, and only windows that lie within the image. Images below 176 pixels have fewer
    scales, as many as hold a window: four from 88, three from 44, two from 22. The weights of these are
    scaled to sum to 1, so values of different image sizes aren't comparable. A negative mean of a scale, as
    of an image and its negative, counts as 0. Raises ValueError for unequal shapes or sides below 11.
    """
    x, y = checked_images(x, y)
    if len(x) != len(y) or min(x.shape[1:]) < 11:
        raise ValueError(f"pairs of images of 11x11 or more are needed, not {list(x.shape)}, {list(y.shape)}")
    scales = min(len(SCALE_WEIGHTS), (min(x.shape[1:]) // 11).bit_length())
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    values = []
    for a, b in zip(_float_blocks(x), _float_blocks(y)):
        value, a, b = 1.0, a.astype(np.float64), b.astype(np.float64)
        for scale, weight in enumerate(weights):
            luminance, structure = _similarity_maps(a, b)
            part = structure if scale < scales - 1 else luminance * structure
            value = value * part.mean((1, 2)).clip(0) ** weight
            a, b = _halved(a), _halved(b)
        values.append(value)
    return np.concatenate(values)


def _similarity_maps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, of each window (Wang 2004, equations 6 and 13)."""
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    variances = (_window_mean(a * a) - mean_a**2) + (_window_mean(b * b) - mean_b**2)
    covariance = _window_mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _window_mean(images: np.ndarray) -> np.ndarray:
    return gaussian_filter(images, (0, 1.5, 1.5), truncate=3.5)[:, 5:-5, 5:-5]  # 3.5: 11 pixels


def _halved(images: np.ndarray) -> np.ndarray:
    """The means of 2x2 pixels; a last odd row or column is left out."""
    n, height, width = images.shape[0], images.shape[1] // 2, images.shape[2] // 2
    return images[:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2).mean((2, 4))


def ms_ssim_diversity(images: Images, pairs: int = 1000, seed: int = 0) -> float:
    """Mean multi-scale structural similarity of random pairs of different images: lower is more varied.

    uint8 images [N, 1, H, W] or [N, H, W] (Odena 2017, section 4.2, where pairs are of one class). Raises
    ValueError for fewer than two images.
    """
    (images,) = checked_images(images)
    if len(images) < 2:
        raise ValueError("two or more images are needed for a pair")
    rng = np.random.default_rng(seed)
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)
    return float(ms_ssim(images[first], images[second]).mean())


def nearest_correlation(images: Images) -> np.ndarray:
    """The highest correlation of each image with another of its set, [N]: how nearly it is a copy.

    Pearson's correlation of uint8 images [N, 1, H, W] or [N, H, W]: 1 for a copy, whatever its brightness and
    contrast. Its median near 1 tells of a set of near-copies, but only beside that of as many real slices,
    for among more images a nearer one is found. An image of one grey level has no correlation, but nan.
    Raises ValueError for fewer than two images of more than one grey level.
    """
    (images,) = checked_images(images)
    rows = images.reshape(len(images), -1).astype(np.float64)
    rows -= rows.mean(1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1)
    varied = lengths > 0
    directions = rows[varied] / lengths[varied, None]
    correlations = np.full(len(images), np.nan)
    correlations[varied] = 1 - nearest_distances(directions, directions, same=True)[0][:, 0] ** 2 / 2
    return correlations


def body_width(images: np.ndarray) -> np.ndarray:
    """Width of the body in images uint8 [N, 1, H, W]: columns in which an eighth of the pixels is not dark.

    Dark is below 25 of 255 grey levels. The table is too thin to count.
    """
    lit = np.asarray(images)[:, 0] >= 25
    return (lit.sum(1) >= images.shape[-2] / 8).sum(1)


def body_brightness(images: np.ndarray) -> np.ndarray:
    """Mean grey level of what is not dark (25 of 255 and more) in images uint8 [N, 1, H, W]; else NaN."""
    images = np.asarray(images)[:, 0].astype(float)
    lit = images >= 25
    count = lit.sum((1, 2)).astype(float)
    return np.divide((images * lit).sum((1, 2)), count, out=np.full(len(images), np.nan), where=count > 0)

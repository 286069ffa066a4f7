"""Measures of CT's own on images: spectra, grey levels."""

import numpy as np


def radial_power_spectrum(images):
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


def grey_level_distance(x, y):
    """Earth mover's distance of the grey levels of uint8 images x and y, of any shape, in grey levels."""
    shares = [np.bincount(np.asarray(images).ravel(), minlength=256) / np.size(images) for images in (x, y)]
    return float(np.abs(np.cumsum(shares[0] - shares[1])).sum())

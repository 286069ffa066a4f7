"""The Fréchet wavelet distance: a Fréchet distance for each band of spatial frequencies, and their mean.

A wavelet packet holds what an image has in one band of vertical and one band of horizontal frequencies, as
coefficients at places all over the image. No network is trained, so nothing is learnt from other pictures.
"""

import math

import numpy as np
import pywt

from ctgan_utils.metrics.arrays import Images, checked_images
from ctgan_utils.metrics.frechet import frechet_distance

BLOCK = 64  # images held as float64 at once
SIDE = 8  # coefficients along a side of a packet, at least, at the default level


def wavelet_distance(x: Images, y: Images, level: int | None = None) -> float:
    """Fréchet wavelet distance of two sets of uint8 images [N, 1, H, W] or [N, H, W].

    The mean of the Fréchet distances of all wavelet packets (Veeramacheneni 2025): Haar wavelets on grey
    levels scaled to [0, 1], as the authors' package pytorchfwd computes it from images of one channel. That
    package repeats a grey image in three channels when it reads a file, and its value is then three times
    this one. An image's power lies mostly at low frequencies, so their packets count most in the mean:
    packet_distances tells what the others say.

    level is that of wavelet_packets; values at different levels or sizes can't be compared. Raises
    ValueError for what is no such set, fewer than two images, and images of unequal size or too small.
    """
    x, y = checked_images(x, y)
    return float(packet_distances(wavelet_packets(x, level), wavelet_packets(y, level)).mean())


def wavelet_packets(images: Images, level: int | None = None) -> np.ndarray:
    """Haar wavelet packets, float32 [N, 4^level, d], of uint8 images [N, 1, H, W] or [N, H, W].

    With F = 2^level bands a side, packet F * i + j holds the vertical frequencies i / 2F to (i + 1) / 2F and
    the horizontal ones j / 2F to (j + 1) / 2F, in cycles per pixel, from low to high. Its d coefficients are
    the rows and columns of a picture at 1 / F of the size. The transform is orthonormal on grey levels in
    [0, 1]: the squares of all coefficients have the sum that the squares of all pixels have. Haar wavelets
    are short, so that their bands overlap: a sharp edge is seen in all of them.

    Without a level, packets have 8 x 8 coefficients or more: level 3 at 64 x 64 pixels, 4 at 128, 5 at 256.
    The authors advise one level less, packets of 16 x 16, for tens of thousands of images. Sets of CT slices
    are smaller: a covariance of 64 numbers can be told from some hundreds of images, one of 256 can't. Raises
    ValueError for what is no such set, and if a side has fewer than 2^level pixels.
    """
    (images,) = checked_images(images)
    side = min(images.shape[1:])
    if level is None:
        level = max(1, (side // SIDE).bit_length() - 1)
    if level < 1 or side < 2**level:
        raise ValueError(f"images of {list(images.shape[1:])} have no wavelet packets of level {level}")
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    return np.concatenate([_transformed(block / 255, level) for block in blocks])


def _transformed(images: np.ndarray, level: int) -> np.ndarray:
    """Packets float32 [N, 4^level, d] of float images [N, H, W], in order of frequency."""
    packets = images[:, None, None]  # [N, bands, bands, rows, columns]
    for _ in range(level):
        n, bands = packets.shape[:2]
        smooth, (down, across, both) = pywt.dwt2(packets, "haar", mode="reflect")
        split = np.empty((n, 2 * bands, 2 * bands, *smooth.shape[-2:]))
        # halving the rate mirrors the frequencies of every other band: there the high half comes first
        low = 2 * np.arange(bands) + np.arange(bands) % 2
        high = low ^ 1
        for i, j, half in ((low, low, smooth), (high, low, down), (low, high, across), (high, high, both)):
            split[:, i[:, None], j] = half
        packets = split
    return packets.reshape(len(packets), 4**level, -1).astype(np.float32)


def packet_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The Fréchet distance of each packet, float64 [F, F], of two sets of wavelet_packets.

    Rows are vertical frequencies, columns horizontal ones, from low to high. Their mean is the
    wavelet_distance, so that one who draws rows of the packets anew can compute it without the images.
    Raises ValueError for what are no packets of one kind, and for fewer than two images.
    """
    x, y = _checked_packets(x, y)
    return _on_grid([frechet_distance(x[:, k], y[:, k]) for k in range(x.shape[1])])


def packet_gains(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much more power the second of two sets of wavelet_packets has in each packet, in dB [F, F].

    Ten times the decimal logarithm of the ratio of their mean squares: 0 where they are equal, +3 where the
    second has twice as much, negative where it has less, as after a blur. Rows and columns, and errors, are
    those of packet_distances.
    """
    power = [np.square(packets, dtype=np.float64).mean((0, 2)) for packets in _checked_packets(x, y)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return _on_grid(10 * np.log10(np.where(power[0] == power[1], 1, power[1] / power[0])))


def _on_grid(values: np.ndarray | list[float]) -> np.ndarray:
    return np.reshape(values, (math.isqrt(len(values)), -1))


def _checked_packets(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for packets in (x, y):
        if packets.ndim != 3 or len(packets) < 2:
            shape = list(packets.shape)
            raise ValueError(f"packets of shape {shape}: [N, 4^level, d] with N of two or more is needed")
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"packets of shapes {list(x.shape[1:])} and {list(y.shape[1:])} can't be compared")
    return x, y

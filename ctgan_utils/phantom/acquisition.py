"""From attenuation to an image, as a scanner does it: project, count photons, reconstruct.

Parallel beams and filtered back-projection after Kak and Slaney, Principles of Computerized Tomographic
Imaging (IEEE Press, 1988), ch. 3. The pixels of an image are squares of even attenuation. View k of V looks
under the angle t = (k + 1/2) pi / V, and its rays are strips x cos t + y sin t = s, with x to the right, y
down and the origin in the middle. Detector elements are half a pixel wide and span the diagonal, so that the
corners of the image are seen like the rest. Two views per pixel of its width lie less than a pixel apart
anywhere in the inscribed circle, which leaves no streaks.
"""

from functools import lru_cache

import numpy as np
from scipy import fft, sparse

MU_WATER = 0.0193  # attenuation, 1/mm at 70 keV: Hubbell and Seltzer, NISTIR 5632 (1995)
PITCH = 0.5  # width of a detector element, pixels
SHARPNESS = 3.0  # see `kernel`
REFERENCE = 300.0  # mm of water in the beam for which the dose of `acquire` is stated


def shape(size: int) -> tuple[int, int]:
    """Number of views and of detector elements for an image of size x size pixels, size even."""
    return 2 * size, 2 * int(np.ceil(np.sqrt(0.5) * size / PITCH))


@lru_cache(maxsize=2)
def system_matrix(size: int) -> sparse.csr_array:
    """Share of each pixel that each strip covers, for the views between 0 and 45 degrees.

    Sparse float32 [size * size, views / 4 * elements]; the shares of a pixel in a view add up to 1. The other
    views need no matrix of their own: they see the image mirrored about an axis or a diagonal.
    """
    views, elements = shape(size)
    angle = (np.arange(views // 4) + 0.5) * np.pi / views
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    base, top = (cos + sin) / 2, (cos - sin) / 2  # half the widths of a pixel's shadow, which is a trapezoid

    def left(t: np.ndarray) -> np.ndarray:
        """Area of a pixel left of the line at t from its middle: the trapezoid, integrated."""
        bends = (base, 1), (top, -1), (-top, -1), (-base, 1)
        return sum(sign * np.maximum(t + at, 0) ** 2 for at, sign in bends) / (2 * cos * sin)

    axis, rows = np.arange(size) - (size - 1) / 2, []
    for y in axis:
        middle = axis[:, None, None] * cos + y * sin  # [pixels of the row, views, 1]
        first = np.floor((middle - base) / PITCH)
        edge = first + np.arange(5)  # a shadow falls on four elements at most
        share = np.diff(left(edge * PITCH - middle))
        seen = share > 1e-9
        ray = np.arange(views // 4)[:, None] * elements + elements // 2 + edge[..., :4]
        ends = np.append(0, seen.sum((1, 2)).cumsum())
        parts = share[seen].astype(np.float32), ray[seen].astype(np.int32), ends.astype(np.int32)
        rows.append(sparse.csr_array(parts, shape=(size, views // 4 * elements)))
    return sparse.vstack(rows, format="csr")


def project(mu: np.ndarray, pixel: float) -> np.ndarray:
    """Line integrals, float32 [..., views, elements], of mu [..., size, size] in 1/mm; pixel in mm."""
    size = mu.shape[-1]
    views, elements = shape(size)
    image = np.moveaxis(np.asarray(mu, np.float32).reshape(-1, size, size), 0, -1)
    mirror = image[:, ::-1]
    # what a view at t < 45 degrees must be shown to see what those at t, 90 - t, 90 + t and 180 - t do
    sides = np.stack([image, image.swapaxes(0, 1), mirror.swapaxes(0, 1), mirror], 2)
    sums = system_matrix(size).T @ sides.reshape(size * size, -1)
    a, b, c, d = np.moveaxis(sums.reshape(views // 4, elements, 4, -1), 2, 0)
    sinogram = np.moveaxis(np.concatenate([a, b[::-1], c, d[::-1]]), -1, 0)
    return (sinogram * np.float32(pixel / PITCH)).reshape(*mu.shape[:-2], views, elements)


def back_project(sinogram: np.ndarray, size: int) -> np.ndarray:
    """Smears a sinogram [..., views, elements] over an image, float32 [..., size, size].

    Every view adds to a pixel the mean over its shadow: the adjoint of `project` for pixels of PITCH mm.
    """
    views, elements = shape(size)
    rays = np.moveaxis(np.asarray(sinogram, np.float32).reshape(-1, views, elements), 0, -1)
    a, b, c, d = np.split(rays, 4)
    sides = np.stack([a, b[::-1], c, d[::-1]], 2).reshape(views // 4 * elements, -1)
    a, b, c, d = np.moveaxis((system_matrix(size) @ sides).reshape(size, size, 4, -1), 2, 0)
    image = a + b.swapaxes(0, 1) + (c.swapaxes(0, 1) + d)[:, ::-1]
    return np.ascontiguousarray(np.moveaxis(image, -1, 0)).reshape(*sinogram.shape[:-2], size, size)


@lru_cache
def kernel(elements: int) -> np.ndarray:
    """The reconstruction filter's response at fft.rfftfreq(n) cycles per element, n >= 2 * elements: float32.

    The band-limited ramp (Kak and Slaney, eq. 61), for elements 1 mm wide and padded against wrap-around,
    times a Hann window that ends at the elements' Nyquist frequency. SHARPNESS gives back what the averaging
    over elements and pixels takes from high frequencies, as the sharper kernels of scanners do; 3 leaves
    images about as sharp as clinical ones scaled down to the same matrix.
    """
    n = 2 * fft.next_fast_len(elements, real=True)
    k = np.minimum(np.arange(n), n - np.arange(n))
    ramp = np.where(k % 2, -1 / (np.pi * np.maximum(k, 1)) ** 2, 0)
    ramp[0] = 1 / 4
    f = fft.rfftfreq(n)
    response = fft.rfft(ramp).real * np.cos(np.pi * f) ** 2 * np.exp(SHARPNESS * (f / PITCH) ** 2)
    return response.astype(np.float32)


def reconstruct(sinogram: np.ndarray, size: int, pixel: float) -> np.ndarray:
    """Attenuation, 1/mm, float32 [..., size, size], of line integrals [..., views, elements]; pixel in mm."""
    views, elements = shape(size)
    response = kernel(elements)
    spectrum = fft.rfft(np.asarray(sinogram, np.float32), 2 * (len(response) - 1)) * response
    filtered = fft.irfft(spectrum)[..., :elements]
    return back_project(filtered, size) * np.float32(np.pi / views / (PITCH * pixel))


def detect(sinogram: np.ndarray, photons: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Line integrals as counted, float32: photons per element (a number or an array) enter, a Poisson number
    arrives.

    An element that no photon reaches counts one: thick bodies give streaks, but no infinite integrals.
    """
    counts = rng.poisson(photons * np.exp(-sinogram))
    return np.log(photons / np.maximum(counts, 1)).astype(np.float32)


def acquire(hu: np.ndarray, pixel: float, photons: float, rng: np.random.Generator) -> np.ndarray:
    """What the scanner makes of Hounsfield units [slices, size, size], pixel in mm: float32, same shape.

    photons, per mm of detector in half a turn, is the dose with REFERENCE mm of water in the beam. Exposure
    control follows the patient from view to view: the tube gives photons in proportion to the square root of
    the attenuation (Gies et al., Medical Physics 26:2235, 1999). At one dose, noise grows as pixel ** -1.5.
    """
    sinogram = project(MU_WATER * (1 + np.asarray(hu, np.float32) / 1000), pixel)
    tube = np.exp((sinogram.max(-1, keepdims=True) - MU_WATER * REFERENCE) / 2)
    per_element = photons * PITCH * pixel / sinogram.shape[-2]
    counted = detect(sinogram, per_element * tube, rng)
    return 1000 * (reconstruct(counted, hu.shape[-1], pixel) / MU_WATER - 1)

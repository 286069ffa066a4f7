"""Reconstruction: a scan with few views and few photons, and what became of the lesions in its image."""

import numpy as np
from scipy import ndimage

from ctgan_utils.phantom.acquisition import MU_WATER, detect, project, reconstruct
from ctgan_utils.runtime import UserError

PIXEL = 6.0  # mm: about what a pixel of a 64x64 slice is wide
LEAST_PIXELS = 4  # of a lesion that is judged
LEAST_CONTRAST = 30.0  # HU between a lesion that is judged and its surroundings


def few_views(sinogram: np.ndarray, views: int) -> np.ndarray:
    """A sinogram [..., V, elements] in which only `views` of the V views, evenly spread, were taken.

    The others become zero and those that were taken count V / views times, so that `acquisition.reconstruct`
    makes of it the filtered back-projection of these views alone. Raises UserError unless views divides V.
    """
    taken = sinogram.shape[-2]
    if views < 1 or taken % views:
        raise UserError(f"views={views}: give a number that divides {taken}")
    kept = np.zeros_like(sinogram)
    kept[..., :: taken // views, :] = sinogram[..., :: taken // views, :] * (taken / views)
    return kept


def scan(hu: np.ndarray, views: int, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Filtered back-projection, float32 Hounsfield units [N, S, S], of slices hu [N, S, S].

    A view sends `photons` to each detector element. Pixels are PIXEL mm wide.
    """
    size = hu.shape[-1]
    sinogram = project(MU_WATER * (1 + np.asarray(hu, np.float32) / 1000), PIXEL)
    counted = few_views(detect(sinogram, photons, rng), views)
    return 1000 * (reconstruct(counted, size, PIXEL) / MU_WATER - 1)


def lesion_contrast(hu: np.ndarray, lesion: np.ndarray) -> float:
    """Mean of hu [S, S] inside a lesion, bool [S, S], less the median of a ring of two pixels about it, HU.

    A pixel between lesion and ring belongs to neither: it may hold a part of the lesion.
    """
    near = ndimage.binary_dilation(lesion)
    ring = ndimage.binary_dilation(near, iterations=2) & ~near
    return float(hu[lesion].mean() - np.median(hu[ring]))


def kept_share(made: np.ndarray, true: np.ndarray, lesion: np.ndarray) -> float:
    """The share of a lesion's contrast that is left in `made`: 1 is all, 0 nothing, below 0 turned round.

    made and true are Hounsfield units [S, S], lesion bool [S, S]. NaN for a lesion that can't be judged, with
    fewer than LEAST_PIXELS pixels or less true contrast than LEAST_CONTRAST.
    """
    if lesion.sum() < LEAST_PIXELS or abs(contrast := lesion_contrast(true, lesion)) < LEAST_CONTRAST:
        return float("nan")
    return lesion_contrast(made, lesion) / contrast


def largest_spot(made: np.ndarray, true: np.ndarray, inside: np.ndarray) -> float:
    """The largest error of a mean of 3x3 pixels whose middle lies inside, HU; NaN where nothing is inside.

    made and true are Hounsfield units [S, S], inside bool [S, S]. In a healthy organ an error as large as
    LEAST_CONTRAST is a spot that could be taken for a lesion.
    """
    spots = abs(ndimage.uniform_filter(np.asarray(made, float) - true, 3))
    return float(spots[inside].max()) if inside.any() else float("nan")

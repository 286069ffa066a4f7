"""The checks that every measure on feature arrays and on images makes first."""

import numpy as np
from torch import Tensor

Images = np.ndarray | Tensor  # uint8 [N, 1, H, W] or [N, H, W]


def checked_features(*sets: np.ndarray, rows: int = 2) -> list[np.ndarray]:
    """The feature arrays [N, d], each as float64, in a list.

    Raises ValueError for another shape, fewer than `rows` rows, unequal d, or values that are not finite.
    """
    arrays = [np.asarray(features) for features in sets]
    least = {1: "one or more", 2: "two or more"}.get(rows, f"{rows} or more")
    for array in arrays:
        if array.ndim != 2 or len(array) < rows:
            raise ValueError(f"features of shape {array.shape}: {least} rows [N, d] are needed")
        if not np.isfinite(array).all():
            raise ValueError("features hold values that are not finite")
        if array.shape[1] != arrays[0].shape[1]:
            dimensions = f"{arrays[0].shape[1]} and {array.shape[1]}"
            raise ValueError(f"features of {dimensions} dimensions can't be compared")
    return [array.astype(np.float64, copy=False) for array in arrays]


def checked_images(*sets: Images) -> list[np.ndarray]:
    """Each set of images, uint8 [N, 1, H, W] or [N, H, W], array or tensor, as an array [N, H, W], in a list.

    Raises ValueError for other types and shapes, for no images, and for images of unequal size.
    """
    arrays = [np.asarray(images) for images in sets]
    for k, array in enumerate(arrays):
        if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[1:-2] not in ((), (1,)):
            shape = f"{array.dtype} {list(array.shape)}"
            raise ValueError(f"uint8 images [N, 1, H, W] or [N, H, W] are needed, not {shape}")
        arrays[k] = array.reshape(len(array), *array.shape[-2:])
        if not array.size:
            raise ValueError("there are no images to measure")
        if arrays[k].shape[1:] != arrays[0].shape[1:]:
            sizes = f"{list(arrays[0].shape[1:])} and {list(arrays[k].shape[1:])}"
            raise ValueError(f"images of sizes {sizes} can't be compared")
    return arrays

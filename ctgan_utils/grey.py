"""Grey levels: between Hounsfield units, uint8 in memory and on disk, and the floats of networks."""

import numpy as np
import torch
from numpy.typing import ArrayLike


def window(hu: ArrayLike, center: float = 40.0, width: float = 400.0) -> np.ndarray:
    """Grey levels uint8 of Hounsfield units: linear from center - width/2 (0) to center + width/2 (255)."""
    if not width > 0:
        raise ValueError(f"window width must be positive, got {width}")
    grey = (np.asarray(hu, np.float32) - np.float32(center - width / 2)) * np.float32(255 / width)
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 [0, 255] to float [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """float [-1, 1] to uint8 [0, 255], rounded."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

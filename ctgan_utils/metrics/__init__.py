"""Distances between sets of images: on plain feature arrays [N, d], and on uint8 images [N, 1, H, W]."""

from ctgan_utils.metrics.frechet import frechet_distance, frechet_floor
from ctgan_utils.metrics.images import grey_level_distance, radial_power_spectrum

__all__ = ["frechet_distance", "frechet_floor", "grey_level_distance", "radial_power_spectrum"]

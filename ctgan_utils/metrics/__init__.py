"""Distances between sets of images: on plain feature arrays [N, d], and on uint8 images [N, 1, H, W]."""

from ctgan_utils.metrics.edges import edge_continuity, edge_precision_recall
from ctgan_utils.metrics.frechet import (
    GaussianStatistics,
    frechet_curve,
    frechet_distance,
    frechet_extrapolated,
    frechet_floor,
    frechet_interval,
    gaussian_samples,
)
from ctgan_utils.metrics.images import (
    edge_density,
    grey_level_distance,
    ms_ssim,
    ms_ssim_diversity,
    radial_power_spectrum,
    sliced_wasserstein,
)
from ctgan_utils.metrics.kernel import kernel_distance, kernel_distance_subsets
from ctgan_utils.metrics.neighbours import (
    copied_share,
    data_copying_z,
    density_coverage,
    memorisation_ratio,
    nearest_distances,
    nearest_neighbour_accuracy,
    precision_recall,
)

__all__ = [
    "GaussianStatistics",
    "copied_share",
    "data_copying_z",
    "density_coverage",
    "edge_continuity",
    "edge_density",
    "edge_precision_recall",
    "frechet_curve",
    "frechet_distance",
    "frechet_extrapolated",
    "frechet_floor",
    "frechet_interval",
    "gaussian_samples",
    "grey_level_distance",
    "kernel_distance",
    "kernel_distance_subsets",
    "memorisation_ratio",
    "ms_ssim",
    "ms_ssim_diversity",
    "nearest_distances",
    "nearest_neighbour_accuracy",
    "precision_recall",
    "radial_power_spectrum",
    "sliced_wasserstein",
]

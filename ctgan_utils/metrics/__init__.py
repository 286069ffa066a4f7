"""Distances between sets of images: on plain feature arrays [N, d], and on uint8 images [N, 1, H, W]."""

from ctgan_utils.metrics.blemishes import blemishes, line_marks, pooled
from ctgan_utils.metrics.bootstrap import (
    difference_interval,
    interval,
    mean_interval,
    one_of_each,
    resample,
    resample_patients,
)
from ctgan_utils.metrics.curves import spike_share
from ctgan_utils.metrics.edges import (
    doubled_edges,
    edge_continuity,
    edge_precision_recall,
    loose_ends,
    short_pieces,
)
from ctgan_utils.metrics.frechet import (
    GaussianStatistics,
    frechet_curve,
    frechet_distance,
    frechet_extrapolated,
    frechet_floor,
    gaussian_samples,
)
from ctgan_utils.metrics.images import (
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
from ctgan_utils.metrics.kernel import kernel_distance, kernel_distance_subsets
from ctgan_utils.metrics.membership import auc_interval, nearness, of_patients, roc_auc
from ctgan_utils.metrics.neighbours import (
    copied_share,
    data_copying_z,
    density_coverage,
    memorisation_ratio,
    nearest_distances,
    nearest_neighbour_accuracy,
    precision_recall,
)
from ctgan_utils.metrics.overlap import dice
from ctgan_utils.metrics.readers import binomial_interval, d_prime, fleiss_kappa
from ctgan_utils.metrics.wavelets import packet_distances, packet_gains, wavelet_distance, wavelet_packets

__all__ = [
    "GaussianStatistics",
    "auc_interval",
    "binomial_interval",
    "blank_space",
    "blemishes",
    "body_brightness",
    "body_width",
    "copied_share",
    "d_prime",
    "data_copying_z",
    "dice",
    "difference_interval",
    "density_coverage",
    "doubled_edges",
    "edge_continuity",
    "edge_density",
    "edge_precision_recall",
    "fleiss_kappa",
    "frechet_curve",
    "frechet_distance",
    "frechet_extrapolated",
    "frechet_floor",
    "gaussian_samples",
    "grey_level_distance",
    "interval",
    "kernel_distance",
    "kernel_distance_subsets",
    "line_marks",
    "loose_ends",
    "mean_interval",
    "memorisation_ratio",
    "ms_ssim",
    "ms_ssim_diversity",
    "nearest_correlation",
    "nearest_distances",
    "nearest_neighbour_accuracy",
    "nearness",
    "noise_level",
    "of_patients",
    "one_of_each",
    "packet_distances",
    "packet_gains",
    "pooled",
    "precision_recall",
    "radial_power_spectrum",
    "resample",
    "resample_patients",
    "roc_auc",
    "short_pieces",
    "sliced_wasserstein",
    "spike_share",
    "wavelet_distance",
    "wavelet_packets",
]

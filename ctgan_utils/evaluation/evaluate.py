"""All that is measured between real and generated images, with what real images themselves would get."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ctgan_utils import data, metrics
from ctgan_utils.data.slices import CTImages
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.ct_features import Extractor
from ctgan_utils.runtime import UserError, progress
from ctgan_utils.sampling import sample

Report = dict[str, Any]  # plain values by name
LEAST = 10  # images on a side: below, five nearest neighbours are half of all
FEW = 2048  # images on a side below which a Fréchet distance is read with care
SLICED = 400  # images of a side that are sliced: seconds, and 51,200 patches a level
EDGE = 10  # grey levels per pixel that make an edge
PIXELS = 32  # a side, at which images are compared pixel by pixel
NAMES = {"ct": ("FD-ct", "KD-ct"), "inception": ("FID", "KID")}  # of the Fréchet and the kernel distance


def names_of(extractor: str) -> tuple[str, str]:
    """What the Fréchet and the kernel distance are called on these features: FID only on Inception's."""
    return NAMES.get(extractor, (f"FD-{extractor}", f"KD-{extractor}"))


@dataclass(frozen=True)
class Evaluation:
    """The report, plain values by name, and what it was made from."""

    report: Report
    real: Tensor  # uint8 [n, 1, S, S]
    fake: Tensor
    train: Tensor  # all that the generator learnt from, uint8 [N, 1, S, S]
    real_features: np.ndarray  # [n, d]
    fake_features: np.ndarray


def evaluate(
    real: CTImages, fake: Tensor, extractor: Extractor, *, seed: int = 0, held_out: CTImages | None = None
) -> Evaluation:
    """The Evaluation of generated images against a CTImages.

    real        the CTImages that the generator learnt from; with 2 n slices or more the floor is measured
    fake        uint8 [n, 1, S, S], of the same size
    extractor   of features.load_extractor
    held_out    CTImages that the generator has not seen, for memorisation; or None

    Every measure stands twice: "generated", and "real" for as many other real slices in their place. Raises
    UserError for fewer than ten images a side, other sizes, or features that are not finite.
    """
    n = len(fake)
    if min(n, len(real)) < LEAST:
        raise UserError(f"{min(n, len(real))} images on a side are too few to compare; {LEAST} are needed")
    if fake.shape[1:] != real.images.shape[1:]:
        sizes = ["x".join(map(str, images.shape[2:])) for images in (real.images, fake)]
        raise UserError(f"real images are {sizes[0]}, generated ones {sizes[1]}; bring them to one --size")
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    first, second = real.images[order[:n]], real.images[order[n : 2 * n]]
    has_second = len(second) == n
    x, y = _features(extractor, first), _features(extractor, fake, again=False)
    frechet, kernel = names_of(extractor.name)
    report: Report = {
        "real": real.source,
        "metric": frechet,
        "value": metrics.frechet_distance(x, y),
        "interval": _interval(x, y, seed),
        "extrapolated": metrics.frechet_extrapolated(x, y, seed=seed),
        "floor": None,
        "ratio": None,
        "floor_between_groups": _floor_between_groups(real, extractor, n, seed),
        "n": n,
        "size": fake.shape[-1],
        "measures": {
            name: {"generated": value} for name, value in _measures(x, y, first, fake, kernel, seed).items()
        },
        "memorisation": None,
        "warnings": _warnings(real, fake, frechet),
    }
    if held_out is not None:
        report["memorisation"], unmeasured = _memorisation(fake, real, held_out, extractor, seed)
        report["warnings"] += unmeasured
    if has_second:
        z = _features(extractor, second)
        report["floor"] = metrics.frechet_distance(x, z)
        report["ratio"] = report["value"] / report["floor"] if report["floor"] else None
        for name, value in _measures(x, z, first, second, kernel, seed).items():
            report["measures"][name]["real"] = value
    return Evaluation(report, first, fake, real.images, x, y)


def _features(extractor: Extractor, images: Tensor, again: bool = True) -> np.ndarray:
    """Features [N, d] of uint8 images, from the cache if these are to come again."""
    found = (features.cached_features if again else features.extract)(extractor, images)
    if not np.isfinite(found).all():
        raise UserError(f"{extractor.name} features are not finite: fetch the weights again")
    return found


def _interval(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, float]:
    resamples = 100 if x.shape[1] <= 512 else 20  # a minute and more each, at 2,048 dimensions
    with progress(resamples, "bootstrap", "resample") as bar:
        return metrics.frechet_interval(x, y, resamples, seed, progress=bar.update)


def _floor_between_groups(real: CTImages, extractor: Extractor, n: int, seed: int) -> float | None:
    """The floor between sets that share no patient (or group), of as nearly n slices as halves allow."""
    if len(real.groups.unique()) < 2:
        return None
    halves = data.split(real, 0.5, seed)
    if min(map(len, halves)) < max(LEAST, 0.8 * n):
        return None
    rng = torch.Generator().manual_seed(seed)
    drawn = [half.images[torch.randperm(len(half), generator=rng)[:n]] for half in halves]
    return metrics.frechet_distance(*(_features(extractor, images) for images in drawn))


def _measures(
    x: np.ndarray, y: np.ndarray, first: Tensor, second: Tensor, kernel: str, seed: int
) -> dict[str, float]:
    """{measure: value} of a second set against a first: features x, y, and their images."""
    precision, recall = metrics.precision_recall(x, y)
    density, coverage = metrics.density_coverage(x, y)
    sliced = metrics.sliced_wasserstein(first[:SLICED], second[:SLICED], seed)
    (_, a), (_, b) = (metrics.radial_power_spectrum(images[:, 0].numpy()) for images in (first, second))
    return {
        kernel: metrics.kernel_distance(x, y),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "1-NN accuracy": metrics.nearest_neighbour_accuracy(x, y, seed),
        **{f"sliced Wasserstein, {side}x{side}": value for side, value in sliced.items()},
        "MS-SSIM of pairs": metrics.ms_ssim_diversity(second, seed=seed),
        "grey levels": metrics.grey_level_distance(first, second),
        "spectrum, mean gap in dB": float(np.abs(10 * np.log10((b[1:] + 1e-9) / (a[1:] + 1e-9))).mean()),
        "edge density": metrics.edge_density(second, EDGE),
    }


def pixels(images: Tensor) -> np.ndarray:
    """Images uint8 [N, 1, H, W] as rows of 32x32 grey levels, float [N, 1024]."""
    return adaptive_avg_pool2d(images.float(), PIXELS).flatten(1).numpy()


def _memorisation(
    fake: Tensor, train: CTImages, held_out: CTImages, extractor: Extractor, seed: int
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """(ratio, share of copies and z, in features and in pixels; why one of them can't be measured)."""
    sets_in = {
        "features": (
            _features(extractor, fake, again=False),
            _features(extractor, train.images),
            _features(extractor, held_out.images),
        ),
        "pixels": (pixels(fake), pixels(train.images), pixels(held_out.images)),
    }
    found: dict[str, dict[str, float]] = {}
    warnings: list[str] = []
    quantile = max(0.01, 1 / (len(held_out) + 1))  # the least that so many slices can show
    for space, sets in sets_in.items():
        try:
            found[space] = {
                "ratio": metrics.memorisation_ratio(*sets, seed=seed),
                "copied_share": metrics.copied_share(*sets, quantile),
                "copied_share_expected": quantile,
                "data_copying_z": metrics.data_copying_z(*sets),
            }
        except ValueError as error:  # of sets that can't tell copies from neighbours
            warnings.append(f"memorisation in {space} is not measured: {error}")
    return found, warnings


def _warnings(real: CTImages, fake: Tensor, metric: str) -> list[str]:
    warnings = []
    if len(fake) < FEW:
        warnings.append(
            f"{len(fake):,} images on a side: below {FEW:,} the {metric} depends much on their number; "
            "compare it with its floor, and only with values at the same number"
        )
    known = {image.tobytes() for image in real.images.numpy()}
    copies = sum(image.tobytes() in known for image in fake.numpy())
    if copies:
        warnings.append(
            f"{copies:,} of {len(fake):,} generated images are, to the last pixel, among the real ones: is "
            "--fake what you meant?"
        )
    if (fake == fake[0]).all():
        warnings.append("the generated images are all the same")
    return warnings


def rank(reports: Mapping[str, Report]) -> dict[str, Report]:
    """The reports {name: report} in order of their value; each with `tied`, the names it can't be told from.

    Two are tied where their 95 % intervals overlap.
    """
    order = sorted(reports, key=lambda name: reports[name]["value"])
    ranked = {}
    for name in order:
        low, high = reports[name]["interval"]
        others = [o for o in order if o != name]
        tied = [o for o in others if reports[o]["interval"][0] <= high and low <= reports[o]["interval"][1]]
        ranked[name] = reports[name] | {"tied": tied}
    return ranked


def distances(ct: CTImages, generators: Mapping[str, nn.Module], n: int, seed: int = 0) -> dict[str, float]:
    """FD-ct of n samples of each generator {name: G} to n slices, and "floor", that of two sets of n slices.

    ct holds at least 2 n slices; which are taken follows from the seed.
    """
    extractor = features.load_extractor("ct")
    order = torch.randperm(len(ct), generator=torch.Generator().manual_seed(seed))
    real = features.cached_features(extractor, ct.images[order[: 2 * n]])
    found = {"floor": metrics.frechet_distance(real[:n], real[n:])}
    for name, G in generators.items():
        fake = features.extract(extractor, sample(G, n, seed))
        found[name] = metrics.frechet_distance(real[:n], fake)
    return found

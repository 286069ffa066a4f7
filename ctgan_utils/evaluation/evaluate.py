"""All that is measured between real and generated images, with what real images themselves would get."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ctgan_utils import metrics
from ctgan_utils.data.slices import CTImages
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.ct_features import Extractor
from ctgan_utils.evaluation.references import FOREIGN, LEAST, SEEN, UNKNOWN, References
from ctgan_utils.evaluation.trained_critic import CriticTest, trained_critic
from ctgan_utils.runtime import UserError, progress
from ctgan_utils.sampling import sample

Report = dict[str, Any]  # plain values by name
FORMAT = 2  # of the report; a key that changes its meaning changes this number
RESAMPLES = 100
DRAWS = 20  # of one slice of each patient
NEIGHBOURS = "precision", "recall", "density", "coverage", "1-NN accuracy"
FEW = 2048  # images on a side below which a Fréchet distance is read with care
SLICED = 400  # images of a side that are sliced: seconds, and 51,200 patches a level
SMALLEST = 16  # pixels a side: the last level of a pyramid that is sliced
EDGE = 10  # grey levels per pixel that make an edge
PIXELS = 32  # a side, at which images are compared pixel by pixel
NAMES = {"ct": ("FD-ct", "KD-ct"), "inception": ("FID", "KID")}  # of the Fréchet and the kernel distance
WARNINGS = {
    SEEN: "no patients were held out of the training, so nothing tells learning from copying: train with "
    "--hold-out 0.2",
    FOREIGN: "the generator learnt from none of these slices: its distance holds what parts the two sets",
    UNKNOWN: "nothing records which of these slices the generator learnt from; if 'train' held a share of "
    "them out, name it with --hold-out",
}


def names_of(extractor: str) -> tuple[str, str]:
    """What the Fréchet and the kernel distance are called on these features: FID only on Inception's."""
    return NAMES.get(extractor, (f"FD-{extractor}", f"KD-{extractor}"))


def described(extractor: Extractor, side: int) -> str:
    """The distance, its features and the size they are taken at, for captions of images of `side` pixels."""
    size = extractor.input_size(side)
    return f"{names_of(extractor.name)[0]} ({extractor.dim:,} features at {size}×{size})"


@dataclass(frozen=True)
class Space:
    """A distance of two sets of images, taken between what the images are turned into."""

    name: str
    embed: Callable[[Tensor], np.ndarray]  # uint8 [N, 1, S, S] to [N, ...]
    distance: Callable[[np.ndarray, np.ndarray], float]


def spaces(extractor: Extractor) -> tuple[Space, Space]:
    """The Fréchet distance on the extractor's features, and the Fréchet wavelet distance."""
    return (
        Space(
            names_of(extractor.name)[0],
            lambda images: features_of(extractor, images),
            metrics.frechet_distance,
        ),
        Space("FWD", metrics.wavelet_packets, lambda x, y: float(metrics.packet_distances(x, y).mean())),
    )


@dataclass(frozen=True)
class Evaluation:
    """The report, plain values by name, and what it was made from."""

    report: Report
    real: References
    fake: Tensor  # uint8 [n, 1, S, S]
    real_features: np.ndarray  # [n, d], of real.main
    fake_features: np.ndarray
    resampled: np.ndarray  # the report's value over bootstrap resamples, [R]
    packets: dict[str, tuple[np.ndarray, np.ndarray]]  # {set: packet_distances, packet_gains}
    critic: CriticTest | None = None  # of real.main against the generated images


def evaluate(
    real: References, fake: Tensor, extractor: Extractor, *, seed: int = 0, critic: bool = False
) -> Evaluation:
    """The Evaluation of generated images, uint8 [n, 1, S, S], against References of n slices of that size.

    extractor is one of features.load_extractor. Every distance and measure of the generated images stands
    beside what real ones would get in their place: other slices of the patients they are compared with, and
    slices of other patients. With critic, new critics learn to tell the sets apart (trained_critic), which
    takes a minute for each. README.md lists the report's keys. Raises UserError for another number or size
    of images, for images below 16x16, or features that are not finite.
    """
    n = real.n
    if min(fake.shape[2:]) < SMALLEST:
        size = "x".join(map(str, fake.shape[2:]))
        raise UserError(f"images of {size}: too small to be measured; {SMALLEST}x{SMALLEST} are the least")
    if len(fake) != n or n < LEAST:
        raise UserError(
            f"{len(fake)} generated images beside {n} real ones; as many, and {LEAST}, are needed"
        )
    if fake.shape[1:] != real.main.images.shape[1:]:
        sizes = ["x".join(map(str, images.shape[2:])) for images in (real.main.images, fake)]
        raise UserError(f"real images are {sizes[0]}, generated ones {sizes[1]}; bring them to one --size")
    sets = {"main": real.main.images, "generated": fake, "same patients": real.again.images}
    if real.other is not None:
        sets["other patients"] = real.other.images
    distances, embedded, resampled = {}, {}, {}
    for space in spaces(extractor):
        embedded[space.name] = {name: space.embed(images) for name, images in sets.items()}
        distances[space.name], resampled[space.name] = _distances(space, embedded[space.name], real, seed)
    first = names_of(extractor.name)[0]
    by_features = embedded[first]
    kernel = names_of(extractor.name)[1]
    patients = {"generated": torch.arange(n), "same patients": real.again.groups}
    if real.other is not None:
        patients["other patients"] = real.other.groups
    measured: dict[str, dict[str, float | None]] = {
        name: {kernel: metrics.kernel_distance(by_features["main"], by_features[name])}
        | by_neighbours(by_features["main"], by_features[name], real.main.groups, of, seed)
        | _measures(sets["main"], sets[name], seed)
        for name, of in patients.items()
    }
    side = fake.shape[-1]
    report: Report = {
        "format": FORMAT,
        "real": real.train.source,
        "metric": first,
        "value": distances[first]["generated"],
        "interval": distances[first]["interval"],
        "features": extractor.dim,
        "input_size": extractor.input_size(side),
        "n": n,
        "patients": real.patients,
        "grouped_by": real.main.grouped_by,
        "against": real.about,
        "size": side,
        "seed": seed,
        "distances": distances,
        "measures": {
            measure: {name: measured[name][measure] for name in patients} for measure in measured["generated"]
        },
        "memorisation": None,
        "critic": None,
        "warnings": _warnings(real, fake, first),
    }
    if real.held_out is not None:
        report["memorisation"], unmeasured = _memorisation(fake, real.train, real.held_out, extractor, seed)
        report["warnings"] += unmeasured
    test = None
    if critic:
        report["critic"], test = _critic(real, fake, seed)
    main, *others = embedded["FWD"].values()
    packets = {
        name: (metrics.packet_distances(main, other), metrics.packet_gains(main, other))
        for name, other in zip(patients, others)
    }
    return Evaluation(
        report, real, fake, by_features["main"], by_features["generated"], resampled[first], packets, test
    )


def features_of(extractor: Extractor, images: Tensor) -> np.ndarray:
    """Features [N, d] of uint8 images [N, 1, S, S]. Raises UserError if they are not finite."""
    found = features.cached_features(extractor, images)
    if not np.isfinite(found).all():
        raise UserError(f"{extractor.name} features are not finite: fetch the weights again")
    return found


def _distances(
    space: Space, sets: Mapping[str, np.ndarray], real: References, seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    """({which: distance to the main real set}, the generated images' over resamples)."""
    main, fake = sets["main"], sets["generated"]
    found: dict[str, Any] = {
        name: space.distance(main, embedded) for name, embedded in sets.items() if name != "main"
    }
    resampled = np.empty(RESAMPLES if main[0].size <= 8_192 else RESAMPLES // 5)
    patients = real.main.groups.numpy()
    with progress(len(resampled), f"bootstrap of {space.name}", "resample") as bar:
        for k in range(len(resampled)):
            rng = np.random.default_rng([seed, k])  # the same patients for whatever is compared with them
            rows = metrics.resample_patients(patients, rng)
            resampled[k] = space.distance(main[rows], fake[metrics.resample(len(fake), rng)])
            bar.update()
    found["interval"] = metrics.interval(found["generated"], resampled)
    found["seen"] = space.distance(sets["other patients"], fake) if real.held_out is not None else None
    return found, resampled


def by_neighbours(
    x: np.ndarray, y: np.ndarray, patients_x: Tensor, patients_y: Tensor, seed: int = 0
) -> dict[str, float | None]:
    """{measure: value} by nearest neighbours of features y [M, d] against x [N, d].

    patients_x and patients_y are the rows' patients, int64 [N] and [M]. Each value is the mean over 20 draws
    of one slice of each patient, equally many on both sides. Slices of one patient are each other's nearest
    neighbours: among whole sets these measures would tell that the patients are others, and real slices of
    other patients would get what a bad generator gets. None for fewer than ten patients.
    """
    found = []
    for k in range(DRAWS):
        rng = np.random.default_rng([seed, k])
        rows = [rng.permutation(metrics.one_of_each(p.numpy(), rng)) for p in (patients_x, patients_y)]
        count = min(map(len, rows))
        if count < LEAST:
            return dict.fromkeys(NEIGHBOURS)
        first, second = x[rows[0][:count]], y[rows[1][:count]]
        values = (
            *metrics.precision_recall(first, second),
            *metrics.density_coverage(first, second),
            metrics.nearest_neighbour_accuracy(first, second, seed),
        )
        found.append(values)
    return dict(zip(NEIGHBOURS, np.mean(found, 0).tolist()))


def _measures(first: Tensor, second: Tensor, seed: int) -> dict[str, float | None]:
    """{measure: value} of a second set of images against a first."""
    sliced = metrics.sliced_wasserstein(first[:SLICED], second[:SLICED], seed)
    (_, a), (_, b) = (metrics.radial_power_spectrum(images[:, 0].numpy()) for images in (first, second))
    return {
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
    embeddings = {"features": lambda images: features_of(extractor, images), "pixels": pixels}
    found: dict[str, dict[str, float]] = {}
    warnings: list[str] = []
    quantile = max(0.01, 1 / (len(held_out) + 1))  # the least that so many slices can show
    for space, embed in embeddings.items():
        sets = embed(fake), embed(train.images), embed(held_out.images)
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


def _critic(real: References, fake: Tensor, seed: int) -> tuple[dict[str, dict[str, Any]], CriticTest]:
    """({set: AUC and accuracy of new critics, with intervals}, the CriticTest of the generated images)."""
    main = real.main.images, real.main.groups
    try:
        tests = {"generated": trained_critic(*main, fake, seed=seed)}
        if real.other is not None:
            tests["other patients"] = trained_critic(*main, real.other.images, real.other.groups, seed=seed)
    except ValueError as error:
        raise UserError(f"--critic: {error}; leave it out, or give more slices") from None
    names = "auc", "auc_interval", "accuracy", "accuracy_interval"
    return {name: {key: getattr(test, key) for key in names} for name, test in tests.items()}, tests[
        "generated"
    ]


def _warnings(real: References, fake: Tensor, metric: str) -> list[str]:
    warnings = []
    if real.about in WARNINGS:
        warnings.append(WARNINGS[real.about])
    if real.patients < LEAST:
        warnings.append(
            f"{real.patients} patients or groups are too few for precision, recall and the like, which take "
            f"one slice of each; {LEAST} are needed"
        )
    if len(fake) < FEW:
        warnings.append(
            f"{len(fake):,} images on a side: below {FEW:,} the {metric} depends much on their number; "
            "compare it with what real slices get, and only with values at the same number"
        )
    known = {image.tobytes() for image in real.train.images.numpy()}
    copies = sum(image.tobytes() in known for image in fake.numpy())
    if copies:
        warnings.append(
            f"{copies:,} of {len(fake):,} generated images are, to the last pixel, among the real ones: is "
            "--fake what you meant?"
        )
    if (fake == fake[0]).all():
        warnings.append("the generated images are all the same")
    return warnings


def distances(
    ct: CTImages,
    generators: Mapping[str, nn.Module],
    n: int,
    seed: int = 0,
    others: CTImages | None = None,
) -> dict[str, float]:
    """FD-ct of n samples of each generator {name: G} to n slices, and "floor", that of two sets of n slices.

    With slices of other patients, others, also "others", that of n of these. ct and others hold at least 2 n
    slices; which are taken follows from the seed.
    """
    extractor = features.load_extractor("ct")

    def drawn(slices: CTImages) -> np.ndarray:
        order = torch.randperm(len(slices), generator=torch.Generator().manual_seed(seed))
        return features.cached_features(extractor, slices.images[order[: 2 * n]])

    real = drawn(ct)
    found = {"floor": metrics.frechet_distance(real[:n], real[n:])}
    if others is not None:
        found["others"] = metrics.frechet_distance(real[:n], drawn(others)[:n])
    for name, G in generators.items():
        fake = features.extract(extractor, sample(G, n, seed))
        found[name] = metrics.frechet_distance(real[:n], fake)
    return found

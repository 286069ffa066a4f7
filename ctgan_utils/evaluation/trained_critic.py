"""A critic that nobody trained against: can a small network tell two sets of images apart?

This is a classifier two-sample test (Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017).
A network learns to tell real images from generated ones on one part of both, and is judged on the other part.
If the two sets come from one distribution, it can only guess, and half of its answers are right. More right
answers mean a difference, of whatever kind. The generator's own critic can't serve here: the generator has
learnt to please it.

Slices of one patient look alike, so a network that has seen some of them knows the others. Patients (or other
groups) are therefore never divided between learning and judging.

The critic also sees what no eye does, such as noise of a single grey level. So a high accuracy says that
there is a difference, not that the images look wrong: for that, look at the slices that it was surest of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ctgan_utils.grey import to_float
from ctgan_utils.metrics.arrays import checked_images
from ctgan_utils.runtime import progress, seed_of

LEAST_IMAGES, LEAST_GROUPS = 20, 4  # a side: two patients in each half, or nobody knows how patients differ
SMALLEST = 8  # pixels a side
BATCH, RATE = 32, 5e-3  # images of each side in a step; the largest learning rate
SLOPE = 0.2  # of the activations below 0

Interval = tuple[float, float]


@dataclass(frozen=True)
class CriticTest:
    """How well a new critic tells real images from generated ones that it has not seen.

    accuracy            share of right answers, the mean of the shares among real and among generated images;
                        0.5 is guessing, 1 is always right
    auc                 area under the ROC curve: how often, of one real and one generated image, the real one
                        gets the higher score; 0.5 is guessing, and unlike accuracy it needs no threshold
    ..._interval        95 % intervals of both
    ..._of_seeds        their values for each seed
    real_scores, fake_scores
                        float64 [N] and [M]: the probability of being real that an image got from the critics
                        that had not seen its patient, mean over the seeds; NaN where not judged
    n                   images that were judged, on each side
    patients            patients, or other groups, among them: (real, generated)
    """

    accuracy: float
    accuracy_interval: Interval
    auc: float
    auc_interval: Interval
    accuracy_of_seeds: tuple[float, ...]
    auc_of_seeds: tuple[float, ...]
    real_scores: np.ndarray
    fake_scores: np.ndarray
    n: int
    patients: tuple[int, int]

    @property
    def measured(self) -> dict[str, tuple[float, Interval, tuple[float, ...]]]:
        """{name: (value, its interval, its value for each seed)}, for figures.critics.scores_figure."""
        return {
            "accuracy": (self.accuracy, self.accuracy_interval, self.accuracy_of_seeds),
            "AUC": (self.auc, self.auc_interval, self.auc_of_seeds),
        }


@dataclass(frozen=True)
class Side:
    """The images of one side that are used: their places in the set, the images, and their groups."""

    places: Tensor  # int64 [n]
    images: Tensor  # uint8 [n, 1, S, S]
    groups: Tensor  # int64 [n]


@dataclass(frozen=True)
class Judged:
    """A value on one judged half, and the half width of its 95 % interval."""

    value: float
    margin: float


class TextureCritic(nn.Module):
    """uint8 images [N, 1, S, S] -> the logit, float32 [N], that each is real: a small plain network.

    Strided convolutions (kernel 4) halve the resolution down to 4 pixels while the channels double from
    width. The mean of every map of every layer goes to one linear unit, so that fine texture has the same say
    as coarse anatomy, and any S will do. Beside the grey levels the first layer sees the fine detail: each
    pixel less the mean of the 3x3 around it, on the scale of the inverse hyperbolic sine, where single grey
    levels count beside edges of a hundred. Nothing is normalised: batch normalisation would let real and
    generated images, which come in one batch, tell of each other.
    """

    def __init__(self, size: int, width: int = 8) -> None:
        super().__init__()
        halvings = max(1, (size // 4).bit_length() - 1)
        channels = [2, *(width * 2**k for k in range(halvings))]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE))
            for before, after in zip(channels, channels[1:])
        )
        self.score = nn.Linear(sum(channels[1:]), 1)
        for parameter in self.layers.parameters():
            if parameter.ndim == 4:
                nn.init.kaiming_normal_(parameter, SLOPE)
            else:
                nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        x = images.float()
        fine = x - functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        x = torch.cat([to_float(images), fine.asinh() / 2], 1)
        means = []
        for layer in self.layers:
            x = layer(x)
            means.append(x.mean((2, 3)))
        return self.score(torch.cat(means, 1))[:, 0]


def trained_critic(
    real: Tensor,
    groups_real: Tensor,
    fake: Tensor,
    groups_fake: Tensor | None = None,
    *,
    seeds: int = 3,
    steps: int = 300,
    seed: int = 0,
) -> CriticTest:
    """The CriticTest of real against generated images: two-fold cross-fitting, for several seeds.

    real, fake      uint8 [N, 1, S, S] and [M, 1, S, S]; of the larger set as many are drawn at random as the
                    smaller one has: fewer slices of every patient tell more than fewer patients
    groups_real     int64 [N], what must not be divided: patients, or slices that look alike
    groups_fake     the same for the other side, [M]; None for samples of a generator, each a group of its own
    seeds           how often the groups are divided anew; each time a critic learns from either half
    steps           of each critic, with 32 images of each side. All are made: no half is looked at to stop
    seed            everything follows from it, bit for bit on one machine

    The two sides must share no patient. While a critic learns, each batch is shifted by a few pixels, real
    and generated images alike, or the network would only learn its patients by heart. Images are not
    mirrored, turned or blurred: that would hide the very faults that the critic is to find.

    On each judged half the value has an interval in which patients, not slices, count (see _judged). The
    result is the mean of the values, and of the ends of the intervals. That is as wide as judging one half
    once: the halves learn from each other and the seeds share all images, so their errors go together and are
    not divided by their number, as a naive interval would (Bengio and Grandvalet 2004). A mean never spreads
    more than its parts do on average, so the interval is right at least as often as it says. If every answer
    is right, it has no width: the share of wrong answers may then still be some 3 / (number of patients).

    Raises ValueError for other shapes or types, unequal sizes, and fewer than 20 images or 4 groups a side.
    """
    rng = torch.Generator().manual_seed(seed)
    sides = _sides(real, groups_real, fake, groups_fake, rng)
    if seeds < 1 or steps < 1:
        raise ValueError(f"{seeds} seeds of {steps} steps: one of each is the least")
    found = [np.zeros(len(images)) for images in (real, fake)]
    judged: list[tuple[Judged, Judged]] = []
    with progress(2 * seeds * steps, "training critics", "step") as bar:
        for k in range(seeds):
            rng = torch.Generator().manual_seed(seed_of(seed, k))
            first = [halves(side.groups, rng) for side in sides]
            for learnt in (first, [~half for half in first]):
                critic = _train([side.images[half] for side, half in zip(sides, learnt)], steps, rng, bar)
                scores = [_scores(critic, side.images[~half]) for side, half in zip(sides, learnt)]
                groups = [side.groups[~half].numpy() for side, half in zip(sides, learnt)]
                judged.append((_accuracy(scores, groups), _auc(scores, groups)))
                for total, side, half, logits in zip(found, sides, learnt, scores):
                    total[side.places[~half].numpy()] += special.expit(logits) / seeds
    accuracies, areas = zip(*judged)
    for total, side in zip(found, sides):
        total[np.setdiff1d(np.arange(len(total)), side.places.numpy())] = np.nan
    return CriticTest(
        *_mean(accuracies),
        *_mean(areas),
        accuracy_of_seeds=_of_seeds(accuracies),
        auc_of_seeds=_of_seeds(areas),
        real_scores=found[0],
        fake_scores=found[1],
        n=len(sides[0].images),
        patients=(len(sides[0].groups.unique()), len(sides[1].groups.unique())),
    )


def halves(groups: Tensor, rng: torch.Generator) -> Tensor:
    """Which images [N] belong to the first half, bool: half of the groups int64 [N], drawn at random."""
    names, numbers = groups.unique(return_inverse=True)
    return (torch.randperm(len(names), generator=rng) < len(names) // 2)[numbers]


def _sides(
    real: Tensor, groups_real: Tensor, fake: Tensor, groups_fake: Tensor | None, rng: torch.Generator
) -> list[Side]:
    """Both sides, checked and cut to one number of images."""
    checked_images(real, fake)
    if groups_fake is None:
        groups_fake = torch.arange(len(fake))
    n, side = min(len(real), len(fake)), real.shape[-1]
    if n < LEAST_IMAGES:
        raise ValueError(f"{n} images on a side are too few to train a critic; {LEAST_IMAGES} are needed")
    if side < SMALLEST:
        raise ValueError(f"images of {side} pixels a side are too small for a critic; {SMALLEST} are needed")
    sides = []
    for name, images, groups in (("real", real, groups_real), ("generated", fake, groups_fake)):
        if groups.shape != (len(images),):
            raise ValueError(f"{len(images)} {name} images have groups of shape {list(groups.shape)}")
        places = torch.randperm(len(images), generator=rng)[:n].sort().values
        sides.append(Side(places, images[places], groups[places]))
        count = len(sides[-1].groups.unique())
        if count < LEAST_GROUPS:
            raise ValueError(f"{count} patients or groups on the {name} side; {LEAST_GROUPS} are needed")
    return sides


def _train(images: Sequence[Tensor], steps: int, rng: torch.Generator, bar: tqdm) -> TextureCritic:
    """A TextureCritic that has learnt to tell images[0], real, from images[1]; both come equally often.

    Each batch is shifted by up to an eighth of the side, around the edge, which slows learning by heart.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        critic = TextureCritic(images[0].shape[-1])
    optimiser = torch.optim.AdamW(critic.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    is_real, reach = torch.tensor([1.0, 0.0]).repeat_interleave(BATCH), images[0].shape[-1] // 8
    for _ in range(steps):
        drawn = [side[torch.randint(len(side), (BATCH,), generator=rng)] for side in images]
        shift = torch.randint(-reach, reach + 1, (2,), generator=rng).tolist()
        logits = critic(torch.cat(drawn).roll(shift, (2, 3)))
        loss = functional.binary_cross_entropy_with_logits(logits, is_real)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.update()
    return critic


@torch.inference_mode()
def _scores(critic: TextureCritic, images: Tensor) -> np.ndarray:
    return torch.cat([critic(part) for part in images.split(256)]).double().numpy()


def _accuracy(scores: Sequence[np.ndarray], groups: Sequence[np.ndarray]) -> Judged:
    """Mean of the shares of right answers on both sides, real and generated; scores are logits [n], [m]."""
    right = scores[0] > 0, scores[1] <= 0
    return _judged(sum(r.mean() for r in right) / 2, [r / 2 for r in right], groups)


def _auc(scores: Sequence[np.ndarray], groups: Sequence[np.ndarray]) -> Judged:
    """The area under the ROC curve: the Mann-Whitney statistic, in which equal scores count half.

    Each image's part in it is the share of the other side that it is rightly ordered against (DeLong 1988).
    """
    n, m = map(len, scores)
    ranks = stats.rankdata(np.concatenate(scores))
    below = (ranks[:n] - stats.rankdata(scores[0])) / m  # of the generated, below each real image
    above = 1 - (ranks[n:] - stats.rankdata(scores[1])) / n
    return _judged(below.mean(), [below, above], groups)


def _judged(value: float, parts: Sequence[np.ndarray], groups: Sequence[np.ndarray]) -> Judged:
    """A value with the margin of its 95 % interval; the images' parts [n], [m] in it, and their groups.

    The variance is the sum of both sides'. In each, all images of a group are one observation (Obuchowski
    1997), and Student's t with Welch's degrees of freedom allows for few groups. Groups of unequal size count
    as (sum of sizes)^2 / (sum of squared sizes) equal ones (Kish 1965).
    """
    variances, freedoms = [], []
    for part, names in zip(parts, groups):
        _, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
        deviations = np.bincount(numbers, part - part.mean())
        count = len(part) ** 2 / (sizes**2).sum()
        variances.append((deviations**2).sum() / len(part) ** 2 * count / (count - 1))
        freedoms.append(count - 1)
    variance = sum(variances)
    if variance == 0:
        return Judged(float(value), 0.0)
    freedom = variance**2 / sum(v**2 / f for v, f in zip(variances, freedoms))
    return Judged(float(value), float(stats.t.ppf(0.975, freedom) * variance**0.5))


def _mean(judged: Sequence[Judged]) -> tuple[float, Interval]:
    """The mean value over folds and seeds, and its interval."""
    value, margin = (float(np.mean([getattr(j, name) for j in judged])) for name in ("value", "margin"))
    return value, (max(0.0, value - margin), min(1.0, value + margin))


def _of_seeds(judged: Sequence[Judged]) -> tuple[float, ...]:
    """The value of each seed, the mean of its two folds."""
    return tuple(float(np.mean([j.value for j in pair])) for pair in zip(judged[::2], judged[1::2]))

"""A study of few patients: who is chosen, what samples are worth in a task, what gives patients away."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ctgan_utils import metrics
from ctgan_utils.data.slices import CTImages, as_batch
from ctgan_utils.grey import to_float
from ctgan_utils.systems.base import System

BATCH, RATE = 32, 2e-3  # of the classifier


@dataclass(frozen=True)
class Choice:
    """Patients by what they serve for; no patient is in two of the sets."""

    few: CTImages  # those one has
    new: CTImages  # as many others, that one could have had
    unseen: CTImages  # those all is judged on


def choose(ct: CTImages, patients: int, unseen: int, seed: int = 0) -> Choice:
    """So many patients, as many new ones, and the unseen, who are the same for every seed and number.

    Each set takes its patients class by class in turn, so that few patients show every class; a patient's
    class is that of its first slice. Smaller sets of a seed are parts of the larger. Raises ValueError where
    there are too few.
    """
    names, first = np.unique(ct.groups.numpy(), return_index=True)
    of_class = ct.labels.numpy()[first]
    kept, rest = _in_turn(np.random.default_rng(0).permutation(len(names)), of_class, unseen)
    order = np.random.default_rng([seed, 1]).permutation(rest)
    few, rest = _in_turn(order, of_class, patients)
    new, _ = _in_turn(rest, of_class, patients)
    if len(new) < patients:  # who are drawn last
        raise ValueError(f"{len(names)} patients are too few for {unseen} unseen and twice {patients}")
    groups = ct.groups.numpy()
    parts = (ct[torch.from_numpy(np.flatnonzero(np.isin(groups, names[part])))] for part in (few, new, kept))
    return Choice(*parts)


def _in_turn(order: np.ndarray, of_class: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(the first n patients of an order when classes take turns, the others in their order)."""
    turn = np.empty(len(order), int)
    for k in np.unique(of_class):
        mine = of_class[order] == k
        turn[mine] = np.arange(mine.sum())
    places = np.argsort(turn, kind="stable")[:n]
    return order[places], np.delete(order, places)


class Classifier(nn.Sequential):
    """Float images [N, 1, S, S] in [-1, 1] -> logits [N, classes]: three strided convolutions, one layer."""

    def __init__(self, size: int, classes: int, width: int = 16) -> None:
        layers: list[nn.Module] = []
        for before, after in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.1),
            ]
        features = 4 * width * (size // 8) ** 2
        super().__init__(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(features, classes))


def train_classifier(
    sources: list[tuple[Tensor, Tensor]],
    classes: int,
    steps: int,
    seed: int = 0,
    changed: Callable[[Tensor], Tensor] | None = None,
) -> Classifier:
    """A Classifier that has learnt from sources of (images uint8 [N, 1, S, S], labels int64 [N]).

    Every batch has as many images of each source, and of each class as many in the mean; `changed` is done to
    float images before they are shown. The steps are the same whatever there is to learn from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(sources[0][0].shape[-1], classes)
        optimiser = torch.optim.AdamW(network.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        weights = [1 / labels.bincount(minlength=classes).clamp(min=1)[labels] for _, labels in sources]
        for _ in range(steps):
            rows = [w.multinomial(BATCH // len(sources), replacement=True) for w in weights]
            images = to_float(torch.cat([source[0][r] for source, r in zip(sources, rows)]))
            labels = torch.cat([source[1][r] for source, r in zip(sources, rows)])
            loss = cross_entropy(network(changed(images) if changed else images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def balanced_accuracy(network: nn.Module, ct: CTImages) -> float:
    """The mean over classes of the share of their slices that are told right; a guess gets 1 / classes."""
    said = torch.cat([network(to_float(part)).argmax(1) for part in ct.images.split(512)])
    shares = [(said[ct.labels == k] == k).float().mean().item() for k in ct.labels.unique()]
    return float(np.mean(shares))


@torch.no_grad()
def critic_scores(system: System, D: nn.Module, ct: CTImages) -> np.ndarray:
    """The critic's score of each slice, float64 [N]."""
    tensors = ct.tensors(system.inputs)
    parts = zip(*(tensor.split(256) for tensor in tensors.values()))
    scores = [system.score(D, as_batch(dict(zip(tensors, part)))) for part in parts]
    return torch.cat(scores).double().numpy()


def pixels(images: Tensor) -> np.ndarray:
    """Images uint8 [N, 1, S, S] as rows [N, S * S] of grey levels."""
    return images.flatten(1).double().numpy()


@dataclass(frozen=True)
class Attack:
    """How well an attack tells members from unseen patients."""

    auc: float
    interval: tuple[float, float]  # 95 %, over patients
    control: float  # the AUC for new patients in the members' place, which is 0.5 but for luck


def attack(score: Callable[[CTImages], np.ndarray], choice: Choice) -> Attack:
    """The Attack whose score of slices is given, taken together for each patient."""
    few, new, unseen = (
        metrics.of_patients(score(ct), ct.groups.numpy()) for ct in (choice.few, choice.new, choice.unseen)
    )
    interval = metrics.auc_interval(few, unseen)
    return Attack(metrics.roc_auc(few, unseen), interval, metrics.roc_auc(new, unseen))

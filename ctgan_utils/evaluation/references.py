"""What generated images are compared with: real slices of patients the generator saw, and of others."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctgan_utils import data
from ctgan_utils.data.slices import CTImages
from ctgan_utils.runtime import UserError

LEAST = 10  # images on a side: below, five nearest neighbours are half of all
# what is known of the patients that generated images are compared with
UNSEEN = "patients that the generator never saw"
SEEN = "patients that the generator learnt from"
FOREIGN = "patients of a set that the generator did not learn from"
UNKNOWN = "patients that the generator may have learnt from"


@dataclass(frozen=True)
class References:
    """Sets of real slices, each of `n` slices and, where patients are known, of as many patients.

    Groups of slices that look alike are no patients: one may hold two slices and another a thousand. Of these
    there may be more in one set than in another.

    main        what generated images are judged by
    again       other slices of the same patients as main
    other       slices of other patients: of those the generator learnt from, if main's are not; None if all
                slices are of one patient
    other_again other slices of the same patients as other, or None
    about       whose slices main holds: UNSEEN, SEEN, FOREIGN or UNKNOWN
    train       all slices that the generator learnt from, or may have
    held_out    all slices of patients it never saw, or None
    """

    main: CTImages
    again: CTImages
    other: CTImages | None
    other_again: CTImages | None
    about: str
    train: CTImages
    held_out: CTImages | None

    @property
    def n(self) -> int:
        return len(self.main)

    @property
    def patients(self) -> int:
        return len(self.main.groups.unique())


def references(
    train: CTImages,
    held_out: CTImages | None = None,
    n: int | None = None,
    seed: int = 0,
    about: str = UNKNOWN,
) -> References:
    """The References from the slices a generator learnt from, and those of patients it never saw.

    If there are none of the second kind, train is all there is, and about says what is known of it: main and
    other are then of two halves of its patients. If about is FOREIGN, both are slices that no generator
    learnt from. n asks for so many slices in a set; without it they are as many as can be had. Each patient's
    slices are divided at random among main and again, so that a set has half of them at most. Raises
    UserError for fewer than ten slices in a set, or fewer than n.
    """
    rng = torch.Generator().manual_seed(seed)
    first, second = train, held_out
    if held_out is None and len(train.groups.unique()) > 1:
        first, second = data.split(train, 0.5, seed)
    if second is None:
        sides = [halves(train, rng)]
    else:
        if train.grouped_by == "patient":
            patients = min(len(side.groups.unique()) for side in (first, second))
            first, second = (some_patients(side, patients, rng) for side in (first, second))
        sides = [halves(side, rng) for side in (second, first)]
    most = min(len(half) for side in sides for half in side)
    if most < max(LEAST, n or 0):
        wanted = f"--n {n}: " if n else ""
        raise UserError(
            f"{wanted}{train.source}: {most} slices in a set are all there are, for a set gets half of its "
            f"patients' slices; {LEAST} are needed at least"
        )
    cut = [[_some(half, n or most, rng) for half in side] for side in sides]
    (main, again), (other, other_again) = cut[0], cut[1] if len(cut) > 1 else (None, None)
    if about == FOREIGN:  # nothing was held out from a generator that learnt from neither
        held_out = None
    return References(main, again, other, other_again, about if held_out is None else UNSEEN, train, held_out)


def halves(ct: CTImages, rng: torch.Generator) -> tuple[CTImages, CTImages]:
    """Two sets with no slice in common: of each patient, half of the slices, at random, in each.

    Patients with an odd number of slices give the one that is left to either set in turn.
    """
    shuffled = torch.randperm(len(ct), generator=rng)
    order = shuffled[ct.groups[shuffled].argsort(stable=True)]
    return _as(ct, order[::2], "half of the slices"), _as(ct, order[1::2], "the other half of the slices")


def some_patients(ct: CTImages, patients: int, rng: torch.Generator) -> CTImages:
    """The slices of that many of the patients, drawn at random."""
    names = ct.groups.unique()
    drawn = names[torch.randperm(len(names), generator=rng)[:patients]]
    return ct[torch.isin(ct.groups, drawn).nonzero()[:, 0]]


def _some(ct: CTImages, n: int, rng: torch.Generator) -> CTImages:
    return ct[torch.randperm(len(ct), generator=rng)[:n]]


def _as(ct: CTImages, index: Tensor, what: str) -> CTImages:
    return replace(ct[index], source=f"{ct.source}, {what}")

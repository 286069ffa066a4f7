"""Figures of a trained critic: how it scores both sides, and the slices that tell the most."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ctgan_utils.figures import FAKE, GREY, REAL, add_caption, new_figure, show_image

Measured = tuple[float, tuple[float, float], Sequence[float]]  # value, its interval, that of each seed


def scores_figure(
    real_scores: np.ndarray,
    fake_scores: np.ndarray,
    measured: Mapping[str, Measured],
    caption: str,
    name: str = "generated",
) -> Figure:
    """What a critic thinks of slices it has not seen, and how well it tells the two sides apart.

    real_scores, fake_scores
                the probability of being real that it gave each slice, [N] and [M]; NaN is left out
    measured    CriticTest.measured, {name: (value, 95 % interval, the value of each seed)}
    name        what the second side is called
    """
    fig, (left, right) = new_figure(1, 2, figsize=(9.5, 3.0), width_ratios=(3, 2))
    for scores, colour, label in ((real_scores, REAL, "real"), (fake_scores, FAKE, name)):
        known = scores[~np.isnan(scores)]
        shares = np.full(len(known), 1 / len(known))
        left.hist(known, np.linspace(0, 1, 21), weights=shares, color=colour, alpha=0.55, label=label)
    left.axvline(0.5, color=GREY, ls=":", label="can't tell")
    left.set(
        xlabel="score: probability of being real, according to the critic",
        ylabel="share of the slices",
        xlim=(0, 1),
    )
    left.legend(loc="upper center", frameon=True, framealpha=1, edgecolor="white")
    for k, (value, (low, high), of_seeds) in enumerate(measured.values()):
        right.plot([low, high], [k, k], color="black", lw=1.5)
        right.plot(value, k, "|", color="black", markersize=14)
        right.plot(of_seeds, [k] * len(of_seeds), "o", color="black", alpha=0.4, markersize=5)
        side = "right" if value > 0.75 else "left" if value < 0.25 else "center"
        text = f"{value:.2f} ({low:.2f} to {high:.2f})"
        right.annotate(text, (value, k), (0, 12), textcoords="offset points", ha=side)
    right.axvline(0.5, color=GREY, ls=":")
    right.set_yticks(range(len(measured)), list(measured))
    right.set(xlabel="0.5 is guessing, 1 is always right", xlim=(0, 1.02), ylim=(len(measured) - 0.6, -0.6))
    return add_caption(fig, caption)


def telling_figure(
    real: Tensor,
    fake: Tensor,
    real_scores: np.ndarray,
    fake_scores: np.ndarray,
    caption: str,
    groups_real: Tensor | None = None,
    groups_fake: Tensor | None = None,
    name: str = "generated",
    columns: int = 8,
) -> Figure:
    """The slices that betray most, a row each, under the score that the critic gave them.

    The generated ones with the lowest scores, those with the highest, and the real ones with the lowest.
    Scores on the wrong side of 0.5, where the critic was mistaken, are bold. real and fake are uint8
    [N, 1, S, S] and [M, 1, S, S]; their scores, [N] and [M], are probabilities of being real, and NaN is left
    out. Of each group int64 [N], [M], such as a patient, one slice is shown; None for slices of no group.
    name is what the second side is called.
    """
    rows = (
        (f"{name},\nleast like real", FAKE, fake, fake_scores, groups_fake, 1),
        (f"{name},\nmost like real", FAKE, fake, fake_scores, groups_fake, -1),
        ("real,\nleast like real", REAL, real, real_scores, groups_real, 1),
    )
    fig, axes = new_figure(3, columns, figsize=(1.25 * columns + 0.9, 4.7), squeeze=False)
    for row, (label, colour, images, scores, groups, sign) in zip(axes, rows):
        chosen = _first(sign * scores, groups)[:columns]
        for axis, k in zip(row, chosen):
            show_image(axis, images[k, 0], f"{scores[k]:.2f}")
            if (scores[k] > 0.5) != (colour == REAL):
                axis.title.set_fontweight("bold")
        for axis in row[len(chosen) :]:
            axis.axis("off")
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", color=colour)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.02)
    return add_caption(fig, caption)


def _first(scores: np.ndarray, groups: Tensor | None) -> np.ndarray:
    """Index of the scores from the lowest up, without NaN; of each group the first only."""
    order = np.argsort(scores, kind="stable")[: np.count_nonzero(~np.isnan(scores))]
    if groups is None:
        return order
    return order[np.sort(np.unique(groups.numpy()[order], return_index=True)[1])]

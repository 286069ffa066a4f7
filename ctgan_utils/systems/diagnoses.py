"""What can be wrong with a run, one function each: from its history to a Verdict, or None.

A history is a list of rows as in history.jsonl, at least 2 RECENT of them: estimate, critic_loss,
generator_loss, with a penalty where the objective has one, and spread, the mean distance between samples as a
share of that between real slices.
"""

from statistics import fmean, median

from ctgan_utils.systems.base import History, Verdict

RECENT = 5  # lines of the history that a verdict rests on
SETTLED = 40  # lines after which samples that never differed are taken for collapsed


def recent(history: History, name: str) -> float:
    """The mean of a column over the last lines."""
    return fmean(row[name] for row in history[-RECENT:])


def earlier(history: History, name: str) -> float:
    """The median of a column over the lines before these."""
    return median(row[name] for row in history[:-RECENT])


def collapsed(history: History) -> Verdict | None:
    """The samples hardly differ: they came together, or never came apart."""
    spread = recent(history, "spread")
    has_fallen = spread < 0.6 * max(row["spread"] for row in history[:-RECENT])
    if spread < 0.2 and (has_fallen or len(history) >= SETTLED):
        return Verdict(
            "collapsed",
            f"The samples have collapsed: they differ by {spread:.0%} of what real slices differ by; "
            "try a lower learning_rate, more critic_steps, or a wider stem.",
        )
    return None


def discriminator_won(history: History) -> Verdict | None:
    """The discriminator's cross-entropy is nearly 0."""
    if recent(history, "critic_loss") < 0.05:
        return Verdict(
            "discriminator-won",
            "The discriminator has won: it is nearly always right, and the generator learns little from "
            "it; try a lower critic_learning_rate, or objective=wgan-gp.",
        )
    return None


def penalty_drifts(history: History) -> Verdict | None:
    """The gradient penalty is far above what it was: the critic is no longer 1-Lipschitz."""
    now, until_now = recent(history, "penalty"), earlier(history, "penalty")
    if now > max(0.5, 3 * until_now):
        return Verdict(
            "penalty-drifts",
            f"The gradient penalty drifts: {now:.2g}, after {until_now:.2g}, so the "
            "critic is no longer 1-Lipschitz; try a larger gradient_penalty or a lower critic_learning_rate.",
        )
    return None


def estimate_unbounded(history: History) -> Verdict | None:
    """The critic's estimate of the distance grows at every line, far above what it was."""
    estimates = [row["estimate"] for row in history[-RECENT:]]
    until_now = earlier(history, "estimate")
    if estimates == sorted(estimates) and estimates[-1] > max(100, 5 * until_now):
        return Verdict(
            "estimate-unbounded",
            f"The critic's estimate grows without bound: {estimates[-1]:.3g}, after "
            f"{until_now:.3g}; try a lower critic_learning_rate or a larger gradient_penalty.",
        )
    return None


def critic_blind(history: History) -> Verdict | None:
    """The critic's estimate has fallen to nearly 0: it no longer tells real from generated."""
    until_now = earlier(history, "estimate")
    if all(row["estimate"] < 0.02 * until_now for row in history[-2 * RECENT :]):
        return Verdict(
            "critic-blind",
            "The critic tells real from generated no longer, and the generator follows noise; try more "
            "critic_steps or a higher critic_learning_rate.",
        )
    return None

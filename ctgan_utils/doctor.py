"""The training doctor: what the history of a run says of its health, in plain sentences."""

from statistics import fmean, median

import torch

RECENT = 5  # lines of the history that a verdict rests on
SETTLED = 40  # lines after which samples that never differed are taken for collapsed


def diagnose(history, objective):
    """Sentences that say what is wrong and what to try, the worst first; none for a healthy run.

    history is a list of rows as in history.jsonl: estimate, critic_loss, generator_loss, with a penalty where
    the objective has one, and spread, the mean distance between samples as a share of that between real
    slices. Fewer than 2 RECENT rows are too few to say anything.
    """
    if len(history) < 2 * RECENT:
        return []
    before, recent = history[:-RECENT], history[-RECENT:]

    def now(name):
        return fmean(row[name] for row in recent)

    def until_now(name):
        return median(row[name] for row in before)

    verdicts = []
    has_fallen = now("spread") < 0.6 * max(row["spread"] for row in before)
    if now("spread") < 0.2 and (has_fallen or len(history) >= SETTLED):
        verdicts.append(
            f"The samples have collapsed: they differ by {now('spread'):.0%} of what real slices differ by; "
            "try a lower learning_rate, more critic_steps, or stem_channels=8."
        )
    if objective in ("non-saturating", "minimax"):
        if now("critic_loss") < 0.05:
            verdicts.append(
                "The discriminator has won: it is nearly always right, and the generator learns little from "
                "it; try a lower critic_learning_rate, or objective=wgan-gp."
            )
        return verdicts
    if "penalty" in recent[0] and now("penalty") > max(0.5, 3 * until_now("penalty")):
        verdicts.append(
            f"The gradient penalty drifts: {now('penalty'):.2g}, after {until_now('penalty'):.2g}, so the "
            "critic is no longer 1-Lipschitz; try a larger gradient_penalty or a lower critic_learning_rate."
        )
    estimates = [row["estimate"] for row in recent]
    if estimates == sorted(estimates) and estimates[-1] > max(100, 5 * until_now("estimate")):
        verdicts.append(
            f"The critic's estimate grows without bound: {estimates[-1]:.3g}, after "
            f"{until_now('estimate'):.3g}; try a lower critic_learning_rate or a larger gradient_penalty."
        )
    if all(row["estimate"] < 0.02 * until_now("estimate") for row in history[-2 * RECENT :]):
        verdicts.append(
            "The critic tells real from generated no longer, and the generator follows noise; try more "
            "critic_steps or a higher critic_learning_rate."
        )
    return verdicts


def spread(images):
    """Mean distance, root mean square grey levels, between the pairs of images uint8 [N, 1, S, S]."""
    flat = images.flatten(1).float()
    return (torch.pdist(flat).mean() / flat.shape[1] ** 0.5).item()

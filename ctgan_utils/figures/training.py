"""Figures of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ctgan_utils.figures import add_caption, new_figure, plain_log


def losses_figure(histories: Mapping[str, Sequence[Mapping[str, float]]], caption: str) -> Figure:
    """Figures 4.24 to 4.29: how runs of one objective went, for {name of a run: history}.

    With a gradient penalty the critic's estimate (left) is the curve to read; without one, the loss of the
    discriminator. The generator's loss has no meaning of its own.
    """
    fig, axes = new_figure(1, 3, figsize=(11, 2.8))
    penalised = all("penalty" in row for history in histories.values() for row in history)
    panels = [
        ("estimate", "estimate $E\\,D(x) - E\\,D(G(z))$"),
        ("penalty", "gradient penalty (unweighted)"),
        ("generator_loss", "generator's loss $L_G$"),
    ]
    if not penalised:
        panels = [("critic_loss", "discriminator's loss $L_D$"), panels[2], panels[0]]
    for axis, (name, label) in zip(axes, panels):
        for run, history in histories.items():
            axis.plot(
                [row["images"] / 1e3 for row in history], [row[name] for row in history], lw=1, label=run
            )
        axis.set(xlabel="real images seen (thousands)", title=label)
    if penalised:
        plain_log(axes[1].yaxis)
    axes[0].legend()
    return add_caption(fig, caption)

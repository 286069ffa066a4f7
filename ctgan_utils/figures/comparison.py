"""Figures that compare systems: reported scores, seeds, budgets."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure


def scores_figure(
    names: Sequence[str], epochs: Sequence[float], scores: Sequence[float | None], caption: str
) -> Figure:
    """A reported score over the epochs it took; names label the points, scores of None are left out."""
    fig, axis = new_figure(figsize=(6.5, 3.2))
    points = [(x, y, name) for x, y, name in zip(epochs, scores, names) if y is not None]
    for x, y, name in points:
        axis.plot(x, y, "o", color=FAKE)
        below = any(other == x and above > y for other, above, _ in points)
        axis.annotate(name, (x, y), (5, -11 if below else 4), textcoords="offset points")
    axis.set(xlabel="epochs of training, as reported", ylabel="FID, as reported", ylim=(0, None))
    axis.margins(x=0.2)
    return add_caption(fig, caption)


def seeds_figure(
    values: Mapping[str, Sequence[float]], floors: Mapping[str, float], caption: str, label: str = "FD-ct"
) -> Figure:
    """Values {system: one for each seed} as points, their mean as a line; floors {system: of real slices}."""
    fig, axis = new_figure(figsize=(6.5, 0.34 * len(values) + 1))
    for k, (name, seeds) in enumerate(values.items()):
        axis.plot([min(seeds), max(seeds)], [k, k], color=FAKE, alpha=0.4)
        axis.plot(seeds, [k] * len(seeds), "o", color=FAKE, markersize=4)
        axis.plot(sum(seeds) / len(seeds), k, "|", color="black", markersize=10)
        axis.plot(floors[name], k, "|", color=REAL, markersize=10)
    axis.set_yticks(range(len(values)), list(values))
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel=f"{label} (log scale)")
    return add_caption(fig, caption)


def budget_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    floor: float,
    caption: str,
    label: str = "FD-ct",
) -> Figure:
    """Curves {system: (images seen, values)} and the floor of real slices."""
    fig, axis = new_figure(figsize=(6.5, 3.2))
    for name, (images, values) in curves.items():
        axis.plot(images, values, "o-", markersize=3, label=name)
    axis.axhline(floor, color=REAL, ls=":", label="real slices against real slices")
    axis.set(xlabel="real images seen in training", ylabel=f"{label} (log scale)", yscale="log")
    axis.legend()
    return add_caption(fig, caption)

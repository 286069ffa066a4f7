"""Figures of feature sets: principal components and kernel densities."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.decomposition import PCA

from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure

PARTS = 10  # in which two clouds are drawn by turns, so that neither hides the other


def pca_figure(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], dimensions: int, caption: str, azimuth: float = -60
) -> Figure:
    """Figures 4.1, 4.2, 4.7, 4.8, 4.13, 4.14: feature sets on 3 or 2 principal components.

    panels is {title: (real [N, d], generated [M, d])}; the components are those of the last panel's sets. All
    panels have the same axes.
    """
    pca = PCA(dimensions).fit(np.concatenate(list(panels.values())[-1]))
    solid = dimensions == 3
    options = {"subplot_kw": {"projection": "3d"}} if solid else {}
    fig, axes = new_figure(1, len(panels), figsize=(4.1 * len(panels), 3.7), squeeze=False, **options)
    shares = pca.explained_variance_ratio_
    labels = [
        f"component {k + 1} ({share:.0%}{'' if solid else ' of variance'})" for k, share in enumerate(shares)
    ]
    clouds = {title: [pca.transform(features) for features in sets] for title, sets in panels.items()}
    everything = np.concatenate([cloud for pair in clouds.values() for cloud in pair])
    low, high = everything.min(0), everything.max(0)
    limits = np.stack([low - 0.03 * (high - low), high + 0.03 * (high - low)], 1)
    for axis, (title, pair) in zip(axes.flat, clouds.items()):
        for part in range(PARTS):
            for points, colour, mark, name in zip(pair, (REAL, FAKE), "o^", ("real", "generated")):
                look = {"s": 16, "alpha": 0.75, "marker": mark, "edgecolors": "white", "linewidths": 0.4}
                look |= {"depthshade": False} if solid else {}
                axis.scatter(*points[part::PARTS].T, color=colour, label="_" * (part > 0) + name, **look)
        names = dict(zip(("xlabel", "ylabel", "zlabel"), labels))
        axis.set(title=title, **names, **dict(zip(("xlim", "ylim", "zlim"), limits)))
        if solid:
            axis.view_init(elev=22, azim=azimuth)
            axis.set_box_aspect(None, zoom=0.85)
            for side in (axis.xaxis, axis.yaxis, axis.zaxis):
                side.set_pane_color((1, 1, 1))
                side.set_major_locator(MaxNLocator(4))
                side.labelpad = 6
    axes[0, 0].legend(markerscale=1.5)
    return add_caption(fig, caption)


def densities_figure(
    panels: Mapping[str, tuple[np.ndarray | None, np.ndarray | None]], features: Sequence[int], caption: str
) -> Figure:
    """Figures 4.3 to 4.5, 4.9 to 4.11, 4.15: kernel density estimates of single features.

    panels is {title: (real [N, d], generated [M, d])}, a row each; one of the two may be None.
    """
    rows, columns = len(panels), len(features)
    fig, axes = new_figure(rows, columns, figsize=(2.6 * columns, 1.85 * rows), squeeze=False, sharex="col")
    for row, (title, sets) in zip(axes, panels.items()):
        for axis, k in zip(row, features):
            for values, colour, label in zip(sets, (REAL, FAKE), ("real", "generated")):
                if values is not None:
                    sns.kdeplot(values[:, k], ax=axis, color=colour, fill=True, label=label)
            axis.set(xlabel=f"feature {k}", ylabel="density", title=title if k == features[0] else None)
    axes[0, 0].legend(fontsize=8, loc="upper right", handlelength=1)
    return add_caption(fig, caption)


def pairs_figure(real: np.ndarray, fake: np.ndarray, features: Sequence[int], caption: str) -> Figure:
    """Figures 4.6 and 4.12: densities of features by pairs."""
    names = [f"feature {k}" for k in features]
    table = pd.concat(
        [
            pd.DataFrame(values[:, features], columns=names).assign(images=label)
            for values, label in ((real, "real"), (fake, "generated"))
        ]
    )
    colours = {"real": REAL, "generated": FAKE}
    grid = sns.pairplot(table, hue="images", kind="kde", palette=colours, corner=True, height=1.65)
    plt.close(grid.figure)
    return add_caption(grid.figure, caption)

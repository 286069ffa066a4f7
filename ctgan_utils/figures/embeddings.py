"""Figures of feature sets: principal components and kernel densities."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure


def pca_figure(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], dimensions: int, caption: str, azimuth: float = -60
) -> Figure:
    """Figures 4.1, 4.2, 4.7, 4.8, 4.13, 4.14: feature sets on 3 or 2 principal components.

    panels is {title: (real [N, d], generated [M, d])}; the components are those of the last panel's sets.
    """
    pca = PCA(dimensions).fit(np.concatenate(list(panels.values())[-1]))
    options = {"subplot_kw": {"projection": "3d"}} if dimensions == 3 else {"sharex": True, "sharey": True}
    fig, axes = new_figure(1, len(panels), figsize=(5.2 * len(panels), 4.4), squeeze=False, **options)
    shares = pca.explained_variance_ratio_
    unit = "" if dimensions == 3 else " of variance"
    labels = [f"component {k + 1} ({share:.0%}{unit})" for k, share in enumerate(shares)]
    for axis, (title, sets) in zip(axes.flat, panels.items()):
        for features, colour, name in zip(sets, (REAL, FAKE), ("real", "generated")):
            axis.scatter(*pca.transform(features).T, s=14, alpha=0.6, color=colour, label=name, linewidths=0)
        axis.set(title=title, **dict(zip(("xlabel", "ylabel", "zlabel"), labels)))
        if dimensions == 3:
            axis.view_init(azim=azimuth)
            axis.set_box_aspect(None, zoom=0.8)
    axes[0, 0].legend()
    return add_caption(fig, caption)


def densities_figure(
    panels: Mapping[str, tuple[np.ndarray | None, np.ndarray | None]], features: Sequence[int], caption: str
) -> Figure:
    """Figures 4.3 to 4.5, 4.9 to 4.11, 4.15: kernel density estimates of single features.

    panels is {title: (real [N, d], generated [M, d])}, a row each; one of the two may be None.
    """
    rows, columns = len(panels), len(features)
    fig, axes = new_figure(rows, columns, figsize=(3.4 * columns, 2.5 * rows), squeeze=False, sharex="col")
    for row, (title, sets) in zip(axes, panels.items()):
        for axis, k in zip(row, features):
            for values, colour, label in zip(sets, (REAL, FAKE), ("real", "generated")):
                if values is not None:
                    sns.kdeplot(values[:, k], ax=axis, color=colour, fill=True, label=label)
            axis.set(xlabel=f"feature {k}", ylabel="density", title=title if k == features[0] else None)
    axes[0, 0].legend()
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
    grid = sns.pairplot(table, hue="images", kind="kde", palette=colours, corner=True, height=2.1)
    plt.close(grid.figure)
    return add_caption(grid.figure, caption)

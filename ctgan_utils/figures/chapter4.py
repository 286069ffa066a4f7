"""Figures of chapter 4: data, samples, losses, and the distributions of features."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from sklearn.decomposition import PCA

from ctgan_utils.figures import FAKE, REAL, add_caption, new_figure, show_image


def images_figure(images, caption, titles=None, columns=8, scale=1.1):
    """Images uint8 [N, 1, H, W] or [N, H, W] in a grid (figures 3.3, 4.18, 4.19, and class examples)."""
    images = np.asarray(images).reshape(len(images), *images.shape[-2:])
    rows = -(-len(images) // columns)
    height = scale * rows * (1.2 if titles else 1.0)
    fig, axes = new_figure(rows, columns, figsize=(scale * columns, height + 0.4), squeeze=False)
    for k, axis in enumerate(axes.flat):
        if k < len(images):
            show_image(axis, images[k], titles[k] if titles else None)
        else:
            axis.axis("off")
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def counts_figure(data):
    """Slices per class of a CTImages."""
    fig, axis = new_figure(figsize=(5, 2.2))
    counts = data.counts()
    bars = axis.barh(list(counts), list(counts.values()), color=REAL)
    axis.bar_label(bars, fmt="{:,.0f}", padding=3)
    axis.set_xlabel("slices")
    return add_caption(fig, f"Slices per class; {data.source}.")


def grey_levels_figure(data):
    """Share of pixels at each grey level, by class."""
    fig, axis = new_figure(figsize=(7, 2.8))
    for k, name in enumerate(data.classes):
        pixels = data.images[data.labels == k].numpy()
        share, edges = np.histogram(pixels, bins=64, range=(0, 256))
        axis.stairs(share / max(1, pixels.size), edges, label=name)
    axis.set(xlabel="grey level (0 to 255)", ylabel="share of pixels (log)", yscale="log")
    axis.legend(ncols=len(data.classes))
    return add_caption(fig, f"Grey levels by class: the peak at 0 is air; {data.source}.")


def losses_figure(histories, caption):
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
        axes[1].set_yscale("log")
    axes[0].legend()
    return add_caption(fig, caption)


def gaussian_samples(features, n, rng):
    """n draws from the Gaussian with the features' mean and covariance, float [n, d] (thesis 4.3.1)."""
    return rng.multivariate_normal(features.mean(0), np.cov(features, rowvar=False), n, method="eigh")


def pca_figure(panels, dimensions, caption, azimuth=-60):
    """Figures 4.1, 4.2, 4.7, 4.8, 4.13, 4.14: feature sets on 3 or 2 principal components.

    panels is {title: (real [N, d], generated [M, d])}; the components are those of the last panel's sets.
    """
    pca = PCA(dimensions).fit(np.concatenate(list(panels.values())[-1]))
    options = {"subplot_kw": {"projection": "3d"}} if dimensions == 3 else {"sharex": True, "sharey": True}
    fig, axes = new_figure(1, len(panels), figsize=(3.9 * len(panels), 3.3), squeeze=False, **options)
    shares = pca.explained_variance_ratio_
    unit = "" if dimensions == 3 else " of variance"
    labels = [f"component {k + 1} ({share:.0%}{unit})" for k, share in enumerate(shares)]
    for axis, (title, sets) in zip(axes.flat, panels.items()):
        for features, colour, name in zip(sets, (REAL, FAKE), ("real", "generated")):
            axis.scatter(*pca.transform(features).T, s=8, alpha=0.5, color=colour, label=name, linewidths=0)
        axis.set(title=title, **dict(zip(("xlabel", "ylabel", "zlabel"), labels)))
        if dimensions == 3:
            axis.view_init(azim=azimuth)
            axis.set_box_aspect(None, zoom=0.85)
    axes[0, 0].legend()
    return add_caption(fig, caption)


def densities_figure(panels, features, caption):
    """Figures 4.3 to 4.5, 4.9 to 4.11, 4.15: kernel density estimates of single features.

    panels is {title: (real [N, d], generated [M, d])}, a row each; one of the two may be None.
    """
    rows, columns = len(panels), len(features)
    fig, axes = new_figure(rows, columns, figsize=(2.6 * columns, 1.9 * rows), squeeze=False, sharex="col")
    for row, (title, sets) in zip(axes, panels.items()):
        for axis, k in zip(row, features):
            for values, colour, label in zip(sets, (REAL, FAKE), ("real", "generated")):
                if values is not None:
                    sns.kdeplot(values[:, k], ax=axis, color=colour, fill=True, label=label)
            axis.set(xlabel=f"feature {k}", ylabel="density", title=title if k == features[0] else None)
    axes[0, 0].legend()
    return add_caption(fig, caption)


def pairs_figure(real, fake, features, caption):
    """Figures 4.6 and 4.12: densities of features by pairs."""
    names = [f"feature {k}" for k in features]
    table = pd.concat(
        [
            pd.DataFrame(values[:, features], columns=names).assign(images=label)
            for values, label in ((real, "real"), (fake, "generated"))
        ]
    )
    colours = {"real": REAL, "generated": FAKE}
    grid = sns.pairplot(table, hue="images", kind="kde", palette=colours, corner=True, height=1.6)
    plt.close(grid.figure)
    return add_caption(grid.figure, caption)

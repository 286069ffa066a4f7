"""The map of the thesis: small copies of its figures, as the course makes them."""

from matplotlib import pyplot as plt

from ctgan_utils.figures import add_caption, new_figure


def thumbnails_figure(paths, titles, caption, columns=6):
    """Small pictures (PNG files) in rows, each under its title."""
    rows = -(-len(paths) // columns)
    fig, axes = new_figure(rows, columns, figsize=(1.9 * columns, 1.65 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
        axis.set_anchor("N")
    for axis, path, title in zip(axes.flat, paths, titles):
        axis.imshow(plt.imread(path))
        axis.set_title(title)
    return add_caption(fig, caption)

"""Figures of image translation: a U-Net as it is built, what a score sees, slices and what was made."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from ctgan_utils.figures import FAKE, GREY, OTHER, REAL, add_caption, new_figure, show_image
from ctgan_utils.networks import count_parameters
from ctgan_utils.networks.translation import PatchCritic, UNet
from ctgan_utils.phantom import TISSUES

ACROSS, DOWN = 1.4, 0.8  # from one stage to the next


def u_net_figure(G: UNet, image_size: int) -> Figure:
    """Figures 2.9 and 2.11: a U-Net with the shapes of its maps, drawn from the network itself."""
    shapes: dict[str, list[str]] = {"downs": [], "ups": []}
    hooks = [
        layer.register_forward_hook(
            lambda *passed, side=side: shapes[side].append("×".join(map(str, passed[2].shape[1:])))
        )
        for side in shapes
        for layer in getattr(G, side)
    ]
    channels = next(G.parameters()).shape[1]
    with torch.no_grad():
        G(torch.zeros(1, channels, image_size, image_size, device=next(G.parameters()).device))
    for hook in hooks:
        hook.remove()
    down, up = shapes.values()
    depth = len(down)
    stages = [f"{channels}×{image_size}×{image_size}", *down, *up]
    places = [(ACROSS * k, -DOWN * min(k, 2 * depth - k)) for k in range(len(stages))]
    fig, axis = new_figure(figsize=(11, 4.4))
    axis.set(xlim=(-0.8, ACROSS * 2 * depth + 0.8), ylim=(-DOWN * depth - 0.5, 0.6))
    axis.axis("off")
    arrow = {"arrowstyle": "->", "color": "0.3", "shrinkA": 14, "shrinkB": 14}
    for k, ((x, y), text) in enumerate(zip(places, stages)):
        box = FancyBboxPatch((x - 0.6, y - 0.2), 1.2, 0.4, "round,pad=0.03", fc="#e8eef4", ec="0.4")
        axis.add_patch(box)
        axis.text(x, y, text, ha="center", va="center", fontsize=9)
        if k:
            axis.annotate("", (x, y), places[k - 1], arrowprops=arrow)
    for k in range(1, depth) if G.skips else ():
        (left, y), (right, _) = places[k], places[2 * depth - k]
        joined = {"arrowstyle": "->", "color": OTHER}
        axis.annotate("", (right - 0.65, y), (left + 0.65, y), arrowprops=joined)
    text = f"U-Net with {count_parameters(G):,} parameters; in each box: channels × height × width."
    if G.skips:
        text += " Orange: maps that are put beside those that come back."
    return add_caption(fig, text)


@torch.no_grad()
def patch_figure(D: PatchCritic, shown: Tensor, row: int, column: int, caption: str) -> Figure:
    """What one score of a PatchGAN sees: shown float [1, C, S, S], its last channel drawn, and all scores."""
    scores = D(shown)[0]
    fig, axes = new_figure(1, 2, figsize=(7.5, 3.6))
    show_image(axes[0], shown[0, -1], f"a patch of {D.patch}×{D.patch} pixels", low=-1, high=1)
    stride = 2 ** sum(layer.stride[0] == 2 for layer in D.layers if isinstance(layer, torch.nn.Conv2d))
    middle = (shown.shape[-1] - 1) / 2, (len(scores) - 1) / 2  # of the image, of the map
    left, top = (middle[0] + stride * (place - middle[1]) - D.patch / 2 for place in (column, row))
    axes[0].add_patch(Rectangle((left, top), D.patch, D.patch, fill=False, ec=OTHER, lw=2))
    scale = scores.abs().max().item() or 1.0
    drawn = axes[1].imshow(scores, cmap="PuOr", vmin=-scale, vmax=scale)
    axes[1].add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, ec="black", lw=2))
    axes[1].set(title=f"{scores.numel()} scores, {len(scores)} a side", xticks=[], yticks=[])
    fig.colorbar(drawn, ax=axes[1], label="score (high: real)")
    axes[1].spines[:].set_visible(False)
    return add_caption(fig, caption)


def translations_figure(
    given: Mapping[str, np.ndarray | Tensor],
    made: Mapping[str, np.ndarray | Tensor],
    real: Mapping[str, np.ndarray | Tensor],
    caption: str,
    scale: float = 1.3,
) -> Figure:
    """Rows of images uint8 [n, 1, H, W]: what is given, what was made of it, and what is true.

    A row called tissues holds indices into TISSUES, and is drawn in colours.
    """
    rows = {**given, **made, **real}
    colours = [GREY] * len(given) + [FAKE] * len(made) + [REAL] * len(real)
    columns = max(map(len, rows.values()))
    size = scale * columns + 1.6, scale * len(rows)
    fig, axes = new_figure(len(rows), columns, figsize=size, squeeze=False)
    for line, (name, images), colour in zip(axes, rows.items(), colours):
        for axis, image in zip(line, images):
            drawn = show_image(axis, image[0])
            if name == "tissues":
                drawn.set(cmap="gist_ncar", clim=(0, len(TISSUES)))
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", color=colour)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    return add_caption(fig, caption)


def taken_up_figure(gains: Mapping[str, tuple[np.ndarray, np.ndarray]], caption: str) -> Figure:
    """How much brighter tissues became, {tissue: (truly, as made)} in grey levels, a point for each slice."""
    fig, axes = new_figure(1, len(gains), figsize=(2.2 * len(gains), 2.7), sharex=True, sharey=True)
    known = np.concatenate([np.concatenate(pair) for pair in gains.values()])
    low, high = np.nanmin(known), np.nanmax(known)
    for axis, (tissue, (truly, made)) in zip(axes, gains.items()):
        axis.plot([low, high], [low, high], color=GREY, lw=1)
        axis.plot(truly, made, "o", color=FAKE, markersize=3, alpha=0.5)
        axis.set(title=tissue, xlabel="true gain, grey levels")
    axes[0].set_ylabel("made gain, grey levels")
    return add_caption(fig, f"{caption} On the line, the translator is right.")

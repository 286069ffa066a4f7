"""Figures of chapter 3: the generators."""

import torch
from matplotlib.patches import FancyBboxPatch

from ctgan_utils.figures import FAKE, add_caption, new_figure
from ctgan_utils.networks import count_parameters

PITCH = 2.0  # from the middle of one box to that of the next


def architecture_figure(G):
    """Figure 3.7: the Small generator as blocks, with the shapes that a latent takes through it.

    Drawn from the network itself, so that it can't disagree with it.
    """
    stages = architecture(G)
    fig, axis = new_figure(figsize=(11, 2.9))
    axis.set(xlim=(-0.7, PITCH * (len(stages) - 1) + 0.7), ylim=(-1.3, 1.75))
    axis.axis("off")
    for k, (name, shape, added) in enumerate(stages):
        x = PITCH * k
        axis.add_patch(FancyBboxPatch((x - 0.6, -0.45), 1.2, 0.9, "round,pad=0.03", fc="#e8eef4", ec="0.4"))
        axis.text(x, 0, name, ha="center", va="center", fontsize=8)
        axis.text(x, -0.85, shape, ha="center", fontsize=8, color="0.3")
        if k:
            arrow = {"arrowstyle": "->", "color": "0.3"}
            axis.annotate("", (x - 0.65, 0), (x - PITCH + 0.65, 0), arrowprops=arrow)
        if added:
            curve = {"arrowstyle": "->", "color": FAKE, "connectionstyle": "arc3,rad=-0.55"}
            axis.annotate("", (x - 0.1, 0.5), (x - PITCH + 0.1, 0.5), arrowprops=curve)
            axis.text(x - PITCH / 2, 1.2, "1×1 conv,\nenlarge ×2", ha="center", fontsize=7, color=FAKE)
    text = f"Generator with {count_parameters(G):,} parameters; below each stage: channels × height × width. "
    return add_caption(
        fig, text + "Straight arrows: linear or (transposed) convolution; curved: the additions."
    )


@torch.no_grad()
def architecture(G):
    """[(stage, shape of its output, whether an addition enters it)] of a generator, for one latent."""
    device = next(G.parameters()).device
    x = G.stem(torch.zeros(1, G.z_dim, device=device))
    stem = "linear" + (f"\nkernel {G.stem.kernel_size}×{G.stem.kernel_size}" if G.stem.kernel_size else "")
    stages = [("latent z", str(G.z_dim), False), (stem, _shape(x), False)]
    was_training = G.training
    G.eval()
    for k, block in enumerate(G.blocks, start=1):
        x = block(x)
        stages.append((f"$F_{k}$ + addition\n{type(block.activation).__name__}", _shape(x), True))
    G.train(was_training)
    return stages


def _shape(x):
    return "×".join(str(n) for n in x.shape[1:])

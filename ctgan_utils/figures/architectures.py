"""Figures of generators, as blocks and the ways between them."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ctgan_utils.figures import FAKE, add_caption, new_figure
from ctgan_utils.networks import count_parameters
from ctgan_utils.networks.blocks import UpBlock
from ctgan_utils.networks.generators import Generator

PITCH = 2.0  # from the middle of one box to that of the next

Stage = tuple[str, str, list[tuple[int, str]]]  # name, shape of its output, additions that enter it


def architecture_figure(G: Generator) -> Figure:
    """Figures 3.7 to 3.9: a generator as blocks, with the shapes that a latent takes through it.

    Drawn from the network itself, so that it can't disagree with it.
    """
    stages = architecture(G)
    high = max((len(added) for *_, added in stages), default=0)
    right, top = PITCH * (len(stages) - 1) + 0.7, 0.6 + 0.6 * high
    fig, axis = new_figure(figsize=(0.9 * (right + 0.7), 0.9 * (top + 1.2)))
    axis.set(xlim=(-0.7, right), ylim=(-1.2, top), aspect="equal")
    axis.axis("off")
    for k, (name, shape, added) in enumerate(stages):
        x = PITCH * k
        axis.add_patch(FancyBboxPatch((x - 0.6, -0.45), 1.2, 0.9, "round,pad=0.03", fc="#e8eef4", ec="0.4"))
        axis.text(x, 0, name, ha="center", va="center", fontsize=8)
        axis.text(x, -0.85, shape, ha="center", fontsize=8, color="0.3")
        if k:
            arrow = {"arrowstyle": "->", "color": "0.3"}
            axis.annotate("", (x - 0.65, 0), (x - PITCH + 0.65, 0), arrowprops=arrow)
        for level, (back, text) in enumerate(added):
            bend = {1: -0.55 - 0.35 * level, 2: -0.45}[back]
            curve = {"arrowstyle": "->", "color": FAKE, "connectionstyle": f"arc3,rad={bend}"}
            start = x - PITCH * back
            axis.annotate("", (x - 0.1, 0.5), (start + 0.1, 0.5), arrowprops=curve)
            middle, apex = (x + start) / 2, 0.5 + abs(bend) * (x - start - 0.2) / 2
            above = 0.12 if level else -0.15
            axis.text(middle, apex + above, text, ha="center", va="center", fontsize=7, color=FAKE)
    text = f"Generator with {count_parameters(G):,} parameters; below each stage: channels × height × width."
    if high:
        text += " Curved arrows: the additions, each a 1×1 convolution and an enlargement."
    return add_caption(fig, text)


@torch.no_grad()
def architecture(G: Generator) -> list[Stage]:
    """[(stage, shape of its output, additions that enter it)] of a generator, for one latent.

    An addition is (stages back, its label).
    """
    device = next(G.parameters()).device
    was_training = G.training
    G.eval()
    before = G.stem(torch.zeros(1, G.z_dim, device=device))
    x = G.first(before)
    stages: list[Stage] = [("latent z", str(G.z_dim), []), ("stem", _shape(before), [])]
    parts = ["$F_1(x) + x$"] * (G.first.F is not None)
    if not isinstance(G.first.kernel, torch.nn.Identity):
        size = G.first.kernel.kernel.shape[-1]
        parts.append(f"kernel {size}×{size}")
    if parts:
        stages.append(("\n".join(parts), _shape(x), []))
    blocks = [block for block in G.blocks if isinstance(block, UpBlock)]
    for k, block in enumerate(blocks, start=1 if G.first.F is None else 2):
        before, x = x, block(x, before)
        label = "2 × (×2)" if block.factor == 2 else "×2"
        added = [(1, label) for _ in block.additions]
        if block.earlier is not None:
            added.append((2, f"×{block.earlier.up.scale_factor:g}"))
        name = f"$F_{k}$" + (" + addition" if added else "") + ("s" if len(added) > 1 else "")
        stages.append((f"{name}\n{type(block.activation).__name__}", _shape(x), added))
    G.train(was_training)
    return stages


def _shape(x: torch.Tensor) -> str:
    return "×".join(str(n) for n in x.shape[1:])

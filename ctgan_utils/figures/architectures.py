"""Figures of networks: the maps that an image is made of, or taken apart into, and the layers between."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from torch import nn

from ctgan_utils.figures import OTHER, add_caption, new_figure
from ctgan_utils.networks import count_parameters
from ctgan_utils.networks.blocks import LearnableKernel, LinearStem, ResizeConvolution, UpBlock
from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.generators import Generator

GAP = 1.65  # between two maps, where the names of the layers stand
NAMES: dict[type[nn.Module], str] = {
    nn.BatchNorm2d: "batch norm",
    nn.GroupNorm: "layer norm",
    nn.InstanceNorm2d: "instance norm",
    nn.LeakyReLU: "leaky ReLU",
    nn.ReLU: "ReLU",
    nn.Tanh: "tanh",
}


@dataclass(frozen=True)
class Stage:
    """A map on its way through a network."""

    shape: tuple[int, ...]  # without the batch
    layers: tuple[str, ...] = ()  # that lead to it
    added: tuple[tuple[int, str], ...] = ()  # additions that enter it: (stages back, label)

    @property
    def sides(self) -> tuple[float, float]:
        """Side and depth of its box, which grow with the logarithms of pixels and channels."""
        channels, pixels = self.shape[0], self.shape[1] if len(self.shape) > 1 else 1
        return 0.25 + 0.25 * log2(pixels), 0.05 + 0.14 * log2(channels)


def architecture_figure(*networks: Generator | ConvCritic, names: Sequence[str] = ()) -> Figure:
    """Figures 2.5 and 3.7 to 3.9: a generator, or its critic, as the maps that grow, or shrink, in it.

    Drawn from the network itself, so that it can't disagree with it. A box is as wide and high as its map,
    and as deep as its channels, on logarithmic scales; before it stand the layers that make it. Several
    networks stand under each other, on one scale; `names` are theirs instead of Generator and Critic.
    """
    names = names or ["Generator" if isinstance(each, Generator) else "Critic" for each in networks]
    drawn = [stages_of(network) for network in networks]
    frames = [_frame(stages) for stages in drawn]
    width, heights = max(width for width, *_ in frames), [top - low for _, low, top in frames]
    titles = 0.35 * len(networks) if len(networks) > 1 else 0  # inches that they take
    figsize = 0.55 * width, 0.55 * sum(heights) + titles
    size = {"figsize": figsize, "gridspec_kw": {"height_ratios": heights}}
    fig, axes = new_figure(len(networks), 1, squeeze=False, **size)
    for axis, network, name, stages, (_, low, top) in zip(axes.flat, networks, names, drawn, frames):
        axis.set(xlim=(-0.3, width - GAP + 0.4), ylim=(low, top), aspect="equal")
        axis.axis("off")
        if len(networks) > 1:
            axis.set_title(name, loc="left")
        _draw(axis, stages, isinstance(network, Generator))
    counts = (
        f"{name} with {count_parameters(network):,} parameters" for name, network in zip(names, networks)
    )
    text = f"{'. '.join(counts)}. Boxes: channels × height × width of each map; their sides grow with the "
    text += "logarithm."
    if any(stage.added for stages in drawn for stage in stages):
        text += " Curved arrows: the additions, each a 1×1 convolution and an enlargement."
    return add_caption(fig, text)


def stages_of(network: Generator | ConvCritic) -> list[Stage]:
    """The maps of a network in their order, from the latent or the image on, for one input."""
    return _of_generator(network) if isinstance(network, Generator) else _of_critic(network)


def _lefts(stages: list[Stage]) -> list[float]:
    """The left edge of each stage's box, and where the next one would stand."""
    lefts = [0.0]
    for side, depth in (stage.sides for stage in stages):
        lefts.append(lefts[-1] + side + 0.6 * depth + GAP)
    return lefts


def _frame(stages: list[Stage]) -> tuple[float, float, float]:
    """Width, lower and upper end of a network's drawing, with room for its additions."""
    high = max(sum(stage.sides) for stage in stages) / 2
    reach = max((back for stage in stages for back, _ in stage.added), default=0)
    return _lefts(stages)[-1], -high - 0.3, high + (0.2, 1.1, 1.7)[reach]


def _draw(axis: Axes, stages: list[Stage], is_generator: bool) -> None:
    """The boxes with their shapes, the arrows between them with their layers, and the additions."""
    lefts = _lefts(stages)
    for k, (stage, left) in enumerate(zip(stages, lefts)):
        side, depth = stage.sides
        _box(axis, left, side, depth)
        shape = "×".join(str(n) for n in stage.shape)
        label = f"z: {shape}" if is_generator and not k else "score" if shape == "1" else shape
        axis.text(left + side / 2, -side / 2 - 0.15, label, ha="center", va="top", fontsize=8)
        if k:
            end = lefts[k] - GAP
            arrow = {"arrowstyle": "->", "color": "0.3"}
            axis.annotate("", (left - 0.05, 0), (end + 0.05, 0), arrowprops=arrow)
            middle, names = (left + end) / 2, "\n".join(stage.layers)
            axis.text(middle, -0.12, names, ha="center", va="top", fontsize=8, color="0.3")
        for level, (back, text) in enumerate(stage.added):
            _addition(axis, stages, lefts, k, back, text, level)


def _box(axis: Axes, left: float, side: float, depth: float) -> None:
    """A box with its front's left edge at left, centred in height."""
    dx, dy, half = 0.6 * depth, 0.4 * depth, side / 2
    front = [(left, -half), (left + side, -half), (left + side, half), (left, half)]
    roof = [front[3], front[2], (left + side + dx, half + dy), (left + dx, half + dy)]
    flank = [front[1], front[2], (left + side + dx, half + dy), (left + side + dx, -half + dy)]
    for corners, colour in ((front, "#e8eef4"), (roof, "#d3dde7"), (flank, "#bccad8")):
        axis.add_patch(Polygon(corners, closed=True, fc=colour, ec="0.4", lw=0.8))


def _addition(
    axis: Axes, stages: list[Stage], lefts: list[float], k: int, back: int, text: str, level: int
) -> None:
    """A curved arrow from the map `back` stages before to map k."""
    (x0, y0), (x1, y1) = (
        (lefts[n] + stages[n].sides[0] / 2 + 0.3 * stages[n].sides[1], sum(stages[n].sides) / 2)
        for n in (k - back, k)
    )
    bend = {1: 0.25, 2: 0.42}[back] + 0.3 * level * (back == 1)
    curve = {"arrowstyle": "->", "color": OTHER, "connectionstyle": f"arc3,rad={-bend}"}
    axis.annotate("", (x1, y1 + 0.05), (x0, y0 + 0.05), arrowprops=curve)
    apex = (x0 + x1 - bend * (y1 - y0)) / 2, (y0 + y1 + bend * (x1 - x0)) / 2
    axis.text(apex[0], apex[1] + 0.1, text, ha="center", va="bottom", fontsize=8, color=OTHER)


def _layers(*modules: nn.Module) -> tuple[str, ...]:
    """The layers by name, with kernel, and the factor by which they enlarge or shrink."""
    found = []
    for module in modules:
        if isinstance(module, ResizeConvolution):
            found.append("resize ×2, conv 3×3")
        elif isinstance(module, (nn.ConvTranspose2d, nn.Conv2d)):
            size, stride = module.kernel_size[0], module.stride[0]
            is_transposed = isinstance(module, nn.ConvTranspose2d)
            name, sign = ("transposed\nconv", "×") if is_transposed else ("conv", "÷")
            found.append(f"{name} {size}×{size}" + (f", {sign}{stride}" if stride > 1 else ""))
        elif type(module) in NAMES:
            found.append(NAMES[type(module)])
    return tuple(found)


@torch.no_grad()
def _of_generator(G: Generator) -> list[Stage]:
    was_training = G.training
    G.eval()
    before = G.stem(torch.zeros(1, G.z_dim, device=next(G.parameters()).device))
    stem = ("linear",) if isinstance(G.stem, LinearStem) else _layers(*G.stem)
    stages = [Stage((G.z_dim,)), Stage(tuple(before.shape[1:]), stem)]
    x = G.first(before)
    first: tuple[str, ...] = ("conv 3×3", "+ x") if G.first.F is not None else ()
    if isinstance(G.first.kernel, LearnableKernel):
        size = G.first.kernel.kernel.shape[-1]
        first += (f"learned {size}×{size}",)
    if first:
        stages.append(Stage(tuple(x.shape[1:]), first))
    for block in (block for block in G.blocks if isinstance(block, UpBlock)):
        before, x = x, block(x, before)
        label = "2 × (×2)" if block.factor == 2 else "×2"
        added = [(1, label) for _ in block.additions]
        if block.earlier is not None:
            added.append((2, f"×{block.earlier.up.scale_factor:g}"))
        stages.append(Stage(tuple(x.shape[1:]), _layers(*block.F, block.activation), tuple(added)))
    G.train(was_training)
    return stages


@torch.no_grad()
def _of_critic(D: ConvCritic) -> list[Stage]:
    was_training = D.training
    halvings = sum(isinstance(layer, nn.Conv2d) for layer in D.layers)
    x = torch.zeros(1, 1, 4 << halvings, 4 << halvings, device=next(D.parameters()).device)
    stages, layers = [Stage(tuple(x.shape[1:]))], list(D.layers)
    for k in range(0, len(layers), 3):  # a convolution, a normalisation, an activation
        x = nn.Sequential(*layers[k : k + 3]).eval()(x)
        stages.append(Stage(tuple(x.shape[1:]), _layers(*layers[k : k + 3])))
    D.train(was_training)
    return [*stages, Stage((1,), _layers(D.score))]

"""The networks of Brock 2019 ("BigGAN"), with the self-attention of Zhang 2019."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d
from torch.nn.utils.parametrizations import spectral_norm

# channels at 4x4, 8x8, ..., in widths: tables 4 and 5, and for less than 128x128 the like of them
GENERATOR = {
    8: (16, 2),
    16: (16, 4, 2),
    32: (16, 8, 4, 2),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
# channels behind each block of the critic, of which the last keeps the size
CRITIC = {
    8: (1, 2),
    16: (1, 2, 4),
    32: (1, 2, 4, 8),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}


def attended(image_size: int) -> int:
    """The side of the maps that self-attention works on: 64 as in the paper, or half of a smaller image's."""
    return min(64, image_size // 2)


def conv(in_channels: int, out_channels: int, kernel_size: int, bias: bool = True) -> nn.Module:
    """A convolution that keeps the size, of spectral norm 1 (Miyato 2018)."""
    padding = kernel_size // 2
    return spectral_norm(nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=bias))


class SelfAttention(nn.Module):
    """[N, C, H, W] -> x + gamma a(x): each pixel adds a mixture of all others (Zhang 2019, section 3).

    Weights of the mixture are a softmax over the products of C / 8 features; what is mixed are C / 2
    features. The largest values of each 2x2 stand for its pixels. gamma is learnt, at first 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        few, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key = (conv(channels, few, 1, bias=False) for _ in range(2))
        self.value, self.out = conv(channels, half, 1, bias=False), conv(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        queries = self.query(x).flatten(2)
        keys, values = (max_pool2d(part(x), 2).flatten(2) for part in (self.key, self.value))
        weights = (queries.transpose(1, 2) @ keys).softmax(-1)
        mixed = (values @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(mixed)


class ToldBatchNorm(nn.Module):
    """Batch normalisation whose gain, 1 + A c, and bias, B c, are linear in a condition c [N, d]."""

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.bias = (spectral_norm(nn.Linear(told, channels, bias=False)) for _ in range(2))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        gain, bias = (part(c)[:, :, None, None] for part in (self.gain, self.bias))
        return (1 + gain) * self.norm(x) + bias


class UpBlock(nn.Module):
    """A residual block to twice the resolution, told c (figure 15b)."""

    def __init__(self, in_channels: int, out_channels: int, told: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ToldBatchNorm(n, told) for n in (in_channels, out_channels))
        self.first, self.second = conv(in_channels, out_channels, 3), conv(out_channels, out_channels, 3)
        self.shortcut = conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        h = self.first(_doubled(torch.relu(self.norms[0](x, c))))
        h = self.second(torch.relu(self.norms[1](h, c)))
        return h + _doubled(self.shortcut(x))  # a 1x1 convolution and the doubling change places


def _doubled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


class BigGenerator(nn.Module):
    """z [N, z_dim] and labels int64 [N] -> images [N, 1, S, S] in [-1, 1].

    z is split into equal parts: the first goes through a linear layer to 16 width channels at 4x4, each
    other one, joined to an embedding of the class that all share, into the normalisations of one block. The
    blocks have GENERATOR[S] times width channels, with self-attention once between them.
    """

    def __init__(self, image_size: int, z_dim: int, width: int, classes: int) -> None:
        super().__init__()
        channels = [times * width for times in GENERATOR[image_size]]
        self.z_dim, self.part = z_dim, z_dim // len(channels)
        self.embedding = nn.Embedding(classes, self.part)
        self.stem = spectral_norm(nn.Linear(self.part, channels[0] * 16))
        told = 2 * self.part
        self.blocks = nn.ModuleList(UpBlock(a, b, told) for a, b in zip(channels, channels[1:]))
        self.attended = int(math.log2(attended(image_size) // 4))  # blocks before the attention
        self.attention = SelfAttention(channels[self.attended])
        self.norm = nn.BatchNorm2d(channels[-1])
        self.image = conv(channels[-1], 1, 3)
        self.apply(orthogonal)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        first, *parts = z.split(self.part, dim=1)[: len(self.blocks) + 1]
        shared = self.embedding(labels)
        x = self.stem(first).unflatten(1, (-1, 4, 4))
        for k, (block, part) in enumerate(zip(self.blocks, parts)):
            if k == self.attended:
                x = self.attention(x)
            x = block(x, torch.cat([part, shared], dim=1))
        return torch.tanh(self.image(torch.relu(self.norm(x))).float())


class DownBlock(nn.Module):
    """A residual block, by default to half the resolution (figure 15c); the first has no ReLU in front."""

    def __init__(self, in_channels: int, out_channels: int, first: bool = False, halve: bool = True) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.convolutions = nn.Sequential(
            nn.Identity() if first else nn.ReLU(),
            conv(in_channels, out_channels, 3),
            nn.ReLU(),
            conv(out_channels, out_channels, 3),
        )
        self.shortcut = conv(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolutions(x) + self.shortcut(x)
        return avg_pool2d(y, 2) if self.halve else y


class BigCritic(nn.Module):
    """Images [N, 1, S, S] and labels int64 [N] -> scores [N], with the projection of Miyato 2018.

    Residual blocks halve the resolution to 4x4, with self-attention once between them, to CRITIC[S] times
    width channels; a last block keeps the size; the map is summed up behind a ReLU.
    """

    def __init__(self, image_size: int, width: int, classes: int) -> None:
        super().__init__()
        channels = [1, *(times * width for times in CRITIC[image_size])]
        pairs = enumerate(zip(channels, channels[1:-1]))
        blocks = [DownBlock(a, b, first=k == 0) for k, (a, b) in pairs]
        self.blocks = nn.ModuleList([*blocks, DownBlock(channels[-2], channels[-1], halve=False)])
        self.attended = int(math.log2(image_size // attended(image_size)))  # blocks before the attention
        self.attention = SelfAttention(channels[self.attended])
        self.score = spectral_norm(nn.Linear(channels[-1], 1))
        self.embedding = spectral_norm(nn.Embedding(classes, channels[-1]))
        self.apply(orthogonal)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        x = images
        for k, block in enumerate(self.blocks, 1):
            x = block(x)
            if k == self.attended:
                x = self.attention(x)
        with torch.autocast(images.device.type, enabled=False):
            features = torch.relu(x.float()).sum((2, 3))
            return self.score(features)[:, 0] + (self.embedding(labels) * features).sum(1)


def orthogonal(module: nn.Module) -> None:
    """Weights of convolutions, linear layers and embeddings with orthogonal rows (Saxe 2014)."""
    if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
        weight = dict(module.named_parameters())
        for name in ("weight", "parametrizations.weight.original"):
            if name in weight:
                nn.init.orthogonal_(weight[name])


def orthogonal_penalty(network: nn.Module, spared: tuple[str, ...] = ()) -> Tensor:
    """The sum over weights W [out, ...] of || W W^T * (1 - I) ||^2 (Brock 2019, equation 3).

    Rows are to be orthogonal; how long they are is left free. Parameters whose name begins with one of
    `spared` do not count.
    """
    total = torch.zeros((), device=next(network.parameters()).device)
    for name, weight in network.named_parameters():
        if weight.ndim >= 2 and not name.startswith(spared):
            products = weight.flatten(1) @ weight.flatten(1).T
            total = total + (products - products.diag().diag()).square().sum()
    return total

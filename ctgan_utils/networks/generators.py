"""Generators: one for all systems of the thesis, and one that resizes in place of transposed convolution."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from ctgan_utils.networks.blocks import (
    ConvStem,
    FirstAddition,
    LinearStem,
    ResizeBlock,
    UpBlock,
    initialise,
)


class Generator(nn.Module):
    """z [N, z_dim] -> images [N, 1, S, S] in [-1, 1].

    A stem makes a 4x4 map, and each UpBlock doubles the resolution: four of them for 64x64, which with the
    linear stem are the "5 layers" of thesis 3.2.1.

    stem="linear"  [N, stem_channels, 4, 4]; the blocks have 2 width times 4, 2, 1 (64x64) channels, then 1
    stem="conv"    DCGAN's: 8 width at 4x4 (64x64), then width times 4, 2, 1 channels, then 1
    """

    def __init__(
        self,
        image_size: int,
        z_dim: int,
        width: int,
        *,
        stem: str = "linear",
        stem_channels: int = 1,
        kernel_size: int = 0,
        kernel_init: str = "normal",
        kernel_place: str = "after",
        additions: str = "one",
        interpolation: str = "bilinear",
        upsampling: str = "transposed",
    ) -> None:
        super().__init__()
        doublings = int(math.log2(image_size // 4))
        powers = [2**k for k in reversed(range(doublings - 1))]
        self.stem: ConvStem | LinearStem
        if stem == "conv":
            channels = [2 ** (doublings - 1) * width, *(width * p for p in powers), 1]
            self.stem = ConvStem(z_dim, channels[0])
        else:
            channels = [stem_channels, *(2 * width * p for p in powers), 1]
            self.stem = LinearStem(z_dim, channels[0])
        self.z_dim = z_dim
        self.first = FirstAddition(channels[0], additions == "levels", kernel_size, kernel_init, kernel_place)
        # the layer before x is half its size, save for the first block: F1 keeps the 4x4 of the stem
        earlier = [(channels[0], 2), *((c, 4) for c in channels)]
        self.blocks = nn.ModuleList(
            UpBlock(
                channels[i],
                channels[i + 1],
                additions=additions,
                mode=interpolation,
                upsampling=upsampling,
                last=i == doublings - 1,
                earlier=earlier[i],
            )
            for i in range(doublings)
        )
        self.blocks.apply(initialise)
        if stem == "conv":
            self.stem.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        before = self.stem(z)
        x = self.first(before)
        for block in self.blocks:
            before, x = x, block(x, before)
        return x


class ResizeGenerator(nn.Module):
    """z [N, z_dim] -> images [N, 1, S, S] in [-1, 1], without transposed convolutions.

    A linear stem makes [N, 4 width, 4, 4]; ResizeBlocks double the resolution, with 3 width channels, then
    half as many each time; the last doubling is a pixel shuffle (Shi 2016) to `shuffled` channels, which
    costs a third of a block at the image's size, and a convolution that hides the shuffle's lattice.
    """

    def __init__(self, image_size: int, z_dim: int, width: int, shuffled: int = 16) -> None:
        super().__init__()
        doublings = int(math.log2(image_size // 4))
        channels = [4 * width, *(max(1, 3 * width // 2**k) for k in range(doublings - 1))]
        self.z_dim = z_dim
        self.stem = LinearStem(z_dim, channels[0])
        self.blocks = nn.Sequential(*(ResizeBlock(a, b) for a, b in zip(channels, channels[1:])))
        self.up = nn.Conv2d(channels[-1], 4 * shuffled, kernel_size=3, padding=1)
        self.image = nn.Conv2d(shuffled, 1, kernel_size=3, padding=1)
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        x = self.blocks(torch.relu(self.stem(z)))
        x = torch.relu(pixel_shuffle(self.up(x), 2))
        return torch.tanh(self.image(x).float())

"""Generators: one for all systems of the thesis, and one that resizes in place of transposed convolution."""

import math

import torch
from torch import Tensor, nn

from ctgan_utils.networks.blocks import (
    ConvStem,
    FirstAddition,
    LinearStem,
    ResizeBlock,
    UpBlock,
    initialise,
    inverse_haar,
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


def grain_sides(image_size: int) -> list[int]:
    """Pixels along the sides of a WaveletGenerator's maps that get grain, from coarse to fine."""
    return [8 << k for k in range(int(math.log2(image_size // 8)))]


def grain_dim(image_size: int) -> int:
    """Numbers of grain for one image: two maps of each side."""
    return sum(2 * side**2 for side in grain_sides(image_size))


class WaveletGenerator(nn.Module):
    """z [N, z_dim] and grain [N, grain_dim] -> images [N, 1, S, S] in [-1, 1], by way of Haar wavelets.

    A linear stem makes [N, 4 width, 4, 4]; ResizeBlocks double the resolution up to half the image's, with 4,
    2 and 1 times width channels (64x64; never fewer than width); a convolution makes the Haar coefficients of
    each square of 2x2 pixels, as the generator of Gal 2021 does. grain holds the noise of all blocks' maps,
    grain_dim(S) numbers.
    """

    def __init__(self, image_size: int, z_dim: int, width: int) -> None:
        super().__init__()
        self.z_dim, self.sides = z_dim, grain_sides(image_size)
        channels = [4 * width, *(max(width, 4 * width >> k) for k in range(len(self.sides)))]
        self.stem = LinearStem(z_dim, channels[0])
        self.blocks = nn.ModuleList(ResizeBlock(a, b) for a, b in zip(channels, channels[1:]))
        self.coefficients = nn.Conv2d(channels[-1], 4, kernel_size=3, padding=1)
        nn.init.normal_(self.coefficients.weight, 0.0, 0.02)

    def forward(self, z: Tensor, grain: Tensor) -> Tensor:
        x = torch.relu(self.stem(z))
        maps = grain.split([2 * side**2 for side in self.sides], dim=1)
        for block, side, noise in zip(self.blocks, self.sides, maps):
            x = block(x, noise.unflatten(1, (2, side, side)))
        return torch.tanh(inverse_haar(self.coefficients(x).float()))

"""One generator for all systems of the thesis: they differ in the stem and in what is added."""

import math

from torch import nn

from ctgan_utils.networks.blocks import ConvStem, FirstAddition, LinearStem, UpBlock, initialise


class Generator(nn.Module):
    """z [N, z_dim] -> images [N, 1, S, S] in [-1, 1].

    A stem makes a 4x4 map, and each UpBlock doubles the resolution: four of them for 64x64, which with the
    linear stem are the "5 layers" of thesis 3.2.1.

    stem="linear"  [N, stem_channels, 4, 4]; the blocks have 2 width times 4, 2, 1 (64x64) channels, then 1
    stem="conv"    DCGAN's: 8 width at 4x4 (64x64), then width times 4, 2, 1 channels, then 1
    """

    def __init__(
        self,
        image_size,
        z_dim,
        width,
        *,
        stem="linear",
        stem_channels=1,
        kernel_size=0,
        kernel_init="normal",
        kernel_place="after",
        additions="one",
        interpolation="bilinear",
        upsampling="transposed",
    ):
        super().__init__()
        doublings = int(math.log2(image_size // 4))
        powers = [2**k for k in reversed(range(doublings - 1))]
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

    def forward(self, z):
        before = self.stem(z)
        x = self.first(before)
        for block in self.blocks:
            before, x = x, block(x, before)
        return x

"""The generators of thesis chapter 3."""

import math

from torch import nn

from ctgan_utils.networks.blocks import Stem, UpBlock, initialise


class SmallGenerator(nn.Module):
    """z [N, z_dim] -> images [N, 1, S, S] in [-1, 1] (thesis 3.2.1, figure 3.7).

    A linear layer makes one 4x4 map, and each UpBlock doubles the resolution: four of them for 64x64,
    the "5 layers" of the thesis. Their channels are 8, 4 and 2 times width, then the image's one.
    """

    def __init__(self, image_size, z_dim, width, stem_channels=1, kernel_size=0, interpolation="bilinear"):
        super().__init__()
        doublings = int(math.log2(image_size // 4))
        channels = [stem_channels, *(2 * width * 2**k for k in reversed(range(doublings - 1))), 1]
        self.z_dim = z_dim
        self.stem = Stem(z_dim, stem_channels, kernel_size)
        self.blocks = nn.Sequential(
            *(
                UpBlock(channels[i], channels[i + 1], interpolation, last=i == doublings - 1)
                for i in range(doublings)
            )
        )
        self.blocks.apply(initialise)

    def forward(self, z):
        return self.blocks(self.stem(z))

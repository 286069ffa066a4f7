"""Filters on images: the learnable kernel of the thesis."""

import torch
from torch import nn


class LearnableKernel(nn.Module):
    """A k x k kernel, drawn from N(0, 1) and then learned, convolved with a [N, C, H, W] map.

    One kernel serves every channel, there is no bias and the size is kept (thesis 3.1.1; equation 3.3,
    second line). Figure 3.1 shows it as a surface: `kernel[0, 0]`.
    """

    def __init__(self, size):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(1, 1, size, size))

    def forward(self, x):
        channels = x.shape[1]
        weight = self.kernel.expand(channels, 1, -1, -1)
        return nn.functional.conv2d(x, weight, padding=self.kernel.shape[-1] // 2, groups=channels)

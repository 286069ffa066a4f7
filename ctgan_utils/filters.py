"""Filters on images: the learnable kernel of the thesis."""

import torch
from torch import nn


class LearnableKernel(nn.Module):
    """A k x k kernel, drawn from N(0, 1) or the identity, then learned, convolved with a [N, C, H, W] map.

    One kernel serves every channel, there is no bias and the size is kept (thesis 3.1.1; equation 3.3,
    second line). Figure 3.1 shows it as a surface: `kernel[0, 0]`.
    """

    def __init__(self, size, init="normal"):
        super().__init__()
        values = torch.randn(1, 1, size, size)
        if init == "identity":
            values = torch.zeros(1, 1, size, size)
            values[..., size // 2, size // 2] = 1
        self.kernel = nn.Parameter(values)

    def forward(self, x):
        channels = x.shape[1]
        weight = self.kernel.expand(channels, 1, -1, -1)
        return nn.functional.conv2d(x, weight, padding=self.kernel.shape[-1] // 2, groups=channels)

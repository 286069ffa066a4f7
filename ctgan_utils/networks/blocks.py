"""The parts from which the thesis' generators are composed."""

from torch import nn

from ctgan_utils.filters import LearnableKernel


class Stem(nn.Module):
    """z -> linear layer -> [N, channels, 4, 4], then the learnable kernel, if any (thesis 3.1, 3.2.1)."""

    def __init__(self, z_dim, channels, kernel_size):
        super().__init__()
        self.channels, self.kernel_size = channels, kernel_size
        self.linear = nn.Linear(z_dim, channels * 4 * 4)
        self.kernel = LearnableKernel(kernel_size) if kernel_size else nn.Identity()

    def forward(self, z):
        return self.kernel(self.linear(z).unflatten(1, (self.channels, 4, 4)))


class InterpolatedAddition(nn.Module):
    """P(up(x)): the layer before, brought to the channels and the resolution of the next (thesis 3.1.2).

    The 1x1 convolution P runs before the interpolation, not after as the thesis words it: each mixes what
    the other leaves alone, channels or pixels, so the result is the same for a quarter of the work.
    """

    def __init__(self, in_channels, out_channels, scale, mode):
        super().__init__()
        self.project = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        smooth = {} if mode == "nearest" else {"align_corners": False}
        self.up = nn.Upsample(scale_factor=scale, mode=mode, **smooth)

    def forward(self, x):
        return self.up(self.project(x))


class UpBlock(nn.Module):
    """F(x) + P(up(x)) and an activation: one step of equation 3.3, at twice the resolution.

    F is a transposed convolution (kernel 4, stride 2) with batch normalisation; the last block, which
    makes the image, has none and ends in tanh.
    """

    def __init__(self, in_channels, out_channels, mode, last=False):
        super().__init__()
        self.F = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=last),
            nn.Identity() if last else nn.BatchNorm2d(out_channels),
        )
        self.addition = InterpolatedAddition(in_channels, out_channels, scale=2, mode=mode)
        self.activation = nn.Tanh() if last else nn.ReLU()

    def forward(self, x):
        return self.activation(self.F(x) + self.addition(x))


def initialise(module):
    """Convolutions from N(0, 0.02), batch normalisation from N(1, 0.02), biases 0 (Radford 2015)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)

"""The parts from which generators and critics are composed."""

from torch import nn

from ctgan_utils.filters import LearnableKernel


class LinearStem(nn.Module):
    """z [N, z_dim] -> [N, channels, 4, 4] by one linear layer, without an activation (thesis 3.2.1)."""

    def __init__(self, z_dim, channels):
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(z_dim, channels * 4 * 4)

    def forward(self, z):
        return self.linear(z).unflatten(1, (self.channels, 4, 4))


class ConvStem(nn.Sequential):
    """z [N, z_dim] -> [N, channels, 4, 4] by a transposed convolution of one pixel (Radford 2015)."""

    def __init__(self, z_dim, channels):
        super().__init__(
            nn.Unflatten(1, (z_dim, 1, 1)),
            nn.ConvTranspose2d(z_dim, channels, kernel_size=4, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


class FirstAddition(nn.Module):
    """x1 = F1(x) + x on the 4x4 map, then the learnable kernel, if any (equation 3.3, lines 1 and 2).

    Without F1, the kernel alone (thesis 3.1.1). `place` is "after" the sum, as printed, or "before" it.
    """

    def __init__(self, channels, convolved, kernel_size, kernel_init, place):
        super().__init__()
        self.F = nn.Conv2d(channels, channels, kernel_size=3, padding=1) if convolved else None
        self.kernel = LearnableKernel(kernel_size, kernel_init) if kernel_size else nn.Identity()
        self.place = place

    def forward(self, x):
        if self.place == "before":
            x = self.kernel(x)
        if self.F is not None:
            x = self.F(x) + x
        return self.kernel(x) if self.place == "after" else x


class InterpolatedAddition(nn.Module):
    """P(up(x)): a layer before, brought to the channels and the resolution of the next (thesis 3.1.2).

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


def upsampling_convolution(kind, in_channels, out_channels, bias):
    """A convolution to twice the resolution: "transposed" (Radford 2015) or "resize" (Odena 2016)."""
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=bias)
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution)


class UpBlock(nn.Module):
    """One step of a generator to twice the resolution: activation(F(x) + additions).

    F is a convolution upwards with batch normalisation; the last block, which makes the image, has none and
    ends in tanh. The additions are

    none      of DCGAN and the plain WGANs
    one       P(up(x)), of the Small GAN (3.2.1)
    branches  P(up(x)) + P'(up(x)), of the Larger GAN V1 (3.2.2: "added twice")
    doubled   2 P(up(x)), another reading of V1
    around    P(up(x)) before and after the activation, a third; before alone in the last block
    levels    P(up(x)) + P'(up(e)), of the Larger GAN V2 (3.2.3, equation 3.3): e is the layer before x
    """

    def __init__(self, in_channels, out_channels, *, additions, mode, upsampling, last=False, earlier=None):
        super().__init__()
        normalisation = nn.Identity() if last else nn.BatchNorm2d(out_channels)
        self.F = nn.Sequential(
            upsampling_convolution(upsampling, in_channels, out_channels, bias=last), normalisation
        )
        count = {"none": 0, "branches": 2}.get(additions, 1)
        self.additions = nn.ModuleList(
            InterpolatedAddition(in_channels, out_channels, 2, mode) for _ in range(count)
        )
        self.earlier = None
        if additions == "levels":
            channels, scale = earlier
            self.earlier = InterpolatedAddition(channels, out_channels, scale, mode)
        self.factor = 2 if additions == "doubled" else 1
        self.after = additions == "around" and not last
        self.activation = nn.Tanh() if last else nn.ReLU()

    def forward(self, x, earlier=None):
        added = self.factor * sum(addition(x) for addition in self.additions)
        if self.earlier is not None:
            added = added + self.earlier(earlier)
        out = self.activation(self.F(x) + added)
        return out + added if self.after else out


def adain(x, y, eps=1e-5):
    """Adaptive instance normalisation of content x to style y, [N, C, H, W] (Huang and Belongie 2017).

    Each channel of each image of x gets the mean and the standard deviation that y has there (thesis A.2).
    eps is added to the variance of x, so that a constant channel does not divide by 0. Sizes may differ.
    """
    scale = x.std((2, 3), correction=0, keepdim=True)
    normalised = (x - x.mean((2, 3), keepdim=True)) / (scale**2 + eps).sqrt()
    return y.std((2, 3), correction=0, keepdim=True) * normalised + y.mean((2, 3), keepdim=True)


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

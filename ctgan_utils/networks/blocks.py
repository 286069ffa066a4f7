"""The parts from which generators and critics are composed."""

import torch
from torch import Tensor, nn


class LinearStem(nn.Module):
    """z [N, z_dim] -> [N, channels, 4, 4] by one linear layer, without an activation (thesis 3.2.1)."""

    def __init__(self, z_dim: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(z_dim, channels * 4 * 4)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z).unflatten(1, (self.channels, 4, 4))


class ConvStem(nn.Sequential):
    """z [N, z_dim] -> [N, channels, 4, 4] by a transposed convolution of one pixel (Radford 2015)."""

    def __init__(self, z_dim: int, channels: int) -> None:
        super().__init__(
            nn.Unflatten(1, (z_dim, 1, 1)),
            nn.ConvTranspose2d(z_dim, channels, kernel_size=4, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


class LearnableKernel(nn.Module):
    """A k x k kernel, drawn from N(0, 1) or the identity, then learned, convolved with a [N, C, H, W] map.

    One kernel serves every channel, there is no bias and the size is kept (thesis 3.1.1; equation 3.3,
    second line). Figure 3.1 shows it as a surface: `kernel[0, 0]`.
    """

    def __init__(self, size: int, init: str = "normal") -> None:
        super().__init__()
        values = torch.randn(1, 1, size, size)
        if init == "identity":
            values = torch.zeros(1, 1, size, size)
            values[..., size // 2, size // 2] = 1
        self.kernel = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.kernel.expand(channels, 1, -1, -1)
        return nn.functional.conv2d(x, weight, padding=self.kernel.shape[-1] // 2, groups=channels)


class FirstAddition(nn.Module):
    """x1 = F1(x) + x on the 4x4 map, then the learnable kernel, if any (equation 3.3, lines 1 and 2).

    Without F1, the kernel alone (thesis 3.1.1). `place` is "after" the sum, as printed, or "before" it.
    """

    def __init__(
        self, channels: int, convolved: bool, kernel_size: int, kernel_init: str, place: str
    ) -> None:
        super().__init__()
        self.F = nn.Conv2d(channels, channels, kernel_size=3, padding=1) if convolved else None
        self.kernel: LearnableKernel | nn.Identity = (
            LearnableKernel(kernel_size, kernel_init) if kernel_size else nn.Identity()
        )
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
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

    def __init__(self, in_channels: int, out_channels: int, scale: int, mode: str) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, out_channels, kernel_size=1)
        smooth = {} if mode == "nearest" else {"align_corners": False}
        self.up = nn.Upsample(scale_factor=scale, mode=mode, **smooth)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.project(x))


class ResizeConvolution(nn.Conv2d):
    """Nearest-neighbour enlargement to twice the size, then a 3x3 convolution (Odena 2016), done at once.

    Every pixel stands four times in the enlarged map, so both together are a transposed convolution of kernel
    4 and stride 2 whose weights are sums of those of the 3x3: the same result for 4/9 of the multiplications,
    and the enlarged map is never made. Karras 2019 fuses them for the same reason.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        flipped = self.weight.flip(2, 3).transpose(0, 1)
        summed = 4 * nn.functional.avg_pool2d(flipped, kernel_size=2, stride=1, padding=1)
        return nn.functional.conv_transpose2d(x, summed, self.bias, stride=2, padding=1)


def upsampling_convolution(kind: str, in_channels: int, out_channels: int, bias: bool) -> nn.Module:
    """A convolution to twice the resolution: "transposed" (Radford 2015) or "resize" (Odena 2016)."""
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=bias)
    return ResizeConvolution(in_channels, out_channels, bias)


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

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        additions: str,
        mode: str,
        upsampling: str,
        last: bool = False,
        earlier: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        normalisation = nn.Identity() if last else nn.BatchNorm2d(out_channels)
        self.F = nn.Sequential(
            upsampling_convolution(upsampling, in_channels, out_channels, bias=last), normalisation
        )
        count = {"none": 0, "branches": 2}.get(additions, 1)
        self.additions = nn.ModuleList(
            InterpolatedAddition(in_channels, out_channels, 2, mode) for _ in range(count)
        )
        self.earlier: InterpolatedAddition | None = None
        if additions == "levels":
            assert earlier is not None
            channels, scale = earlier
            self.earlier = InterpolatedAddition(channels, out_channels, scale, mode)
        self.factor = 2 if additions == "doubled" else 1
        self.after = additions == "around" and not last
        self.activation = nn.Tanh() if last else nn.ReLU()

    def forward(self, x: Tensor, earlier: Tensor | None = None) -> Tensor:
        added = self.factor * sum(addition(x) for addition in self.additions)
        if self.earlier is not None:
            added = added + self.earlier(earlier)
        out = self.activation(self.F(x) + added)
        return out + added if self.after else out


class Grain(nn.Module):
    """Adds noise [N, 1, H, W] to a map [N, C, H, W], each channel with a learnt strength, at first 0.

    What changes from pixel to pixel by chance, such as the noise of a scanner, need not be made from z
    (Karras 2019, section 3.2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + (self.strength * noise).to(x.dtype)


class ResizeBlock(nn.Module):
    """A step to twice the resolution: y = relu(F(x) + P(x) + grain), then relu(y + M(y) + grain).

    F is a resize convolution, P the interpolated addition of the thesis (3.1.2), M a convolution at the new
    resolution (a residual block, He 2016); F and M end in batch normalisation. noise is [N, 2, 2H, 2W], a
    map for each Grain.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.F = nn.Sequential(
            ResizeConvolution(in_channels, out_channels, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.P = InterpolatedAddition(in_channels, out_channels, 2, "nearest")
        self.M = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.grain = nn.ModuleList((Grain(out_channels), Grain(out_channels)))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        first, second = noise.split(1, dim=1)
        y = torch.relu(self.grain[0](self.F(x) + self.P(x), first))
        return torch.relu(self.grain[1](y + self.M(y), second))


def haar(images: Tensor) -> Tensor:
    """The Haar coefficients [N, 4, H / 2, W / 2] of images [N, 1, H, W]: mean, across, down and both.

    Each square of 2x2 pixels becomes four numbers, by an orthonormal map that inverse_haar undoes. At half
    the resolution a network works a quarter as much, and fine detail has channels of its own (Gal 2021).
    """
    top, bottom = images[..., ::2, :], images[..., 1::2, :]
    low, high = top + bottom, top - bottom
    parts = [f(m[..., ::2], m[..., 1::2]) for m in (low, high) for f in (torch.add, torch.sub)]
    return torch.cat(parts, dim=1) / 2


def inverse_haar(coefficients: Tensor) -> Tensor:
    """The images [N, 1, 2H, 2W] of Haar coefficients [N, 4, H, W]."""
    mean, across, down, both = coefficients.split(1, dim=1)
    low, high = (mean + across, mean - across), (down + both, down - both)
    pixels = [f(a, b) for f in (torch.add, torch.sub) for a, b in zip(low, high)]
    return nn.functional.pixel_shuffle(torch.cat(pixels, dim=1) / 2, 2)


def adain(x: Tensor, y: Tensor, eps: float = 1e-5) -> Tensor:
    """Adaptive instance normalisation of content x to style y, [N, C, H, W] (Huang and Belongie 2017).

    Each channel of each image of x gets the mean and the standard deviation that y has there (thesis A.2).
    eps is added to the variance of x, so that a constant channel does not divide by 0. Sizes may differ.
    """
    scale = x.std((2, 3), correction=0, keepdim=True)
    normalised = (x - x.mean((2, 3), keepdim=True)) / (scale**2 + eps).sqrt()
    return y.std((2, 3), correction=0, keepdim=True) * normalised + y.mean((2, 3), keepdim=True)


def initialise(module: nn.Module) -> None:
    """Convolutions from N(0, 0.02), batch normalisation from N(1, 0.02), biases 0 (Radford 2015)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def initialise_he(module: nn.Module) -> None:
    """Convolutions so that a leaky ReLU of slope 0.2 keeps the variance of its input (He 2015)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, 0.2)

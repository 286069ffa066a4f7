"""Networks that grow while they train, with the layers of Karras 2018 ("ProGAN")."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu, linear

SMALLEST = 4  # pixels a side of the first map


class EqualisedConv2d(nn.Conv2d):
    """A convolution whose weights begin as N(0, 1) and are scaled whenever it is used (Karras 2018, 4.1).

    The scale is He's: sqrt(2 / fan-in), or gain / sqrt(fan-in). Adam changes every weight by about the same
    amount a step. With all of them of one size, it changes all layers equally fast.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, gain: float = 2**0.5) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.scale = gain / math.sqrt(in_channels * kernel_size**2)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualisedLinear(nn.Linear):
    """The same for a linear layer; with rate, weights and bias learn that many times as fast as others."""

    def __init__(self, in_features: int, out_features: int, gain: float = 2**0.5, rate: float = 1.0) -> None:
        super().__init__(in_features, out_features)
        self.scale, self.rate = rate * gain / math.sqrt(in_features), rate
        nn.init.normal_(self.weight, 0.0, 1 / rate)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.scale, self.bias * self.rate)


def pixel_norm(x: Tensor) -> Tensor:
    """Pixels of [N, C, H, W], or rows of [N, C], over their root mean square over C (Karras 2018, 4.2)."""
    return x * (x.float().square().mean(1, keepdim=True) + 1e-8).rsqrt().to(x.dtype)


def with_deviation(x: Tensor, group: int = 4) -> Tensor:
    """[N, C, H, W] with one more channel: how much the images of a group differ (Karras 2018, section 3).

    In groups of four images, or of the largest number up to four that divides N, the standard deviation of
    each value is taken, and its mean over channels and pixels is what every pixel of the channel holds. A
    generator that makes too few different images is found out by it.
    """
    n, _, height, width = x.shape
    size = next(k for k in range(min(group, n), 0, -1) if n % k == 0)
    grouped = x.float().unflatten(0, (size, n // size))
    deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    channel = deviation.repeat(size).to(x.dtype)[:, None, None, None].expand(n, 1, height, width)
    return torch.cat([x, channel], dim=1)


def doubled(images: Tensor) -> Tensor:
    """Images [N, C, H, W] at twice the size, each pixel four times."""
    return interpolate(images, scale_factor=2, mode="nearest")


def at_growth(images: Tensor, grown: float) -> Tensor:
    """Real images [N, 1, S, S] as a network sees them that has grown so far (Karras 2018, figure 2).

    They are brought to 4 * 2^ceil(grown) pixels by averaging. While a size is faded in, they are mixed with
    themselves at the size before.
    """
    level, alpha = math.ceil(grown), grown % 1
    images = avg_pool2d(images, images.shape[-1] // (SMALLEST << level))
    if alpha:
        images = torch.lerp(doubled(avg_pool2d(images, 2)), images, alpha)
    return images


def channels_at(side: int, image_size: int, width: int) -> int:
    """Channels of a map: width at the image's own size, twice as many at each half, up to eight times."""
    return min(8 * width, width * image_size // side)


class Growing(nn.Module):
    """What is common to both networks: `grown`, a number of doublings from 4x4, which may be between two."""

    grown: Tensor

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        self.sides = [SMALLEST << k for k in range(int(math.log2(image_size // SMALLEST)) + 1)]
        self.channels = [channels_at(side, image_size, width) for side in self.sides]
        self.register_buffer("grown", torch.tensor(float(len(self.sides) - 1)))

    def stage(self) -> tuple[int, float]:
        """(the size that is whole, as an index of sides; how far the next one is faded in, from 0 to 1)."""
        grown = float(self.grown)
        return int(grown), grown % 1


class ProgressiveGenerator(Growing):
    """z [N, z_dim] -> images [N, 1, s, s], linear and about -1 to 1; s is the size that it has grown to.

    Each size has two 3x3 convolutions behind a doubling by nearest neighbours, and a 1x1 convolution to an
    image of its own. Leaky ReLU of slope 0.2 and pixel normalisation follow every convolution.
    """

    def __init__(self, image_size: int, z_dim: int, width: int) -> None:
        super().__init__(image_size, width)
        self.z_dim = z_dim
        c = self.channels
        self.stem = EqualisedLinear(z_dim, c[0] * SMALLEST**2, gain=2**0.5 / SMALLEST)
        self.first = EqualisedConv2d(c[0], c[0], 3)
        self.blocks = nn.ModuleList(
            nn.ModuleList((EqualisedConv2d(a, b, 3), EqualisedConv2d(b, b, 3))) for a, b in zip(c, c[1:])
        )
        self.to_image = nn.ModuleList(EqualisedConv2d(n, 1, 1, gain=1) for n in c)

    def forward(self, z: Tensor) -> Tensor:
        level, alpha = self.stage()
        x = _active(self.stem(pixel_norm(z)).unflatten(1, (-1, SMALLEST, SMALLEST)))
        x = _active(self.first(x))
        for block in self.blocks[:level]:
            x = self.block(x, block)
        image = self.to_image[level](x)
        if alpha:
            larger = self.to_image[level + 1](self.block(x, self.blocks[level]))
            image = torch.lerp(doubled(image), larger, alpha)
        return image.float()

    def block(self, x: Tensor, convolutions: nn.Module) -> Tensor:
        x = doubled(x)
        for convolution in convolutions.children():
            x = _active(convolution(x))
        return x


def _active(x: Tensor) -> Tensor:
    return pixel_norm(leaky_relu(x, 0.2))


class ProgressiveCritic(Growing):
    """Images [N, 1, s, s] -> float32 scores [N]: the generator mirrored, without normalisation.

    s is the size that it has grown to. The channel of with_deviation joins at 4x4.
    """

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__(image_size, width)
        c = self.channels
        self.from_image = nn.ModuleList(EqualisedConv2d(1, n, 1) for n in c)
        self.blocks = nn.ModuleList(
            nn.ModuleList((EqualisedConv2d(b, b, 3), EqualisedConv2d(b, a, 3))) for a, b in zip(c, c[1:])
        )
        self.last = EqualisedConv2d(c[0] + 1, c[0], 3)
        self.dense = EqualisedLinear(c[0] * SMALLEST**2, c[0])
        self.score = EqualisedLinear(c[0], 1, gain=1)

    def forward(self, images: Tensor) -> Tensor:
        level, alpha = self.stage()
        if alpha:
            x = self.block(self.entered(images, level + 1), self.blocks[level])
            x = torch.lerp(self.entered(avg_pool2d(images, 2), level), x, alpha)
        else:
            x = self.entered(images, level)
        for block in reversed(self.blocks[:level]):
            x = self.block(x, block)
        x = leaky_relu(self.last(with_deviation(x)), 0.2)
        with torch.autocast(images.device.type, enabled=False):
            return self.score(leaky_relu(self.dense(x.float().flatten(1)), 0.2))[:, 0]

    def entered(self, images: Tensor, level: int) -> Tensor:
        return leaky_relu(self.from_image[level](images), 0.2)

    def block(self, x: Tensor, convolutions: nn.Module) -> Tensor:
        for convolution in convolutions.children():
            x = leaky_relu(convolution(x), 0.2)
        return avg_pool2d(x, 2)

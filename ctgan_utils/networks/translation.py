"""Networks from images to images: the U-Net and the PatchGAN of Isola 2017, the residual one of Zhu 2017."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ctgan_utils.networks.blocks import initialise

DEEPEST = 8  # times width: the most channels


def norm(channels: int) -> nn.Module:
    """Instance normalisation, which is what batch normalisation is in batches of one image (Isola 2017)."""
    return nn.InstanceNorm2d(channels, affine=True)


class UNet(nn.Module):
    """Images [N, C, S, S] -> images [N, 1, S, S] in [-1, 1], by way of one pixel and back.

    Strided convolutions (kernel 4) halve the size down to 1x1 while the channels double, up to 8 width; as
    many transposed ones lead back. Layer i is joined to layer n - i: what was there at the same size, before
    it was made smaller, is put beside what comes back, so that the outline needs no way through the one
    pixel. Half of the values of the first three layers back are dropped, in use too: that is its noise.
    """

    def __init__(self, image_size: int, channels: int, width: int, skips: bool = True) -> None:
        super().__init__()
        self.skips = skips
        depth = image_size.bit_length() - 1
        sizes = [width * min(1 << k, DEEPEST) for k in range(depth)]
        self.downs = nn.ModuleList()
        for k, (a, b) in enumerate(zip([channels, *sizes], sizes)):
            layers: list[nn.Module] = [nn.Conv2d(a, b, kernel_size=4, stride=2, padding=1)]
            if k:
                layers.insert(0, nn.LeakyReLU(0.2))
            if 0 < k < depth - 1:  # one pixel has no deviation to divide by
                layers.append(norm(b))
            self.downs.append(nn.Sequential(*layers))
        self.ups = nn.ModuleList()
        for k, (a, b) in enumerate(zip(reversed(sizes), [*reversed(sizes[:-1]), 1])):
            joined = a if k == 0 or not skips else 2 * a
            layers = [nn.ReLU(), nn.ConvTranspose2d(joined, b, kernel_size=4, stride=2, padding=1)]
            if k < depth - 1:
                layers.append(norm(b))
                if k < 3:
                    layers.append(AlwaysDropout())
            self.ups.append(nn.Sequential(*layers))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        before = []
        for down in self.downs:
            x = down(x)
            before.append(x)
        for k, up in enumerate(self.ups):
            x = up(torch.cat([x, before[-k - 1]], dim=1) if k and self.skips else x)
        return torch.tanh(x.float())


class AlwaysDropout(nn.Module):
    """Dropout of one half in training and in use (Isola 2017, section 3.3)."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, training=True)


class PatchCritic(nn.Module):
    """Images [N, C, S, S] -> a map of scores [N, h, w], each of a patch (Isola 2017: PatchGAN).

    `halvings` convolutions of stride 2, then two of stride 1, all of kernel 4; all but the first and the last
    are normalised. Three halvings give the paper's patches of 70x70 pixels, two 34x34, one 16x16.
    """

    def __init__(self, channels: int, width: int, halvings: int = 2, normalised: bool = True) -> None:
        super().__init__()
        strides = [2] * halvings + [1]
        layers: list[nn.Module] = []
        before = channels
        for k, stride in enumerate(strides):
            after = width * min(1 << k, DEEPEST)
            layers.append(nn.Conv2d(before, after, kernel_size=4, stride=stride, padding=1))
            if k and normalised:
                layers.append(norm(after))
            layers.append(nn.LeakyReLU(0.2))
            before = after
        layers.append(nn.Conv2d(before, 1, kernel_size=4, stride=1, padding=1))
        self.layers = nn.Sequential(*layers)
        self.patch = receptive_field([4] * (halvings + 2), [*strides, 1])
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).float()[:, 0]


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Pixels along a side on which one number depends behind convolutions of those kernels and strides."""
    side = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides)):
        side = (side - 1) * stride + kernel
    return side


class ResidualTranslator(nn.Sequential):
    """Images [N, C, S, S] -> images [N, 1, S, S] in [-1, 1], in place (Zhu 2017, after Johnson 2016).

    A convolution of 7x7, two that halve the size, `blocks` residual blocks of two 3x3 convolutions, two that
    double the size, one of 7x7; instance normalisation and ReLU; borders are reflected.
    """

    def __init__(self, channels: int, width: int, blocks: int = 6) -> None:
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, width, 7),
            norm(width),
            nn.ReLU(),
        ]
        for a in (width, 2 * width):
            layers += [nn.Conv2d(a, 2 * a, 3, stride=2, padding=1), norm(2 * a), nn.ReLU()]
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for a in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(a, a // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, norm(a // 2), nn.ReLU()]
        super().__init__(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7))
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        return torch.tanh(super().forward(images).float())


class ResidualBlock(nn.Module):
    """x + F(x), F two 3x3 convolutions with instance normalisation and a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.F = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            norm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.F(x)


class ImagePool(nn.Module):
    """The last generated images, of which the critic sees a mixture (Shrivastava 2017; Zhu 2017, section 4).

    While it is not full, images are kept and returned. Then each image is, one time in two, exchanged for one
    that was kept. A critic that sees old images too can't chase the generator in a circle.
    """

    kept: Tensor
    count: Tensor  # images that it has been given

    def __init__(self, image_size: int, size: int = 50) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(size, 1, image_size, image_size))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, images: Tensor) -> Tensor:
        count, size, shown = int(self.count), len(self.kept), []
        rng = np.random.default_rng([torch.initial_seed(), count])  # follows from the run's seed and step
        for given, image in enumerate(images, start=count):
            exchanged, place = rng.random() < 0.5, int(rng.integers(size))
            if given < size:
                self.kept[given] = image
            elif exchanged:
                shown.append(self.kept[place].clone())
                self.kept[place] = image
                continue
            shown.append(image)
        self.count.fill_(count + len(images))
        return torch.stack(shown)

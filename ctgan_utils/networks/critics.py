"""Critics: from images to one score each, without a sigmoid."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ctgan_utils.networks.blocks import haar, initialise, initialise_he

# Of [N, C, H, W] maps. Layer normalisation is over C, H and W of each image, as Gulrajani 2017 has it.
NORMALISATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}


class ConvCritic(nn.Module):
    """Images [N, 1, S, S] -> float32 scores [N]: DCGAN's discriminator less the sigmoid (Radford 2015).

    Strided convolutions (kernel 4) halve the resolution down to 4x4 while the channels double from width;
    one more convolution sums the 4x4 map up. With norm="batch" it is DCGAN's: every convolution but the
    first and the last is normalised. The thesis does not describe its critic; batch normalisation would tie
    the images of a batch together, and the gradient penalty is per image (Gulrajani 2017, 4).
    """

    def __init__(self, image_size: int = 64, width: int = 64, norm: str = "none") -> None:
        super().__init__()
        halvings = int(math.log2(image_size // 4))
        channels = [1, *(width * 2**k for k in range(halvings))]
        layers: list[nn.Module] = []
        for k, (before, after) in enumerate(zip(channels, channels[1:])):
            kind = norm if k else "none"
            shifted = kind in ("none", "layer")  # the others would take a channel's bias out again
            layers += [
                nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1, bias=shifted),
                NORMALISATIONS[kind](after),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers)
        self.score = nn.Conv2d(channels[-1], 1, kernel_size=4)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        features = self.layers(images)
        with torch.autocast(images.device.type, enabled=False):  # bf16 would round scores to three digits
            return self.score(features.float()).flatten()


class WaveletCritic(nn.Module):
    """Images [N, 1, S, S] -> float32 scores [N], by way of their Haar coefficients (Gal 2021).

    A convolution makes width channels of the four coefficients; then strided convolutions as in ConvCritic,
    from S / 2 down to 4x4, without normalisation.
    """

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        halvings = int(math.log2(image_size // 8))
        channels = [width << k for k in range(halvings + 1)]
        layers = [nn.Conv2d(4, width, kernel_size=3, padding=1), nn.LeakyReLU(0.2)]
        for before, after in zip(channels, channels[1:]):
            layers += [nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.score = nn.Conv2d(channels[-1], 1, kernel_size=4)
        self.apply(initialise_he)

    def features(self, images: Tensor) -> Tensor:
        """The last maps, float32 [N, C, 4, 4]."""
        return self.layers(haar(images)).float()

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.score(features).flatten()

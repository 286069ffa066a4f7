"""The style-based generator of Karras 2019 ("StyleGAN")."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, instance_norm, leaky_relu

from ctgan_utils.networks.blocks import Grain
from ctgan_utils.networks.progressive import (
    SMALLEST,
    EqualisedConv2d,
    EqualisedLinear,
    Growing,
    doubled,
    pixel_norm,
)

LAYERS, MAPPING_RATE = 8, 0.01  # of the mapping network; how fast it learns beside the others
MEMORY = 0.995  # of the running mean of w


def blur(x: Tensor) -> Tensor:
    """[N, C, H, W] smoothed by (1, 2, 1) / 4 along both axes (Karras 2019, section 2)."""
    one = torch.tensor([1.0, 2.0, 1.0], device=x.device, dtype=x.dtype) / 4
    kernel = (one[:, None] * one).expand(x.shape[1], 1, 3, 3)
    return conv2d(x, kernel, padding=1, groups=x.shape[1])


def style_grain_dim(image_size: int) -> int:
    """Numbers of grain for one image of a StyleGenerator: two maps of each side from 4 pixels on."""
    return sum(2 * (SMALLEST << k) ** 2 for k in range(int(math.log2(image_size // SMALLEST)) + 1))


class Mapping(nn.Sequential):
    """z [N, z_dim] -> w [N, z_dim]: a row of unit mean square through eight linear layers (section 2)."""

    def __init__(self, z_dim: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(LAYERS):
            layers += [EqualisedLinear(z_dim, z_dim, rate=MAPPING_RATE), nn.LeakyReLU(0.2)]
        super().__init__(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(pixel_norm(z))


class StyledLayer(nn.Module):
    """Grain, bias, leaky ReLU, then adaptive instance normalisation by a style (figure 1b).

    Each channel of each image is brought to mean 0 and deviation 1, then to the scale and the mean that an
    affine map of w, [N, w_dim], gives it.
    """

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.grain = Grain(channels)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.style = EqualisedLinear(w_dim, 2 * channels, gain=1)
        nn.init.ones_(self.style.bias[:channels])

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = leaky_relu(self.grain(x, noise) + self.bias, 0.2)
        scale, mean = self.style(w)[:, :, None, None].chunk(2, dim=1)
        return scale * instance_norm(x) + mean


class StyleGenerator(Growing):
    """z [N, z_dim], or styles w, and grain -> images [N, 1, s, s]; s is the size that it has grown to.

    A learnt constant of 4x4 is where every image begins; w decides at each layer how strong its channels are,
    and the noise, how what differs by chance falls out. `w_mean` is a running mean of w, towards which
    truncation pulls. There are two styled layers for each size, `styled` in all.
    """

    w_mean: Tensor

    def __init__(self, image_size: int, z_dim: int, width: int) -> None:
        super().__init__(image_size, width)
        self.z_dim = z_dim
        c = self.channels
        self.mapping = Mapping(z_dim)
        self.constant = nn.Parameter(torch.ones(1, c[0], SMALLEST, SMALLEST))
        pairs = [(c[0], c[0]), *zip(c, c[1:])]
        self.ups = nn.ModuleList(EqualisedConv2d(a, b, 3) for a, b in zip(c, c[1:]))
        self.convolutions = nn.ModuleList(EqualisedConv2d(b, b, 3) for _, b in pairs)
        self.layers = nn.ModuleList(StyledLayer(b, z_dim) for _, b in pairs for _ in range(2))
        self.to_image = nn.ModuleList(EqualisedConv2d(n, 1, 1, gain=1) for n in c)
        self.styled = len(self.layers)
        self.register_buffer("w_mean", torch.zeros(z_dim))

    @property
    def in_use(self) -> int:
        """Styled layers that the image passes at the present size, those that fade in among them."""
        return 2 * (math.ceil(float(self.grown)) + 1)

    def styles(self, z: Tensor, other: Tensor | None = None, cut: Tensor | None = None) -> Tensor:
        """The styles of every layer, [N, styled, z_dim].

        From layer cut[n] on, those of image n come from `other` in place of z (style mixing, section 3.1).
        """
        w = self.mapping(z)
        if self.training:
            self.w_mean.lerp_(w.detach().float().mean(0), 1 - MEMORY)
        styles = w[:, None].expand(-1, self.styled, -1)
        if other is None or cut is None:
            return styles
        later = torch.arange(self.styled, device=z.device) >= cut[:, None]
        return torch.where(later[:, :, None], self.mapping(other)[:, None], styles)

    def truncated(self, styles: Tensor, psi: float) -> Tensor:
        """w_mean + psi (w - w_mean): psi 1 leaves all as it is, 0 gives the one mean image (appendix B)."""
        return torch.lerp(self.w_mean.to(styles.dtype), styles, psi)

    def forward(self, styles: Tensor, grain: Tensor) -> Tensor:
        level, alpha = self.stage()
        maps = grain.split([2 * side**2 for side in self.sides], dim=1)
        noise = [part.unflatten(1, (2, side, side)) for part, side in zip(maps, self.sides)]
        x = self.constant.repeat(len(styles), 1, 1, 1)
        x = self.size(0, x, styles, noise[0])
        for k in range(1, level + 1):
            x = self.size(k, x, styles, noise[k])
        image = self.to_image[level](x)
        if alpha:
            larger = self.size(level + 1, x, styles, noise[level + 1])
            image = torch.lerp(doubled(image), self.to_image[level + 1](larger), alpha)
        return image.float()

    def size(self, k: int, x: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
        """The two styled layers of one size, behind a doubling unless it is the first."""
        if k:
            x = blur(self.ups[k - 1](doubled(x)))
        x = self.layers[2 * k](x, styles[:, 2 * k], noise[:, :1])
        return self.layers[2 * k + 1](self.convolutions[k](x), styles[:, 2 * k + 1], noise[:, 1:])

"""Networks that are told a class, or numbers: conditional batch normalisation, and the projection critic."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ctgan_utils.networks.blocks import LinearStem, initialise
from ctgan_utils.networks.critics import WaveletCritic
from ctgan_utils.networks.generators import WaveletGenerator


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias are those of each image's class (de Vries 2017).

    Maps [N, C, H, W] and labels int64 [N]; all classes begin with gain 1 and bias 0.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(classes, channels)
        self.bias = nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, bias = (table(labels)[:, :, None, None] for table in (self.gain, self.bias))
        return gain * self.norm(x) + bias


class ConditionalGenerator(nn.Module):
    """z [N, z_dim] and labels int64 [N] -> images [N, 1, S, S] in [-1, 1].

    DCGAN's transposed convolutions behind a linear stem, each told the class by its normalisation: 8 width
    channels at 4x4 (for 64x64), then width times 4, 2, 1, then the image.
    """

    def __init__(self, image_size: int, z_dim: int, width: int, classes: int) -> None:
        super().__init__()
        doublings = int(math.log2(image_size // 4))
        channels = [width * 2**k for k in reversed(range(doublings))]
        self.z_dim = z_dim
        self.stem = LinearStem(z_dim, channels[0])
        self.norms = nn.ModuleList(ConditionalBatchNorm(c, classes) for c in channels)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, kernel_size=4, stride=2, padding=1, bias=b == 1)
            for a, b in zip(channels, [*channels[1:], 1])
        )
        self.ups.apply(initialise)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        x = self.stem(z)
        for norm, up in zip(self.norms, self.ups):
            x = up(torch.relu(norm(x, labels)))
        return torch.tanh(x.float())


class ProjectionCritic(nn.Module):
    """Images [N, 1, S, S] and labels int64 [N] -> scores [N]: psi(phi(x)) + <v_y, phi(x)>.

    Miyato and Koyama 2018, equation 3: phi is the sum over the last map of DCGAN's strided convolutions, psi
    linear, v_y an embedding of the class. Every weight has spectral norm 1 (Miyato 2018).
    """

    def __init__(self, image_size: int, width: int, classes: int) -> None:
        super().__init__()
        channels = [1, *(width * 2**k for k in range(int(math.log2(image_size // 4))))]
        layers: list[nn.Module] = []
        for before, after in zip(channels, channels[1:]):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.phi = nn.Sequential(*layers)
        self.psi = spectral_norm(nn.Linear(channels[-1], 1))
        self.classes = spectral_norm(nn.Embedding(classes, channels[-1]))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        features = self.phi(images)
        with torch.autocast(images.device.type, enabled=False):
            features = features.float().sum((2, 3))
            return self.psi(features)[:, 0] + (self.classes(labels) * features).sum(1)


class ProjectionWaveletCritic(WaveletCritic):
    """Images [N, 1, S, S] and labels int64 [N] -> scores [N]: those of WaveletCritic, plus <v_y, phi(x)>.

    phi is the mean over the last maps, v_y an embedding of the class, which begins at 0.
    """

    def __init__(self, image_size: int, width: int, classes: int) -> None:
        super().__init__(image_size, width)
        self.classes = nn.Embedding(classes, self.score.in_channels)
        nn.init.zeros_(self.classes.weight)

    def embedded(self, condition: Tensor) -> Tensor:
        """What the critic is told, as vectors [N, C]."""
        return self.classes(condition)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:  # type: ignore[override]
        features = self.features(images)
        with torch.autocast(images.device.type, enabled=False):
            agreement = (self.embedded(condition) * features.mean((2, 3))).sum(1)
            return self.score(features).flatten() + agreement


class Scale(nn.Module):
    """What K numbers are like in a set of slices: their mean, deviation and percentiles.

    Maps numbers [N, K] in their own units to standard deviations from the mean. Until `adapt` has seen a set,
    the mean is 0, the deviation 1, and so are all percentiles.
    """

    mean: Tensor
    deviation: Tensor
    percentiles: Tensor  # 0 to 100, in standard deviations from the mean

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("deviation", torch.ones(numbers))
        self.register_buffer("percentiles", torch.zeros(numbers, 101))

    def adapt(self, seen: Tensor) -> None:
        """Take all three from the numbers of a set of slices, [M, K]."""
        self.mean.copy_(seen.mean(0))
        self.deviation.copy_(seen.std(0))
        self.percentiles.copy_(self(seen).quantile(torch.linspace(0, 1, 101), dim=0).T)

    def forward(self, numbers: Tensor) -> Tensor:
        return (numbers - self.mean) / self.deviation

    def at(self, ranks: Tensor) -> Tensor:
        """Numbers [N, K] whose ranks in the set are given, from 0 for the lowest to 1 for the highest.

        Ranks that are drawn evenly give numbers distributed as in the set, each by itself.
        """
        place = 100 * ranks
        below = place.long().clamp(max=99)
        low, high = (self.percentiles.T.gather(0, below + k) for k in (0, 1))
        return self.mean + self.deviation * torch.lerp(low, high, place - below)


class NumbersGenerator(WaveletGenerator):
    """z [N, z_dim], grain and numbers [N, K] -> images [N, 1, S, S]: the numbers, scaled, are joined to z."""

    def __init__(self, image_size: int, z_dim: int, width: int, numbers: int) -> None:
        super().__init__(image_size, z_dim + numbers, width)
        self.z_dim, self.scale = z_dim, Scale(numbers)

    def forward(self, z: Tensor, grain: Tensor, numbers: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([z, self.scale(numbers)], dim=1), grain)


class NumbersCritic(ProjectionWaveletCritic):
    """Images [N, 1, S, S] and numbers [N, K] -> scores [N]; the embedding is linear in the numbers.

    A number of which the features of an image tell the mean, up to a normal error, is judged by just such a
    term: the logarithm of a ratio of two normal densities of one variance is linear in it.
    """

    def __init__(self, image_size: int, width: int, numbers: int) -> None:
        super().__init__(image_size, width, numbers)
        self.scale = Scale(numbers)

    def embedded(self, condition: Tensor) -> Tensor:
        return self.scale(condition) @ self.classes.weight

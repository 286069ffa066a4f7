"""Our own embedding of CT slices, trained on the phantom, which knows what is in its slices."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctgan_utils.phantom import Phantoms
from ctgan_utils.runtime import progress

SIZES = 64, 128  # pixels a side, for each of which there is a network
CELLS = 4  # a side: anatomy is told where it lies, in cells of a quarter of the slice
DIM = 128  # features


class Extractor(nn.Module):
    """A network from uint8 images [N, 1, H, W] to features [N, dim]."""

    name: str
    dim: int

    def input_size(self, side: int) -> int:
        """Pixels a side to which images of `side` pixels are brought before the network sees them."""
        raise NotImplementedError


class CTFeatures(Extractor):
    """The networks behind FD-ct, one for slices of 64x64 and one for 128x128; each gives d = 128 features."""

    name, dim = "ct", DIM

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({str(size): ct_network(size) for size in SIZES})

    def input_size(self, side: int) -> int:
        """64 for slices of at most 64 pixels a side, else 128."""
        return next((size for size in SIZES if side <= size), SIZES[-1])

    def forward(self, images: Tensor) -> Tensor:
        size = self.input_size(images.shape[-1])
        return self.networks[str(size)](to_input(images.float(), size))


def ct_network(size: int) -> nn.Sequential:
    """Strided convolutions from slices [N, 1, size, size] in [-1, 1] to features [N, 128].

    Each convolution halves the side, down to a map of 4x4; a feature is the mean over that map.
    """
    halvings = int(math.log2(size)) - 2
    channels = [1, *(min(DIM, 2048 // size << k) for k in range(halvings))]
    layers: list[nn.Module] = []
    for before, after in zip(channels, channels[1:]):
        layers += [
            nn.Conv2d(before, after, 4, 2, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.1),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def to_input(images: Tensor, size: int) -> Tensor:
    """Float images [N, 1, H, W] in [0, 255] as [N, 1, size, size] in [-1, 1]."""
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True) / 127.5 - 1


def targets(phantoms: Phantoms) -> tuple[Tensor, Tensor]:
    """What the phantom knows of its slices: (class int64 [N], float [N, k] with mean 0 and variance 1).

    The numbers are the share of each of 4x4 cells that each tissue and the lesion fills, and of the
    acquisition the centre and width of the display window.
    """
    labels, lesion = torch.from_numpy(phantoms.labels), torch.from_numpy(phantoms.masks)
    filled = [lesion, *(labels == tissue for tissue in labels.unique())]
    shares = [functional.adaptive_avg_pool2d(pixels.float(), CELLS).flatten(1) for pixels in filled]
    numbers = torch.cat([*shares, torch.from_numpy(phantoms.windows)], 1)
    numbers = numbers[:, numbers.std(0) > 1e-4]
    return torch.from_numpy(phantoms.classes), (numbers - numbers.mean(0)) / numbers.std(0)


def train_ct_features(phantoms: Phantoms, steps: int, batch_size: int = 64, seed: int = 0) -> nn.Sequential:
    """A ct_network of the phantoms' size, which is one of SIZES.

    It is trained to tell class, anatomy and acquisition of slices that are degraded at random.
    """
    torch.manual_seed(seed)
    images, (classes, numbers) = torch.from_numpy(phantoms.images)[:, None], targets(phantoms)
    size = images.shape[-1]
    network = ct_network(size)
    sizes = int(classes.max()) + 1, numbers.shape[1], 2
    heads = nn.ModuleList(nn.Linear(DIM, n) for n in sizes)
    parameters = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    with progress(steps, "training ct features", "step") as bar:
        for _ in range(steps):
            pick = torch.randint(len(images), (batch_size,))
            degraded, strengths = degrade(images[pick].float())
            f = network(to_input(degraded, size))
            guess, known, quality = (head(f) for head in heads)
            loss = (
                functional.cross_entropy(guess, classes[pick])
                + functional.mse_loss(known, numbers[pick])
                + functional.mse_loss(quality, strengths)
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            bar.update()
    return network.eval()


def degrade(images: Tensor) -> tuple[Tensor, Tensor]:
    """Blur and noise of random strength: (float images in [0, 255], strengths [N, 2] in [0, 1])."""
    strengths = torch.rand(len(images), 2) ** 2
    blur, noise = strengths.T[:, :, None, None, None]
    half = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), "replicate"), 3, 1)
    images = images + blur * (half - images) + 24 * noise * torch.randn_like(images)
    return images.clamp(0, 255), strengths

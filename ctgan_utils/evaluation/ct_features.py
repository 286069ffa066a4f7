"""Our own embedding of CT slices, trained on the phantom, which knows what is in its slices."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctgan_utils.phantom import Phantoms
from ctgan_utils.runtime import progress

SIZE = 64  # pixels a side to which slices are brought
CELLS = 4  # a side: anatomy is told where it lies, in cells of a quarter of the slice


class Extractor(nn.Module):
    """A network from uint8 images [N, 1, H, W] to features [N, dim]."""

    name: str
    dim: int


class CTFeatures(Extractor):
    """The network behind FD-ct: strided convolutions on the slice at 64x64 give d = 128 features.

    Each is the mean over the last 4x4 map.
    """

    name, dim = "ct", 128

    def __init__(self) -> None:
        super().__init__()
        channels = [1, 32, 64, 128, self.dim]
        layers: list[nn.Module] = []
        for before, after in zip(channels, channels[1:]):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.1),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.interpolate(images.float(), (SIZE, SIZE), mode="bilinear", antialias=True)
        return self.layers(x / 127.5 - 1).mean((2, 3))


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


def train_ct_features(phantoms: Phantoms, steps: int, batch_size: int = 64, seed: int = 0) -> CTFeatures:
    """A CTFeatures trained to tell class, anatomy and acquisition of slices that are degraded at random."""
    torch.manual_seed(seed)
    images, (classes, numbers) = torch.from_numpy(phantoms.images)[:, None], targets(phantoms)
    extractor = CTFeatures()
    sizes = int(classes.max()) + 1, numbers.shape[1], 2
    heads = nn.ModuleList(nn.Linear(extractor.dim, n) for n in sizes)
    parameters = [*extractor.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    with progress(steps, "training ct features", "step") as bar:
        for _ in range(steps):
            pick = torch.randint(len(images), (batch_size,))
            degraded, strengths = degrade(images[pick].float())
            f = extractor(degraded)
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
    return extractor.eval()


def degrade(images: Tensor) -> tuple[Tensor, Tensor]:
    """Blur and noise of random strength: (float images in [0, 255], strengths [N, 2] in [0, 1])."""
    strengths = torch.rand(len(images), 2) ** 2
    blur, noise = strengths.T[:, :, None, None, None]
    half = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), "replicate"), 3, 1)
    images = images + blur * (half - images) + 24 * noise * torch.randn_like(images)
    return images.clamp(0, 255), strengths

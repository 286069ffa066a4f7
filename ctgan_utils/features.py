"""Feature extractors: from uint8 images [N, 1, H, W] to the arrays [N, d] that metrics compare."""

import os
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from ctgan_utils.checkpoints import load_weights
from ctgan_utils.runtime import REPOSITORY, UserError, nearest, progress

CT_WEIGHTS = REPOSITORY / "data" / "checkpoints" / "ct_features.safetensors"


class CTFeatures(nn.Module):
    """Our own small embedding of CT slices, trained on the phantom: "FD-ct" is computed on it.

    Strided convolutions on the slice at 64x64 and a mean over the last 4x4 map give d = 128 features.
    """

    name, dim = "ct", 128

    def __init__(self):
        super().__init__()
        channels = [1, 32, 64, 96, self.dim]
        layers = []
        for before, after in zip(channels, channels[1:]):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.1),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, images):
        x = functional.interpolate(images.float(), (64, 64), mode="bilinear", antialias=True)
        return self.layers(x / 127.5 - 1).mean((2, 3))


class ReferenceInception(nn.Module):
    """The Inception network of the original FID, as torch-fidelity ports it: d = 2,048.

    Its own TensorFlow-style resize to 299x299 is part of the definition. The grey level goes into all
    three channels.
    """

    name, dim = "inception", 2048

    def __init__(self, weights):
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # torch-fidelity unpickles the file it is given: hand it a copy that was read as tensors only.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "weights.pth"
            torch.save(read_state_dict(weights), copy)
            self.network = FeatureExtractorInceptionV3("inception", ["2048"], str(copy))

    def forward(self, images):
        return self.network(images.expand(-1, 3, -1, -1))[0]


class TorchvisionInception(nn.Module):
    """The thesis' variant (4.3.1): torchvision's inception_v3 with fc removed, bilinear resize to 299x299.

    Its weights differ from the reference network's, so its distances do too. Images go in as [-1, 1],
    grey in all three channels.
    """

    name, dim = "inception-torchvision", 2048

    def __init__(self, weights):
        super().__init__()
        from torchvision.models import inception_v3

        self.network = inception_v3(weights=None, init_weights=False, transform_input=False)
        self.network.load_state_dict(read_state_dict(weights))
        self.network.fc = nn.Identity()

    def forward(self, images):
        x = functional.interpolate(
            images.float() / 127.5 - 1, (299, 299), mode="bilinear", align_corners=False
        )
        return self.network(x.expand(-1, 3, -1, -1))


def _reference_url():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return URL_INCEPTION_V3


def _torchvision_url():
    from torchvision.models import Inception_V3_Weights

    return Inception_V3_Weights.IMAGENET1K_V1.url


EXTRACTORS = {
    "ct": None,  # shipped in the repository
    "inception": (ReferenceInception, _reference_url),
    "inception-torchvision": (TorchvisionInception, _torchvision_url),
}


def load_extractor(name):
    """The extractor of that name, ready to use. Raises UserError for an unknown name or missing weights."""
    if name not in EXTRACTORS:
        raise UserError(f"--features {name}: no such features; {nearest(name, EXTRACTORS)}")
    if name == "ct":
        extractor = CTFeatures()
        load_weights(CT_WEIGHTS, {"features": extractor})
    else:
        build, url = EXTRACTORS[name]
        extractor = build(find_weights(url()))
    return extractor.eval().requires_grad_(False)


def find_weights(url):
    """The local file for the weights at a URL: in $CTGAN_WEIGHTS (a file or a folder), or downloaded once.

    The download shows its progress and is checked against the SHA-256 prefix in the file's name. Raises
    UserError, with the mend, when there is neither file nor network.
    """
    name = url.rsplit("/", 1)[1]
    given = os.environ.get("CTGAN_WEIGHTS")
    if given:
        path = Path(given) / name if Path(given).is_dir() else Path(given)
        if not path.is_file():
            raise UserError(f"CTGAN_WEIGHTS={given}: no file {path.name} there; put {url} there")
        return path
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        checksum = torch.hub.HASH_REGEX.search(name)[1]
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum)
        except (OSError, RuntimeError) as error:
            mend = f"fetch {url} elsewhere and set CTGAN_WEIGHTS to the file, or use --features ct"
            raise UserError(f"{name}: download failed ({error}); {mend}") from None
    return path


def read_state_dict(path):
    """The tensors of a .pth or .safetensors file, without running code that a pickle may hold."""
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # of half a dozen kinds, by file format
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not readable as weights ({reason}); fetch the file again") from None


@torch.no_grad()
def extract(extractor, images, batch_size=64):
    """Features of uint8 images [N, 1, H, W] as a float32 array [N, d]."""
    device = next(extractor.parameters()).device
    batches = []
    with progress(len(images), f"{extractor.name} features", "image") as bar:
        for batch in images.split(batch_size):
            batches.append(extractor(batch.to(device)).float().cpu())
            bar.update(len(batch))
    return torch.cat(batches).numpy()


def train_ct_features(phantoms, steps, batch_size=64, seed=0):
    """A CTFeatures trained to tell, from slices it degrades at random, what the phantom knows of them.

    Targets: the class; the share of the image that each tissue and the lesion takes; the blur and the noise
    that were added. So the features react to anatomy, to lesions and to image quality.
    """
    torch.manual_seed(seed)
    tissues = functional.one_hot(torch.from_numpy(phantoms.labels).long().flatten(1)).float().mean(1)
    lesion = torch.from_numpy(phantoms.masks).float().mean((1, 2))[:, None]
    shares = torch.cat([tissues, lesion], 1)
    shares = (shares - shares.mean(0)) / (shares.std(0) + 1e-6)
    images, classes = torch.from_numpy(phantoms.images)[:, None], torch.from_numpy(phantoms.classes)

    extractor = CTFeatures()
    heads = nn.ModuleList(nn.Linear(extractor.dim, n) for n in (int(classes.max()) + 1, shares.shape[1], 2))
    parameters = [*extractor.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    with progress(steps, "training ct features", "step") as bar:
        for _ in range(steps):
            pick = torch.randint(len(images), (batch_size,))
            degraded, strengths = degrade(images[pick].float())
            f = extractor(degraded)
            guess, anatomy, quality = (head(f) for head in heads)
            loss = (
                functional.cross_entropy(guess, classes[pick])
                + functional.mse_loss(anatomy, shares[pick])
                + functional.mse_loss(quality, strengths)
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            bar.update()
    return extractor.eval()


def degrade(images):
    """Blur and noise of random strength: (float images in [0, 255], strengths [N, 2] in [0, 1])."""
    strengths = torch.rand(len(images), 2) ** 2
    blur, noise = strengths.T[:, :, None, None, None]
    half = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), "replicate"), 3, 1)
    images = images + blur * (half - images) + 24 * noise * torch.randn_like(images)
    return images.clamp(0, 255), strengths

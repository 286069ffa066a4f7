"""Feature extractors: from uint8 images [N, 1, H, W] to the arrays [N, d] that metrics compare."""

import contextlib
import hashlib
import inspect
import os
import tempfile
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ctgan_utils.evaluation.ct_features import SIZES, CTFeatures, Extractor
from ctgan_utils.runtime import (
    SHIPPED,
    UserError,
    atomic_write,
    cache_folder,
    choose_precision,
    nearest,
    progress,
    reason_of,
)
from ctgan_utils.training.checkpoints import load_weights

CT_WEIGHTS = {size: SHIPPED / f"ct_features_{size}.safetensors" for size in SIZES}


INCEPTION_SIZE = 299  # pixels a side


class ReferenceInception(Extractor):
    """The Inception network of the original FID, as torch-fidelity ports it: d = 2,048.

    Its own TensorFlow-style resize to 299x299 is part of the definition. The grey level goes into all
    three channels. Features equal torch-fidelity's up to rounding.
    """

    name, dim = "inception", 2048

    def __init__(self, weights: Path | str) -> None:
        super().__init__()
        from torch_fidelity import feature_extractor_inceptionv3, interpolate_compat_tensorflow

        self.resize = interpolate_compat_tensorflow.interpolate_bilinear_2d_like_tensorflow1x
        build = feature_extractor_inceptionv3.FeatureExtractorInceptionV3
        # torch-fidelity unpickles the file it is given: hand it a copy that was read as tensors only.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "weights.pth"
            torch.save(read_state_dict(weights), copy)
            self.layers = for_inference(build("inception", ["2048"], str(copy)))

    def input_size(self, side: int) -> int:
        return INCEPTION_SIZE

    def forward(self, images: Tensor) -> Tensor:
        x = self.resize(images.float(), (INCEPTION_SIZE, INCEPTION_SIZE), align_corners=False)
        return self.layers((x - 128) / 128)


class TorchvisionInception(Extractor):
    """The thesis' variant (4.3.1): torchvision's inception_v3 with fc removed, bilinear resize to 299x299.

    Its weights differ from the reference network's, so its distances do too. Images go in as [-1, 1],
    grey in all three channels.
    """

    name, dim = "inception-torchvision", 2048

    def __init__(self, weights: Path | str) -> None:
        super().__init__()
        from torchvision.models import inception_v3

        network = inception_v3(weights=None, init_weights=False, transform_input=False)
        network.load_state_dict(read_state_dict(weights))
        network.AuxLogits = None
        self.layers = for_inference(network)

    def input_size(self, side: int) -> int:
        return INCEPTION_SIZE

    def forward(self, images: Tensor) -> Tensor:
        x = functional.interpolate(
            images.float() / 127.5 - 1, (INCEPTION_SIZE, INCEPTION_SIZE), mode="bilinear", align_corners=False
        )
        return self.layers(x)


def for_inference(network: nn.Module) -> nn.Module:
    """The layers of an Inception network before fc, in order: from grey images [N, 1, 299, 299] to [N, 2048].

    They give what the network gives on three equal channels, up to rounding, sooner: batch normalisation is
    folded into the convolution before it, the first convolution has its weights summed over the channels, and
    weights lie channels last. The network itself is taken apart.
    """
    inception: Any = network.eval().double()  # the products of weights are rounded once
    for block in list(inception.modules()):
        if hasattr(block, "bn"):
            block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
    first = inception.Conv2d_1a_3x3.conv
    first.in_channels, first.weight = 1, nn.Parameter(first.weight.sum(1, keepdim=True))
    inception.fc = nn.Identity()
    layers = nn.Sequential(*inception.children(), nn.Flatten())
    return layers.float().to(memory_format=torch.channels_last)


def _reference_url() -> str:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return URL_INCEPTION_V3


def _torchvision_url() -> str:
    from torchvision.models import Inception_V3_Weights

    return Inception_V3_Weights.IMAGENET1K_V1.url


EXTRACTORS: dict[str, tuple[Callable[[Path], Extractor], Callable[[], str]] | None] = {
    "ct": None,  # shipped in the repository
    "inception": (ReferenceInception, _reference_url),
    "inception-torchvision": (TorchvisionInception, _torchvision_url),
}


def load_extractor(name: str) -> Extractor:
    """The extractor of that name, ready to use. Raises UserError for an unknown name or missing weights."""
    if name not in EXTRACTORS:
        raise UserError(f"--features {name}: no such features; {nearest(name, EXTRACTORS)}")
    extractor: Extractor
    downloaded = EXTRACTORS[name]
    if downloaded is None:
        extractor = CTFeatures()
        for size, path in CT_WEIGHTS.items():
            load_weights(path, {"features": extractor.networks[str(size)]})
    else:
        build, url = downloaded
        path = find_weights(url())
        try:
            extractor = build(path)
        except RuntimeError as error:  # of load_state_dict, many lines long; the first names the class only
            reason = textwrap.shorten(str(error).split("\n", 1)[-1], 120)
            raise UserError(f"{path}: of another architecture ({reason}); use {url()}") from None
    return extractor.eval().requires_grad_(False)


def find_weights(url: str) -> Path:
    """The local file for the weights at a URL: in $CTGAN_WEIGHTS (a file or a folder), or downloaded once.

    The download shows its progress. A file of the URL's name is checked against the SHA-256 prefix in that
    name; a file of another name is taken as it is. Raises UserError, with the mend, for a file that fails
    the check, and when there is neither file nor network.
    """
    name = url.rsplit("/", 1)[1]
    checksum = torch.hub.HASH_REGEX.findall(name)[0]
    given = os.environ.get("CTGAN_WEIGHTS")
    if given:
        path = Path(given) / name if Path(given).is_dir() else Path(given)
        if not path.is_file():
            raise UserError(f"CTGAN_WEIGHTS={given}: no file {path.name} there; put {url} there")
    else:
        path = Path(torch.hub.get_dir()) / "checkpoints" / name
        if not path.is_file():
            _download(url, path, checksum)
    if path.name == name:
        found = hashlib.sha256(path.read_bytes()).hexdigest()[: len(checksum)]
        if found != checksum:
            reason = f"its SHA-256 begins with {found}, not {checksum}"
            raise UserError(f"{path}: damaged or another file ({reason}); replace it by {url}")
    return path


def _download(url: str, path: Path, checksum: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum)
    except (OSError, RuntimeError) as error:
        mend = f"fetch {url} elsewhere and set CTGAN_WEIGHTS to the file, or use --features ct"
        raise UserError(f"{path.name}: download failed ({error}); {mend}") from None


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a .pth or .safetensors file, without running code that a pickle may hold.

    Raises UserError when the file can't be read or holds no dict.
    """
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # of half a dozen kinds, by file format
        mend = "fetch the file again"
        raise UserError(f"{path}: not readable as weights ({reason_of(error)}); {mend}") from None
    if not isinstance(tensors, dict):
        raise UserError(f"{path}: holds a {type(tensors).__name__}, not named tensors; fetch the file again")
    return tensors


def extract(
    extractor: Extractor,
    images: Tensor | Iterable[Tensor],
    batch_size: int = 32,
    *,
    total: int | None = None,
    precision: str = "fp32",
) -> np.ndarray:
    """Features of uint8 images [N, 1, H, W] as a float32 array [N, d].

    images      a tensor, or an iterable of such tensors, of any length each; one at a time is held
    total       how many images an iterable yields in all, for the progress bar
    precision   of convolutions: fp32; bf16, which may move Fréchet distances by a percent or more; or auto,
                which is bf16 where the hardware multiplies it

    Raises ValueError for images of another type or shape, and for an iterable without total.
    """
    if isinstance(images, Tensor):
        images, total = [images], len(images)
    if total is None:
        raise ValueError("extract needs the total of images that an iterable yields")
    device = next(extractor.parameters()).device
    dtype = choose_precision(precision, device)
    found = []
    with progress(total, f"{extractor.name} features", "image") as bar:
        for part in images:
            if part.dtype != torch.uint8 or part.ndim != 4 or part.shape[1] != 1:
                raise ValueError(f"images {part.dtype} {list(part.shape)}: uint8 [N, 1, H, W] are needed")
            for batch in part.split(batch_size):
                found.append(_features(extractor, batch.to(device), dtype))
                bar.update(len(batch))
    return torch.cat(found).numpy()


@torch.inference_mode()
def _features(extractor: Extractor, batch: Tensor, dtype: torch.dtype) -> Tensor:
    with torch.autocast(batch.device.type, dtype, enabled=dtype != torch.float32):
        return extractor(batch).float().cpu()


def cached_features(
    extractor: Extractor, images: Tensor, batch_size: int = 32, *, precision: str = "fp32"
) -> np.ndarray:
    """What extract gives on a tensor of images, from the cache if it is there; a broken cache is no error.

    It is for sets that come again, such as the real slices: nothing is ever taken out of the cache. Files lie
    beside the decoded slices, in $CTGAN_CACHE or build/cache. Their key is the SHA-256 of the pixels, the
    extractor's name, weights and code, and the precision.
    """
    dtype = choose_precision(precision, next(extractor.parameters()).device)
    code = Path(inspect.getfile(type(extractor))).read_bytes()
    about = f"{extractor.name} {dtype} {list(images.shape)}".encode()
    key = _sha256(about, code, images, *extractor.state_dict().values())
    path = cache_folder() / f"features-{extractor.name}-{key[:24]}.safetensors"
    with contextlib.suppress(OSError, SafetensorError, KeyError, ValueError):
        kept = safetensors.numpy.load_file(path)["features"]
        if len(kept) == len(images):
            return kept
    found = extract(extractor, images, batch_size, precision=precision)
    with contextlib.suppress(OSError):
        atomic_write(path, safetensors.numpy.save({"features": found}))
    return found


def _sha256(*parts: bytes | Tensor) -> str:
    """Of bytes and tensors, in hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data: Any = part.detach().cpu().contiguous().numpy() if isinstance(part, Tensor) else part
        digest.update(memoryview(data).nbytes.to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()

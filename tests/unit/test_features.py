"""Feature extractors: the right weights and inputs, a clear word when something is missing."""

import hashlib
import os
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn
from torch.testing import assert_close
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import inception_v3

from ctgan_utils import phantom
from ctgan_utils.evaluation import ct_features, features
from ctgan_utils.evaluation.evaluate import described
from ctgan_utils.runtime import UserError


@pytest.fixture(scope="module")
def slices():
    return torch.from_numpy(phantom.generate(60, 64, seed=5).images)[:, None]


def random_state(network):
    """A state dict in which every tensor matters: features of size one, statistics other than 0 and 1."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, 0, 0.1)
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return network.state_dict()


@pytest.fixture(scope="module")
def reference_weights(tmp_path_factory):
    """A file of random weights for the reference network."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({}, path)
    with patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        network = FeatureExtractorInceptionV3("random", ["2048"], str(path))
    torch.save(random_state(network), path)
    return path


@pytest.fixture
def reference(reference_weights, monkeypatch):
    """The extractor with these weights."""
    monkeypatch.setenv("CTGAN_WEIGHTS", str(reference_weights))
    return features.load_extractor("inception")


@pytest.mark.parametrize("size", [64, 300])
def test_inception_is_torch_fidelitys_network_on_three_equal_channels(reference, reference_weights, size):
    images = torch.randint(0, 256, (2, 1, size, size), dtype=torch.uint8)
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], str(reference_weights))
    (expected,) = theirs(images.expand(-1, 3, -1, -1))
    assert expected.std() > 1
    assert_close(torch.from_numpy(features.extract(reference, images)), expected, rtol=1e-4, atol=1e-4)


def test_inception_in_bf16_is_near(reference, slices):
    full, short = (features.extract(reference, slices[:2], precision=p) for p in ("fp32", "bf16"))
    assert 0 < np.abs(short - full).mean() < 0.03 * full.mean()


def test_the_thesis_variant_is_torchvisions_network_without_fc(tmp_path, slices, monkeypatch):
    network = inception_v3(weights=None, init_weights=False).eval()
    path = tmp_path / "random.pth"
    torch.save(random_state(network), path)
    monkeypatch.setenv("CTGAN_WEIGHTS", str(path))
    ours = features.extract(features.load_extractor("inception-torchvision"), slices[:2])
    x = torch.nn.functional.interpolate(slices[:2].float() / 127.5 - 1, (299, 299), mode="bilinear")
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = network(x.expand(-1, 3, -1, -1))
    assert expected.std() > 1
    assert_close(torch.from_numpy(ours), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("as_folder", [True, False])
def test_weights_of_the_official_name_are_checked(tmp_path, monkeypatch, as_folder):
    path = tmp_path / f"weights-{hashlib.sha256(b'right').hexdigest()[:8]}.pth"
    path.write_bytes(b"right")
    monkeypatch.setenv("CTGAN_WEIGHTS", str(tmp_path if as_folder else path))
    url = f"https://host/{path.name}"
    assert features.find_weights(url) == path
    path.write_bytes(b"wrong")
    with pytest.raises(UserError, match=rf"{path.name}: damaged or another file .*; replace it by {url}$"):
        features.find_weights(url)


@pytest.mark.parametrize(
    "tensors", [{"layers.weight": torch.zeros(2)}, {"Conv2d_1a_3x3.conv.weight": torch.zeros(2)}]
)
@pytest.mark.parametrize("name", ["inception", "inception-torchvision"])
def test_weights_of_another_architecture_are_named(tmp_path, monkeypatch, name, tensors):
    path = tmp_path / "other.pth"
    torch.save(tensors, path)
    monkeypatch.setenv("CTGAN_WEIGHTS", str(path))
    with pytest.raises(UserError, match=r"^\S*other\.pth: of another architecture \([^\n]*\); use http\S*$"):
        features.load_extractor(name)


def test_a_pickle_runs_no_code(tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    torch.save({"trap": Trap()}, tmp_path / "trap.pth")
    monkeypatch.setenv("CTGAN_WEIGHTS", str(tmp_path / "trap.pth"))
    with pytest.raises(UserError, match=r"trap\.pth: not readable as weights"):
        features.load_extractor("inception")
    assert not (tmp_path / "sprung").exists()


def test_missing_weights_name_the_file_and_the_mend(tmp_path, monkeypatch):
    monkeypatch.setenv("CTGAN_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="CTGAN_WEIGHTS=.*no file weights-inception.*put http"):
        features.load_extractor("inception")


def test_a_failed_download_names_the_mend_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.delenv("CTGAN_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    failure = patch("torch.hub.urlopen", side_effect=OSError("network is unreachable"))
    with failure, pytest.raises(UserError, match="unreachable.*CTGAN_WEIGHTS.*--features ct"):
        features.load_extractor("inception")
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize("text", ["not weights", ""])
def test_a_file_that_is_no_weights_is_named(tmp_path, monkeypatch, text):
    path = tmp_path / "weights.pth"
    path.write_text(text)
    monkeypatch.setenv("CTGAN_WEIGHTS", str(path))
    with pytest.raises(UserError, match=r"weights\.pth: not readable as weights"):
        features.load_extractor("inception")


def test_a_file_without_names_is_no_weights(tmp_path, monkeypatch):
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    monkeypatch.setenv("CTGAN_WEIGHTS", str(tmp_path / "tensor.pth"))
    with pytest.raises(UserError, match=r"tensor\.pth: holds a Tensor, not named tensors"):
        features.load_extractor("inception")


def test_unknown_features_suggest_the_nearest():
    with pytest.raises(UserError, match="did you mean inception"):
        features.load_extractor("incepton")


@pytest.mark.parametrize("size", ct_features.SIZES)
def test_ct_features_are_shipped_small_and_do_not_depend_on_the_batch(slices, size):
    assert features.CT_WEIGHTS[size].stat().st_size < 2_000_000
    extractor = features.load_extractor("ct")
    assert extractor.input_size(size) == size
    images = torch.nn.functional.interpolate(slices.float(), size=size).byte()
    whole = features.extract(extractor, images)
    assert whole.shape == (60, extractor.dim)
    assert_close(features.extract(extractor, images, batch_size=7), whole, rtol=1e-4, atol=1e-5)


def test_slices_of_128_pixels_are_not_halved_before_they_are_measured():
    """Detail of one pixel, which halving would average away, moves the features of 128x128."""
    ct = features.load_extractor("ct")
    flat = torch.full((2, 1, 128, 128), 120, dtype=torch.uint8)
    board = flat.clone()
    board[..., ::2, ::2] += 20
    board[..., 1::2, 1::2] += 20
    board[..., ::2, 1::2] -= 20
    board[..., 1::2, ::2] -= 20
    gap = np.abs(features.extract(ct, board) - features.extract(ct, flat)).max()
    scale = features.extract(ct, torch.from_numpy(phantom.generate(20, 128, seed=5).images)[:, None]).std()
    assert gap > 0.2 * scale


def test_the_distance_is_described_with_its_features_and_their_size():
    ct = features.load_extractor("ct")
    assert described(ct, 64) == "FD-ct (128 features at 64×64)"
    assert described(ct, 128) == "FD-ct (128 features at 128×128)"
    assert ct.input_size(32) == 64
    assert ct.input_size(256) == 128


def test_a_stream_of_batches_gives_what_the_whole_gives(slices):
    extractor = features.load_extractor("ct")
    stream = (part for part in slices.split([1, 40, 19]))
    parts = features.extract(extractor, stream, batch_size=16, total=60)
    assert_close(parts, features.extract(extractor, slices), rtol=1e-4, atol=1e-5)


def test_images_of_another_kind_are_refused(slices):
    extractor = features.load_extractor("ct")
    for images in (slices.float(), slices[0], slices.expand(-1, 3, -1, -1)):
        with pytest.raises(ValueError, match=r"uint8 \[N, 1, H, W\] are needed"):
            features.extract(extractor, images)
    with pytest.raises(ValueError, match="total"):
        features.extract(extractor, iter([slices]))


@pytest.fixture
def ct(tmp_path, monkeypatch):
    """The ct extractor, with an empty cache."""
    monkeypatch.setenv("CTGAN_CACHE", str(tmp_path / "cache"))
    return features.load_extractor("ct")


def test_cached_features_are_computed_once(ct, slices):
    first = features.cached_features(ct, slices)
    np.testing.assert_array_equal(first, features.extract(ct, slices))
    with patch.object(features, "extract", side_effect=AssertionError):
        np.testing.assert_array_equal(features.cached_features(ct, slices.clone()), first)


def test_the_cache_tells_images_weights_and_precision_apart(ct, slices):
    first = features.cached_features(ct, slices)
    brighter = slices.clone()
    brighter[0, 0, 0, 0] += 1
    np.testing.assert_array_equal(features.cached_features(ct, brighter), features.extract(ct, brighter))
    features.cached_features(ct, slices, precision="bf16")
    with torch.no_grad():
        next(ct.parameters()).add_(0.1)
    assert np.abs(features.cached_features(ct, slices) - first).max() > 1e-3
    assert len(list(Path(os.environ["CTGAN_CACHE"]).iterdir())) == 4


def test_a_broken_cache_is_mended(ct, slices):
    first = features.cached_features(ct, slices)
    (path,) = Path(os.environ["CTGAN_CACHE"]).iterdir()
    good = path.read_bytes()
    for broken in (good[: len(good) // 2], b"", safetensors.numpy.save({"other": first})):
        path.write_bytes(broken)
        np.testing.assert_array_equal(features.cached_features(ct, slices), first)
        assert path.read_bytes() == good


def test_training_ct_features_lowers_their_loss():
    """After a short training the class heads' features tell the phantoms apart better than before it."""
    drawn = phantom.generate(64, 64, seed=1)
    trained = ct_features.train_ct_features(drawn, steps=30, batch_size=16, seed=0)
    torch.manual_seed(0)
    fresh = ct_features.ct_network(64).eval()
    images = ct_features.to_input(torch.from_numpy(drawn.images)[:, None].float(), 64)

    def explained(network):
        """Share of the variance of the body's area that a linear fit on the features explains."""
        with torch.no_grad():
            f = np.c_[network(images)[:, :12].numpy(), np.ones(64)]
        area = (drawn.labels > 0).mean((1, 2))
        residual = area - f @ np.linalg.lstsq(f, area, rcond=None)[0]
        return 1 - residual.var() / area.var()

    assert explained(trained) > explained(fresh)

"""Feature extractors: the right weights and inputs, a clear word when something is missing."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torchvision.models import inception_v3

from ctgan_utils import features, metrics, phantom
from ctgan_utils.runtime import UserError


@pytest.fixture(scope="module")
def slices():
    return torch.from_numpy(phantom.generate(60, 64, seed=5).images)[:, None]


@pytest.fixture
def reference_weights(tmp_path):
    """A file of random weights for the reference network."""
    torch.save({}, tmp_path / "empty.pth")
    with patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        network = FeatureExtractorInceptionV3("random", ["2048"], str(tmp_path / "empty.pth"))
    path = tmp_path / URL_INCEPTION_V3.rsplit("/", 1)[1]
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize("as_folder", [True, False])
def test_inception_is_torch_fidelitys_network_on_three_equal_channels(
    reference_weights, slices, monkeypatch, as_folder
):
    given = reference_weights.parent if as_folder else reference_weights
    monkeypatch.setenv("CTGAN_WEIGHTS", str(given))
    ours = features.extract(features.load_extractor("inception"), slices[:2])
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], str(reference_weights))
    (expected,) = theirs(slices[:2].expand(-1, 3, -1, -1))
    assert ours.shape == (2, 2048)
    assert_close(torch.from_numpy(ours), expected, rtol=1e-4, atol=1e-5)


def test_the_thesis_variant_is_torchvisions_network_without_fc(tmp_path, slices, monkeypatch):
    network = inception_v3(weights=None, init_weights=False).eval()
    path = tmp_path / features._torchvision_url().rsplit("/", 1)[1]
    torch.save(network.state_dict(), path)
    monkeypatch.setenv("CTGAN_WEIGHTS", str(path))
    ours = features.extract(features.load_extractor("inception-torchvision"), slices[:2])
    x = torch.nn.functional.interpolate(slices[:2].float() / 127.5 - 1, (299, 299), mode="bilinear")
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = network(x.expand(-1, 3, -1, -1))
    assert_close(torch.from_numpy(ours), expected, rtol=1e-4, atol=1e-5)


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


def test_a_file_that_is_no_weights_is_named(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_text("not weights")
    monkeypatch.setenv("CTGAN_WEIGHTS", str(path))
    with pytest.raises(UserError, match=r"weights\.pth: not readable as weights"):
        features.load_extractor("inception")


def test_unknown_features_suggest_the_nearest():
    with pytest.raises(UserError, match="did you mean inception"):
        features.load_extractor("incepton")


def test_ct_features_are_shipped_small_and_do_not_depend_on_the_batch(slices):
    assert features.CT_WEIGHTS.stat().st_size < 2_000_000
    extractor = features.load_extractor("ct")
    whole = features.extract(extractor, slices)
    assert whole.shape == (60, extractor.dim)
    assert_close(features.extract(extractor, slices, batch_size=7), whole, rtol=1e-4, atol=1e-5)


def test_fd_ct_sees_blur_noise_and_missing_variety():
    """Each fault, on 300 slices, must be further from other slices of the phantom than clean ones are."""
    images = torch.from_numpy(phantom.generate(600, 64, seed=5).images)[:, None]
    extractor = features.load_extractor("ct")
    first, second = (features.extract(extractor, part) for part in (images[::2], images[1::2]))
    floor = metrics.frechet_distance(first, second)
    rows = images[1::2].float()
    blurred = torch.nn.functional.avg_pool2d(rows, 3, 1, 1)
    noisy = rows + 20 * torch.randn(rows.shape)
    for fault in (blurred, noisy, rows[torch.arange(300) % 5]):
        faulty = features.extract(extractor, fault.clamp(0, 255).to(torch.uint8))
        assert metrics.frechet_distance(first, faulty) > 2 * floor


def test_training_ct_features_lowers_their_loss():
    """After a short training the class heads' features tell the phantoms apart better than before it."""
    drawn = phantom.generate(64, 64, seed=1)
    trained = features.train_ct_features(drawn, steps=30, batch_size=16, seed=0)
    torch.manual_seed(0)
    fresh = features.CTFeatures().eval()
    images = torch.from_numpy(drawn.images)[:, None]

    def explained(extractor):
        """Share of the variance of the body's area that a linear fit on the features explains."""
        f = np.c_[features.extract(extractor, images)[:, :12], np.ones(64)]
        area = (drawn.labels > 0).mean((1, 2))
        residual = area - f @ np.linalg.lstsq(f, area, rcond=None)[0]
        return 1 - residual.var() / area.var()

    assert explained(trained) > explained(fresh)

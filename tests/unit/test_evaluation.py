"""Reports on images of which we know how good they are."""

import numpy as np
import pytest
import torch

from ctgan_utils import data
from ctgan_utils.evaluation import features, report
from ctgan_utils.evaluation.evaluate import evaluate, names_of, rank
from ctgan_utils.runtime import UserError

N = 60


@pytest.fixture(scope="module")
def extractor():
    return features.load_extractor("ct")


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(4 * N, 64, seed=3)


def second_set(ct, n=N):
    """The slices that evaluate sets beside the generated ones."""
    return ct.images[torch.randperm(len(ct), generator=torch.Generator().manual_seed(0))[n : 2 * n]]


def test_other_real_slices_get_what_the_report_says_real_ones_get(ct, extractor):
    found = evaluate(ct, second_set(ct), extractor).report
    assert found["ratio"] == pytest.approx(1)
    for values in found["measures"].values():
        assert values["generated"] == pytest.approx(values["real"])
    low, high = found["interval"]
    assert low < found["value"] < high
    assert found["extrapolated"] < found["value"]
    assert found["floor_between_groups"] > found["floor"]


def test_noise_is_worse_by_every_measure_of_likeness(ct, extractor):
    noise = torch.randint(256, (N, 1, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    found = evaluate(ct, noise, extractor).report
    assert found["ratio"] > 10
    better = {"precision": 1, "recall": 1, "coverage": 1, "KD-ct": -1, "grey levels": -1, "1-NN accuracy": -1}
    for name, sign in better.items():
        values = found["measures"][name]
        assert sign * values["generated"] < sign * values["real"], name


def test_copies_are_found_out_when_slices_were_kept_out(ct, extractor):
    train, held_out = data.split(ct, 0.4)
    rng = torch.Generator().manual_seed(0)
    chosen = train.images[torch.randperm(len(train), generator=rng)[:N]]
    copies = (chosen + 3 * torch.randn(chosen.shape, generator=rng)).round().clamp(0, 255).byte()
    copied = evaluate(train, copies, extractor, held_out=held_out).report["memorisation"]
    honest = evaluate(train, held_out.images[:N], extractor, held_out=held_out).report["memorisation"]
    for space in ("features", "pixels"):
        assert copied[space]["ratio"] < 0.5
        assert copied[space]["copied_share"] > 0.9
        assert honest[space]["copied_share"] < 0.1
    assert evaluate(train, copies, extractor).report["memorisation"] is None


def test_images_that_are_the_real_ones_are_warned_of(ct, extractor):
    warnings = evaluate(ct, ct.images[:N], extractor).report["warnings"]
    assert any(f"{N} of {N} generated images are" in warning for warning in warnings)
    assert any("below 2,048" in warning for warning in warnings)


def test_constant_images_are_warned_of_and_measured(ct, extractor):
    found = evaluate(ct, torch.full((N, 1, 64, 64), 90, dtype=torch.uint8), extractor).report
    assert "the generated images are all the same" in found["warnings"]
    assert np.isfinite(found["value"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 64, 64), "1 images on a side"),
        ((2, 1, 64, 64), "2 images on a side"),
        ((20, 1, 32, 32), "32x32"),
    ],
)
def test_images_that_cannot_be_compared_are_named(ct, extractor, shape, message):
    with pytest.raises(UserError, match=message):
        evaluate(ct, torch.zeros(shape, dtype=torch.uint8), extractor)


def test_features_that_are_not_finite_are_named(ct, extractor, monkeypatch):
    monkeypatch.setattr(features, "extract", lambda *_: np.full((N, 4), np.nan))
    with pytest.raises(UserError, match="not finite"):
        evaluate(ct, ct.images[:N], extractor)


def test_only_inceptions_distance_is_called_fid():
    assert names_of("inception") == ("FID", "KID")
    assert all("FID" not in name and "KID" not in name for name in names_of("ct"))
    assert names_of("inception-torchvision")[0] == "FD-inception-torchvision"


def test_a_ranking_tells_which_can_not_be_told_apart():
    reports = {
        "worst": {"value": 9.0, "interval": (8.0, 10.0), "metric": "FD-ct"},
        "best": {"value": 2.0, "interval": (1.5, 2.5), "metric": "FD-ct"},
        "second": {"value": 2.4, "interval": (2.0, 2.8), "metric": "FD-ct"},
    }
    ranked = rank(reports)
    assert list(ranked) == ["best", "second", "worst"]
    assert [r["tied"] for r in ranked.values()] == [["second"], ["best"], []]
    assert list(report.ranking(ranked))[0] == "1. best: FD-ct 2.00 (1.50 to 2.50); not told from second"


def test_the_page_holds_the_numbers_and_five_figures(ct, extractor):
    e = evaluate(ct, second_set(ct), extractor)
    page = report.page({"a run <1>": e}).decode()
    assert page.count("data:image/png;base64,") == 5
    assert "a run &lt;1&gt;" in page
    assert f"{e.report['metric']} {e.report['value']:.2f}" in page

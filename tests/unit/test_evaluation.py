"""Reports on images of which we know how good they are."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from ctgan_utils import data, metrics
from ctgan_utils.data.slices import by_use
from ctgan_utils.evaluation import evaluate as module
from ctgan_utils.evaluation import features, report
from ctgan_utils.evaluation.evaluate import Evaluation, by_neighbours, evaluate, names_of
from ctgan_utils.evaluation.ranking import difference, rank
from ctgan_utils.evaluation.references import UNKNOWN, UNSEEN, references
from ctgan_utils.runtime import UserError

N = 60


@pytest.fixture(scope="module")
def extractor():
    return features.load_extractor("ct")


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(4 * N, 64, seed=3)


@pytest.fixture(scope="module")
def real():
    """Two sets of 14 patients and more."""
    return references(*data.split(data.load_phantom(8 * N, 64, seed=3), 0.5), n=100)


def test_the_sets_of_real_slices_share_what_they_say_they_share(ct):
    train, held_out = data.split(replace(ct, groups=torch.arange(len(ct)) // 20), 0.3)
    r = references(train, held_out)
    names = "main", "again", "other", "other_again"
    patients = {name: set(getattr(r, name).groups.tolist()) for name in names}
    assert patients["main"] == patients["again"]
    assert patients["other"] == patients["other_again"]
    assert patients["main"] <= set(held_out.groups.tolist())
    assert patients["other"] <= set(train.groups.tolist())
    assert len(patients["other"]) == len(patients["main"]) == r.patients
    assert r.n == len(r.main) == len(r.again) == len(r.other)
    keys = {name: set(getattr(r, name).keys.tolist()) for name in names}
    assert not keys["main"] & keys["again"]
    assert not keys["other"] & keys["other_again"]
    assert r.about == UNSEEN


def test_without_held_out_slices_the_sets_are_halves_of_the_patients(ct):
    r = references(ct)
    assert r.about == UNKNOWN
    assert not set(r.main.groups.tolist()) & set(r.other.groups.tolist())
    of_one = references(replace(ct, groups=torch.zeros(len(ct), dtype=torch.int64)))
    assert of_one.other is None
    assert of_one.n == len(ct) // 2


def test_more_slices_than_there_are_is_one_line(ct):
    with pytest.raises(UserError, match="--n 500: .* slices in a set are all there are"):
        references(ct, n=500)


def test_slices_are_known_again_by_their_pixels(ct):
    ct = replace(ct, groups=torch.arange(len(ct)) // 20)
    train, held_out = data.split(ct, 0.3)
    some = train.keys[::2]
    again, never = by_use(ct[torch.randperm(len(ct), generator=torch.Generator().manual_seed(0))], some)
    assert sorted(again.keys.tolist()) == sorted(some.tolist())
    assert set(never.groups.tolist()) == set(held_out.groups.tolist())


def test_other_slices_get_what_the_report_says_that_they_get(real, extractor):
    for part, name in ((real.again, "same patients"), (real.other, "other patients")):
        found = evaluate(real, part.images, extractor).report
        for values in found["distances"].values():
            assert values["generated"] == pytest.approx(values[name])
        for measure in ("KD-ct", "MS-SSIM of pairs", "grey levels", "edge density"):
            assert found["measures"][measure]["generated"] == pytest.approx(found["measures"][measure][name])
    distances = found["distances"]
    e = evaluate(real, real.other.images, extractor)
    assert e.packets["generated"][0].mean() == pytest.approx(distances["FWD"]["other patients"])
    for metric in ("FD-ct", "FWD"):
        assert distances[metric]["same patients"] < distances[metric]["other patients"]
        assert distances[metric]["seen"] == pytest.approx(0, abs=1e-6)  # real.other itself


def test_neighbours_are_sought_among_patients_not_among_slices():
    """Both sides from one population of patients, whose slices are all but equal.

    Among all slices every nearest neighbour is of the same patient, so 1-NN accuracy is 1 and precision 0.
    One slice of each patient shows that the patients are of one kind.
    """
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(100), 8)
    x, y = (rng.normal(size=(100, 8))[patients] + rng.normal(0, 1e-3, (800, 8)) for _ in range(2))
    assert metrics.nearest_neighbour_accuracy(x, y) > 0.99
    assert metrics.precision_recall(x, y)[0] < 0.05
    found = by_neighbours(x, y, torch.from_numpy(patients), torch.from_numpy(patients))
    assert found["1-NN accuracy"] == pytest.approx(0.5, abs=0.1)
    assert found["precision"] > 0.7
    few = torch.from_numpy(patients % 9)
    assert set(by_neighbours(x, y, few, few).values()) == {None}


def test_noise_is_worse_by_every_measure_of_likeness(real, extractor):
    noise = torch.randint(256, (real.n, 1, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    found = evaluate(real, noise, extractor).report
    for metric in ("FD-ct", "FWD"):
        assert found["distances"][metric]["generated"] > 3 * found["distances"][metric]["other patients"]
    low, high = found["interval"]
    assert 0 < low < high
    better = {"precision": 1, "recall": 1, "coverage": 1, "KD-ct": -1, "grey levels": -1, "1-NN accuracy": -1}
    for name, sign in better.items():
        values = found["measures"][name]
        assert sign * values["generated"] < sign * values["other patients"], name


def test_new_critics_tell_noise_and_not_other_patients(real, extractor, monkeypatch):
    short = partial(module.trained_critic, steps=40, seeds=1)
    monkeypatch.setattr(module, "trained_critic", short)
    noise = torch.randint(256, (real.n, 1, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    e = evaluate(real, noise, extractor, critic=True)
    found = e.report["critic"]
    assert found["generated"]["auc"] > 0.99
    low, high = found["other patients"]["auc_interval"]
    assert low <= 0.5 <= high
    assert "new critics, generated: AUC" in "\n".join(report.lines(e.report))
    few = references(data.load_phantom(60, 64, seed=3))
    with pytest.raises(UserError, match="--critic: .* too few to train a critic"):
        evaluate(few, few.again.images, extractor, critic=True)


def test_copies_are_found_out_when_slices_were_kept_out(ct, extractor):
    train, held_out = data.split(ct, 0.4)
    rng = torch.Generator().manual_seed(0)
    chosen = train.images[torch.randperm(len(train), generator=rng)[:N]]
    copies = (chosen + 3 * torch.randn(chosen.shape, generator=rng)).round().clamp(0, 255).byte()
    r = references(train, held_out, 36)
    copied = evaluate(r, copies[:36], extractor).report["memorisation"]
    honest = evaluate(r, held_out.images[:36], extractor).report["memorisation"]
    for space in ("features", "pixels"):
        assert copied[space]["ratio"] < 0.5
        assert copied[space]["copied_share"] > 0.9
        assert honest[space]["copied_share"] < 0.1
    assert evaluate(references(train, n=25), copies[:25], extractor).report["memorisation"] is None


def test_images_that_are_the_real_ones_are_warned_of(ct, extractor):
    warnings = evaluate(references(ct, n=40), ct.images[:40], extractor).report["warnings"]
    assert any("40 of 40 generated images are" in warning for warning in warnings)
    assert any("nothing records" in warning for warning in warnings)
    assert any("below 2,048" in warning for warning in warnings)


def test_constant_images_are_warned_of_and_measured(real, extractor):
    found = evaluate(real, torch.full((real.n, 1, 64, 64), 90, dtype=torch.uint8), extractor).report
    assert "the generated images are all the same" in found["warnings"]
    assert np.isfinite(found["value"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 1, 64, 64), "2 generated images beside 100"),
        ((100, 1, 32, 32), "32x32"),
        ((100, 1, 8, 8), "images of 8x8: too small to be measured; 16x16 are the least"),
    ],
)
def test_images_that_cannot_be_compared_are_named(real, extractor, shape, message):
    with pytest.raises(UserError, match=message):
        evaluate(real, torch.zeros(shape, dtype=torch.uint8), extractor)


def test_features_that_are_not_finite_are_named(real, extractor, monkeypatch):
    monkeypatch.setattr(features, "cached_features", lambda *_: np.full((real.n, 4), np.nan))
    with pytest.raises(UserError, match="not finite"):
        evaluate(real, real.again.images, extractor)


def test_only_inceptions_distance_is_called_fid():
    assert names_of("inception") == ("FID", "KID")
    assert all("FID" not in name and "KID" not in name for name in names_of("ct"))
    assert names_of("inception-torchvision")[0] == "FD-inception-torchvision"


def evaluated(value, resampled):
    """An Evaluation of that value, of which a ranking needs no more."""
    report = {"value": value, "interval": metrics.interval(value, resampled), "metric": "FD-ct"}
    return Evaluation(report, None, None, None, None, np.asarray(resampled), {})


def test_runs_are_told_apart_by_their_difference_over_the_same_resamples():
    """Resamples move both runs by far more than what lies between them, but always both alike."""
    shared = np.random.default_rng(0).normal(0, 3, 200)
    noise = np.random.default_rng(1).normal(0, 0.1, (3, 200))
    best, second, worst = (
        evaluated(value, value + shared + own) for value, own in zip((5.0, 5.05, 6.0), noise)
    )
    places = rank({"worst": worst, "best": best, "second": second})
    assert [place.name for place in places] == ["best", "second", "worst"]
    assert [place.tied for place in places] == [("second",), ("best",), ()]
    low, high = best.report["interval"]
    assert low < 6 < high  # alone, the intervals would tie all three
    line = list(report.ranking(places, "FD-ct"))[0]
    assert line.startswith("1. best: FD-ct 5.00 (")
    assert line.endswith("); not told from second")


def test_seeds_are_what_is_counted_where_there_are_several():
    """Against Student's two-sample t with one spread, by SciPy."""
    a, b = [2.0, 2.5, 3.1], [3.0, 3.9, 4.4]
    tight = np.random.default_rng(0).normal(0, 0.01, 100)
    runs = {f"a{k}": evaluated(v, v + tight) for k, v in enumerate(a)}
    runs |= {f"b{k}": evaluated(v, v + tight) for k, v in enumerate(b)}
    found = difference([runs[f"a{k}"] for k in range(3)], [runs[f"b{k}"] for k in range(3)])
    assert found == pytest.approx(stats.ttest_ind(a, b).confidence_interval(0.95))
    first, last = rank(runs, {run: run[0] for run in runs})
    assert first.runs == ("a0", "a1", "a2")
    assert first.value == pytest.approx(np.mean(a))
    assert first.tied == (("b",) if found[0] <= 0 <= found[1] else ())
    assert "mean of 3 seeds" in list(report.ranking([first, last], "FD-ct"))[0]


def test_the_page_holds_the_numbers_and_six_figures(real, extractor):
    e = evaluate(real, real.again.images, extractor)
    page = report.page({"a run <1>": e}, rank({"a run <1>": e})).decode()
    assert page.count("data:image/png;base64,") == 6
    assert page.count('<img alt="') == 6
    assert 'alt="First half: real; second half: generated.' in page
    assert "a run &lt;1&gt;" in page
    assert f"{e.report['metric']} {e.report['value']:.2f}" in page

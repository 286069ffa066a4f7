"""The doctor on histories made to measure."""

import pytest
import torch

from ctgan_utils.systems import get_experiment
from ctgan_utils.training import doctor
from ctgan_utils.training.doctor import spread


def diagnose(history, objective):
    return doctor.diagnose(history, get_experiment("small", settings=[f"objective={objective}"]))


def history(rows=40, **changes):
    """A healthy Wasserstein run; changes give a column as a function of the share of the run, 0 to 1."""
    healthy = {
        "estimate": lambda t: 30 - 20 * t,
        "penalty": lambda t: 0.05,
        "critic_loss": lambda t: -20.0,
        "generator_loss": lambda t: 3.0,
        "spread": lambda t: 0.5 + 0.4 * t,
    }
    columns = healthy | changes
    return [{name: value(k / (rows - 1)) for name, value in columns.items()} for k in range(rows)]


def test_a_healthy_run_hears_nothing():
    assert diagnose(history(), "wgan-gp") == []
    even = {"critic_loss": lambda t: 1.2, "estimate": lambda t: 0.5}
    assert diagnose(history(**even), "non-saturating") == []


def test_a_run_just_begun_hears_nothing():
    assert diagnose(history(rows=9, spread=lambda t: 0.0), "wgan-gp") == []


def test_samples_that_are_still_to_part_have_not_collapsed():
    assert diagnose(history(rows=20, spread=lambda t: 0.1 + 0.05 * t), "wgan-gp") == []


@pytest.mark.parametrize(
    ("objective", "changes", "key", "sentence"),
    [
        ("wgan-gp", {"spread": lambda t: 0.5 - 0.48 * t}, "collapsed", "samples have collapsed"),
        ("wgan-gp", {"spread": lambda t: 0.1}, "collapsed", "samples have collapsed"),
        (
            "non-saturating",
            {"critic_loss": lambda t: 1.4 * (1 - t) ** 4},
            "discriminator-won",
            "discriminator has won",
        ),
        ("minimax", {"critic_loss": lambda t: 0.001}, "discriminator-won", "discriminator has won"),
        ("wgan-gp", {"penalty": lambda t: 0.05 if t < 0.8 else 2.0}, "penalty-drifts", "penalty drifts"),
        (
            "wgan-clip",
            {"estimate": lambda t: 10 * 2 ** (10 * t)},
            "estimate-unbounded",
            "grows without bound",
        ),
        (
            "wgan-clip",
            {"estimate": lambda t: 30 if t < 0.7 else 0.1},
            "critic-blind",
            "tells real from generated no longer",
        ),
    ],
)
def test_an_illness_is_named_with_what_to_try(objective, changes, key, sentence):
    first, *_ = diagnose(history(**changes), objective)
    assert first.key == key
    assert sentence in first.text
    assert "; try" in first.text


def test_a_noisy_estimate_is_no_illness():
    noisy = {"estimate": lambda t: 20 + 10 * ((int(1000 * t) * 7919) % 13 - 6) / 6}
    assert diagnose(history(**noisy), "wgan-gp") == []


def test_spread_is_the_mean_distance_of_the_pairs_in_grey_levels():
    levels = torch.tensor([0, 30, 90], dtype=torch.uint8)
    images = levels[:, None, None, None].expand(3, 1, 4, 4)
    assert spread(images) == pytest.approx((30 + 90 + 60) / 3)


def test_an_estimate_that_settles_far_below_its_start_is_no_illness():
    settled = {"estimate": lambda t: 200 if t < 0.1 else 2.0}
    assert diagnose(history(**settled), "wgan-gp") == []


def test_a_passing_dip_of_the_estimate_is_no_illness():
    dip = {"estimate": lambda t: -0.5 if 0.85 < t < 0.95 else 30 - 20 * t}
    assert diagnose(history(**dip), "wgan-gp") == []


def test_a_system_without_diagnoses_of_its_own_is_not_taken_for_a_wasserstein_one():
    drifting = history(penalty=lambda t: 0.05 if t < 0.8 else 2.0)
    assert doctor.diagnose(drifting, get_experiment("ct-64")) == []
    collapsed = history(spread=lambda t: 0.1)
    assert [v.key for v in doctor.diagnose(collapsed, get_experiment("ct-64"))] == ["collapsed"]

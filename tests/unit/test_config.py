"""Experiments and profiles as data."""

import json

import pytest

from ctgan_utils import config
from ctgan_utils.config import EXPERIMENTS, PROFILES, get_experiment
from ctgan_utils.runtime import UserError


def test_names_are_keys_and_the_defaults_are_those_of_the_thesis():
    assert all(name == e.name for name, e in EXPERIMENTS.items())
    small = get_experiment("small")
    assert (small.batch_size, small.z_dim, small.image_size, small.stem_channels) == (64, 128, 64, 1)
    assert (small.thesis.epochs, small.thesis.fid) == (7000, 64)


def test_settings_win_over_the_profile_and_take_the_fields_type():
    e = get_experiment("small", "lesson", ["width=8", "learning_rate=1e-3", "interpolation=nearest"])
    assert (e.width, e.learning_rate, e.interpolation) == (8, 1e-3, "nearest")
    assert e.critic_steps == PROFILES["lesson"].where["objective", "wgan-gp"]["critic_steps"]


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_an_experiment_survives_json(name, profile):
    e = get_experiment(name, profile)
    restored = config.from_dict(json.loads(json.dumps(config.to_dict(e))))
    assert restored == e
    assert restored.thesis == e.thesis


@pytest.mark.parametrize("change", [lambda v: v | {"network": "small"}, lambda v: {"name": v["name"]}])
def test_an_experiment_of_another_version_is_named(change):
    with pytest.raises(UserError, match="experiment small: written by another version.*train again"):
        config.from_dict(change(config.to_dict(get_experiment("small"))))


def test_difference_names_the_first_field():
    a = get_experiment("small")
    assert config.difference(a, a) is None
    assert config.difference(a, get_experiment("small", settings=["width=8"])) == ("width", 64, 8)


def test_epochs_are_one_batch_a_step():
    thesis, lesson = PROFILES["thesis"], PROFILES["lesson"]
    e = get_experiment("small")
    assert config.total_steps(thesis, e, 12_446) == 7000 * 195
    assert config.total_steps(lesson, e, 12_446) == lesson.steps
    assert config.total_steps(lesson, e, 130, epochs=2) == 6


@pytest.mark.parametrize(
    ("name", "profile", "setting", "message"),
    [
        ("smal", "lesson", "width=8", "did you mean small"),
        ("small", "leson", "width=8", "did you mean lesson"),
        ("small", "lesson", "widht=8", "did you mean width"),
        ("small", "lesson", "xyzzy=8", "there are image_size"),
        ("small", "lesson", "width", "field=value"),
        ("small", "lesson", "width=wide", "whole number"),
        ("small", "lesson", "learning_rate=fast", "must be a number"),
        ("small", "lesson", "width=0", "at least 1"),
        ("small", "lesson", "image_size=65", "8, 16, 32"),
        ("small", "lesson", "interpolation=cubic", "bilinear, nearest"),
        ("small", "lesson", "learning_rate=nan", "above 0"),
        ("small", "lesson", "name=other", "no such field"),
    ],
)
def test_what_does_not_fit_is_named_with_the_mend(name, profile, setting, message):
    with pytest.raises(UserError, match=message):
        get_experiment(name, profile, [setting])

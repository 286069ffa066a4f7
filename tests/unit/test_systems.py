"""Systems, experiments and profiles as data."""

import json
from dataclasses import asdict

import pytest
import torch

from ctgan_utils import systems
from ctgan_utils.runtime import UserError
from ctgan_utils.systems import EXPERIMENTS, PROFILES, get_experiment
from ctgan_utils.systems.base import ThesisRecord
from ctgan_utils.training.estimate import memory_of


def test_names_are_keys_and_the_defaults_are_those_of_the_thesis():
    assert all(name == preset.system.name for name, preset in EXPERIMENTS.items())
    small, thesis = get_experiment("small"), EXPERIMENTS["small"].thesis
    assert (small.batch_size, small.z_dim, small.image_size, small.stem_channels) == (64, 128, 64, 1)
    assert (thesis.epochs, thesis.fid) == (7000, 64)


def test_a_record_keeps_each_score_with_its_epochs():
    thesis = EXPERIMENTS["large-v2-z100"].thesis
    assert thesis.scores == {9000: 90, 11_500: 89}  # sections 4.5.4 and 4.3.2
    assert (thesis.epochs, thesis.fid) == (11_500, 89)
    assert (EXPERIMENTS["dcgan-b64"].thesis.epochs, EXPERIMENTS["dcgan-b64"].thesis.fid) == (3000, None)
    assert (ThesisRecord("").epochs, ThesisRecord("").fid) == (None, None)


def test_settings_win_over_the_profile_and_take_the_fields_type():
    e = get_experiment("small", "lesson", ["width=8", "learning_rate=1e-3", "interpolation=nearest"])
    assert (e.width, e.learning_rate, e.interpolation) == (8, 1e-3, "nearest")
    assert (e.critic_steps, e.critic_learning_rate) == (1, 2e-3)  # the profile's, where nothing is set


def test_another_objective_gets_its_own_rates_in_a_lesson():
    wasserstein, cross = (get_experiment("small", "lesson", s) for s in ((), ["objective=non-saturating"]))
    assert (wasserstein.critic_learning_rate, wasserstein.beta1) == (2e-3, 0.0)
    thesis = get_experiment("small")
    for field in ("critic_learning_rate", "learning_rate", "beta1", "beta2", "critic_steps"):
        assert getattr(cross, field) == getattr(thesis, field)


def test_a_field_that_is_set_is_not_overridden_by_the_profile_it_leads_to():
    e = get_experiment("dcgan-b64", "lesson", ["objective=wgan-gp", "beta1=0.3"])
    assert (e.beta1, e.critic_learning_rate) == (0.3, 2e-3)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_an_experiment_survives_json(name, profile):
    e = get_experiment(name, profile)
    assert systems.from_dict(json.loads(json.dumps(systems.to_dict(e)))) == e


def test_what_is_stored_is_the_class_and_what_differs_from_its_defaults():
    assert systems.to_dict(get_experiment("small-kernel")) == {
        "name": "small-kernel",
        "system": "ThesisGAN",
        "settings": {"kernel_size": 3},
    }


def test_files_of_version_0_1_had_every_field_and_still_load():
    e = get_experiment("large-v2-z100", "lesson")
    record = {"section": "3.2.3", "figures": ["3.6"], "epochs": 11_500, "fid": 89}
    assert systems.from_dict({**asdict(e), "thesis": record}) == e


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"name": "small", "system": "ThesisGAN", "settings": {"frobnicate": 1}},
            "'frobnicate'.*train again",
        ),
        (
            {"name": "small", "system": "ThesisGAN", "settings": {"width": "8"}},
            "experiment small: width='8': it must be a whole number",
        ),
        *(
            ({"name": "small", "system": "ThesisGAN", "settings": settings}, message)
            for settings, message in (
                ({"width": 8.5}, "width=8.5: it must be a whole number"),
                ({"width": True}, "width=True: it must be a whole number"),
                ({"width": [8]}, "width=.8.: it must be a whole number"),
                ({"width": None}, "width=None: it must be a whole number"),
                ({"width": 10**30}, "width=1000000.*from 1 to 1,024"),
                ({"learning_rate": float("nan")}, "learning_rate=nan: it must be a finite number"),
                ({"beta1": float("inf")}, "beta1=inf: it must be a finite number"),
                ({"gradient_penalty": 10**400}, "gradient_penalty=1000000.*it must be a finite number"),
                ({"learning_rate": "1e-4"}, "learning_rate='1e-4': it must be a finite number"),
                ({"stem": 1}, "stem=1: it must be a text"),
                ({"z_dim": 65_537}, "z_dim=65537: it must be from 1 to 65,536"),
                ({"batch_size": 10**6}, "batch_size=1000000: it must be from 2 to 65,536"),
                ({"batch_size": 6, "micro_batch": 4}, "micro_batch=4: .* a divisor of batch_size=6"),
                ({"critic_steps": 10**9}, "critic_steps=1000000000: it must be from 1 to 1,000"),
                ({"ema_half_life": 10**13}, "ema_half_life=10000000000000: it must be from 1"),
            )
        ),
        ({"name": "x", "system": "TesisGAN", "settings": {}}, "system TesisGAN is unknown.*mean ThesisGAN"),
        ({"name": "x", "system": ["ThesisGAN"], "settings": {}}, "is unknown"),
        ({"name": "x", "system": "ThesisGAN", "settings": None}, "unknown"),
        ({"name": "x" * 10**6, "system": "ThesisGAN", "settings": None}, r"xxx\.\.\.: its system"),
        ({"name": "x", "system": "ThesisGAN", "settings": {"width": 0}}, "width=0: it must be from 1 to"),
        (["ThesisGAN"], "not a system"),
        (None, "not a system"),
    ],
)
def test_a_system_that_is_not_known_here_is_one_line(values, message):
    with pytest.raises(UserError, match=message) as error:
        systems.from_dict(values)
    assert "\n" not in str(error.value)


def test_whole_numbers_do_for_other_numbers():
    e = systems.from_dict({"name": "small", "system": "ThesisGAN", "settings": {"gradient_penalty": 5}})
    assert e.gradient_penalty == 5


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_memory_is_known_before_anything_is_allocated(name):
    e = get_experiment(name, "smoke")
    weights, activations = memory_of(e, 8)
    trained = sum(p.numel() for network in e.networks() for p in network.parameters())
    assert 4 * 4 * trained < weights < 4 * 5 * trained  # with gradients, moments, and the average of G
    assert activations > 2 * 4 * 8 * e.image_size**2 // 4
    assert memory_of(e, 8, torch.bfloat16)[1] < activations
    larger_weights, larger_activations = memory_of(e, 800)
    assert larger_weights == weights
    assert larger_activations == pytest.approx(100 * activations, rel=0.1)


def test_memory_that_can_not_be_known_stops_nothing():
    class Asking(systems.thesis.ThesisGAN):
        def critic_loss(self, G, D, batch):
            return super().critic_loss(G, D, batch)[0].item(), {}

    assert memory_of(Asking("asking", width=2), 8) == (0, 0)


def test_difference_names_the_first_field():
    a = get_experiment("small")
    assert systems.difference(a, a) is None
    assert systems.difference(a, get_experiment("small", settings=["width=8"])) == ("width", 64, 8)


def test_epochs_are_one_batch_a_step():
    thesis, lesson = PROFILES["thesis"], PROFILES["lesson"]
    e = get_experiment("small")
    assert systems.total_steps(thesis, e, 12_446) == 7000 * 195
    assert systems.total_steps(lesson, e, 12_446) == lesson.steps
    assert systems.total_steps(lesson, e, 130, epochs=2) == 6


@pytest.mark.parametrize(
    ("name", "profile", "setting", "message"),
    [
        ("smal", "lesson", "width=8", "did you mean small"),
        ("small", "leson", "width=8", "did you mean lesson"),
        ("small", "lesson", "widht=8", "did you mean width"),
        ("small", "lesson", "xyzzy=8", "there are image_size"),
        ("small", "lesson", "width", "field=value"),
        ("small", "lesson", "width=wide", "whole number"),
        ("small", "lesson", "learning_rate=fast", "must be a finite number"),
        ("small", "lesson", "width=0", "from 1 to 1,024"),
        ("small", "lesson", "image_size=65", "8, 16, 32"),
        ("small", "lesson", "interpolation=cubic", "bilinear, nearest"),
        ("small", "lesson", "learning_rate=nan", "a finite number"),
        ("small", "lesson", "learning_rate=1e999", "a finite number"),
        ("small", "lesson", "width=8.5", "a whole number"),
        ("small", "lesson", f"width={'9' * 5_000}", "9999.*a whole number"),
        ("small", "lesson", "width=1025", "from 1 to 1,024"),
        ("small", "lesson", "name=other", "no such field"),
    ],
)
def test_what_does_not_fit_is_named_with_the_mend(name, profile, setting, message):
    with pytest.raises(UserError, match=message):
        get_experiment(name, profile, [setting])

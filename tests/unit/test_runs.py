"""What the notebooks call: runs by name, and distances by generator."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ctgan_utils import data, grey, metrics
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.evaluate import distances
from ctgan_utils.sampling import load_generator
from ctgan_utils.systems import PROFILES
from ctgan_utils.training.runs import train_experiment


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(64, 32, seed=0)


def test_short_profiles_start_anew_and_can_be_shortened(ct, tmp_path):
    ends = []
    for _ in range(2):
        folder, history = train_experiment("small", "smoke", ct, tmp_path, 0, ["image_size=32"], share=0.5)
        ends.append(load_generator(folder)[0].state_dict())
        assert [row["step"] for row in history] == [2]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    other, _ = train_experiment("small", "smoke", ct, tmp_path, 1, ["image_size=32"], share=0.5)
    assert other != folder


def test_a_lesson_goes_on_when_its_time_is_up_and_says_where_the_run_stopped(
    ct, tmp_path, monkeypatch, capsys
):
    slow = replace(PROFILES["smoke"], steps=100_000, live_seconds=2)
    monkeypatch.setitem(PROFILES, "smoke", slow)
    folder, history = train_experiment("small", "smoke", ct, tmp_path, 0, ["image_size=32"])
    step = history[-1]["step"]
    assert 0 < step < 100_000
    assert f"small: stopped at step {step:,} of 100,000, after 2 seconds" in capsys.readouterr().out
    load_generator(folder)  # as far as it came


class Replay(nn.Module):
    """A generator that shows given images in turn, whatever it is asked."""

    z_dim = 1

    def __init__(self, images):
        super().__init__()
        self.images = nn.Parameter(grey.to_float(images))

    def forward(self, z):
        return self.images[: len(z)]


def test_distances_are_to_the_first_half_of_the_slices_drawn(ct):
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3))
    real, other = ct.images[order[:20]], ct.images[order[20:40]]
    found = distances(ct, {"same": Replay(real), "other": Replay(other)}, 20, seed=3)
    assert found["same"] == pytest.approx(0, abs=1e-6)
    assert found["other"] == pytest.approx(found["floor"])
    a, b = (features.extract(features.load_extractor("ct"), x) for x in (real, other))
    assert found["floor"] == pytest.approx(metrics.frechet_distance(a, b))
    assert "others" not in found
    again = distances(ct, {}, 20, seed=3, others=ct)
    assert again == {"floor": pytest.approx(found["floor"]), "others": pytest.approx(0, abs=1e-6)}

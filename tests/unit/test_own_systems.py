"""A system in one file of somebody's own does all that the shipped ones do, without another line anywhere."""

import json
import os
import subprocess
import sys

import pytest

from ctgan_utils.training.history import read_history

TOY = '''
"""Least squares (Mao 2017) between multilayer perceptrons, the critic with dropout."""

from dataclasses import dataclass

import torch
from torch import nn

from ctgan_utils.systems.base import Preset, System, Verdict


class Perceptron(nn.Sequential):
    def __init__(self, z_dim, size, width):
        image = nn.Unflatten(1, (1, size, size))
        super().__init__(nn.Linear(z_dim, width), nn.ReLU(), nn.Linear(width, size**2), nn.Tanh(), image)
        self.z_dim = z_dim


@dataclass(frozen=True)
class LeastSquaresGAN(System):
    dropout: float = 0.5
    doubled: bool = False

    def networks(self):
        layers = nn.Flatten(), nn.Linear(self.image_size**2, self.width), nn.ReLU(), nn.Dropout(self.dropout)
        score = nn.Linear(self.width, 1), nn.Flatten(0)
        return Perceptron(self.z_dim, self.image_size, self.width), nn.Sequential(*layers, *score)

    def critic_loss(self, G, D, batch):
        with torch.no_grad():
            fake = self.generate(G, batch)
        real_scores, fake_scores = D(batch["images"]), D(fake)
        loss = (real_scores - 1).square().mean() + fake_scores.square().mean()
        return loss, {"estimate": real_scores.mean() - fake_scores.mean()}

    def generator_loss(self, G, D, batch):
        return (D(self.generate(G, batch)) - 1).square().mean(), {}

    def diagnose(self, history):
        return [Verdict("toy", "This is a toy.")]


PRESETS = (Preset(LeastSquaresGAN("least-squares", image_size=32, batch_size=8)),)
'''


@pytest.fixture
def run(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "least_squares.py").write_text(TOY)

    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "ctgan_utils", *map(str, words)],
            env={**os.environ, "CTGAN_SYSTEMS": str(tmp_path / "own"), "OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def test_a_system_in_one_file_trains_resumes_samples_evaluates_and_is_listed(run, tmp_path):
    train = ("train", "least-squares", "--profile", "smoke", "--set", "doubled=yes")
    told = run(*train, "--steps", 240, "--out", "whole").stdout
    assert "step 200: This is a toy." in told
    run(*train, "--steps", 100, "--out", "halves")
    run(*train, "--steps", 240, "--out", "halves", "--resume")
    whole, halves = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "halves"))
    assert whole == halves  # dropout and all
    assert [row["step"] for row in read_history(tmp_path / "whole")] == list(range(20, 241, 20))
    stored = json.loads((tmp_path / "whole" / "config.json").read_text())["experiment"]
    assert stored["system"] == "LeastSquaresGAN"
    assert stored["settings"] == {"image_size": 32, "batch_size": 8, "width": 2, "doubled": True}

    run("sample", "whole", "--n", 9, "--out", "nine.png")
    run("export", "whole", "--out", "G.safetensors")
    run("phantom", "--n", 300, "--size", 32, "--seed", 1, "--out", "unseen")
    report = json.loads(run("evaluate", "--real", "unseen", "--fake", "G.safetensors", "--json").stdout)
    assert report["size"] == 32
    assert report["value"] > report["distances"]["FD-ct"]["other patients"]
    assert any(line.startswith("least-squares ") for line in run("experiments").stdout.splitlines())


def test_without_the_file_its_runs_are_refused_in_one_line(run, tmp_path):
    run("train", "least-squares", "--profile", "smoke", "--steps", 2, "--out", "toy")
    (tmp_path / "own" / "least_squares.py").unlink()
    assert (
        "its system LeastSquaresGAN is unknown here" in run("sample", "toy", "--out", "x.png", code=2).stderr
    )
    assert len(run("sample", "toy", "--out", "x.png", code=2).stderr.splitlines()) == 1


def test_a_truth_value_is_parsed_and_a_strange_one_refused(run):
    strange = run("train", "least-squares", "--set", "doubled=perhaps", "--dry-run", code=2).stderr
    assert strange == "error: --set doubled=perhaps: doubled must be true or false\n"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("mine.py", "PRESETS = (", "mine.py: SyntaxError: '(' was never closed"),
        (
            "mine.py",
            "import nothing_of_this_name",
            "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        ("mine.py", "GAN = 1", "has no attribute 'PRESETS'"),
        ("thesis.py", "PRESETS = ()", "thesis.py: this name is taken by a file of the package; rename yours"),
        (
            "mine.py",
            "from ctgan_utils.systems.thesis import PRESETS",
            "there is an experiment dcgan-b100 already",
        ),
        (None, None, "is no folder; name the one that holds your systems"),
    ],
)
def test_what_is_wrong_with_an_own_file_is_one_line(run, tmp_path, name, source, message):
    (tmp_path / "own" / "least_squares.py").unlink()
    if name:
        (tmp_path / "own" / name).write_text(source)
    else:
        (tmp_path / "own").rmdir()
    (line,) = run("experiments", code=2).stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line

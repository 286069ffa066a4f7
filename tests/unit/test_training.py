"""The loop: what resumes, what stops, what is averaged."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.runtime import REPOSITORY, UserError
from ctgan_utils.systems import EXPERIMENTS, get_experiment
from ctgan_utils.training import checkpoints, history
from ctgan_utils.training.ema import EMA
from ctgan_utils.training.trainer import Trainer, frozen, is_milestone, train


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(64, 32, seed=0)


def trainer(ct, *settings, dtype=torch.float32):
    settings = ("image_size=32", "width=4", "batch_size=8", *settings)
    e = get_experiment("small-kernel", "smoke", settings)
    torch.manual_seed(0)
    return Trainer(e, *e.networks(), ct.tensors(), seed=0, dtype=dtype)


def opened(folder, t, ct):
    with checkpoints.run_folder(folder, t.system, ct, 0, resume=True):
        pass
    return folder


def weights(folder):
    return (folder / checkpoints.WEIGHTS).read_bytes()


def test_20_steps_resume_and_20_more_are_40_steps_bit_for_bit(ct, tmp_path):
    straight = trainer(ct)
    train(straight, 40, opened(tmp_path / "a", straight, ct))
    halves = trainer(ct)
    train(halves, 20, opened(tmp_path / "b", halves, ct))
    resumed = trainer(ct)
    resumed.load(tmp_path / "b")
    assert resumed.step == 20
    train(resumed, 40, tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert torch.equal(straight.samples(), resumed.samples())
    without_speed = [
        [{k: v for k, v in row.items() if k != "images_per_second"} for row in history.read_history(folder)]
        for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert without_speed[0] == without_speed[1]


def test_rows_after_the_checkpoint_or_cut_short_by_a_kill_are_dropped(ct, tmp_path):
    t = trainer(ct)
    train(t, 20, opened(tmp_path / "run", t, ct))
    with open(tmp_path / "run" / history.HISTORY, "a") as file:
        file.write('{"step": 35, "estimate": 9}\n{"step": 4')
    t = trainer(ct)
    t.load(tmp_path / "run")
    train(t, 40, tmp_path / "run")
    assert [row["step"] for row in history.read_history(tmp_path / "run")] == [20, 40]


def test_history_counts_real_images_and_has_finite_terms(ct, tmp_path):
    t = trainer(ct, "critic_steps=3")
    (row,) = train(t, 10, opened(tmp_path / "run", t, ct))
    assert row["images"] == 10 * 3 * 8
    assert row["critic_loss"] == pytest.approx(10 * row["penalty"] - row["estimate"], abs=1e-3)


def test_losses_that_are_not_finite_stop_at_their_step_and_keep_the_last_state(ct, tmp_path):
    t = trainer(ct)
    folder = opened(tmp_path / "run", t, ct)
    train(t, 20, folder)
    good = weights(folder)
    step, original = 25, t.generator_loss

    def spoilt(batch):
        loss, terms = original(batch)
        spoil = float("nan") if t.step + 1 == step else 1
        return loss * spoil, {name: term * spoil for name, term in terms.items()}

    t.generator_loss = spoilt
    with pytest.raises(UserError, match=f"not finite at step {step}; the last good state is kept"):
        train(t, 40, folder)
    assert weights(folder) == good
    again = trainer(ct)
    again.load(folder)
    assert again.step == 20


def test_weights_that_are_not_finite_are_never_saved(ct, tmp_path):
    t = trainer(ct)
    next(t.D.parameters()).data[0] = float("inf")
    with pytest.raises(UserError, match="a weight is not finite"):
        t.save(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_finishes_the_step_and_saves(ct, tmp_path, number):
    t = trainer(ct)
    folder = opened(tmp_path / "run", t, ct)
    original = t.train_step

    def step_then_signal():
        terms = original()
        if t.step == 7:
            os.kill(os.getpid(), number)
        return terms

    t.train_step = step_then_signal
    with pytest.raises(KeyboardInterrupt, match="step 7"):
        train(t, 40, folder)
    assert checkpoints.load_state(folder)["step"] == 7


def test_a_killed_run_goes_on_from_a_whole_state(tmp_path):
    """SIGKILL at arbitrary moments, then --resume; the end equals a run that was never killed."""
    settings = ["width=4", "batch_size=8", "image_size=32"]
    command = [
        sys.executable,
        "-m",
        "ctgan_utils",
        "train",
        "small",
        "--profile",
        "smoke",
        "--precision",
        "fp32",
    ]
    command += [word for setting in settings for word in ("--set", setting)] + ["--steps", "60", "--out"]
    save_often = (
        "import ctgan_utils.training.trainer as t, ctgan_utils.__main__ as m, sys; t.SAVE_EVERY = 0; "
    )
    often = [sys.executable, "-c", save_often + "sys.exit(m.main(sys.argv[1:]))", *command[3:]]
    for seconds in (0.1, 0.35):
        process = subprocess.Popen([*often, str(tmp_path / "killed"), "--resume"], cwd=REPOSITORY)
        while not (tmp_path / "killed" / checkpoints.STATE).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        process.wait()
    subprocess.run([*often, str(tmp_path / "killed"), "--resume"], cwd=REPOSITORY, check=True)
    subprocess.run([*command, str(tmp_path / "whole")], cwd=REPOSITORY, check=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    logs = [history.read_history(tmp_path / name) for name in ("killed", "whole")]
    for row in (row for log in logs for row in log):
        row.pop("images_per_second")
    assert logs[0] == logs[1]


def test_half_life_of_the_average():
    """Once warmed up, a weight that jumps from 0 to 1 has come half the way after half_life images."""
    G = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(G.weight)
    ema = EMA(G, half_life=64)
    nn.init.ones_(G.weight)
    for _ in range(4):
        ema.update(G, batch_size=16, generated=100_000)
    assert_close(ema.G.weight.item(), 0.5)


def test_the_average_starts_with_the_first_images():
    G = nn.Linear(1, 1, bias=False)
    ema = EMA(G, half_life=10_000)
    nn.init.constant_(G.weight, 7.0)
    ema.update(G, batch_size=8, generated=8)
    assert_close(ema.G.weight.item(), 7.0, rtol=1e-4, atol=0)


def test_the_generator_step_leaves_the_critic_alone(ct):
    t = trainer(ct)
    with frozen(t.D):
        t.generator_loss(t.system.noise(8, t.rng))[0].backward()
    assert all(p.grad is None for p in t.D.parameters())
    assert all(p.grad is not None for p in t.G.parameters())
    assert all(p.requires_grad for p in t.D.parameters())


def test_bf16_keeps_weights_in_float32_and_starts_like_fp32(ct):
    full, half = trainer(ct), trainer(ct, dtype=torch.bfloat16)
    a, b = full.train_step(), half.train_step()
    assert all(p.dtype == torch.float32 for p in half.G.parameters())
    assert_close(b["penalty"], a["penalty"], rtol=0.02, atol=0.02)
    assert_close(b["estimate"], a["estimate"], rtol=0.05, atol=0.02)


@pytest.mark.parametrize("name", [name for name, preset in EXPERIMENTS.items() if preset.thesis])
def test_every_system_learns_a_single_image(ct, name):
    """Shown one slice only, each makes every sample come closer to it, to less than half the distance."""
    fast = ("learning_rate=2e-3", "critic_learning_rate=2e-3", "beta1=0", "beta2=0.9", "critic_steps=1")
    e = get_experiment(name, settings=("image_size=32", "width=8", "batch_size=8", *fast))
    torch.manual_seed(0)
    image = ct.images[:1]
    t = Trainer(e, *e.networks(), {"images": image.repeat(8, 1, 1, 1)})

    def error():
        return (t.samples().float() - image.float()).square().mean((1, 2, 3)).sqrt().max().item()

    before = error()
    for _ in range(350):
        t.train_step()
    assert error() < 0.5 * before


@pytest.mark.parametrize("experiment", ["wgan-conv", "wgan-linear-conv"])
def test_accumulated_gradients_are_those_of_the_whole_batch(ct, experiment):
    """The critic has no batch normalisation, so its step is the same; the generator's is left out here."""
    settings = ("image_size=32", "width=4", "batch_size=8", "critic_steps=1")
    ends = []
    for micro_batch in (0, 2):
        e = get_experiment(experiment, "smoke", (*settings, f"micro_batch={micro_batch}"))
        torch.manual_seed(0)
        t = Trainer(e, *e.networks(), ct.tensors(), seed=0)
        t.G.eval()  # statistics of batch normalisation are those of a micro-batch
        terms = t.descend(t.opt_D, t.critic_loss, t.batches[0] | e.critic_noise(8, t.rng))
        ends.append((terms, [p.grad.clone() for p in t.D.parameters()]))
    assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-6)


def test_a_batch_that_does_not_divide_is_refused(ct):
    with pytest.raises(
        UserError, match="micro_batch=3: it must be 0, or from 2 and a divisor of batch_size=8"
    ):
        trainer(ct, "micro_batch=3")


@pytest.mark.parametrize("slices", [1, 8])
def test_slices_that_are_all_one_train_and_leave_no_nan(ct, tmp_path, slices):
    one = ct[torch.zeros(slices, dtype=torch.int64)]
    t = trainer(one)
    train(t, 40, opened(tmp_path / "run", t, one))
    lines = (tmp_path / "run" / history.HISTORY).read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["step"] for row in rows] == [20, 40]
    assert all("spread" not in row for row in rows)


def test_tensorboard_gets_every_number_of_the_history(ct, tmp_path, monkeypatch):
    written = []

    class Writer:
        def add_scalar(self, name, value, step):
            written.append((name, value, step))

    monkeypatch.setattr(history, "open_tensorboard", lambda folder: Writer())
    t = trainer(ct)
    (row,) = train(t, 20, opened(tmp_path / "run", t, ct), tensorboard=True)
    assert written == [(name, value, 20) for name, value in row.items()]


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="--tensorboard: not installed; pip install tensorboard"):
        history.open_tensorboard(tmp_path)


def test_milestones_are_dense_at_first():
    found = [step for step in range(30_001) if is_milestone(step)]
    assert found == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000]


def test_headless_progress_is_at_most_20_lines(tmp_path):
    code = "import time; from ctgan_utils.runtime import progress\nbar = progress(777, 'x')\nwith bar:\n"
    code += " for _ in range(777): time.sleep(0.001); bar.update()"
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY
    ).stderr
    assert 3 <= len(lines.splitlines()) <= 20
    assert "777/777" in lines


def test_the_config_tells_what_was_trained_on_what(ct, tmp_path):
    t = trainer(ct)
    opened(tmp_path / "run", t, ct)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["experiment"]["settings"]["width"] == 4
    about = {"source": ct.source, "fingerprint": ct.fingerprint, "images": 64, "classes": [*ct.classes]}
    assert config["data"] == about
    assert config["versions"]["torch"]


def test_the_time_of_a_run_leaves_out_a_line_in_which_it_was_held_up():
    """A process that was stopped overnight (Ctrl-Z) shows 0.0 images a second for one line."""
    rows = [{"images": 100, "images_per_second": 50.0}, {"images": 200, "images_per_second": 0.0}]
    rows.append({"images": 300, "images_per_second": 25.0})
    assert history.seconds_of(rows) == 2 + 4

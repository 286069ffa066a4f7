"""Two processes that torchrun starts on this machine, against one."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

from ctgan_utils.runtime import REPOSITORY, UserError, seed_of
from ctgan_utils.systems import get_experiment
from ctgan_utils.training import checkpoints
from ctgan_utils.training.distributed import Worker, share_batch_norm
from ctgan_utils.training.history import read_history
from ctgan_utils.training.trainer import Trainer

SETTINGS = ("image_size=32", "width=4", "batch_size=8", "critic_steps=2")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def command(experiment, steps, folder):
    words = ["train", experiment, "--profile", "smoke", "--precision", "fp32", "--steps", str(steps)]
    return [*words, *(w for s in SETTINGS for w in ("--set", s)), "--out", str(folder)]


def run(*arguments):
    done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def networks(folder):
    return load_file(folder / checkpoints.WEIGHTS)


@pytest.mark.parametrize("experiment", ["small-kernel", "dcgan-b64"])
def test_two_processes_end_with_the_weights_of_one(tmp_path, experiment):
    """Gradient penalty, batch normalisation in G (and D), and EMA: all as if the batch had been whole.

    After few steps: where a gradient is nearly zero, Adam makes a whole step of its rounding error.
    """
    run(sys.executable, "-m", "ctgan_utils", *command(experiment, 3, tmp_path / "one"))
    said = run(*TORCHRUN, "-m", "ctgan_utils", *command(experiment, 3, tmp_path / "two"))
    assert said.count("in 2 processes") == 1
    one, two = networks(tmp_path / "one"), networks(tmp_path / "two")
    for name, tensor in one.items():
        assert_close(two[name], tensor, rtol=2e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def test_a_killed_process_costs_no_more_than_the_last_checkpoint(tmp_path):
    """One of two is killed; torchrun starts both anew, and the end is that of a run without the accident."""
    folder = tmp_path / "killed"
    often = "import ctgan_utils.training.trainer as t, ctgan_utils.__main__ as m, sys, os; t.SAVE_EVERY = 0; "
    often += f"open({str(tmp_path)!r} + '/pid' + os.environ['RANK'], 'w').write(str(os.getpid())); "
    often += "sys.exit(m.main(sys.argv[1:]))"
    arguments = [*TORCHRUN, "--max-restarts", "2", "--no-python", sys.executable, "-c", often]
    process = subprocess.Popen([*arguments, *command("small", 60, folder)], cwd=REPOSITORY)
    while process.poll() is None and len(read_history(folder)) < 1:
        time.sleep(0.02)
    os.kill(int((tmp_path / "pid1").read_text()), signal.SIGKILL)
    assert process.wait() == 0
    run(*TORCHRUN, "-m", "ctgan_utils", *command("small", 60, tmp_path / "whole"))
    assert [row["step"] for row in read_history(folder)] == [20, 40, 60]
    for name, tensor in networks(tmp_path / "whole").items():
        assert torch.equal(networks(folder)[name], tensor), name


def test_shares_are_the_batch_in_order():
    batch = torch.arange(12)
    assert torch.equal(torch.cat([Worker(rank, 3).of(batch) for rank in range(3)]), batch)


def test_the_leader_draws_what_a_single_process_draws_and_others_draw_anew():
    assert seed_of(3, 200, 0) == seed_of(3, 200)
    assert len({seed_of(3, 200, rank) for rank in range(4)}) == 4


@pytest.mark.parametrize("affine", [True, False])  # without: the classes of a conditional one have their own
def test_shared_batch_normalisation_of_one_process_is_pytorchs(affine):
    plain, shared = nn.BatchNorm2d(3, affine=affine), nn.BatchNorm2d(3, affine=affine)
    share_batch_norm(shared)
    x = torch.randn(8, 3, 5, 5)
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        assert_close(shared(x), plain(x))
    finally:
        torch.distributed.destroy_process_group()
    assert_close(dict(shared.named_buffers()), dict(plain.named_buffers()))
    assert_close(shared.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("experiment", ["progressive", "style", "cycle"])
def test_what_several_processes_can_not_share_is_refused_in_one_line(experiment):
    system = get_experiment(experiment, "smoke")
    with pytest.raises(UserError, match=f"{experiment}: its networks can't be shared by several processes"):
        Trainer(system, nn.Identity(), nn.Identity(), {}, worker=Worker(0, 2))

"""Which device and which precision are chosen, and that noise is the CPU's on every device."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from ctgan_utils import data
from ctgan_utils.__main__ import main
from ctgan_utils.runtime import REPOSITORY, UserError, choose_device, choose_precision
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.trainer import Trainer


def machine(monkeypatch, cuda=False, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda"), (True, True, "cuda")],
)
def test_auto_takes_the_gpu_there_is(monkeypatch, cuda, mps, chosen):
    machine(monkeypatch, cuda, mps)
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    assert choose_device().type == chosen
    assert choose_device("cpu").type == "cpu"
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.benchmark = before[1]


@pytest.mark.parametrize(("name", "kind"), [("cuda", "CUDA device"), ("mps", "Apple GPU")])
def test_a_gpu_that_is_not_there_is_one_line(monkeypatch, capsys, name, kind):
    machine(monkeypatch)
    with pytest.raises(UserError, match=f"--device {name}: no {kind} is visible here; leave the option out"):
        choose_device(name)
    assert main(["train", "small", "--device", name, "--dry-run"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_precision_follows_the_device(monkeypatch):
    assert choose_precision("auto", torch.device("mps")) == torch.float32
    assert choose_precision("bf16", torch.device("mps")) == torch.bfloat16


@pytest.mark.parametrize(("generation", "dtype"), [(8, torch.bfloat16), (7, torch.float32)])
def test_a_gpu_that_only_emulates_bf16_works_in_fp32(monkeypatch, generation, dtype):
    """Colab's T4 is of generation 7.5; PyTorch says that it supports bf16, and emulates it."""
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=generation))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    assert choose_precision("auto", torch.device("cuda")) == dtype


def test_operations_that_an_apple_gpu_lacks_fall_back():
    """PyTorch reads the variable when it is imported, so the package sets it first."""
    code = "import ctgan_utils, sys, os; assert 'torch' not in sys.modules; "
    code += "assert os.environ['PYTORCH_ENABLE_MPS_FALLBACK'] == '1'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_noise_is_drawn_on_the_cpu_whatever_the_device():
    """A run's random state is a CPU generator's, so that a seed means the same latents on every device."""
    ct = data.load_phantom(64, 32, seed=0)
    s = get_experiment("small", "smoke", ["image_size=32"])
    t = Trainer(s, *s.networks(), ct.tensors(), seed=3)
    assert t.rng.device.type == "cpu"
    noise = s.critic_noise(5, t.rng)
    expected = torch.Generator().manual_seed(3)
    assert torch.equal(noise["z"], torch.randn(5, 128, generator=expected))
    assert torch.equal(noise["epsilon"], torch.rand(5, 1, 1, 1, generator=expected))

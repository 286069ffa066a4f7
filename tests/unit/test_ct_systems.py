"""The systems of systems/ct.py against closed forms of Huang et al. 2024, and what their networks promise."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.networks.critics import WaveletCritic
from ctgan_utils.networks.generators import WaveletGenerator, grain_dim
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.trainer import Trainer


class Linear(nn.Module):
    """C(x) = <w, x>: its squared slope is |w|^2 everywhere."""

    def __init__(self, weights):
        super().__init__()
        self.w = nn.Parameter(weights)

    def forward(self, x):
        return (x * self.w).sum((1, 2, 3))


class Constant(nn.Module):
    z_dim = 128

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, z, grain):
        return self.value.expand(len(z), 1, 8, 8)


@pytest.fixture
def batch():
    return {"images": torch.full((6, 1, 8, 8), 0.5), "z": torch.randn(6, 128), "grain": None, "step": 0}


def test_both_losses_and_both_penalties_are_those_of_the_equations(batch):
    s = get_experiment("ct-64", settings=["gamma=3", "penalty_every=1", "horizon=0", "augmentation=0"])
    w = torch.randn(1, 8, 8) / 8
    D, G = Linear(w), Constant(-0.25)
    gap = 0.75 * w.sum()  # C(x) - C(G(z))
    loss, terms = s.critic_loss(G, D, batch)
    assert_close(terms["estimate"], gap)
    assert_close(loss, softplus(-gap) + 3 / 2 * 2 * w.square().sum())
    assert_close(s.generator_loss(G, D, batch)[0], softplus(gap))


def test_a_penalty_every_k_th_step_weighs_k_times_as_much(batch):
    s = get_experiment("ct-64", settings=["gamma=3", "penalty_every=4", "horizon=0", "augmentation=0"])
    D, G = Linear(torch.ones(1, 8, 8)), Constant(0.5)
    losses = [s.critic_loss(G, D, batch | {"step": step})[0].item() for step in range(8)]
    plain = math.log(2)
    assert losses == pytest.approx([plain + 4 * 3 * 64, plain, plain, plain] * 2, rel=1e-5)


def test_the_generator_learns_nothing_about_real_images_from_its_loss(batch):
    """Gradients reach the generator alone: the scores of real images are constants to it."""
    s = get_experiment("ct-64")
    D, G = Linear(torch.ones(1, 8, 8)), Constant(0.0)
    batch["images"].requires_grad_(True)
    s.generator_loss(G, D, batch)[0].backward()
    assert G.value.grad < 0  # brighter scores higher
    assert batch["images"].grad is None


def test_rates_and_gamma_fall_over_the_horizon():
    s = get_experiment("ct-64", settings=["horizon=64000", "batch_size=64", "gamma=1", "gamma_end=0.01"])
    assert s.rate(0) == s.rate(300) == 1
    assert s.rate(650) == pytest.approx(0.55)
    assert s.rate(1000) == s.rate(5000) == pytest.approx(0.1)
    assert [s.gamma_at(step) for step in (0, 250, 500, 900)] == pytest.approx([1, 0.1, 0.01, 0.01])
    steady = get_experiment("ct-64", settings=["horizon=0"])
    assert (steady.rate(10**6), steady.gamma_at(10**6)) == (1, steady.gamma)


def test_the_optimisers_take_the_rate_of_the_step():
    ct = data.load_phantom(64, 32, seed=0)
    settings = ["image_size=32", "horizon=32", "learning_rate=1e-3"]
    s = get_experiment("ct-64", "smoke", settings)
    t = Trainer(s, *s.networks(), ct.tensors())
    seen = []
    for _ in range(6):
        t.train_step()
        seen.append(t.opt_G.param_groups[0]["lr"])
    assert seen == pytest.approx([1e-3 * s.rate(step) for step in range(6)])
    assert seen[-1] == pytest.approx(1e-4)


def test_both_networks_suit_the_size_that_is_asked():
    for size in (8, 32, 64, 128):
        images = WaveletGenerator(size, 5, 4)(torch.zeros(2, 5), torch.zeros(2, grain_dim(size)))
        assert images.shape == (2, 1, size, size)
        assert WaveletCritic(size, 3)(images).shape == (2,)
    assert grain_dim(64) == 2 * (8**2 + 16**2 + 32**2)


def test_an_image_follows_from_its_own_noise_however_many_are_drawn():
    s = get_experiment("ct-64", "smoke")
    few, many = (s.noise(n, torch.Generator().manual_seed(4)) for n in (3, 7))
    for name in ("z", "grain"):
        assert torch.equal(few[name], many[name][:3])
    assert abs(few["grain"].std().item() - 1) < 0.05


def test_grain_counts_only_as_much_as_has_been_learnt():
    """A fresh generator makes the same images of any grain; afterwards each map changes them."""
    torch.manual_seed(0)
    G = WaveletGenerator(32, 5, 4).eval()
    z, grain = torch.randn(2, 5), torch.randn(2, grain_dim(32))
    without = G(z, torch.zeros_like(grain))
    assert torch.equal(G(z, grain), without)
    for block in G.blocks:
        for part in block.grain:
            torch.nn.init.constant_(part.strength, 0.5)
    assert_close(G(z, torch.zeros_like(grain)), without)
    for place in (0, 8 * 8, 2 * 8 * 8, grain_dim(32) - 1):  # one number in each of the maps of both blocks
        alone = torch.zeros_like(grain)
        alone[:, place] = 3
        assert (G(z, alone) - without).abs().max() > 1e-6


def test_every_parameter_gets_a_gradient():
    s = get_experiment("ct-64", "smoke")
    G, D = s.networks()
    batch = {"images": torch.randn(4, 1, 64, 64), "step": 0, **s.noise(4, torch.Generator().manual_seed(0))}
    s.critic_loss(G, D, batch)[0].backward()
    assert all(p.grad is not None for p in D.parameters())
    assert all(p.grad is None for p in G.parameters())
    s.generator_loss(G, D, batch)[0].backward()
    assert all(p.grad.abs().sum() > 0 for p in G.parameters())

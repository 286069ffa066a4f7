"""The averaged generator, and the statistics of its batch normalisation."""

import torch
from torch import nn
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.sampling import load_generator
from ctgan_utils.systems import System, get_experiment
from ctgan_utils.training import checkpoints
from ctgan_utils.training.ema import recompute_batch_norm
from ctgan_utils.training.runs import new_trainer
from ctgan_utils.training.trainer import train


class Normalised(nn.Module):
    """G(z) = BN(A z) as one-pixel images: what BN should remember is known."""

    z_dim = 4

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, z):
        return self.norm(self.linear(z)[:, :, None, None])


def test_statistics_are_those_of_the_networks_own_inputs():
    G = Normalised().eval()
    G.norm.running_mean.fill_(1e3)
    recompute_batch_norm(G, System(z_dim=4), n=256 * 64)
    A, b = G.linear.weight, G.linear.bias
    assert_close(G.norm.running_mean, b.detach(), atol=0.05, rtol=0)
    assert_close(G.norm.running_var, A.square().sum(1).detach(), atol=0, rtol=0.05)
    assert not G.training
    assert G.norm.momentum == 0.1


def test_they_follow_from_weights_and_seed_alone():
    G = Normalised()
    found = []
    for filler in (0.0, 5.0):
        G.norm.running_mean.fill_(filler)
        torch.randn(7)  # the global state does not matter
        recompute_batch_norm(G, System(z_dim=4))
        found.append(G.norm.running_mean.clone())
    assert torch.equal(*found)


def test_with_statistics_of_its_own_the_average_makes_what_its_weights_are_made_for(tmp_path):
    """After few fast steps the raw network's statistics lie far off those of G_ema.

    The measure is what G_ema makes in training mode, where each batch is normalised by itself.
    """
    ct = data.load_phantom(64, 32, seed=0)
    fast = ["learning_rate=5e-3", "critic_learning_rate=5e-3"]
    s = get_experiment("small", "smoke", ["image_size=32", "width=8", *fast])
    t = new_trainer(s, ct, dtype=torch.float32)
    with checkpoints.run_folder(tmp_path / "run", s, ct, 0):
        pass
    train(t, 40, tmp_path / "run")
    G, _ = load_generator(tmp_path / "run")
    noise = s.noise(256, torch.Generator().manual_seed(5))
    with torch.no_grad():
        aim = s.generate(G.train(), noise)
    G, _ = load_generator(tmp_path / "run")
    settled = s.generate(G, noise)
    for own, raw in zip(G.buffers(), t.G.buffers()):
        own.copy_(raw)
    copied = s.generate(G, noise)
    assert (settled - aim).square().mean() < 0.2 * (copied - aim).square().mean()

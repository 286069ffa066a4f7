"""What each choice of the engine is worth: a step of ct-64 with and without it, alternating in this one run.

    python tests/benchmarks/engine.py

Prints, for each choice, the medians of both and their ratio. All but the last are on one thread.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

from ctgan_utils import data, losses
from ctgan_utils.networks import blocks
from ctgan_utils.runtime import choose_precision
from ctgan_utils.systems import get_experiment
from ctgan_utils.systems.ct import RelativisticGAN
from ctgan_utils.training.runs import new_trainer

REPEATS, SIGMA = 5, 0.05


class EnlargedFirst(blocks.ResizeConvolution):
    """The same result as two steps: the map is enlarged, then convolved."""

    def forward(self, x):
        return functional.conv2d(functional.interpolate(x, scale_factor=2), self.weight, self.bias, padding=1)


@dataclass(frozen=True)
class Enlarging(RelativisticGAN):
    def networks(self):
        G, D = super().networks()
        for module in G.modules():
            if isinstance(module, blocks.ResizeConvolution):
                module.__class__ = EnlargedFirst
        return G, D


class ToPixels(nn.Module):
    """The end of ct-64's generator: Haar coefficients, and from these the image."""

    def __init__(self, width):
        super().__init__()
        self.coefficients = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x):
        return blocks.inverse_haar(self.coefficients(x).float())


def full_size(width):
    """What would stand there otherwise: a block at the image's size, and its image."""
    up = blocks.ResizeConvolution(width, width, bias=False)
    return nn.Sequential(up, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))


@dataclass(frozen=True)
class Together(RelativisticGAN):
    """The critic sees real and generated images as one batch."""

    def critic_loss(self, G, D, batch):
        with torch.no_grad():
            both = torch.cat([batch["images"], self.generate(G, batch)])
        real_scores, fake_scores = D(both).chunk(2)
        loss, terms = losses.relativistic(real_scores, fake_scores), {}
        if batch["step"] % self.penalty_every == 0:
            terms = {"slopes": 2 * losses.squared_slope(D, both)}
            loss = loss + self.penalty_every * self.gamma_at(batch["step"]) / 2 * terms["slopes"]
        return loss, terms


def difference_slope(critic, images):
    """squared_slope without a second derivative: the mean of ((C(x + s u) - C(x)) / s)^2, u normal."""
    moved = images + SIGMA * torch.randn_like(images)
    return ((critic(moved) - critic(images)) / SIGMA).square().mean()


@dataclass(frozen=True)
class Differences(RelativisticGAN):
    def critic_loss(self, G, D, batch):
        with torch.no_grad():
            real, fake = batch["images"], self.generate(G, batch)
        loss = losses.relativistic(D(real), D(fake))
        slopes = difference_slope(D, real) + difference_slope(D, fake)
        return loss + self.gamma / 2 * slopes, {}


def seconds(trainer, steps):
    begun = time.perf_counter()
    for _ in range(steps):
        trainer.train_step()
    trainer.opt_D.param_groups[0]["params"][0].sum().item()  # waits for a device
    return (time.perf_counter() - begun) / (steps * trainer.system.batch_size)


def compare(what, system, other, ct, steps=8):
    """Images a second of two systems, in turn; a whole round of the lazy penalty each time."""
    trainers = [new_trainer(s, ct) for s in (system, other)]
    for trainer in trainers:
        seconds(trainer, steps)
    times = [[seconds(trainer, steps) for trainer in trainers] for _ in range(REPEATS)]
    with_it, without = (1 / statistics.median(t) for t in zip(*times))
    print(f"{what},{with_it:.1f},{without:.1f},{with_it / without:.2f}", flush=True)


def compare_modules(what, first, second, shape):
    """Images a second, forward and backward, through two networks for maps of the same shape, in turn."""
    networks = [network.to(memory_format=torch.channels_last) for network in (first, second)]
    x = torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_(True)
    times = []
    for _ in range(REPEATS + 1):
        begun = [time.perf_counter()]
        for network in networks:
            with torch.autocast("cpu", choose_precision("auto", torch.device("cpu"))):
                network(x).sum().backward()
            begun.append(time.perf_counter())
        times.append([(after - before) / len(x) for before, after in zip(begun, begun[1:])])
    with_it, without = (1 / statistics.median(t) for t in zip(*times[1:]))
    print(f"{what},{with_it:.0f},{without:.0f},{with_it / without:.2f}", flush=True)


def runs_side_by_side():
    """Images a second: two runs on one thread each, and one run on two threads."""
    run = (
        "import sys, torch; sys.path.insert(0, 'tests/benchmarks'); torch.set_num_threads(int(sys.argv[1]));"
    )
    run += "import engine; print(engine.alone())"

    def rates(threads, processes):
        command = [sys.executable, "-c", run, str(threads)]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
        return sum(float(process.communicate()[0]) for process in started)

    found = [(rates(1, 2), rates(2, 1)) for _ in range(3)]
    two, one = (statistics.median(rate) for rate in zip(*found))
    print(f"two runs on a thread each in place of one on two,{two:.1f},{one:.1f},{two / one:.2f}", flush=True)


def alone(rounds=6):
    trainer = new_trainer(get_experiment("ct-64", "lesson"), data.load("phantom", 64, phantoms=500))
    seconds(trainer, 8)
    return 1 / statistics.median(seconds(trainer, 8) for _ in range(rounds))


def main():
    torch.set_num_threads(1)
    ct = data.load("phantom", 64, phantoms=500)
    base = get_experiment("ct-64", "lesson")
    settings = {"width": base.width, "batch_size": base.batch_size}
    print(f"choice ({choose_precision('auto', torch.device('cpu'))}),images/s with,without,ratio")
    compare("resize convolution in one step", base, Enlarging("enlarging", **settings), ct)
    for side in (4, 16, 32):
        pair = (kind(64, 32, bias=False) for kind in (blocks.ResizeConvolution, EnlargedFirst))
        compare_modules(f"the same for one from {side}x{side}", *pair, (32, 64, side, side))
    ends = ToPixels(base.width), full_size(base.width)
    compare_modules("Haar coefficients for a block at full size", *ends, (32, base.width, 32, 32))
    each = replace(base, penalty_every=1)
    compare("penalty every 8th step", base, each, ct)
    compare(
        "finite difference at every step", Differences("d", **settings), replace(base, penalty_every=1), ct
    )
    compare("one pass over real and generated", Together("together", **settings), base, ct)
    runs_side_by_side()


if __name__ == "__main__":
    main()

"""Training steps: our engine against a loop written as the well-known tutorials write it, in this one run.

    python tests/benchmarks/training.py [DIR]

The plain loop keeps float32 and PyTorch's default memory layout, decodes its images from files with
torchvision and a DataLoader of two workers, and asks for the value of each loss at each step. A second one
computes in our engine's precision from images in memory. Networks, batches and objective are the same.
Minutes on two cores; without DIR, the files are 500 phantoms of 256x256.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader
from torch.utils.flop_counter import flop_registry
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ctgan_utils import data, phantom
from ctgan_utils.data.image_files import write_images
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.runs import new_trainer

NAMES, REPEATS = ("dcgan-b64", "small", "large-v2-z128"), 3


class PlainLoop:
    """One optimiser step after another, and everything where it is simplest."""

    def __init__(self, e, folder):
        self.e = e
        torch.manual_seed(0)
        self.G, self.D = e.networks()
        betas = e.beta1, e.beta2
        self.opt_G = torch.optim.Adam(self.G.parameters(), e.learning_rate, betas)
        self.opt_D = torch.optim.Adam(self.D.parameters(), e.critic_learning_rate, betas)
        steps = [transforms.Grayscale(), transforms.Resize((e.image_size, e.image_size))]
        steps += [transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
        images = ImageFolder(folder, transforms.Compose(steps))
        self.loader = DataLoader(images, e.batch_size, shuffle=True, num_workers=2, drop_last=True)
        self.batches, self.rng = iter(()), torch.Generator()

    def next_batch(self):
        try:
            return next(self.batches)[0]
        except StopIteration:
            self.batches = iter(self.loader)
            return next(self.batches)[0]

    def train_step(self):
        n, losses = self.e.batch_size, []
        for _ in range(self.e.critic_steps):
            real = self.next_batch()
            batch = {"images": real, **self.e.critic_noise(n, self.rng)}
            self.opt_D.zero_grad()
            loss, _ = self.e.critic_loss(self.G, self.D, batch)
            loss.backward()
            self.opt_D.step()
            losses.append(loss.item())
        self.opt_G.zero_grad()
        loss, _ = self.e.generator_loss(self.G, self.D, self.e.noise(n, self.rng))
        loss.backward()
        self.opt_G.step()
        losses.append(loss.item())


class PlainLoopInMemory(PlainLoop):
    """The same loop on images that are in memory as float32, in a precision that is given."""

    def __init__(self, e, folder, images, dtype):
        super().__init__(e, folder)
        self.images, self.dtype = images.float() / 127.5 - 1, dtype

    def next_batch(self):
        return self.images[torch.randint(len(self.images), (self.e.batch_size,))]

    def train_step(self):
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            super().train_step()


class CountFlops(TorchDispatchMode):
    """Adds up the operations of convolutions and products. FlopCounterMode can not take autograd.grad."""

    flops = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function._overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        return out


def seconds(action):
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def matmul_rate(dtype, size=4096):
    """Multiplications a second of the machine's own matrix product, the best of five."""
    a, b = torch.randn(2, size, size).to(dtype)
    return size**3 / min(seconds(lambda: a @ b) for _ in range(5))


def compare(name, profile, folder, slices):
    e = get_experiment(name, profile)
    ct = data.load(folder, e.image_size)
    ours, plain = new_trainer(e, ct), PlainLoop(e, slices)
    with CountFlops() as counter:
        ours.train_step()["critic_loss"].item()
    multiplications = counter.flops / 2
    loops = [plain, PlainLoopInMemory(e, slices, ct.images, ours.dtype), ours]
    for loop in loops:
        loop.train_step()
    times = [[seconds(loop.train_step) for loop in loops] for _ in range(REPEATS)]
    slow, middle, fast = (statistics.median(t) for t in zip(*times))
    images = e.critic_steps * e.batch_size
    share = multiplications / fast / matmul_rate(ours.dtype)
    print(
        f"{name:14} {profile:6} {images / fast:7.1f} against {images / slow:6.1f} images/s:"
        f" {slow / fast:.1f} x; {middle / fast:.1f} x a plain loop of the same precision, in memory;"
        f" {fast:.2f} s a step, {share:.0%} of the rate of a matrix product ({ours.dtype})",
        flush=True,
    )


def linear_cost(steps=30):
    """Steps a second of the Small GAN of a lesson on sets of three sizes."""
    e = get_experiment("small", "lesson")
    for n in (500, 2_000, 8_000):
        trainer = new_trainer(e, data.load("phantom", 64, phantoms=n))
        trainer.train_step()
        rates = [1 / seconds(trainer.train_step) for _ in range(steps)]
        print(f"{n:5,} slices: {statistics.median(rates):.2f} steps/s", flush=True)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = sys.argv[1] if len(sys.argv) > 1 else temporary
        if folder == temporary:
            drawn = phantom.generate(500, 256)
            write_images(folder, drawn.images, [f"slices/{k:04d}.png" for k in range(500)])
        for profile in ("lesson", "thesis"):
            for name in NAMES:
                compare(name, profile, folder, Path(folder))
    linear_cost()


if __name__ == "__main__":
    main()

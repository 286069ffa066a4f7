"""ProGAN (Karras, Aila, Laine and Lehtinen 2018): both networks grow from 8x8 to the image's size.

At first they see the slices at 8x8 only, where a few weights decide where a body ends. Then layers for the
next size are faded in, and trained, and so on. The layers, the loss (Wasserstein with gradient penalty, and a
small pull of the scores towards 0), the rates and the schedule are the paper's. Smaller are the networks and
the sizes, and in a lesson the phases, with higher rates; batches have one size throughout, and Adam keeps its
moments when a size is added.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ctgan_utils.losses import critic_estimate, gradient_penalty
from ctgan_utils.networks.progressive import ProgressiveCritic, ProgressiveGenerator, at_growth
from ctgan_utils.systems.base import LONGEST_RUN, Batch, Networks, Override, Preset, Rule, System, Terms


@dataclass(frozen=True)
class ProgressiveGAN(System):
    """Wasserstein with gradient penalty and drift, on networks that grow."""

    phase: int = (
        600_000  # real images for which a size is faded in, and again as many for which it is trained
    )
    first_side: int = 8  # pixels a side at the beginning
    gradient_penalty: float = 10.0
    drift: float = 1e-3  # weight of the mean squared score of real images
    batch_size: int = 16
    learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    beta1: float = 0.0
    beta2: float = 0.99

    divisible: ClassVar[bool] = False  # layers that have not grown yet have no part in a loss

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("phase", 1, LONGEST_RUN)
        sides = [4 << k for k in range(7) if 4 << k <= self.image_size]
        yield "first_side", self.first_side in sides, f"one of {', '.join(map(str, sides))}"
        yield "gradient_penalty", self.gradient_penalty >= 0, "at least 0"
        yield "drift", self.drift >= 0, "at least 0"

    def networks(self) -> Networks:
        G = ProgressiveGenerator(self.image_size, self.z_dim, self.width)
        return G, ProgressiveCritic(self.image_size, self.width)

    def grown_at(self, step: int) -> float:
        """Doublings from 4x4 at a step: whole while a size is trained, between two while one is faded in.

        The first size is trained for one phase; every other one is faded in for one and trained for one.
        """
        first, last = (math.log2(side // 4) for side in (self.first_side, self.image_size))
        phases = step * self.critic_steps * self.batch_size / self.phase - 1
        added, part = divmod(max(0.0, phases), 2)
        return min(last, first + added + min(1.0, part))

    def before_step(self, G: nn.Module, D: nn.Module, step: int) -> None:
        for network in (G, D):
            network.grown.fill_(self.grown_at(step))  # type: ignore[union-attr, operator]

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        """Images at the full size, whatever the generator has grown to."""
        return interpolate(self.made(G, batch), size=self.image_size, mode="nearest")

    def made(self, G: nn.Module, batch: Batch) -> Tensor:
        """Images at the size that the generator has grown to."""
        return G(batch["z"])

    def seen(self, G: nn.Module, batch: Batch) -> Tensor:
        """Real images as they are at the size that the generator has grown to."""
        return at_growth(batch["images"], float(G.grown))  # type: ignore[arg-type]

    def critic_noise(self, n: int, rng: torch.Generator) -> Batch:
        return {**self.noise(n, rng), "epsilon": torch.rand(n, 1, 1, 1, generator=rng)}

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            real, fake = self.seen(G, batch), self.made(G, batch)
        real_scores, fake_scores = D(real), D(fake)
        estimate = critic_estimate(real_scores, fake_scores)
        penalty = gradient_penalty(D, torch.lerp(fake, real, batch["epsilon"]))
        loss = self.gradient_penalty * penalty - estimate + self.drift * real_scores.square().mean()
        return loss, {"estimate": estimate, "penalty": penalty}

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        return -D(self.made(G, batch)).mean(), {}

    def layout(self) -> dict[str, Any]:
        return {"objective": "wgan-gp"}


OVERRIDES = {
    "smoke": (Override({}, {"batch_size": 8, "phase": 8}),),
    # short phases want faster rates: at the paper's, a run of an hour ends before a kidney is seen
    "lesson": (
        Override(
            {},
            {
                "width": 8,
                "phase": 5_000,
                "learning_rate": 3e-3,
                "critic_learning_rate": 3e-3,
                "ema_half_life": 1_500,
            },
        ),
    ),
}

PRESETS = (Preset(ProgressiveGAN("progressive"), overrides=OVERRIDES),)

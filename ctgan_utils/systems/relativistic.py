"""A relativistic GAN with both zero-centred penalties: the objective of Huang et al. 2024 ("R3GAN").

Its loss compares each generated image with a real one, so that the generator can't win by moving to one spot
that the critic has not yet learnt to reject; R1 and R2 keep the critic's slope small on real and on generated
images, so that training settles (section 2). The networks are ours, not those of that paper: a wide stem and
resize convolutions with the thesis' interpolated additions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctgan_utils.losses import critic_estimate, relativistic, squared_slope
from ctgan_utils.networks.blocks import initialise_he
from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.generators import ResizeGenerator
from ctgan_utils.systems.base import (
    LONGEST_RUN,
    WIDEST,
    Batch,
    Networks,
    Override,
    Preset,
    Rule,
    System,
    Terms,
)

RAREST_PENALTY = 1_000  # steps: rarer and as many times heavier, each would throw the critic off its course


@dataclass(frozen=True)
class RelativisticGAN(System):
    """softplus of differences of scores, R1 and R2 every few steps, everything annealed over a horizon."""

    critic_width: int = 40  # channels of the critic's first layer
    gamma: float = 1.0  # weight of R1 and R2 at the start
    gamma_end: float = 0.1  # and from half of the horizon on
    penalty_every: int = 8  # steps between penalties, each that many times as heavy (Karras 2020)
    horizon: int = 600_000  # real images over which rates fall by a cosine to a tenth; 0 for never
    learning_rate: float = 5e-4
    critic_learning_rate: float = 5e-4
    beta1: float = 0.0
    beta2: float = 0.99
    ema_half_life: int = 20_000

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("critic_width", 1, WIDEST)
        yield "gamma", self.gamma > 0, "above 0"
        yield "gamma_end", self.gamma_end > 0, "above 0"
        yield self.within("penalty_every", 1, RAREST_PENALTY)
        yield self.within("horizon", 0, LONGEST_RUN)

    def networks(self) -> Networks:
        G = ResizeGenerator(self.image_size, self.z_dim, self.width)
        return G, ConvCritic(self.image_size, self.critic_width).apply(initialise_he)

    def passed(self, step: int) -> float:
        """The share of the horizon that is behind a step, from 0 to 1."""
        seen = step * self.critic_steps * self.batch_size
        return min(1.0, seen / self.horizon) if self.horizon else 0.0

    def rate(self, step: int) -> float:
        """1 for three tenths of the horizon, then along a cosine down to a tenth."""
        late = max(0.0, (self.passed(step) - 0.3) / 0.7)
        return 0.1 + 0.9 * (1 + math.cos(math.pi * late)) / 2

    def gamma_at(self, step: int) -> float:
        """The weight of R1 and R2 at a step: falls exponentially over the first half of the horizon."""
        return self.gamma * (self.gamma_end / self.gamma) ** min(1.0, 2 * self.passed(step))

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        real = batch["images"]
        with torch.no_grad():
            fake = self.generate(G, batch)
        real_scores, fake_scores = D(real), D(fake)
        loss = relativistic(real_scores, fake_scores)
        terms = {"estimate": critic_estimate(real_scores, fake_scores)}
        if batch["step"] % self.penalty_every == 0:
            terms |= {"R1": squared_slope(D, real), "R2": squared_slope(D, fake)}
            loss = loss + self.penalty_every * self.gamma_at(batch["step"]) / 2 * (terms["R1"] + terms["R2"])
        return loss, terms

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            real_scores = D(batch["images"])
        return relativistic(D(self.generate(G, batch)), real_scores), {}

    def layout(self) -> dict[str, Any]:
        return {"objective": "relativistic"}


PRESETS = (
    Preset(
        RelativisticGAN("relativistic"),
        overrides={
            "smoke": (Override({}, {"batch_size": 8, "critic_width": 2}),),
            "lesson": (Override({}, {"width": 64}),),  # it is made for two CPU cores as it is
        },
    ),
)

"""ct-64 and ct-128: the best generators of slices that this course can make, by any method.

Each part answers a fault that slices of the Small GAN show (notebook 14).

- A wide stem: through the 16 numbers of the thesis' stem, the anatomy of a patient does not fit.
- Resize convolutions, which make no checkerboard.
- Haar wavelets at both ends: fine detail stands in channels of its own, and the end of the generator costs a
  sixth of a block at full size (data/results/engine_choices.csv).
- A residual convolution in each block, which refines what the first has made.
- Grain: noise at each block, so that what differs by chance need not be learnt as a function of z.
- A relativistic loss: each generated image is compared with a real one, so that the generator can't win by
  moving to one spot that the critic has not yet learnt to reject.
- R1 and R2: the critic's slope stays small on real and on generated images, so that training settles.
- Batches of 32: twice as many steps for the same images.
- Augmentation: the critic is shown each slice otherwise every time, so that it can't learn them by heart.

The loss with both penalties is that of Huang et al. 2024 ("R3GAN", section 2); the networks are ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctgan_utils import latents
from ctgan_utils.losses import critic_estimate, relativistic, squared_slope
from ctgan_utils.networks.augmentation import augment
from ctgan_utils.networks.critics import WaveletCritic
from ctgan_utils.networks.generators import WaveletGenerator, grain_dim
from ctgan_utils.systems.base import WIDEST, Batch, Networks, Override, Preset, Rule, System, Terms

RAREST_PENALTY = 1_000  # steps: rarer and as many times heavier, each would throw the critic off its course


@dataclass(frozen=True)
class RelativisticGAN(System):
    """softplus of differences of scores, R1 and R2 every few steps, everything annealed over a horizon."""

    critic_width: int = 48  # channels of the critic's first layer
    gamma: float = 1.0  # weight of R1 and R2 at the start
    gamma_end: float = 0.1  # and from half of the horizon on
    penalty_every: int = 8  # steps between penalties, each that many times as heavy (Karras 2020)
    augmentation: float = 0.0  # probability of each kind of change to what the critic sees
    batch_size: int = 32
    learning_rate: float = 5e-4
    critic_learning_rate: float = 5e-4
    beta1: float = 0.0
    beta2: float = 0.99
    horizon: int = 500_000

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("critic_width", 1, WIDEST)
        yield "gamma", self.gamma > 0, "above 0"
        yield "gamma_end", self.gamma_end > 0, "above 0"
        yield self.within("penalty_every", 1, RAREST_PENALTY)
        yield "augmentation", 0 <= self.augmentation < 1, "from 0 to below 1"

    def networks(self) -> Networks:
        G = WaveletGenerator(self.image_size, self.z_dim, self.width)
        return G, WaveletCritic(self.image_size, self.critic_width)

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        """z, which decides what is shown, and the grain, which decides what differs by chance."""
        parts = [self.z_dim, grain_dim(self.image_size)]
        z, grain = latents.normal(n, sum(parts), rng).split(parts, dim=1)
        return {"z": z, "grain": grain}

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        return G(batch["z"], batch["grain"])

    def gamma_at(self, step: int) -> float:
        """The weight of R1 and R2 at a step: falls exponentially over the first half of the horizon."""
        return self.gamma * (self.gamma_end / self.gamma) ** min(1.0, 2 * self.passed(step))

    def judge(self, D: nn.Module, batch: Batch) -> Callable[[Tensor], Tensor]:
        """The critic as a function from images to scores, told whatever a batch has to tell it."""
        return D

    def shown(self, images: Tensor) -> Tensor:
        """What the critic sees of images."""
        return augment(images, self.augmentation) if self.augmentation else images

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            real, fake = self.shown(batch["images"]), self.shown(self.generate(G, batch))
        C = self.judge(D, batch)
        real_scores, fake_scores = C(real), C(fake)
        loss = relativistic(real_scores, fake_scores)
        terms = {"estimate": critic_estimate(real_scores, fake_scores)}
        if batch["step"] % self.penalty_every == 0:
            terms |= {"R1": squared_slope(C, real), "R2": squared_slope(C, fake)}
            loss = loss + self.penalty_every * self.gamma_at(batch["step"]) / 2 * (terms["R1"] + terms["R2"])
        return loss, terms

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        C = self.judge(D, batch)
        with torch.no_grad():
            real_scores = C(self.shown(batch["images"]))
        return relativistic(C(self.shown(self.generate(G, batch))), real_scores), {}

    def layout(self) -> dict[str, Any]:
        return {"objective": "relativistic"}


OVERRIDES = {
    "smoke": (Override({}, {"batch_size": 8, "critic_width": 2}),),
    "lesson": (Override({}, {"width": 32}),),  # they are made for two CPU cores as they are
}

PRESETS = (
    Preset(RelativisticGAN("ct-64", width=32, augmentation=0.4), overrides=OVERRIDES),
    Preset(
        RelativisticGAN("ct-128", image_size=128, width=32, critic_width=24, augmentation=0.4),
        overrides=OVERRIDES,
    ),
)

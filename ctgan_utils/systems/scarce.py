"""scarce: a small class-conditional GAN for few patients, on which ways to slow overfitting are compared.

The generator is DCGAN's, told the class by its normalisation; the critic is that of `conditional`, narrower.
The loss is that of StyleGAN2, with which Karras 2020 trains: non-saturating, with R1 every 16 steps. What the
critic is shown can be changed at random, real and generated images alike:

    policy=diffaugment                  always: DiffAugment (Zhao 2020)
    policy=diffaugment, target=0.6      as often as the critic overfits: the controller of Karras 2020, which
                                        drives the changes of DiffAugment in place of that paper's own
    policy=flips, probability=0.5       left and right exchanged in half of the images: an example that leaks
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ctgan_utils.losses import critic_estimate, squared_slope
from ctgan_utils.networks.augmentation import POLICIES, AdaptiveProbability, apply_policy
from ctgan_utils.networks.conditional import ConditionalGenerator, ProjectionWaveletCritic
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
from ctgan_utils.systems.ct import RAREST_PENALTY
from ctgan_utils.systems.told import Told

ADJUST_EVERY = 4  # steps between two of the adaptive probability (Karras 2020, section 3)


@dataclass(frozen=True)
class ScarceGAN(Told, System):
    """The non-saturating loss with R1; `policy` says how the critic's images are changed."""

    classes: int = 4  # of the data: CT KIDNEY and the phantom have four
    critic_width: int = 16  # channels of the critic's first layer
    gamma: float = 0.3  # weight of R1
    penalty_every: int = 16  # steps between penalties, each that many times as heavy (Karras 2020)
    policy: str = "none"  # or diffaugment, flips: see networks.augmentation
    probability: float = 1.0  # of each change of the policy, unless it is adapted
    target: float = 0.0  # of the mean sign of real scores, which adapts the probability; 0: it is fixed
    reach: int = 500_000  # real images in which an adapted probability can go from 0 to 1
    width: int = 16
    batch_size: int = 16
    learning_rate: float = 2e-3
    critic_learning_rate: float = 2e-3
    beta1: float = 0.0
    beta2: float = 0.99
    ema_half_life: int = 2_000

    choices: ClassVar[dict[str, tuple[str, ...]]] = {**System.choices, "policy": tuple(POLICIES)}

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("critic_width", 1, WIDEST)
        yield "gamma", self.gamma >= 0, "at least 0"
        yield self.within("penalty_every", 1, RAREST_PENALTY)
        yield "probability", 0 <= self.probability <= 1, "from 0 to 1"
        yield "target", 0 <= self.target < 1, "from 0 to below 1"
        yield self.within("reach", 1, LONGEST_RUN)

    def networks(self) -> Networks:
        G = ConditionalGenerator(self.image_size, self.z_dim, self.width, self.classes)
        D = ProjectionWaveletCritic(self.image_size, self.critic_width, self.classes)
        D.adaptive = AdaptiveProbability()
        return G, D

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        """In training for the classes of the batch's images, else for those that are wanted."""
        return G(batch["z"], batch["labels" if "labels" in batch else "wanted"])

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        return D(batch["images"], batch["labels"])

    def before_step(self, G: nn.Module, D: nn.Module, step: int) -> None:
        if self.target and step % ADJUST_EVERY == 0:
            adaptive_of(D).adjust(self.target, self.reach)

    def shown(self, D: nn.Module, images: Tensor) -> Tensor:
        """What the critic sees of images."""
        probability = adaptive_of(D).probability if self.target else self.probability
        return apply_policy(images, self.policy, probability)

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        judge = self.judge(D, batch)
        with torch.no_grad():
            real, fake = self.shown(D, batch["images"]), self.shown(D, self.generate(G, batch))
        real_scores, fake_scores = judge(real), judge(fake)
        adaptive_of(D).observe(real_scores)
        loss = softplus(-real_scores).mean() + softplus(fake_scores).mean()
        terms = {
            "estimate": critic_estimate(real_scores, fake_scores),
            "sign": real_scores.sign().mean(),
            "probability": adaptive_of(D).probability.clone(),
        }
        if batch["step"] % self.penalty_every == 0:
            terms["R1"] = squared_slope(judge, real)
            loss = loss + self.penalty_every * self.gamma / 2 * terms["R1"]
        return loss, terms

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        fake = self.shown(D, self.generate(G, batch))
        return softplus(-self.judge(D, batch)(fake)).mean(), {}

    def judge(self, D: nn.Module, batch: Batch) -> Callable[[Tensor], Tensor]:
        """The critic as a function from images to scores, told their classes."""
        return lambda images: D(images, batch["labels"])

    def layout(self) -> dict[str, Any]:
        return {"objective": "non-saturating"}


def adaptive_of(D: nn.Module) -> AdaptiveProbability:
    """The adaptive probability of a critic, also of one whose gradients several processes average."""
    return cast(AdaptiveProbability, getattr(D, "module", D).adaptive)


PRESETS = (
    Preset(
        ScarceGAN("scarce"),
        overrides={
            "smoke": (Override({}, {"batch_size": 8, "critic_width": 2}),),
            "lesson": (Override({}, {"width": 16}),),  # it is made for two CPU cores as it is
        },
    ),
)

"""A class-conditional GAN with the projection critic (Miyato and Koyama 2018).

The generator is told the class by conditional batch normalisation; the critic adds to its score how well the
image's features agree with an embedding of the class. Hinge loss and spectral normalisation are the paper's;
its residual blocks are replaced by DCGAN's convolutions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctgan_utils.losses import critic_estimate, hinge
from ctgan_utils.networks.conditional import ConditionalGenerator, ProjectionCritic
from ctgan_utils.systems.base import Batch, Networks, Override, Preset, System, Terms
from ctgan_utils.systems.told import Told


@dataclass(frozen=True)
class ProjectionGAN(Told, System):
    """The hinge loss, on networks that are told the class."""

    classes: int = 4  # of the data: CT KIDNEY and the phantom have four
    critic_steps: int = 5  # those of the paper, as the rates and momenta below
    beta1: float = 0.0
    beta2: float = 0.9

    def networks(self) -> Networks:
        G = ConditionalGenerator(self.image_size, self.z_dim, self.width, self.classes)
        return G, ProjectionCritic(self.image_size, self.width, self.classes)

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        return G(batch["z"], batch["wanted"])

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        return D(batch["images"], batch["labels"])

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            fake = self.generate(G, batch)
        real_scores, fake_scores = self.score(D, batch), D(fake, batch["wanted"])
        return hinge(real_scores, fake_scores), {"estimate": critic_estimate(real_scores, fake_scores)}

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        return -D(self.generate(G, batch), batch["wanted"]).mean(), {}

    def layout(self) -> dict[str, Any]:
        return {"objective": "hinge"}


PRESETS = (
    Preset(
        ProjectionGAN("projection"),
        overrides={
            "smoke": (Override({}, {"batch_size": 8, "critic_steps": 1}),),
            # one critic step at a faster rate in place of five (Heusel 2017)
            "lesson": (Override({}, {"critic_steps": 1, "critic_learning_rate": 1e-3}),),
        },
    ),
)

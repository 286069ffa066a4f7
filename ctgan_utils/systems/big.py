"""BigGAN (Brock, Donahue and Simonyan 2019): class-conditional, with large batches and a truncation trick.

Both networks have spectral norm 1 and self-attention; the class and a part of z reach every block of the
generator; the rows of its weights are kept nearly orthogonal, so that latents cut off near 0, where quality
is best, stay ones it can use (`sample --truncation`). Width, depth and batch are small here; the rest is the
paper's. Its batches of 2,048 are the experiment: see batch_size and micro_batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from ctgan_utils.networks.big import BigCritic, BigGenerator, orthogonal_penalty
from ctgan_utils.systems.base import Batch, Networks, Override, Preset, Rule, Terms
from ctgan_utils.systems.projection import ProjectionGAN


@dataclass(frozen=True)
class BigGAN(ProjectionGAN):
    """The hinge loss on residual networks that are told the class, with orthogonal regularisation."""

    orthogonality: float = 1e-4  # weight of the penalty on weights of G that are not orthogonal
    z_dim: int = 100  # twenty numbers for the stem and for each of the four blocks of 64x64
    critic_steps: int = 2
    learning_rate: float = 5e-5
    critic_learning_rate: float = 2e-4
    beta1: float = 0.0
    beta2: float = 0.999

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield "orthogonality", self.orthogonality >= 0, "at least 0"
        parts = self.image_size.bit_length() - 2
        yield "z_dim", self.z_dim >= parts, f"at least {parts}, a number for the stem and for each block"

    def networks(self) -> Networks:
        G = BigGenerator(self.image_size, self.z_dim, self.width, self.classes)
        return G, BigCritic(self.image_size, self.width, self.classes)

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        loss, terms = super().generator_loss(G, D, batch)
        single = getattr(G, "module", G)  # of one whose gradients several processes average
        penalty = orthogonal_penalty(single, spared=("embedding",))
        return loss + self.orthogonality * penalty, {**terms, "orthogonality": penalty}


PRESETS = (
    Preset(
        BigGAN("big"),
        overrides={
            "smoke": (Override({}, {"batch_size": 8, "critic_steps": 1}),),
            # one critic step at four times the generator's rate, both faster for the smaller batch
            "lesson": (
                Override(
                    {},
                    {"width": 8, "critic_steps": 1, "learning_rate": 2e-4, "critic_learning_rate": 8e-4},
                ),
            ),
        },
    ),
)

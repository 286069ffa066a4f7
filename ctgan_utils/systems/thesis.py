"""The nine systems of the thesis, and the readings of what it leaves open."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ctgan_utils.losses import CrossEntropy, WassersteinClip, WassersteinGP
from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.generators import Generator
from ctgan_utils.systems import diagnoses
from ctgan_utils.systems.base import (
    WIDEST,
    Batch,
    History,
    Networks,
    Override,
    Preset,
    Rule,
    System,
    Terms,
    ThesisRecord,
    Verdict,
)


@dataclass(frozen=True)
class ThesisGAN(System):
    """A generator with a stem and added layers, a convolutional critic, and one of four objectives.

    Where the thesis leaves a choice open, the field's comment names the readings.
    """

    # generator
    stem: str = "linear"  # or conv, as DCGAN
    stem_channels: int = 1  # of the linear stem's 4x4 map: 1 as printed, 8 keeps 128 numbers, 128 is wide
    kernel_size: int = 0  # pixels, odd: the learnable kernel on the 4x4 map; 0 for none
    kernel_init: str = "normal"  # N(0, 1) as printed; or identity
    kernel_place: str = "after"  # F1(x) + x, as equation 3.3 has it; or before it
    additions: str = "one"  # none, one, branches, doubled, around or levels: see networks.blocks.UpBlock
    interpolation: str = "bilinear"  # of the additions; or nearest
    upsampling: str = "transposed"  # convolution; or resize
    # critic
    critic_norm: str = "none"  # or batch, layer, instance
    critic_steps: int = 5  # per generator step
    # objective
    objective: str = "wgan-gp"  # or wgan-clip, non-saturating, minimax
    gradient_penalty: float = 10.0  # its weight lambda
    clip: float = 0.01  # of wgan-clip: every weight of the critic stays within +-clip

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **System.choices,
        "stem": ("linear", "conv"),
        "kernel_init": ("normal", "identity"),
        "kernel_place": ("after", "before"),
        "additions": ("none", "one", "branches", "doubled", "around", "levels"),
        "interpolation": ("bilinear", "nearest"),
        "upsampling": ("transposed", "resize"),
        "critic_norm": ("none", "batch", "layer", "instance"),
        "objective": ("wgan-gp", "wgan-clip", "non-saturating", "minimax"),
    }

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("stem_channels", 1, WIDEST)
        yield "kernel_size", self.kernel_size in (0, 3, 5, 7), "0, 3, 5 or 7"
        yield "gradient_penalty", self.gradient_penalty >= 0, "at least 0"
        yield "clip", self.clip > 0, "above 0"

    def networks(self) -> Networks:
        G = Generator(
            self.image_size,
            self.z_dim,
            self.width,
            stem=self.stem,
            stem_channels=self.stem_channels,
            kernel_size=self.kernel_size,
            kernel_init=self.kernel_init,
            kernel_place=self.kernel_place,
            additions=self.additions,
            interpolation=self.interpolation,
            upsampling=self.upsampling,
        )
        return G, ConvCritic(self.image_size, self.width, self.critic_norm)

    def critic_noise(self, n: int, rng: torch.Generator) -> Batch:
        """Latents, and for each image how far between generated (0) and real (1) a penalty is taken."""
        return {**self.noise(n, rng), "epsilon": torch.rand(n, 1, 1, 1, generator=rng)}

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            fake = self.generate(G, batch)
        loss = OBJECTIVES[self.objective].loss(self)
        return loss.critic_loss(D, batch["images"], fake, batch["epsilon"])

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        return OBJECTIVES[self.objective].loss(self).generator_loss(D, self.generate(G, batch)), {}

    def diagnose(self, history: History) -> list[Verdict]:
        return [v for find in OBJECTIVES[self.objective].diagnoses if (v := find(history))]

    def layout(self) -> dict[str, Any]:
        kernel = f"{self.kernel_size}x{self.kernel_size}" if self.kernel_size else None
        return {"objective": self.objective, "kernel": kernel}


class Objective(NamedTuple):
    """A loss made from a system's settings, and what can be wrong with a run that minimises it."""

    loss: Callable[[ThesisGAN], Any]
    diagnoses: tuple[Callable[[History], Verdict | None], ...]


WASSERSTEIN = diagnoses.estimate_unbounded, diagnoses.critic_blind
OBJECTIVES = {
    "wgan-gp": Objective(
        lambda s: WassersteinGP(s.gradient_penalty), (diagnoses.penalty_drifts, *WASSERSTEIN)
    ),
    "wgan-clip": Objective(lambda s: WassersteinClip(s.clip), WASSERSTEIN),
    "non-saturating": Objective(lambda s: CrossEntropy(saturating=False), (diagnoses.discriminator_won,)),
    "minimax": Objective(lambda s: CrossEntropy(saturating=True), (diagnoses.discriminator_won,)),
}

OVERRIDES = {
    "smoke": (Override({}, {"batch_size": 8, "critic_steps": 1}),),
    # A single critic step at a faster rate stands in for five (Heusel 2017), with the momentum of Gulrajani
    # 2017: on two CPU cores this shows anatomy in minutes, where the settings of the thesis take hours.
    "lesson": (
        Override(
            {"objective": "wgan-gp"},
            {
                "critic_steps": 1,
                "learning_rate": 5e-4,
                "critic_learning_rate": 2e-3,
                "beta1": 0.0,
                "beta2": 0.9,
            },
        ),
        Override({"image_size": 128}, {"critic_learning_rate": 1e-3}),
    ),
    # a batch in four parts, where no batch normalisation of a critic ties its images together
    "thesis-4gb": (Override({"objective": "wgan-gp"}, {"micro_batch": 16}),),
}


def _preset(name: str, record: ThesisRecord, **settings: Any) -> Preset:
    return Preset(ThesisGAN(name, **settings), record, OVERRIDES)


_DCGAN: dict[str, Any] = {
    "stem": "conv",
    "z_dim": 100,
    "additions": "none",
    "critic_norm": "batch",
    "objective": "non-saturating",
    "critic_steps": 1,
}
_LARGE: dict[str, Any] = {"image_size": 128, "width": 32, "kernel_size": 3}
_V2: dict[str, Any] = {**_LARGE, "additions": "levels"}

PRESETS = (
    _preset("dcgan-b64", ThesisRecord("4.5.1", {3000: None}), **_DCGAN),
    _preset("dcgan-b100", ThesisRecord("4.5.1", {1500: 149}), **_DCGAN, batch_size=100),
    _preset(
        "wgan-conv",
        ThesisRecord("4.5.2", {2500: None}),
        stem="conv",
        z_dim=100,
        additions="none",
    ),
    _preset("wgan-linear-conv", ThesisRecord("4.5.3", {2500: None}), additions="none"),
    _preset("small", ThesisRecord("3.2.1", {7000: 64})),
    _preset("small-kernel", ThesisRecord("3.1.1", {7000: 264}), kernel_size=3),
    _preset("large-v1", ThesisRecord("3.2.2", {9000: 97}), **_LARGE, additions="branches"),
    _preset("large-v2-z100", ThesisRecord("3.2.3", {9000: 90, 11_500: 89}), **_V2, z_dim=100),
    _preset("large-v2-z128", ThesisRecord("3.2.3", {9000: 87}), **_V2),
)

"""StyleGAN (Karras, Laine and Aila 2019): a latent that sets the strength of channels, layer by layer.

z is first mapped to w, in which directions can lie straight that are bent in z. From a constant, the image is
made in layers, each told by w how strong its channels are to be; coarse layers decide the pose, fine ones the
detail. The networks grow as ProGAN's do, from 8x8. Loss (non-saturating with R1), style mixing, rates and
the mapping's slower rate are the paper's; smaller are the networks, latents and phases. In a lesson both
rates are higher and R1 weighs less.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ctgan_utils import latents
from ctgan_utils.losses import critic_estimate, squared_slope
from ctgan_utils.networks.progressive import ProgressiveCritic
from ctgan_utils.networks.style import StyleGenerator, style_grain_dim
from ctgan_utils.systems.base import Batch, Networks, Override, Preset, Rule, Terms
from ctgan_utils.systems.progressive import OVERRIDES, ProgressiveGAN


@dataclass(frozen=True)
class StyleGAN(ProgressiveGAN):
    """The non-saturating loss with R1 on a style-based generator and a critic that grow."""

    gamma: float = 10.0  # weight of R1
    mixing: float = 0.9  # share of generated images whose later styles come from another latent

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield "gamma", self.gamma >= 0, "at least 0"
        yield "mixing", 0 <= self.mixing <= 1, "from 0 to 1"

    def networks(self) -> Networks:
        G = StyleGenerator(self.image_size, self.z_dim, self.width)
        return G, ProgressiveCritic(self.image_size, self.width)

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        """z, and the grain."""
        parts = [self.z_dim, style_grain_dim(self.image_size)]
        z, grain = latents.normal(n, sum(parts), rng).split(parts, dim=1)
        return {"z": z, "grain": grain}

    def made(self, G: nn.Module, batch: Batch) -> Tensor:
        return G(G.styles(batch["z"]), batch["grain"])  # type: ignore[operator]

    def mixed(self, G: nn.Module, batch: Batch) -> Tensor:
        """Images whose styles come, in that share of them, from a second latent from some layer on.

        That layer is drawn among those in use at the present size.
        """
        z, layers = batch["z"], int(G.in_use)  # type: ignore[arg-type]
        cut = torch.randint(1, layers, (len(z),), device=z.device)
        cut[torch.rand(len(z), device=z.device) >= self.mixing] = layers
        return G(G.styles(z, torch.randn_like(z), cut), batch["grain"])  # type: ignore[operator]

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            real, fake = self.seen(G, batch), self.mixed(G, batch)
        real_scores, fake_scores = D(real), D(fake)
        slope = squared_slope(D, real)
        loss = softplus(-real_scores).mean() + softplus(fake_scores).mean() + self.gamma / 2 * slope
        return loss, {"estimate": critic_estimate(real_scores, fake_scores), "R1": slope}

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        return softplus(-D(self.mixed(G, batch))).mean(), {}

    def layout(self) -> dict[str, Any]:
        return {"objective": "non-saturating"}


# at 10, which suits faces of 1,024 pixels, the critic of small slices hardly learns
LESSON = (*OVERRIDES["lesson"], Override({}, {"gamma": 0.2}))

PRESETS = (Preset(StyleGAN("style"), overrides={**OVERRIDES, "lesson": LESSON}),)

"""pix2pix (Isola, Zhu, Zhou and Efros 2017): from one picture of a slice to another, learnt from pairs.

A U-Net translates, a PatchGAN judges patches of source and image together, and an L1 term keeps each pixel
near its partner's. The phantom has pairs of all that it knows: tissues and grey levels, a hundredth of the
dose and the whole, before and after the contrast agent. Terms for edges are switched on by their weights:
gradient differences (Nie 2018) and Sobel edges (Yu 2019: gEa-GAN; dEa-GAN if the critic sees them too).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, softplus

from ctgan_utils.filters import sobel
from ctgan_utils.losses import critic_estimate, gradient_difference
from ctgan_utils.networks.translation import PatchCritic, UNet
from ctgan_utils.phantom import PARTNERS, TISSUES
from ctgan_utils.systems.base import Batch, Networks, Override, Preset, Rule, System, Terms
from ctgan_utils.systems.translation import Translation


@dataclass(frozen=True)
class Pix2Pix(Translation):
    """The paper's losses; the only noise of the generator is its dropout."""

    source: str = "tissues"  # or images, or a partner of the phantom: low_dose, unenhanced, ...
    adversarial: float = 1.0  # weight of the critic's judgement
    l1: float = 100.0  # weight of the mean absolute difference
    gradient_difference: float = 0.0  # weight of the difference of slopes
    edges: float = 0.0  # weight of the mean absolute difference of Sobel edges
    edges_judged: bool = False  # the critic sees the edges beside the image
    skips: bool = True  # false: an autoencoder, without what joins layers of one size
    batch_size: int = 1

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **System.choices,
        "source": ("tissues", "images", *PARTNERS),
        "target": ("images", *PARTNERS),
    }

    def rules(self) -> Iterator[Rule]:
        for rule in super().rules():
            if rule[0] != "batch_size":  # one image is a batch: nothing is normalised over it
                yield rule
        yield self.within("batch_size", 1, 65_536)
        for name in ("adversarial", "l1", "gradient_difference", "edges"):
            yield name, getattr(self, name) >= 0, "at least 0"

    def networks(self) -> Networks:
        channels = len(TISSUES) if self.source == "tissues" else 1
        judged = channels + 1 + self.edges_judged
        G = UNet(self.image_size, channels, self.width, self.skips)
        return G, PatchCritic(judged, self.width, self.halvings)

    def seen(self, batch: Batch) -> Tensor:
        """The source as networks see it: grey levels [N, 1, S, S], or a map for each tissue."""
        if self.source == "tissues":
            tissues = batch["tissues"]
            return (tissues == torch.arange(len(TISSUES), device=tissues.device)[:, None, None]).float()
        return batch[self.source]

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        return G(self.seen(batch))

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        """A map of scores for each target of the batch, judged beside its source."""
        shown = [self.seen(batch), batch[self.target]]
        if self.edges_judged:
            shown.append(sobel(batch[self.target]))
        return D(torch.cat(shown, dim=1))

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            fake = self.generate(G, batch)
        real_scores, fake_scores = self.score(D, batch), self.score(D, {**batch, self.target: fake})
        loss = (softplus(-real_scores).mean() + softplus(fake_scores).mean()) / 2
        return loss, {"estimate": critic_estimate(real_scores, fake_scores)}

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        fake, real = self.generate(G, batch), batch[self.target]
        terms = {
            "adversarial": softplus(-self.score(D, {**batch, self.target: fake})).mean(),
            "l1": l1_loss(fake, real),
            "gradient_difference": gradient_difference(fake, real),
            "edges": l1_loss(sobel(fake), sobel(real)),
        }
        return sum((getattr(self, name) * term for name, term in terms.items()), torch.zeros(())), terms

    def layout(self) -> dict[str, Any]:
        return {"objective": "non-saturating"}


OVERRIDES = {
    "smoke": (Override({}, {"batch_size": 4}),),
    "lesson": (Override({}, {"batch_size": 8}),),
}

PRESETS = (Preset(Pix2Pix("pix2pix"), overrides=OVERRIDES),)

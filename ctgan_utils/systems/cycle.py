"""CycleGAN (Zhu, Park, Isola and Efros 2017): from one kind of image to another, without pairs.

One network translates there, one back, and a critic stands at each end. No image is ever shown beside its
partner; what keeps the translation to its image is that the way there and back must end where it began. The
phantom has the partners, so that what is invented and what is lost on the way can be seen afterwards.

Networks and losses are the paper's, at a small width. What differs: batches of at least two, since partners
are moved apart within a batch; rates that stay; and samples that are drawn from the averaged weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from ctgan_utils.losses import critic_estimate
from ctgan_utils.networks.translation import ImagePool, PatchCritic, ResidualTranslator
from ctgan_utils.phantom import PARTNERS
from ctgan_utils.systems.base import Batch, Networks, Override, Preset, Rule, System, Terms
from ctgan_utils.systems.translation import Translation


@dataclass(frozen=True)
class CycleGAN(Translation):
    """Least squares at both ends, and L1 from where an image began to where it comes back.

    A batch holds images of the one kind and, of other slices, images of the other kind: those that belong
    together are moved apart by one place. G is {"there": ..., "back": ...}, D {"there": ..., "back": ...}
    with the pools of generated images.
    """

    cycle: float = 10.0  # weight of the way there and back
    identity: float = 0.0  # weight of leaving alone what is of the right kind already
    blocks: int = 6  # residual blocks of each translator: the paper's number for 128x128
    batch_size: int = 2

    divisible: ClassVar[bool] = False  # G and D are two networks each
    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **System.choices,
        "source": ("images", *PARTNERS),
        "target": ("images", *PARTNERS),
    }

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        for name in ("cycle", "identity"):
            yield name, getattr(self, name) >= 0, "at least 0"
        yield self.within("blocks", 1, 32)

    def networks(self) -> Networks:
        ends = "there", "back"
        G = nn.ModuleDict({end: ResidualTranslator(1, self.width, self.blocks) for end in ends})
        D = nn.ModuleDict({end: PatchCritic(1, self.width, self.halvings) for end in ends})
        D.update({f"pool_{end}": ImagePool(self.image_size) for end in ends})
        return G, D

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        return G["there"](batch[self.source])  # type: ignore[index, operator]

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        return D["there"](batch[self.target])  # type: ignore[index, operator]

    def unpaired(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(images of the source, images of the target of other slices)."""
        return batch[self.source], batch[self.target].roll(1, 0)

    def critic_loss(self, G: Any, D: Any, batch: Batch) -> tuple[Tensor, Terms]:
        x, y = self.unpaired(batch)
        losses, terms = [], {}
        for end, start, real in (("there", x, y), ("back", y, x)):
            with torch.no_grad():
                fake = D[f"pool_{end}"](G[end](start))
            a, b = D[end](real), D[end](fake)
            losses.append(((a - 1).square().mean() + b.square().mean()) / 2)
            terms[f"estimate_{end}"] = critic_estimate(a, b)
        return losses[0] + losses[1], {"estimate": terms["estimate_there"], **terms}

    def generator_loss(self, G: Any, D: Any, batch: Batch) -> tuple[Tensor, Terms]:
        x, y = self.unpaired(batch)
        there, back = G["there"](x), G["back"](y)
        terms = {
            "fooled": (D["there"](there) - 1).square().mean() + (D["back"](back) - 1).square().mean(),
            "cycle": l1_loss(G["back"](there), x) + l1_loss(G["there"](back), y),
        }
        loss = terms["fooled"] + self.cycle * terms["cycle"]
        if self.identity:
            terms["identity"] = l1_loss(G["there"](y), y) + l1_loss(G["back"](x), x)
            loss = loss + self.identity * terms["identity"]
        return loss, terms

    def layout(self) -> dict[str, Any]:
        return {"objective": "least squares"}


OVERRIDES = {
    "smoke": (Override({}, {"batch_size": 4, "blocks": 1}),),
    "lesson": (Override({}, {"batch_size": 4}),),
}

PRESETS = (Preset(CycleGAN("cycle", target="arterial"), overrides=OVERRIDES),)

"""ct-64 that is told the class of the slice it is to make (after Mirza and Osindero 2014; thesis 2.5).

The generator sees the class as a vector with a single 1, joined to z. The critic adds to its score how well
the image's features agree with an embedding of the class (Miyato and Koyama 2018). Each generated slice is
asked for the class of the real one that it is compared with, so that the loss of ct-64 stays as it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ctgan_utils.networks.conditional import ProjectionWaveletCritic
from ctgan_utils.networks.generators import WaveletGenerator
from ctgan_utils.systems.base import Batch, Networks, Preset, Rule
from ctgan_utils.systems.ct import OVERRIDES, RelativisticGAN
from ctgan_utils.systems.projection import MOST_CLASSES, check_classes


@dataclass(frozen=True)
class ConditionalGAN(RelativisticGAN):
    """A batch holds the classes of its images ("labels"); samples are drawn for classes "wanted"."""

    classes: int = 4  # of the data: CT KIDNEY and the phantom have four

    inputs: ClassVar[tuple[str, ...]] = ("images", "labels")

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("classes", 1, MOST_CLASSES)

    def check(self, tensors: dict[str, Tensor]) -> None:
        check_classes(self.classes, tensors)

    def networks(self) -> Networks:
        G = WaveletGenerator(self.image_size, self.z_dim + self.classes, self.width)
        return G, ProjectionWaveletCritic(self.image_size, self.critic_width, self.classes)

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        return {**super().noise(n, rng), "wanted": torch.randint(self.classes, (n,), generator=rng)}

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        """In training for the classes of the batch's images, else for those that are wanted."""
        asked = one_hot(batch["labels" if "labels" in batch else "wanted"], self.classes)
        return G(torch.cat([batch["z"], asked], dim=1), batch["grain"])

    def judge(self, D: nn.Module, batch: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: D(images, batch["labels"])

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        return D(batch["images"], batch["labels"])


PRESETS = (Preset(ConditionalGAN("conditional", width=32, augmentation=0.4), overrides=OVERRIDES),)

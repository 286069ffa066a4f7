"""ct-64 that is told the class of the slice it is to make (after Mirza and Osindero 2014; thesis 2.5).

The generator sees the class as a vector with a single 1, joined to z. The critic adds to its score how well
the image's features agree with an embedding of the class (Miyato and Koyama 2018). Each generated slice is
asked for the class of the real one that it is compared with, so that the loss of ct-64 stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ctgan_utils.networks.conditional import ProjectionWaveletCritic
from ctgan_utils.networks.generators import WaveletGenerator
from ctgan_utils.systems.base import Batch, Networks, Preset
from ctgan_utils.systems.ct import OVERRIDES, RelativisticGAN
from ctgan_utils.systems.told import Told


@dataclass(frozen=True)
class ConditionalGAN(Told, RelativisticGAN):
    """The loss of ct-64, on networks that are told the class."""

    classes: int = 4  # of the data: CT KIDNEY and the phantom have four

    def networks(self) -> Networks:
        G = WaveletGenerator(self.image_size, self.z_dim + self.classes, self.width)
        return G, ProjectionWaveletCritic(self.image_size, self.critic_width, self.classes)

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        """In training for the classes of the batch's images, else for those that are wanted."""
        asked = one_hot(batch["labels" if "labels" in batch else "wanted"], self.classes)
        return G(torch.cat([batch["z"], asked], dim=1), batch["grain"])

    def judge(self, D: nn.Module, batch: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: D(images, batch["labels"])

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        return D(batch["images"], batch["labels"])


PRESETS = (Preset(ConditionalGAN("conditional", width=32, augmentation=0.4), overrides=OVERRIDES),)

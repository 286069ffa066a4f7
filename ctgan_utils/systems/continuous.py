"""ct-64 that is told numbers of the slice it is to make, such as how wide the body is (notebook 15).

The generator sees the numbers, in standard deviations from their mean, joined to z (Mirza and Osindero 2014).
The critic adds to its score an inner product of the image's features with an embedding that is linear in the
numbers: the projection of Miyato and Koyama 2018, with numbers in the place of classes. As in `conditional`,
each generated slice is asked for the numbers of the real one that it is compared with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ctgan_utils.networks.conditional import NumbersCritic, NumbersGenerator, Scale
from ctgan_utils.runtime import UserError
from ctgan_utils.systems.base import Batch, Networks, Preset, Rule
from ctgan_utils.systems.ct import OVERRIDES, RelativisticGAN

MOST_NUMBERS = 64
TAKEN = {"", "images", "labels", "z", "grain", "ranks", "step"}  # what a batch holds besides


@dataclass(frozen=True)
class ContinuousGAN(RelativisticGAN):
    """The loss of ct-64, on networks that are told numbers.

    A batch holds each number under its name, float [N], in its own unit: that of the real slices in training,
    else what is asked for. What nobody asks for is drawn as the training slices have it, by "ranks" [N, K].
    """

    numbers: str = "width,enhancement"  # of data.slices.TRUTH, or columns of an index.csv

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.numbers.split(","))

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("images", *self.names)

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        names = set(self.names)
        valid = len(names) == len(self.names) <= MOST_NUMBERS and not names & TAKEN
        yield "numbers", valid, f"up to {MOST_NUMBERS} different names with commas, such as width,enhancement"

    def check(self, tensors: dict[str, Tensor]) -> None:
        """Raises UserError where a number is not known of all slices, or the same for all."""
        for name in self.names:
            known = tensors[name].isfinite()
            if not known.all():
                missing = f"{(~known).sum():,} of {len(known):,} slices"
                mend = "leave these out, or tell other numbers (--set numbers=...)"
                raise UserError(f"{name}: not known of {missing}; {mend}")
            if not tensors[name].std() > 0:
                raise UserError(f"{name}: the same for all slices; leave it out of --set numbers=...")

    def adapt(self, G: nn.Module, D: nn.Module, tensors: dict[str, Tensor]) -> None:
        """Both networks take the scale of the numbers from the training slices."""
        for network in (G, D):
            cast(Scale, network.scale).adapt(self.told(tensors))

    def networks(self) -> Networks:
        G = NumbersGenerator(self.image_size, self.z_dim, self.width, len(self.names))
        return G, NumbersCritic(self.image_size, self.critic_width, len(self.names))

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        return {**super().noise(n, rng), "ranks": torch.rand(n, len(self.names), generator=rng)}

    def told(self, batch: Batch) -> Tensor:
        """The numbers of a batch, float [N, K]."""
        return torch.stack([batch[name] for name in self.names], dim=1)

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        """In training with the numbers of the batch's images, else with those that are asked for."""
        drawn = dict(zip(self.names, cast(Scale, G.scale).at(batch["ranks"]).T))
        return G(batch["z"], batch["grain"], self.told({**drawn, **batch}))

    def bounds(self, G: nn.Module) -> dict[str, tuple[float, float]]:
        """The least and the largest of each number in the slices that G learnt from."""
        low, high = cast(Scale, G.scale).at(torch.tensor([[0.0], [1.0]]).expand(2, len(self.names))).tolist()
        return dict(zip(self.names, zip(low, high)))

    def judge(self, D: nn.Module, batch: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: D(images, self.told(batch))

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        return D(batch["images"], self.told(batch))


# not augmented: stretched and brightened slices would no longer have the numbers that the critic is told
PRESETS = (Preset(ContinuousGAN("continuous", width=32), overrides=OVERRIDES),)

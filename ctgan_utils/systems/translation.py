"""What systems share that translate one picture of a slice into another."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ctgan_utils.systems.base import Batch, Rule, System


@dataclass(frozen=True)
class Translation(System):
    """A batch holds beside each image what is to be made, `target`, and from what, `source`."""

    source: str = "unenhanced"  # of the phantom: see data.slices.TRUTH
    target: str = "images"  # or one of them too
    halvings: int = 2  # of the critic: patches of 34x34 pixels; three, of 70x70, are Isola's and Zhu's
    ema_half_life: int = 1_000  # short: the loss names the true image, so that little wavers

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(dict.fromkeys(("images", self.target, self.source)))

    @property
    def given(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.source,)

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("halvings", 1, 4)
        yield "target", self.target != self.source, "another than source"

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        """Nothing: what is translated is all there is."""
        return {}

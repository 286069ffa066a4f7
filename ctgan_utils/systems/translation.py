"""What systems share that translate one picture of a slice into another."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ctgan_utils.systems.base import Batch, Rule, System


@dataclass(frozen=True)
class Translation(System):
    """A batch holds images, the target, and beside each what it is to be made from, named by `source`."""

    source: str = "unenhanced"  # of the phantom: see data.slices.TRUTH
    halvings: int = 2  # of the critic: patches of 34x34 pixels; three, of 70x70, are Isola's and Zhu's

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return "images", self.source

    @property
    def given(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.source,)

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()
        yield self.within("halvings", 1, 4)

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        """Nothing: what is translated is all there is."""
        return {}

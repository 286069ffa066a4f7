"""What systems share whose networks are told a class."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from ctgan_utils.runtime import UserError
from ctgan_utils.systems.base import Batch, Rule

MOST_CLASSES = 100_000  # each has an embedding as long as the critic's last layer is wide


class Told:
    """Stands before a System among a class's bases; that class has a field `classes`, their number.

    A batch holds the classes of its images, "labels" int64 [N], and those asked of the generator, "wanted"
    int64 [N].
    """

    classes: int
    within: Any  # of System

    inputs: ClassVar[tuple[str, ...]] = ("images", "labels")

    def rules(self) -> Iterator[Rule]:
        yield from super().rules()  # type: ignore[misc]
        yield self.within("classes", 1, MOST_CLASSES)

    def check(self, tensors: dict[str, Tensor]) -> None:
        """Raises UserError where the data have more classes than the system."""
        found = int(tensors["labels"].max()) + 1
        if found > self.classes:
            raise UserError(f"classes={self.classes}: the data have {found}; pass --set classes={found}")

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        drawn = super().noise(n, rng)  # type: ignore[misc]
        return {**drawn, "wanted": torch.randint(self.classes, (n,), generator=rng)}

"""The scales at which the whole course runs."""

import math
from dataclasses import dataclass

from ctgan_utils.runtime import UserError, nearest


@dataclass(frozen=True)
class Profile:
    """One scale. What it changes in a system besides the width stands in the system's file."""

    name: str
    phantoms: int  # slices of the built-in phantom
    steps: int | None  # generator steps; None for the thesis' epochs
    evaluated: int  # images on each side of a Fréchet distance, at most
    narrowing: int  # the width of every system is divided by this
    live_seconds: float = math.inf  # after which a training in a notebook ends, wherever it is


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 64, 4, 32, 32),
        Profile("lesson", 2_000, 800, 1_000, 4, live_seconds=180),
        Profile("thesis", 12_446, None, 5_000, 1),
        Profile("thesis-4gb", 12_446, None, 5_000, 1),  # a GPU of 4 GB, as the thesis' laptop had (4.2.4)
    )
}


def get_profile(name: str) -> Profile:
    """The profile of that name. Raises UserError for an unknown one."""
    if name not in PROFILES:
        raise UserError(f"{name}: no such profile; {nearest(name, PROFILES)}")
    return PROFILES[name]

"""The types of the command line's options: from a word to a value, or one line on what it must be."""

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path

from ctgan_utils.runtime import brief

LARGEST_SEED = 2**32 - 1  # NumPy's and, by way of it, scikit-learn's
MOST_IMAGES = 10**7  # a hundred times the largest collections of CT slices
MOST_PIXELS = 65_535  # a side, as in a JPEG
MOST_STEPS = 10**9  # at a millisecond each, the fastest there are, twelve days
MOST_EPOCHS = 10**6  # ninety times the thesis' longest run
LARGEST = 10**6  # standard deviations or GB: no latent and no machine has so many


def whole(low: int, high: int) -> Callable[[str], int]:
    """The type of an option that is a whole number between two bounds, both allowed."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # of more than 4,300 digits too
            value = low - 1
        if not low <= value <= high:
            wanted = f"a whole number from {low:,} to {high:,}"
            raise argparse.ArgumentTypeError(f"{brief(text)}: it must be {wanted}")
        return value

    return number


seed, images, pixels = whole(0, LARGEST_SEED), whole(1, MOST_IMAGES), whole(1, MOST_PIXELS)
steps, epochs = whole(1, MOST_STEPS), whole(1, MOST_EPOCHS)


def positive(text: str) -> float:
    value = _float(text)
    if not 0 < value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{brief(text)}: it must be a number above 0, at most {LARGEST:,}")
    return value


def share(text: str) -> float:
    value = _float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{brief(text)}: it must be a number from 0 to below 1")
    return value


def shard(text: str) -> tuple[int, int]:
    """I/N as (I, N), with 1 <= I <= N."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    part, parts = (int(number) for number in match.groups()) if match else (0, 0)
    if not 1 <= part <= parts:
        raise argparse.ArgumentTypeError(f"{brief(text)}: it must be I/N, such as 2/5 for the second of five")
    return part, parts


def span(text: str) -> tuple[float, float]:
    """LOW:HIGH, two finite numbers, as (low, high)."""
    low, _, high = text.partition(":")
    if not -math.inf < _float(low) < _float(high) < math.inf:
        raise argparse.ArgumentTypeError(
            f"{brief(text)}: it must be two numbers, the lower first, such as -160:240"
        )
    return float(low), float(high)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which no comparison holds for


def source(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name; name a file or a folder")
    return text


def path(text: str) -> Path:
    return Path(source(text))

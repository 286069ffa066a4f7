"""From numbers to grey levels: which number is black and which is white, decided for a whole set at once."""

from collections.abc import Sequence

import numpy as np

from ctgan_utils.runtime import UserError

WINDOW = (-160.0, 240.0)  # HU: 40 +- 200, soft tissue
AIR = -200  # a set with lower numbers is in HU: fat ends at about -150
OVERSHOOT = 0.25  # of the range of 0 to 1: what smooth interpolation adds at edges
DARK = 32  # grey levels; a set that uses fewer has another scale than it seems
MEND = "--range LOW:HIGH decides otherwise"


def choose_span(low: float, high: float) -> tuple[tuple[float, float], str]:
    """((black, white), a sentence that says so) of a set whose numbers lie between low and high.

    Raises UserError for numbers that fit no scale in use.
    """
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return (0, 1), "numbers from 0 to 1 taken for black to white"
    if low >= -1 - OVERSHOOT and high <= 1 + OVERSHOOT:
        return (-1, 1), "numbers from -1 to 1 taken for black to white"
    if (low >= 0 or high >= 128) and low >= -16 and high <= 271:  # with a little overshoot
        return (0, 255), "numbers from 0 to 255 taken for grey levels"
    if low <= AIR:
        return WINDOW, f"numbers from {low:g} to {high:g} taken for HU, shown from -160 to 240"
    if 28_000 <= low <= 32_768 + AIR and high <= 40_000:
        return (
            32_768 + WINDOW[0],
            32_768 + WINDOW[1],
        ), "numbers taken for HU + 32768, shown at -160 to 240"
    if low >= 0 and high <= 4095:
        return (0, 4095), "numbers taken for 12 bits, 0 to 4095 (for HU + 1024 pass --range 864:1264)"
    if low >= 0 and high <= 65_535:
        return (0, 65_535), "numbers taken for 16 bits, 0 to 65535"
    raise UserError(
        f"numbers from {low:g} to {high:g} are neither grey levels nor HU; pass --range LOW:HIGH, the "
        "numbers that become black and white"
    )


def to_grey(
    stacks: Sequence[np.ndarray],
    raw: Sequence[bool],
    extents: Sequence[tuple[float, float]],
    span: tuple[float, float] | None = None,
) -> tuple[np.ndarray, list[str]]:
    """(uint8 [N, H, W], what was assumed) of stacks [k, H, W].

    Stacks that are not raw are uint8 and stay as they are. The others share one scale for each kind of number
    (unsigned, signed, floating), so that slices stay comparable: that of span, or what choose_span takes it
    for by the extents, the lowest and highest number of each stack before it was brought to its size.
    """
    scales: dict[str, tuple[float, float]] = {}
    notes = []
    for kind in sorted({stack.dtype.kind for stack, is_raw in zip(stacks, raw) if is_raw}):
        same = [e for s, e, is_raw in zip(stacks, extents, raw) if is_raw and s.dtype.kind == kind]
        low, high = min(e[0] for e in same), max(e[1] for e in same)
        if span:
            scales[kind] = span
        else:
            scales[kind], note = choose_span(low, high)
            notes.append(f"{note}; {MEND}")
    grey = np.concatenate(
        [_scaled(s, *scales[s.dtype.kind]) if is_raw else s for s, is_raw in zip(stacks, raw)]
    )
    if grey.min() != grey.max() and int(grey.max()) - int(grey.min()) < DARK:
        notes.append(f"only the grey levels {grey.min()} to {grey.max()} are used: pass --range LOW:HIGH")
    return grey, notes


def _scaled(stack: np.ndarray, black: float, white: float) -> np.ndarray:
    shares = (stack.astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    return np.rint(shares.clip(0, 255)).astype(np.uint8)

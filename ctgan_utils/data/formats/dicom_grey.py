"""From the stored values of a DICOM frame to grey levels, as a viewer shows them.

PS3.3 is the part of the standard that is followed: https://dicom.nema.org/medical/dicom/current/output/html
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ctgan_utils.data.formats.dicom_header import Layout, number_of, text_of, values_of
from ctgan_utils.grey import window
from ctgan_utils.runtime import UserError

OTHERWISE = "--range LOW:HIGH decides otherwise"
NO_WINDOW = f"no window in the file: shown as 40 +- 200 HU; {OTHERWISE}"
NO_RESCALE = f"no rescale slope in the file: stored values taken for HU; {OTHERWISE}"
ARE_GREY = f"8 bits and no window in the file: stored values taken for grey levels; {OTHERWISE}"

View = Callable[[np.ndarray], np.ndarray]  # from an array [H, W] to one


def views_of(dataset: Any, layout: Layout, span: tuple[float, float] | None, notes: list[str]) -> list[View]:
    """What turns the stored values of each frame into grey levels. Adds to the notes what was assumed."""
    if values_of(dataset, "PerFrameFunctionalGroupsSequence"):
        return [_view(dataset, frame, layout, span, notes) for frame in range(layout.frames)]
    return [_view(dataset, 0, layout, span, notes)] * layout.frames


def _view(
    dataset: Any, frame: int, layout: Layout, span: tuple[float, float] | None, notes: list[str]
) -> View:
    """What turns the stored values of one frame into grey levels: modality, then values of interest."""
    rescale = _modality(dataset, frame)
    shade = _values_of_interest(dataset, frame)
    if span is not None:
        low, high = span
        shade = lambda values: window(values, (low + high) / 2, high - low)  # noqa: E731
    elif shade is None and layout.bits_stored <= 8 and not layout.signed and rescale is None:
        notes.append(ARE_GREY)
        shade = lambda values: _levels(values / (2**layout.bits_stored - 1))  # noqa: E731
    elif shade is None:
        notes.extend([NO_WINDOW] if rescale else [NO_WINDOW, NO_RESCALE])
        shade = window
    padding = _padding(dataset, layout)
    inverted = layout.photometric == "MONOCHROME1"

    def view(stored: np.ndarray) -> np.ndarray:
        values = stored.astype(np.float64)
        grey = shade(rescale(values) if rescale else values)
        grey = 255 - grey if inverted else grey
        if padding:
            grey[(stored >= padding[0]) & (stored <= padding[1])] = 0
        return grey

    return view


def _groups(dataset: Any, frame: int, keyword: str) -> Iterator[Any]:
    """What may describe a frame, the closest first: its own functional group, the shared one, the file."""
    for groups, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        if items := values_of(dataset, groups):
            yield from values_of(items[index], keyword)[:1]
    yield dataset


def _modality(dataset: Any, frame: int) -> View | None:
    """From stored values to HU, by a lookup table or a line (PS3.3 C.11.1); None where they are equal."""
    if tables := values_of(dataset, "ModalityLUTSequence"):
        return _lookup(tables[0], dataset)[0]
    for group in _groups(dataset, frame, "PixelValueTransformationSequence"):
        slope, intercept = number_of(group, "RescaleSlope"), number_of(group, "RescaleIntercept")
        if slope == 0:
            raise UserError("damaged: its RescaleSlope is 0")
        if slope is not None or intercept is not None:
            factor, offset = 1.0 if slope is None else slope, intercept or 0.0
            return lambda stored: stored * factor + offset
    return None


def _values_of_interest(dataset: Any, frame: int) -> View | None:
    """From HU to grey levels, by the first window or lookup table (PS3.3 C.11.2); None without either."""
    for group in _groups(dataset, frame, "FrameVOILUTSequence"):
        center, width = number_of(group, "WindowCenter"), number_of(group, "WindowWidth")
        function = text_of(group, "VOILUTFunction").upper() or "LINEAR"
        if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
            continue
        return _window_function(function, center, width)
    if tables := values_of(dataset, "VOILUTSequence"):
        lookup, bits = _lookup(tables[0], dataset)
        return lambda values: _levels(lookup(values) / (2**bits - 1))
    return None


def _window_function(function: str, center: float, width: float) -> View:
    """A window of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return lambda values: _levels(1 / (1 + np.exp(-4 * (values - center) / width)))
    if function == "LINEAR_EXACT":
        return lambda values: _levels((values - center) / width + 0.5)
    if function != "LINEAR":
        raise UserError(f"its VOILUTFunction {function[:16]} is unknown; pass --range LOW:HIGH")
    if width == 1:
        return lambda values: _levels(values > center - 0.5)
    return lambda values: _levels((values - (center - 0.5)) / (width - 1) + 0.5)


def _levels(shares: np.ndarray) -> np.ndarray:
    """Grey levels uint8 of shares of white; what lies outside [0, 1] is clipped."""
    return np.rint(np.clip(shares, 0.0, 1.0) * 255).astype(np.uint8)


def _lookup(item: Any, dataset: Any) -> tuple[View, int]:
    """(a lookup table, the bits of its entries) from an item of its sequence (PS3.3 C.11.1.1.1)."""
    entries, first, bits = (int(value) for value in values_of(item, "LUTDescriptor"))
    entries = entries or 1 << 16
    if first + entries > 1 << 16:  # a negative number that was written as an unsigned one
        first -= 1 << 16
    data = item.get("LUTData")
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        data = np.frombuffer(data, "u1" if len(data) < 2 * entries else f"{order}u2")
    table = np.asarray(data, np.float64)[:entries]
    if len(table) < entries or not 8 <= bits <= 16:
        raise UserError("damaged: its lookup table is incomplete")
    return lambda values: table[np.clip(np.rint(values) - first, 0, entries - 1).astype(np.intp)], bits


def _padding(dataset: Any, layout: Layout) -> tuple[float, float] | None:
    """The least and the greatest stored value that stand for no tissue (PS3.3 C.7.5.1.1.2)."""
    value = number_of(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = number_of(dataset, "PixelPaddingRangeLimit")
    whole = 1 << layout.bits_stored
    ends = []
    for end in (value, value if limit is None else limit):
        if not -whole // 2 <= end < whole:
            return None  # no pixel can have it
        least = -whole // 2 if layout.signed else 0
        ends.append((end - least) % whole + least)  # as the pixels are, signed or not
    return min(ends), max(ends)

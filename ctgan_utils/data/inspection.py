"""What is in a folder of images, before anyone trains on it: `data check`."""

import itertools
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctgan_utils.data.discovery import INDEX, find, nothing_in
from ctgan_utils.data.formats.base import DEFAULT, LeftOut, Reading
from ctgan_utils.data.image_files import class_of, read_all
from ctgan_utils.data.patients import read_index
from ctgan_utils.data.scale import to_grey
from ctgan_utils.data.similarity import NEAR_DUPLICATE, SAME_STACK, group, perceptual_hash
from ctgan_utils.runtime import UserError, printable

THUMBNAIL = 64  # pixels a side, for hashes and orientations


def orientation(thumbnail: np.ndarray) -> str:
    """'axial', 'coronal' or 'unclear' of a grey image uint8 [64, 64].

    An axial slice shows a body with air all round. In a coronal one the trunk runs off the top and the
    bottom, but not off both sides. Close-ups that touch all four borders can't be told.
    """
    body = thumbnail > 25
    top, bottom, left, right = (line.mean() > 0.2 for line in (body[0], body[-1], body[:, 0], body[:, -1]))
    if top and bottom:
        return "unclear" if left and right else "coronal"
    return "unclear" if top or not body.any() else "axial"  # the table may touch the bottom


def inspect_folder(folder: Path | str, reading: Reading = DEFAULT) -> dict[str, Any]:
    """What is in a folder of images, as JSON values.

    Counts of classes, sizes, modes and orientations; exact duplicates (equal pixels) and near-duplicates
    (chains of perceptual hashes at most 10 of 256 bits apart) as lists of lists of names; the number of
    stacks (chains of 40 bits); class folders whose names look the same; what is left out, as {reason: files};
    what has to be assumed, in sentences; unreadable files with the reason. Raises UserError for a folder that
    is missing or holds nothing.
    """
    found = find(folder)
    folder = Path(folder)
    root = folder if folder.is_dir() else folder.parent
    counts: dict[str, Counter] = {k: Counter() for k in ("classes", "sizes", "modes", "orientations")}
    names: list[str] = []
    thumbnails: list[np.ndarray] = []
    raw: list[bool] = []
    extents: list[tuple[float, float]] = []
    contents: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    unreadable: dict[str, str] = {}
    left_out = found.left_out
    assumed: set[str] = set()
    _, index_notes = read_index(root / INDEX)

    for path, seen in read_all(found.paths, THUMBNAIL, reading):
        name = printable(path.relative_to(root).as_posix())
        if isinstance(seen, LeftOut):
            left_out[str(seen)] += 1
            continue
        if isinstance(seen, UserError):
            unreadable[name] = str(seen)
            continue
        file, count = seen.file, len(seen.pixels)
        width, height = file.size
        assumed.update(file.notes)
        counts["classes"].update(file.classes or [class_of(path, root)] * count)
        counts["sizes"][f"{width}x{height}"] += count
        counts["modes"][file.mode] += count
        of_file = [name] if count == 1 else [f"{name}[{k}]" for k in range(count)]
        for one, digest in zip(of_file, seen.digests):
            contents[digest, width, height].append(one)
        names += of_file
        thumbnails.append(seen.pixels)
        raw.append(seen.raw)
        extents.append(seen.extent)
    if not names and not unreadable:
        raise nothing_in(folder, left_out)

    report: dict[str, Any] = {"folder": str(folder), "files": len(found.paths), "images": len(names)}
    if names:
        try:
            grey, notes = to_grey(thumbnails, raw, extents, reading.span)
            counts["orientations"].update(map(orientation, grey))
        except UserError as error:  # of numbers on no known scale: hashes are the same on any
            notes = [str(error)]
            low, high = (limit(e) for limit, e in zip((min, max), zip(*itertools.compress(extents, raw))))
            grey, _ = to_grey(thumbnails, raw, extents, (low, high))
        assumed |= {*notes, *index_notes}
    report |= {name: dict(counter.most_common()) for name, counter in counts.items()}
    report |= {"left_out": dict(left_out.most_common()), "assumed": sorted(assumed)}
    report["exact_duplicates"] = [same for same in contents.values() if len(same) > 1]
    report |= {"near_duplicates": [], "stacks": 0}
    if names:
        hashes = perceptual_hash(torch.from_numpy(grey)[:, None])
        alike: dict[int, list[str]] = defaultdict(list)
        for name, number in zip(names, group(hashes, NEAR_DUPLICATE).tolist()):
            alike[number].append(name)
        report["near_duplicates"] = [same for same in alike.values() if len(same) > 1]
        report["stacks"] = len(set(group(hashes, SAME_STACK).tolist()))
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in counts["classes"]:
        spellings[" ".join(name.casefold().split())].add(name)
    report["same_class_in_different_case"] = [sorted(s) for s in spellings.values() if len(s) > 1]
    return report | {"unreadable": unreadable}

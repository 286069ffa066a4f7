"""What is in a folder of images, before anyone trains on it: `data check`."""

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctgan_utils.data.image_files import class_of, image_files, read, resize, to_8_bit
from ctgan_utils.data.similarity import NEAR_DUPLICATE, SAME_STACK, group, perceptual_hash
from ctgan_utils.runtime import UserError, progress


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


def inspect_folder(folder: Path | str) -> dict[str, Any]:
    """What is in a folder of images, as JSON values.

    Counts of classes, sizes, modes and orientations; exact duplicates (equal pixels) and near-duplicates
    (chains of perceptual hashes at most 10 of 256 bits apart) as lists of lists of names; the number of
    stacks (chains of 40 bits); class folders that differ in case only; unreadable files with the reason.
    """
    folder = Path(folder)
    paths = image_files(folder)
    root = folder if folder.is_dir() else folder.parent
    counts: dict[str, Counter] = {k: Counter() for k in ("classes", "sizes", "modes", "orientations")}
    names: list[str] = []
    thumbnails: list[np.ndarray] = []
    contents: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    unreadable: dict[str, str] = {}

    def look(path):
        try:
            file = read(path)
        except UserError as error:
            return str(error)
        small = to_8_bit([np.stack([resize(slice_, 64) for slice_ in file.pixels])])
        return file.mode, file.pixels.shape[1:], [hash(s.tobytes()) for s in file.pixels], file.classes, small

    with ThreadPoolExecutor() as pool, progress(len(paths), "checking images", "image") as bar:
        for path, seen in zip(paths, pool.map(look, paths)):
            name = path.relative_to(root).as_posix()
            bar.update()
            if isinstance(seen, str):
                unreadable[name] = seen
                continue
            mode, (height, width), digests, classes, small = seen
            counts["classes"].update(classes or [class_of(path, root)] * len(small))
            counts["sizes"][f"{width}x{height}"] += len(small)
            counts["modes"][mode] += len(small)
            counts["orientations"].update(map(orientation, small))
            names += [name] if len(small) == 1 else [f"{name}[{k}]" for k in range(len(small))]
            thumbnails.append(small)
            for name, digest in zip(names[-len(small) :], digests):
                contents[digest, width, height].append(name)

    report: dict[str, Any] = {"folder": str(folder), "files": len(paths), "images": len(names)}
    report |= {name: dict(counter.most_common()) for name, counter in counts.items()}
    report["exact_duplicates"] = [same for same in contents.values() if len(same) > 1]
    report |= {"near_duplicates": [], "stacks": 0}
    if names:
        hashes = perceptual_hash(torch.from_numpy(np.concatenate(thumbnails))[:, None])
        alike: dict[int, list[str]] = defaultdict(list)
        for name, number in zip(names, group(hashes, NEAR_DUPLICATE).tolist()):
            alike[number].append(name)
        report["near_duplicates"] = [same for same in alike.values() if len(same) > 1]
        report["stacks"] = len(set(group(hashes, SAME_STACK).tolist()))
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in counts["classes"]:
        spellings[name.casefold()].add(name)
    report["same_class_in_different_case"] = [sorted(s) for s in spellings.values() if len(s) > 1]
    return report | {"unreadable": unreadable}

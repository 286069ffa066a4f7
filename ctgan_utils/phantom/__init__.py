"""Synthetic abdominal CT at kidney level, with known ground truth.

The course trains its networks on this phantom when no patient data are at hand. It draws axial slices as a
radiologist sees them (the patient's right on the image's left, front at the top), grouped into patients whose
consecutive slices vary smoothly along the body axis, and in four classes named like the folders of the public
CT KIDNEY data set (Islam et al., Scientific Reports 12:11440, 2022).

How a stack is made: ``patients`` draws a patient; ``anatomy`` paints the tissues as labels and Hounsfield
units on a ``canvas``; ``acquisition`` scans them, from projections to filtered back-projection;
``grey.window`` turns Hounsfield units into grey levels.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ctgan_utils.grey import window
from ctgan_utils.memory import require_memory
from ctgan_utils.phantom.acquisition import acquire, system_matrix
from ctgan_utils.phantom.anatomy import draw_anatomy, halve
from ctgan_utils.phantom.patients import (
    CLASS_COUNTS,
    CLASSES,
    PARTNERS,
    TISSUES,
    Patient,
    draw_patient,
)
from ctgan_utils.runtime import UserError, nearest

__all__ = ["CLASSES", "CLASS_COUNTS", "PARTNERS", "TISSUES", "Phantoms", "generate"]

BYTES_PER_PIXEL = 5  # of images, hu, labels and masks together
SCANNED = 128  # slices are scanned with at least so many pixels a side, and then scaled down


@dataclass(frozen=True)
class Phantoms:
    """N slices with their ground truth.

    images  uint8   [N, H, W]  grey levels: ``grey.window(hu[i], *windows[i])``
    hu      int16   [N, H, W]  Hounsfield units, with the scanner's blur and noise; see ``scale_down``
    labels  uint8   [N, H, W]  tissue filling most of the pixel, index into TISSUES
    masks   bool    [N, H, W]  the lesion: empty for class Normal, never empty for the others
    classes int64   [N]        index into CLASSES, one per patient
    patients int64  [N]        patient number, from 0, not decreasing
    z       float32 [N]        slice position along the body axis, mm, increasing towards the head
    windows float32 [N, 2]     centre and width of the display window, HU, one per patient
    """

    images: np.ndarray
    hu: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    classes: np.ndarray
    patients: np.ndarray
    z: np.ndarray
    windows: np.ndarray


def scale_down(hu: np.ndarray, size: int, black: float) -> np.ndarray:
    """Hounsfield units float32 [slices, m, m] at size x size, m a multiple of size, as data sets are scaled
    down: after windowing.

    Units below `black`, which the display window shows as black, count as just black wherever a pixel has
    anything brighter in it, or thin skin and table would vanish beside the air.
    """
    if hu.shape[-1] == size:
        return hu
    factor, raised = hu.shape[-1] // size, np.maximum(hu, black)
    lanczos = Image.Resampling.LANCZOS
    shown = np.stack([np.asarray(Image.fromarray(s).resize((size, size), lanczos)) for s in raised])
    lit, mean = (
        np.stack([np.asarray(Image.fromarray(s).reduce(factor)) for s in stack]) for stack in (raised, hu)
    )
    return np.where(lit > black + 1, np.maximum(shown, black), mean)  # 1 HU is less than a grey level


def generate(
    n: int,
    size: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
    workers: int | None = None,
    partner: str | None = None,
) -> Phantoms:
    """Draws n slices of size x size pixels and returns them as Phantoms.

    Slice i depends on (seed, i, size) alone, so ``generate(n)`` begins with ``generate(k)`` for k < n;
    another size shows the same anatomy; those below SCANNED are scaled down. Patients are drawn by `workers`
    threads, by default one per core and at most 8; their number changes nothing but the time. progress, if
    given, is called as progress(done, total) after every patient.

    partner is one of PARTNERS: the same n slices of the same patients, in the same display windows, scanned
    another time at a hundredth of the dose ("low_dose"), or with the contrast agent not given yet
    ("unenhanced") or in the arteries ("arterial"), or with no lesion ("healthy"). Noise is drawn anew.

    Raises UserError for another partner, unless n >= 1, size is a multiple of 4 within 32..256, seed >= 0 and
    workers >= 1, and if the slices do not fit into memory.
    """
    workers = min(8, os.cpu_count() or 1) if workers is None else workers
    checks = (
        ("n", n, n >= 1),
        ("size", size, 32 <= size <= 256 and size % 4 == 0),
        ("seed", seed, seed >= 0),
        ("workers", workers, workers >= 1),
    )
    for name, value, good in checks:
        if not good:
            rule = "n >= 1, size a multiple of 4 within 32..256, seed >= 0, workers >= 1"
            raise UserError(f"bad {name}: {value}; give {rule}")
    if partner is not None and partner not in PARTNERS:
        raise UserError(f"bad partner: {partner}; {nearest(partner, PARTNERS)}")
    require_memory(BYTES_PER_PIXEL * n * size**2, f"n={n} slices of size={size}")
    hu, labels, masks = (np.zeros((n, size, size), t) for t in (np.int16, np.uint8, bool))
    images, z, windows = np.zeros_like(labels), np.zeros(n, np.float32), np.zeros((n, 2), np.float32)
    classes, patients = np.zeros(n, np.int64), np.zeros(n, np.int64)
    matrix = size << max(0, int(np.ceil(np.log2(SCANNED / size))))
    drawn: list[Patient] = []
    starts = [0]
    while starts[-1] < n:
        drawn.append(draw_patient(seed, len(drawn)))
        starts.append(starts[-1] + len(drawn[-1].z))

    def scan(index: int) -> int:
        """Fills in the slices of a patient; returns their number."""
        p, start = drawn[index], starts[index]
        noise = 2  # of which random stream
        if partner:
            p, noise = PARTNERS[partner](p), 3 + list(PARTNERS).index(partner)
        # whole stacks, even where only part is kept: the arithmetic must not depend on n
        clean, label, mask = draw_anatomy(p, matrix)
        noisy = acquire(clean, p.fov / matrix, p.photons, np.random.default_rng([*p.key, noise]))
        while label.shape[-1] > size:
            label, mask = halve(label, mask, p.lesion)
        noisy = scale_down(noisy, size, p.black)
        at = slice(start, min(n, start + len(p.z)))
        count = at.stop - start
        hu[at] = np.rint(np.clip(noisy[:count], -1024, 3071))
        labels[at], masks[at], z[at] = label[:count], mask[:count], p.z[:count]
        windows[at], classes[at], patients[at] = p.window, p.cls, index
        images[at] = window(hu[at], *p.window)
        return count

    system_matrix(matrix)  # once, before the threads ask for it together
    pool, done = ThreadPoolExecutor(workers), 0
    try:
        for job in as_completed([pool.submit(scan, index) for index in range(len(drawn))]):
            done += job.result()
            if progress:
                progress(done, n)
    finally:  # an interrupt or an error must not wait for patients that nobody wants any more
        pool.shutdown(cancel_futures=True)
    return Phantoms(images, hu, labels, masks, classes, patients, z, windows)

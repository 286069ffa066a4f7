"""Synthetic abdominal CT at kidney level, with known ground truth.

The course trains its networks on this phantom when no patient data are at hand. It draws axial slices as a
radiologist sees them (the patient's right on the image's left, front at the top), grouped into patients whose
consecutive slices vary smoothly along the body axis, and in four classes named like the folders of the public
CT KIDNEY data set (Islam et al., Scientific Reports 12:11440, 2022).

How a stack is made: ``patients`` draws a patient; ``anatomy`` paints the tissues as labels and Hounsfield
units on a ``canvas``; ``_acquire`` adds the scanner's blur and noise; ``window`` turns Hounsfield units into
grey levels.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from ctgan_utils.phantom.anatomy import draw_anatomy
from ctgan_utils.phantom.patients import CLASS_COUNTS, CLASSES, TISSUES, draw_patient
from ctgan_utils.runtime import UserError

__all__ = ["CLASSES", "CLASS_COUNTS", "TISSUES", "Phantoms", "generate", "window"]


@dataclass(frozen=True)
class Phantoms:
    """N slices with their ground truth.

    images  uint8   [N, H, W]  grey levels: ``window(hu[i], *windows[i])``
    hu      int16   [N, H, W]  Hounsfield units, with acquisition blur and noise
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


def _acquire(hu, rng, noise, pixel):
    """What the scanner makes of Hounsfield units, float [slices, H, W] at `pixel` mm: adds blur and noise.

    The point spread is Gaussian: 1.2 mm full width at half maximum from focus and detector, and 0.85 pixel
    from a kernel matched to the matrix. The noise has a standard deviation of `noise` HU at 3 mm pixels and
    the power spectrum of filtered back-projection: in proportion to the frequency, from the ramp filter, up
    to the kernel's roll-off (Riederer, Pelc and Chesler, Physics in Medicine and Biology 23:446, 1978). Wide
    bodies starve the lateral rays of photons, which draws streaks along the rows: more power at vertical
    frequencies.
    """
    fy, fx = fft.fftfreq(hu.shape[1])[:, None], fft.rfftfreq(hu.shape[2])[None]  # cycles per pixel
    f2 = fx**2 + fy**2
    blur = np.exp(-2 * np.pi**2 * ((0.5 / pixel) ** 2 + 0.36**2) * f2)
    power = np.sqrt(f2) * np.exp(-f2 / 0.3**2) * (1 + 0.5 * (fy**2 - fx**2) / np.maximum(f2, 1e-12))
    double = np.where((fx > 0) & (fx < 0.5), 2, 1)  # columns that rfft leaves out
    filt = np.sqrt(power * hu[0].size / (power * double).sum())
    noise = noise * np.sqrt(3 / pixel)  # larger pixels average more of it
    white = rng.standard_normal(hu.shape, dtype=np.float32)
    spectrum = fft.rfft2(hu) * blur.astype(np.float32) + fft.rfft2(white) * (noise * filt).astype(np.float32)
    return fft.irfft2(spectrum, s=hu.shape[1:])


def window(hu, center=40.0, width=400.0):
    """Grey levels uint8 of Hounsfield units: linear from center - width/2 (0) to center + width/2 (255)."""
    if not width > 0:
        raise ValueError(f"window width must be positive, got {width}")
    grey = (np.asarray(hu, np.float32) - np.float32(center - width / 2)) * np.float32(255 / width)
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)


def generate(n, size=64, seed=0, progress=None):
    """Draws n slices of size x size pixels and returns them as Phantoms.

    Slice i depends on (seed, i, size) alone, so ``generate(n)`` begins with ``generate(k)`` for k < n;
    another size shows the same anatomy. progress, if given, is called as progress(done, total) after every
    patient. Raises UserError unless n >= 1, size is a multiple of 4 within 32..256 and seed >= 0.
    """
    good = {"n": n >= 1, "size": 32 <= size <= 256 and size % 4 == 0, "seed": seed >= 0}
    for name, value in (("n", n), ("size", size), ("seed", seed)):
        if not good[name]:
            rule = "n >= 1, size a multiple of 4 within 32..256, seed >= 0"
            raise UserError(f"bad {name}: {value}; give {rule}")
    hu, labels, masks = (np.zeros((n, size, size), t) for t in (np.int16, np.uint8, bool))
    images, z, windows = np.zeros_like(labels), np.zeros(n, np.float32), np.zeros((n, 2), np.float32)
    classes, patients = np.zeros(n, np.int64), np.zeros(n, np.int64)
    start = index = 0
    while start < n:
        p = draw_patient(seed, index)
        # whole stacks, even where only part is kept: the arithmetic must not depend on n
        clean, label, mask = draw_anatomy(p, size)
        noisy = _acquire(clean, np.random.default_rng([*p.key, 2]), p.noise, p.fov / size)
        at = slice(start, min(n, start + len(p.z)))
        count = at.stop - start
        hu[at] = np.rint(np.clip(noisy[:count], -1024, 3071))
        labels[at], masks[at], z[at] = label[:count], mask[:count], p.z[:count]
        windows[at], classes[at], patients[at] = p.window, p.cls, index
        images[at] = window(hu[at], *p.window)
        start, index = at.stop, index + 1
        if progress:
            progress(start, n)
    return Phantoms(images, hu, labels, masks, classes, patients, z, windows)

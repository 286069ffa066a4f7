"""A patient's slices while they are painted, and the shapes that are painted on them.

Everything is in millimetres, so the matrix size only sets how finely the same anatomy is sampled.
"""

from collections.abc import Sequence
from types import EllipsisType

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ctgan_utils.phantom.patients import HU, LESIONS, TISSUE_ID, Patient

Number = float | np.floating | np.ndarray  # one for all pixels, or one for each
Triple = Sequence[Number] | np.ndarray  # of x, y and z
Point = Sequence[float] | np.ndarray  # x, y and z
Index = tuple[slice, ...] | EllipsisType  # of a part of the canvas, or of all


def spline(u: np.ndarray, scale: float, low: float, high: float) -> np.ndarray:
    """Cubic B-spline weights [len(u), knots] of positions u within [low, high] on knots `scale` apart."""
    t = np.abs((u[:, None] - low) / scale - np.arange(-1, int(np.ceil((high - low) / scale)) + 2))
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6).astype(np.float32)


def ellipsoid(q: Triple, centre: Triple, axes: Triple, angle: Number = 0.0) -> np.ndarray:
    """About the signed distance, mm, to an ellipsoid turned by `angle` in plane; an axis may be np.inf."""
    u, v, w = (k - np.float32(m) for k, m in zip(q, centre))
    a, b, c, angle = (np.float32(k) for k in (*axes, angle))
    cos, sin = np.cos(angle), np.sin(angle)
    u, v, w = (cos * u + sin * v) / a, (cos * v - sin * u) / b, w / c
    f = np.sqrt(u**2 + v**2 + w**2) + np.float32(1e-6)
    return f * (f - 1) / np.sqrt((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2 + np.float32(1e-9))


def capsule(q: Triple, start: Point, end: Point, radius: float) -> np.ndarray:
    """Signed distance, mm, to a tube around the segment from start to end."""
    u, v, w = (k - np.float32(m) for k, m in zip(q, start))
    way = np.subtract(end, start).astype(np.float32)
    t = np.clip((u * way[0] + v * way[1] + w * way[2]) / (way @ way), 0, 1)
    return np.sqrt((u - t * way[0]) ** 2 + (v - t * way[1]) ** 2 + (w - t * way[2]) ** 2) - np.float32(radius)


class Canvas:
    """One patient's slices while they are painted, on a raster twice as fine as the image.

    x, y, z are body coordinates in mm after pose and deformation: x to the image's right, y to the back,
    z to the head, origin in the middle of the torso. A tall patient is a scaled one: mm are those of normal
    stature.
    """

    # kept by anatomy.paint_torso
    square: float  # how square the torso is
    wall: np.ndarray  # signed distances, mm, to the outside of the muscle wall
    cavity: np.ndarray  # and to its inside
    outside: np.ndarray  # bool, off the body

    def __init__(self, patient: Patient, size: int) -> None:
        self.patient, self.rng = patient, np.random.default_rng([*patient.key, 1])
        rng, shape = self.rng, (len(patient.z), 2 * size, 2 * size)
        self.half = patient.fov / patient.stature / 2
        self.pixel = self.half / size
        self.axis = ((np.arange(2 * size) + 0.5) * self.pixel - self.half).astype(np.float32)
        self.z = patient.z.astype(np.float32)[:, None, None]
        self.spine = patient.depth - 70  # y of the vertebral body's centre
        self.shift = rng.uniform(-0.06, 0.06) * self.half, rng.uniform(-0.08, 0.24) * self.half
        turn = rng.normal(0, 0.035)
        self.turn = np.cos(turn), np.sin(turn)
        cos, sin = np.asarray(self.turn, np.float32)
        u, v = self.axis[None, None, :] - self.shift[0], self.axis[None, :, None] - self.shift[1]
        self.x = cos * u + sin * v + 3.5 * self.field(75) + 1.2 * self.field(25)
        self.y = cos * v - sin * u + 3.5 * self.field(75) + 1.2 * self.field(25)
        twigs = self.field(7), self.field(7)
        self.speckle = self.field(3.5)
        self.grain = 0.3 * (twigs[0] + twigs[1]) + 0.6 * self.speckle  # texture
        self.ripple = self.field(16), self.field(16)  # finer deformation, for soft organs
        # two random fields vanish together along curves in space: distance, mm, to random vessels
        self.vessels, self.twigs = 12 * np.hypot(*self.ripple), 5 * np.hypot(*twigs)
        self.mean = {k: m[patient.phase] + m[3] * rng.standard_normal() for k, m in HU.items()}
        self.hu = np.full(shape, self.mean["air"], np.float32)
        self.labels, self.lesion = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
        self.sick = False  # whether a lesion has been painted

    def field(self, scale: float) -> np.ndarray:
        """Smooth random field of unit variance with details of about `scale` mm, the same at every size."""
        z = self.z.ravel()
        axes = ((z, z[0], z[-1]), (self.axis, -self.half, self.half), (self.axis, -self.half, self.half))
        weights = [sparse.csr_array(spline(u, scale, low, high)) for u, low, high in axes]
        field = self.rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
        for w in weights:  # along the first axis, which then becomes the last
            field = np.moveaxis((w @ field.reshape(len(field), -1)).reshape(-1, *field.shape[1:]), 0, -1)
        return np.ascontiguousarray(field) * (315 / 151) ** 1.5

    def view(
        self,
        x: ArrayLike = 0.0,
        y: ArrayLike = 0.0,
        r: float = np.inf,
        z: ArrayLike | None = None,
        wobble: float = 0.0,
    ) -> tuple[tuple[slice, ...], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Index of the part of the canvas within r mm of a point, or of arrays of them, and its x, y, z.

        The margin leaves room for pose and deformation; wobble adds so many mm of finer deformation.
        """
        (cos, sin), x, y = self.turn, np.asarray(x), np.asarray(y)
        x, y = cos * x - sin * y + self.shift[0], cos * y + sin * x + self.shift[1]
        middle = (np.zeros(1) if z is None else np.asarray(z)), np.asarray(y), np.asarray(x)
        margin = (np.inf if z is None else r), r + 14, r + 14
        axes = self.z.ravel(), self.axis, self.axis
        ends = ((k.min() - m, k.max() + m) for k, m in zip(middle, margin))
        at = tuple(slice(*np.searchsorted(axis, pair)) for axis, pair in zip(axes, ends))
        q = self.x[at], self.y[at], self.z[at[0]]
        if wobble:
            q = q[0] + wobble * self.ripple[0][at], q[1] + wobble * self.ripple[1][at], q[2]
        return at, q

    def paint(
        self,
        at: Index,
        tissue: str,
        distance: np.ndarray,
        grain: float = 0.0,
        hu: float | np.ndarray | None = None,
    ) -> None:
        """Covers distance < 0 with a tissue, edge pixels in part; `hu` stands in for the tissue's mean."""
        if tissue in LESIONS and self.patient.healed:
            return
        cover = distance * np.float32(-1 / self.pixel)
        cover += np.float32(0.5)
        np.clip(cover, 0, 1, out=cover)
        value = np.float32(self.mean[tissue]) if hu is None else hu
        if grain:
            value = value + np.float32(grain) * self.grain[at]
        change = value - self.hu[at]
        change *= cover
        self.hu[at] += change
        self.labels[at][cover >= 0.5] = TISSUE_ID[tissue]
        if tissue in LESIONS:
            self.sick = True
            self.lesion[at] += cover * (1 - self.lesion[at])
        elif self.sick:
            self.lesion[at] *= 1 - cover

"""Spine, ribs and iliac wings. A bone is a dense cortex around marrow with a fine texture."""

import numpy as np

from ctgan_utils.phantom.canvas import Canvas, capsule, ellipsoid


def paint_spine(c: Canvas) -> None:
    """Vertebrae, alternating with discs along z: body, canal, pedicles, laminae, joints and processes."""
    rng, s = c.rng, c.spine
    at, q = c.view(0, (s - 22, s + 64), 45)
    x, y = np.abs(q[0]), q[1]
    # the disc is cut aslant, by the curve of the spine
    turn = 2 * np.pi * (c.z - rng.uniform(0, 36) + rng.normal(0, 0.12) * (y - np.float32(s))) / 36
    bone = np.clip(3.2 - 3.6 * np.cos(turn), 0, 1)  # 0 in the disc, 1 in the vertebra
    level = turn[:, :1, :1]
    pedicle, spinous = np.clip(0.2 - np.cos(level - 0.7), 0, 1), np.clip(0.8 + np.cos(level - 0.5), 0, 1)
    joint = np.clip(0.6 + np.cos(level), 0, 1)  # the facet joints lie at the height of the disc
    flat = x, y, np.zeros_like(c.z)

    def bar(
        start: tuple[float, float], end: tuple[float, float], radius: float, here: np.ndarray
    ) -> np.ndarray:
        """A bar in the slice, where `here` is 1; as it nears 0 the bar thins out and vanishes."""
        return capsule(flat, (*start, 0), (*end, 0), radius) + 7 * (1 - here)

    a, b, process = rng.uniform(20, 24), rng.uniform(14.5, 17), rng.uniform(34, 42)
    body = ellipsoid(q, (0, s, 0), (a, b, np.inf))
    body = np.maximum(body, 9 - np.hypot(x, y - np.float32(s + 24)))  # hollow at the back
    arch = np.minimum.reduce(
        [
            bar((14, s + 8), (13, s + 24), 4.5, pedicle),
            bar((14, s + 23), (process, s + 29), 3, pedicle),
            bar((14, s + 25), (1, s + 36), 3.4, np.maximum(pedicle, spinous)),
            bar((0, s + 36), (0, s + 58), 3.4, spinous),
            bar((15, s + 25), (20, s + 32), 6, joint),
        ]
    )
    dense = c.mean["vertebra"] + 60 * c.grain[at]
    c.paint(at, "vertebra", body, 0, 110 + 330 * bone)
    c.paint(at, "vertebra", body + 2.2, 0, 85 + bone * (dense - 85))
    c.paint(at, "disc", np.maximum(body + 3, 6 * bone - 3), 5)
    c.paint(at, "vertebra", arch, 60, c.mean["vertebra"] + 250)
    c.paint(at, "vertebra", arch + 2.2, 60)
    gap = np.abs(capsule(flat, (14, s + 29, 0), (21, s + 27, 0), 0)) - 0.6
    c.paint(at, "muscle", np.maximum(gap, 4 - 7 * joint))
    c.paint(at, "canal", ellipsoid(q, (0, s + 24, 0), (9.5, 7.5, np.inf)), 5)


def paint_ribs(c: Canvas) -> None:
    """Ribs in the muscle wall, and the cartilage of the costal arch in front at liver level."""
    p, rng = c.patient, c.rng
    start = rng.uniform(0.3, 0.95)
    for side in (-1, 1):
        first, step = start + rng.normal(0, 0.06), rng.uniform(0.38, 0.52)
        for k, tip in enumerate((0.75, 0.4, 0.0, -0.4, -0.7)):
            # ribs run downwards to the front, so a higher slice cuts them further back, between tip and spine
            t = first + 0.012 * c.z - step * k + rng.normal(0, 0.04)
            grow = np.clip((t - tip) * 8, 1e-3, 1) * np.clip((1.2 - t) * 8, 1e-3, 1)
            reach = 1 / (1 - c.square * (1 + np.clip(np.sin(t), 0, 1)) * (np.cos(t) * np.sin(t)) ** 2)
            x, y = side * 129 * np.cos(t) * reach, (p.depth - 6) * np.sin(t) * reach
            at, q = c.view(x, y, 20)
            turn = np.arctan2(p.depth * np.cos(t), -side * 135 * np.sin(t))
            d = ellipsoid(q, (x, y, 0), (rng.uniform(5, 11) * grow, 3 * grow, np.inf), turn)
            c.paint(at, "intermuscular fat", d - 1.2)
            c.paint(at, "rib", d, 0, c.mean["rib"] + 250)
            c.paint(at, "rib", d + 2)


def paint_iliac(c: Canvas) -> None:
    """The iliac wings, oblique plates of bone with muscle on both sides, in low slices."""
    s, crest = c.spine, c.rng.uniform(-95, -55)
    if c.z.min() > crest + 10:
        return
    deep = np.clip(crest - c.z, -10, 60)  # under the crest, which is cut first at the side
    for side in (-1, 1):
        inner, outer = (98 - 0.8 * deep, s + 2 + 0.75 * deep), (100 + 0.25 * deep, s - 2 - 0.55 * deep)
        at, q = c.view(side * 85, s + 10, 75, wobble=1.5)
        u, v = side * q[0] - inner[0], q[1] - inner[1]
        way = outer[0] - inner[0], outer[1] - inner[1]
        t = np.clip((u * way[0] + v * way[1]) / (way[0] ** 2 + way[1] ** 2), 0, 1)
        d = np.hypot(u - t * way[0], v - t * way[1]) + np.clip(3 - deep, 0, 20) * 0.8
        c.paint(at, "muscle", np.maximum(d - 16, c.wall[at] + 1), 7)
        c.paint(at, "iliac bone", d - 4, 30, c.mean["iliac bone"] + 300)
        c.paint(at, "iliac bone", d - 2, 60)

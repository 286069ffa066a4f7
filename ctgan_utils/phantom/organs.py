"""Gut, liver, gallbladder, spleen, pancreas and the great vessels, bounded by the cavity."""

import numpy as np

from ctgan_utils.phantom.canvas import Canvas, capsule, ellipsoid


def _tube(c, points, radius, hu, gas=None, faeces=False, coat=0.0):
    """Gut along `points`: fat around it, the wall, what it holds (`hu`), and gas or faeces mixed with gas.

    gas is the share of the height filled, from the front, or how much faeces hold; coat the width, mm, of
    the fat that parts it from its neighbours.
    """
    for a, b in zip(points[:-1], points[1:]):
        (x, y, z) = np.transpose([a, b])
        at, q = c.view(x, y, radius + 3, z, wobble=4)
        d = np.maximum(capsule(q, a, b, radius), c.cavity[at] + 1)
        if coat:
            c.paint(at, "visceral fat", d - coat)
        d += 1.1 * c.grain[at]
        c.paint(at, "bowel wall/contents", d, 18)
        if hu is not None:
            c.paint(at, "bowel wall/contents", d + 2.2, 8, hu)
        if faeces:  # bubbles
            c.paint(
                at,
                "bowel gas",
                np.maximum(d + 2.5, 1.5 - 2 * c.speckle[at] - 1.5 * gas - 1.5 * c.ripple[0][at]),
                60,
            )
        elif gas is not None:
            c.paint(
                at, "bowel gas", np.maximum(d + 2.2, q[1] - np.float32(y.mean() + radius * (2 * gas - 1)))
            )


def paint_bowel(c: Canvas) -> None:
    """Mesenteric vessels, then small bowel as winding tubes in the fat, more or less of it."""
    p, rng, front = c.patient, c.rng, -0.8 * c.patient.depth
    feet, head = p.z[0] - 20, p.z[-1] + 20
    at, (x, y, _) = c.view()
    root = np.maximum(c.cavity + 6, y - np.float32(c.spine - 20))  # in front of the great vessels
    size = rng.uniform(0.6, 1.6)
    c.paint(at, "mesenteric vessel", np.maximum(root, c.vessels - 1.6 * size))
    c.paint(at, "mesenteric vessel", np.maximum(root, c.twigs - size + 0.5 * c.ripple[0]))
    fill = rng.uniform(0.3, 1.1)
    for _ in range(int(fill * 0.7 * (head - feet)) + 3):
        point = np.array([rng.uniform(-70, 95), rng.uniform(front, c.spine - 28), rng.uniform(feet, head)])
        way, points = rng.standard_normal(3) * (1, 1, 0.6), [point]
        for _ in range(rng.integers(2, 5)):  # a random walk with inertia, flattened along z
            way = 0.7 * way / np.linalg.norm(way) + 0.5 * rng.standard_normal(3) * (1, 1, 0.6)
            point = points[-1] + 17 * way / np.linalg.norm(way)
            points.append(np.clip(point, (-85, front, feet), (100, c.spine - 25, head)))
        kind = rng.random()
        hu = rng.uniform(8, 30) if kind < 0.2 else None
        gas = rng.uniform(0.15, 0.6) if kind < 0.06 else None
        _tube(c, points, rng.uniform(6, 12), hu, gas, coat=1.2)


def paint_colon(c: Canvas) -> None:
    """Ascending and descending colon at the sides, the transverse colon hanging in front."""
    p, rng, front = c.patient, c.rng, -0.8 * c.patient.depth
    feet, head = p.z[0] - 25, p.z[-1] + 25
    bends = []
    for x, y, r in ((-90.0, 0.0, 23.0), (98.0, 8.0, 18.0)):
        x, y = x + rng.normal(0, 5), y + rng.normal(0, 9)
        dx, dy = rng.normal(0, 0.25, 2)
        points = [np.array((x + dx * z, y + dy * z, z)) for z in (feet, p.z.mean(), head)]
        bends.append((points, r * rng.uniform(0.75, 1.15)))
    z = rng.uniform(-40, 60)  # its height; it sags in the middle
    across, y = np.linspace(-85, 90, 7), front + rng.uniform(0, 14)
    sag = rng.uniform(0, 50)
    points = [
        np.array((x, y + 0.0028 * x**2 + rng.normal(0, 4), z - sag * (1 - (x / 90) ** 2) + rng.normal(0, 5)))
        for x in across
    ]
    bends.append((points, rng.uniform(13, 21)))
    for points, r in bends:
        faeces = rng.random() < 0.85
        gas = rng.uniform(0, 1) if faeces else rng.choice([0.02, 0.4, 0.8])
        _tube(c, points, r, rng.uniform(-30, 45), gas, faeces, coat=1.5)


def paint_stomach(c: Canvas) -> None:
    """Stomach, full to varying degree, in front on the left; duodenum and pancreas before the spine."""
    rng, s, front = c.rng, c.spine, -0.8 * c.patient.depth
    rise = rng.normal(0, 12)
    head = np.array((-32 + rng.normal(0, 4), s - 50, 5 + rise))
    gut = [
        head + k for k in ((-6, -6, 40), (-16, 4, 20), (-14, 8, -20), (4, 8, -34), (40, 4, -30), (62, -8, -8))
    ]
    _tube(c, gut, rng.uniform(9, 13), rng.uniform(10, 40) if rng.random() < 0.5 else None, coat=1)
    thick = rng.uniform(7.5, 12)
    chain = [head + k for k in ((0, 0, -12), (4, -4, 8), (26, -12, 20), (52, -4, 27), (84, 14, 34))]
    for a, b in zip(chain[:-1], chain[1:]):
        (x, y, z) = np.transpose([a, b])
        at, q = c.view(x, y, thick + 6, z, wobble=4)
        d = np.maximum(capsule(q, a, b, thick) + 1.5 * c.grain[at], c.cavity[at])
        c.paint(at, "pancreas", d, 10)
    if rng.random() < 0.75:
        x, y, low = rng.uniform(10, 55), front + rng.uniform(22, 34), rng.uniform(-25, 45)
        at, q = c.view(x, y, 70, wobble=3)
        axes = rng.uniform(28, 52), rng.uniform(18, 32), 50
        d = np.maximum(ellipsoid(q, (x, y, low + 50), axes, rng.uniform(-0.1, 0.5)), c.cavity[at] + 1)
        c.paint(at, "visceral fat", d - 1.5)
        c.paint(at, "bowel wall/contents", d, 12)
        c.paint(at, "bowel wall/contents", d + rng.uniform(3, 6), 10, rng.uniform(5, 55))
        level = q[1] - np.float32(y - rng.uniform(-2, 24))
        c.paint(at, "bowel gas", np.maximum(d + 3.5, level - 4 * (c.grain[at] > 1.2)))


def paint_organs(c: Canvas) -> None:
    """Liver with its vessels, gallbladder, spleen, and the lungs' recesses in the highest slices."""
    p, rng = c.patient, c.rng
    at, q = c.view(wobble=1.5)
    tip, left = rng.uniform(-75, 15), rng.uniform(5, 55)  # where the right and the left lobe begin
    long = (150 - tip) / 2
    wide, deep = rng.uniform(50, 82), rng.uniform(66, 88)
    right = ellipsoid(q, (-96, -10, tip + long), (wide, deep, long), rng.uniform(0.1, 0.3))
    lobe = ellipsoid(q, (-22, -0.52 * p.depth, left + 60), (rng.uniform(55, 85), 38, 60), -0.15)
    liver = np.maximum(np.minimum(right, lobe), c.cavity + 1)
    c.paint(at, "visceral fat", liver - 1.5)
    c.paint(at, "liver", liver, 5)
    c.paint(at, "liver vessel", np.maximum(liver + 6, c.vessels - 2.2))
    c.paint(at, "liver vessel", np.maximum(liver + 4, c.twigs - 0.7))
    if rng.random() < 0.7:
        x, y, z = rng.uniform(-62, -40), rng.uniform(-0.62, -0.4) * p.depth, tip + rng.uniform(25, 60)
        at, q = c.view(x, y, 30, wobble=1)
        axes = rng.uniform(10, 17), rng.uniform(14, 26), 26
        d = np.maximum(ellipsoid(q, (x, y, z), axes, rng.uniform(-0.5, 0.1)), c.cavity[at])
        c.paint(at, "bowel wall/contents", d)
        c.paint(at, "gallbladder", d + 1.5, 4)
    at, q = c.view(98, 20, 60, wobble=1.5)
    axes = rng.uniform(18, 28), rng.uniform(36, 54), 60
    spleen = ellipsoid(q, (100, 24, rng.uniform(-30, 40) + 60), axes, -0.3)
    spleen = np.maximum(spleen, c.cavity[at] + 1)
    c.paint(at, "spleen", spleen, 6 if p.phase != 1 else 22)
    if p.z[-1] > 65:
        _, q = c.view()
        floor = rng.uniform(70, 85) + 45 * np.clip(-q[1] / np.float32(p.depth), 0, 1)  # lower at the back
        lung = np.maximum(c.cavity, 0.4 * (floor - q[2]) - 0.6 * c.cavity)
        c.paint(..., "lung", np.maximum(lung, 40 - np.abs(q[0])), 30)


def paint_vessels(c: Canvas) -> None:
    """Aorta before the spine, vena cava on its right, the superior mesenteric vessels before them."""
    rng, s = c.rng, c.spine
    x, r, flat = rng.uniform(2, 13), rng.uniform(8, 11), rng.uniform(0.6, 1.0)
    calcium = rng.uniform(0.3, 2) if rng.random() < 0.2 else np.inf
    for side in (-1, 1):  # crura of the diaphragm
        at, q = c.view(side * 13, s - 22, 25, wobble=1)
        tall = np.clip(6 + 0.25 * c.z, 1e-3, 20)
        c.paint(at, "muscle", ellipsoid(q, (side * 13 + 3, s - 20, 0), (4, tall, np.inf), side * 0.35))
    for tissue, centre, axes in (
        ("vena cava", (-19, s - 25), (r + 2, flat * (r + 2))),
        ("aorta", (x, s - 29), (r, r)),
        ("aorta", (x - 1, s - 52 - 0.1 * c.z), (3.5, 3.5)),  # a branch
        ("mesenteric vessel", (x - 14, s - 53), (5.5, 5)),
    ):
        across, back = np.broadcast_arrays(*centre)
        at, q = c.view(across, back, 15)
        d = ellipsoid(q, (*centre, 0), (*axes, np.inf), 0.2)
        if axes[0] < 6:  # they leave in front of the aorta, below the liver
            d = np.maximum(d, 0.5 * (c.z - 25))
        c.paint(at, "visceral fat", d - 1.5)
        c.paint(at, tissue, d, 5)
        if tissue == "aorta":
            c.paint(at, "calcification", np.maximum(np.abs(d + 0.8) - 1, 3 * (calcium - c.ripple[1][at])))

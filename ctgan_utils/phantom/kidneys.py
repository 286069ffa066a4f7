"""Kidneys in their fat, and the lesions in them."""

import numpy as np

from ctgan_utils.phantom.canvas import Canvas, capsule, ellipsoid
from ctgan_utils.phantom.patients import LESIONS


def paint_kidneys(c: Canvas) -> None:
    """Kidneys in their fat, with cortex, pyramids, sinus, pelvis, vessels and ureter; the lesion in one."""
    p, rng = c.patient, c.rng
    a, b, long = rng.uniform(26, 31), rng.uniform(21, 25), rng.uniform(52, 60)
    tilt, reach, cortex = rng.uniform(0.5, 0.95), rng.uniform(62, 72), rng.uniform(5, 8)
    strands = rng.uniform(-0.6, 0.9)  # of connective tissue in the fat
    for side in (-1, 1):
        z0, lobes, spin = 6 * side + rng.normal(0, 5), int(rng.integers(6, 10)), rng.uniform(0, 6)
        x0, y0 = side * (reach + rng.normal(0, 2)), c.spine - 4 + rng.normal(0, 4)
        hilum = np.array((-side * np.cos(tilt), -np.sin(tilt)))  # looks to the midline and to the front
        across = np.arctan2(hilum[1], hilum[0])
        # the axis leans outwards and to the front towards the feet, along the psoas
        lean = np.array((-side * 0.16, 0.1))
        x, y = x0 + lean[0] * (c.z - z0), y0 + lean[1] * (c.z - z0)
        at, q = c.view(x0, y0, 46, wobble=4)
        inside = c.cavity[at] + 2
        fat = np.maximum(ellipsoid(q, (x, y, z0), (b, a, long + 4), across) - 3.5, inside)
        c.paint(at, "visceral fat", fat, 6)
        c.paint(at, "connective tissue", np.maximum(fat, c.twigs[at] - strands))
        whole = np.maximum(
            ellipsoid(c.view(x0, y0, 46, wobble=0.8)[1], (x, y, z0), (b, a, long), across), inside
        )
        at, q = c.view(x0, y0, 46)
        gate = x + 0.75 * b * hilum[0], y + 0.75 * b * hilum[1], z0
        angle = np.arctan2(q[1] - y, q[0] - x)
        # columns of cortex part the pyramids; calyces reach between them into the parenchyma
        columns = np.clip(np.cos(lobes * angle + spin + 0.08 * q[2] + 1.2 * c.ripple[0][at]), 0, 1)
        sinus, pelvis = (ellipsoid(q, gate, (17 * k, 12 * k, 27 * k), across) for k in (1, 0.6))
        sinus = sinus + 2.5 * c.ripple[0][at] - 3 * columns
        c.paint(at, "kidney cortex", whole, 8)
        c.paint(at, "kidney medulla", np.maximum(whole + cortex + 6 * columns, 2 - sinus), 8)
        c.paint(at, "renal sinus", np.maximum(sinus, whole - 2), 12)
        branch = np.maximum(sinus, c.twigs[at] - 1.3)
        c.paint(at, "vena cava", np.maximum(branch, whole))
        c.paint(at, "renal pelvis", np.maximum(pelvis + 2 * c.ripple[1][at], whole - 4), 6)
        door = *(x0, y0) + 0.6 * b * hilum, z0
        for tissue, end, r in (
            ("vena cava", (-14 if side < 0 else 2, c.spine - 32, z0 + 4), 3.5),
            ("aorta", (6, c.spine - 26, z0 + 10), 2),
        ):
            at, q = c.view(np.array((0, x0)), y0 - 15, 30, wobble=1.5)
            c.paint(at, tissue, capsule(q, door, end, r))
        at, q = c.view(side * 35, y0 - 10, 30)
        start, end = np.array((*(x0, y0) + 1.2 * b * hilum, z0 - 8)), (side * 28, c.spine - 20, z0 - 130)
        c.paint(at, "ureter", capsule(q, start, end, 2.3))
        if side == p.side and LESIONS[p.cls]:
            _paint_lesion(c, (x0, y0) + lean * (p.lesion_z - z0), p.lesion_z - z0, (a, b, long), hilum, spin)
        if p.cls in (0, 2):
            _paint_more(c, np.array((x0, y0)), z0, lean, b, hilum)


def _paint_more(c, centre, z0, lean, b, hilum):
    """More cysts in the cortex or more stones in the calyces of a kidney, as many patients have them."""
    p, rng = c.patient, c.rng
    tissue = LESIONS[p.cls]
    for _ in range(rng.integers(0, 4) if rng.random() < 0.6 else 0):
        z = rng.uniform(-35, 35)
        turn, out = rng.uniform(-2.2, 2.2), 0.9 * b if tissue == "cyst" else rng.uniform(2, 10)
        spot = centre + lean * z + out * np.array((-np.sign(hilum[0]) * np.cos(turn), np.sin(turn)))
        r = rng.uniform(4, 14) if tissue == "cyst" else rng.uniform(1.2, 3.5)
        at, q = c.view(*spot, 1.5 * r, (z0 + z, z0 + z), wobble=0.5)
        d = ellipsoid(q, (*spot, z0 + z), (r, r * rng.uniform(0.8, 1.2), r))
        c.paint(at, tissue, np.maximum(d, c.cavity[at] + 1), 4)


def _paint_lesion(c, spot, height, axes, hilum, spin):
    """Cyst, stone or tumour in a kidney with its axis at `spot`, `height` mm above the kidney's centre."""
    p, rng, (a, b, long), (r, rz) = c.patient, c.rng, axes, c.patient.lesion_r
    tissue, flat = LESIONS[p.cls], rng.uniform(0.85, 1.2)
    if tissue == "stone":  # in the pelvis; the largest grow into the calyces
        spot = spot + 0.45 * b * hilum + rng.normal(0, 2, 2)
        at, q = c.view(*spot, 2 * r + 12, wobble=0.5)
        c.paint(at, "renal pelvis", ellipsoid(q, (*spot, p.lesion_z), (r + 4, r + 4, rz + 6)))
        d = ellipsoid(q, (*spot, p.lesion_z), (r * flat, r / flat, rz), spin)
        for turn in rng.uniform(-1.2, 1.2, rng.integers(2, 5) if r > 6 else 0):
            way = -np.array(
                (hilum[0] * np.cos(turn) - hilum[1] * np.sin(turn), hilum @ (np.sin(turn), np.cos(turn)))
            )
            end = *(spot + (1.6 * r) * way), p.lesion_z + rng.uniform(-10, 10)
            d = np.minimum(d, capsule(q, (*spot, p.lesion_z), end, rng.uniform(2, 3.5)))
        c.paint(at, tissue, d, 60)
        return
    # about on the kidney's surface, to the side and the front, where there is room
    turn = rng.uniform(-1.3, 0.6) if r < 35 else rng.uniform(-1.5, -0.7)
    out = np.array((p.side * np.cos(turn), np.sin(turn)))
    slim = np.sqrt(1 - min(0.95, height / long) ** 2)  # of the kidney at this height
    radius = slim / np.hypot(out @ hilum / b, out @ (-hilum[1], hilum[0]) / a)
    spot = spot + max(rng.uniform(0.6, 0.95) * radius, r - 0.7 * slim * b) * out  # leaves some kidney
    at, q = c.view(*spot, 1.3 * r, wobble=0.6 if tissue == "cyst" else 2.5)
    d = np.maximum(ellipsoid(q, (*spot, p.lesion_z), (r * flat, r / flat, rz), spin), c.cavity[at] + 1)
    if tissue == "cyst":
        c.paint(at, tissue, d, 4)
        return
    # vital parts take up contrast agent unevenly; necrosis and a capsule part them
    mean, ripple = c.mean[tissue], c.ripple[1][at]
    c.paint(at, tissue, d, 0, mean - 15)
    c.paint(at, tissue, d + 1.5, 0.25 * mean + 8, mean + (0.3 * mean) * ripple)
    core = rng.uniform(0.15, 0.6)
    c.paint(at, tissue, np.maximum(d + core * r, 5 * ripple + 2 * c.grain[at]), 8, 0.35 * mean)

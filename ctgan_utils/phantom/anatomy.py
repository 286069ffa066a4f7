"""The anatomy: tissues painted one over another, from smooth implicit shapes under a smooth deformation.

Skin and table are kept about a pixel thick, or they would be lost in coarse images.
"""

import numpy as np

from ctgan_utils.phantom.canvas import Canvas, capsule, ellipsoid
from ctgan_utils.phantom.patients import LESIONS, TISSUE_ID


def _paint_torso(c):
    """Skin, subcutaneous fat, muscle wall and fat-filled cavity; keeps distances c.wall and c.cavity."""
    p, rng = c.patient, c.rng
    at, (x, y, _) = c.view()
    c.square, thick, groove = rng.uniform(0.05, 0.25), rng.uniform(9, 15), rng.uniform(2, 8)
    wide, back = rng.uniform(-0.15, 0.3), rng.uniform(-0.3, 0.25)  # where the fat is thicker
    depth = np.float32(p.depth)
    u, v = x / 135, y / depth
    f2 = u**2 + v**2 + np.float32(1e-6)
    cos2, sin = (u**2 - v**2) / f2, v / np.sqrt(f2)
    rear = np.clip(sin, 0, 1)
    f = np.sqrt(f2) * (1 - c.square * (1 + rear) * (u * v / f2) ** 2)  # squarer at the back
    groove = groove * rear * np.exp(-((x / 16) ** 2))
    c.wall = f * (f - 1) / np.sqrt((u / 135) ** 2 + (v / depth) ** 2 + np.float32(1e-9)) + groove
    c.cavity = c.wall + thick * (1 + 0.3 * cos2) * (1 - 0.55 * rear)
    skin = c.wall - p.fat * (1 + wide * cos2 + back * sin) + 0.5 * groove
    c.paint(at, "skin", skin)
    c.paint(at, "subcutaneous fat", skin + max(2.0, 1.8 * c.pixel), 8)  # at least most of a pixel of skin
    c.paint(at, "muscle", c.wall, 10)
    c.paint(at, "visceral fat", c.cavity, 8)


def _paint_bowel(c):
    """Mesenteric vessels, small bowel as winding tubes, colon with gas and faeces, stomach with gas."""
    p, rng, front = c.patient, c.rng, -0.78 * c.patient.depth
    feet, head = p.z[0] - 25, p.z[-1] + 25

    def tube(points, radius, hu, gas=0.0, faeces=False):
        """The wall, then what it holds, then gas: a share of the height, or mixed into faeces."""
        for layer in ("wall", "contents", "gas")[: 3 if gas else 2]:
            for a, b in zip(points[:-1], points[1:]):
                (x, y, z), r = np.transpose([a, b]), radius - 2.5 * (layer != "wall")
                at, q = c.view(x, y, radius + 3, z, wobble=5)
                d = np.maximum(capsule(q, a, b, r), c.cavity[at])
                if layer == "gas":
                    level = q[1] - np.float32(y.mean() + radius * (2 * gas - 1))
                    c.paint(at, "bowel gas", np.maximum(d, 3 - 3 * c.grain[at] if faeces else level))
                else:
                    c.paint(at, "bowel wall/contents", d, 12, hu if layer == "contents" else None)

    c.paint(..., "mesenteric vessel", np.maximum(c.cavity + 4, c.vessels - 1.5))
    for _ in range(rng.integers(10, 28)):
        point = np.array([rng.uniform(-75, 85), rng.uniform(front, c.spine - 25), rng.uniform(feet, head)])
        way, points = rng.standard_normal(3), [point]
        for _ in range(5):  # a random walk with inertia, flattened along z
            way = 0.6 * way / np.linalg.norm(way) + 0.5 * rng.standard_normal(3) * (1, 1, 0.5)
            point = points[-1] + 20 * way / np.linalg.norm(way)
            points.append(np.clip(point, (-85, front, feet), (92, c.spine - 22, head)))
        hu = rng.uniform(8, 35) if rng.random() < 0.4 else c.mean["bowel wall/contents"] - 8
        tube(points, rng.uniform(7, 12), hu, rng.uniform(0.15, 0.6) * (rng.random() < 0.15))
    # ascending, descending and twice the transverse colon
    colon = (
        (-94, 5, 19),
        (100, 12, 14),
        (rng.uniform(-50, -20), front + 8, 17),
        (rng.uniform(20, 60), front + 10, 16),
    )
    for x, y, r in colon:
        x, y, faeces = x + rng.normal(0, 4), y + rng.normal(0, 7), rng.random() < 0.5
        dx, dy = rng.normal(0, 0.25, 2)
        points = [np.array((x + dx * z, y + dy * z, z)) for z in (feet, p.z.mean(), head)]
        gas = 1.0 if faeces else rng.choice([0, 0.4, 0.8])
        tube(points, r * rng.uniform(0.75, 1.2), rng.uniform(-40, 40), gas, faeces)
    if rng.random() < 0.5:
        x, y, low = rng.uniform(5, 45), front + rng.uniform(18, 28), rng.uniform(-10, 60)
        at, q = c.view(x, y, 60, wobble=3)
        d = ellipsoid(q, (x, y, low + 45), (rng.uniform(32, 48), rng.uniform(16, 24), 45), 0.2)
        d = np.maximum(d, c.cavity[at])
        c.paint(at, "bowel wall/contents", d, 10)
        c.paint(at, "bowel wall/contents", d + 3.5, 6, rng.uniform(5, 35))
        c.paint(at, "bowel gas", np.maximum(d + 3.5, q[1] - np.float32(y - rng.uniform(-4, 14))))


def _paint_organs(c):
    """Liver with its veins, gallbladder and spleen, bounded by the cavity."""
    p, rng = c.patient, c.rng
    at, q = c.view(wobble=1.5)
    tip, left = rng.uniform(-60, 5), rng.uniform(15, 70)  # where the right and the left lobe begin
    long = (130 - tip) / 2 + 30
    right = ellipsoid(q, (-88, -8, tip + long), (rng.uniform(52, 72), rng.uniform(60, 80), long), 0.25)
    liver = np.minimum(right, ellipsoid(q, (-25, -0.5 * p.depth, left + 60), (75, 38, 60), -0.15))
    c.paint(at, "liver", np.maximum(liver, c.cavity), 8)
    if p.phase:
        veins = np.maximum(liver + 6, c.vessels - 2.5)
        c.paint(at, "liver", np.maximum(veins, c.cavity), hu=c.mean["liver"] + 40)
    if rng.random() < 0.7:
        x, y, z = rng.uniform(-62, -45), rng.uniform(-0.62, -0.4) * p.depth, tip + rng.uniform(25, 50)
        at, q = c.view(x, y, 30)
        d = ellipsoid(q, (x, y, z), (rng.uniform(11, 17), rng.uniform(15, 26), 26), -0.3)
        c.paint(at, "gallbladder", np.maximum(d, c.cavity[at]), 4)
    at, q = c.view(98, 20, 60, wobble=1.5)
    axes = rng.uniform(20, 28), rng.uniform(38, 52), 60
    d = ellipsoid(q, (98, 22, rng.uniform(-25, 40) + 60), axes, -0.25)
    c.paint(at, "spleen", np.maximum(d, c.cavity[at]), 7)


def _paint_kidneys(c):
    """Kidneys in their fat, with cortex, pyramids, sinus, pelvis and renal vein; the lesion in one."""
    p, rng = c.patient, c.rng
    a, b, long = rng.uniform(26, 31), rng.uniform(21, 25), rng.uniform(52, 60)
    tilt, reach, cortex = rng.uniform(0.5, 0.95), rng.uniform(65, 72), rng.uniform(6, 8)
    for side in (-1, 1):
        z0, lobes, spin = 6 * side + rng.normal(0, 5), int(rng.integers(6, 9)), rng.uniform(0, 6)
        x0, y0 = side * (reach + rng.normal(0, 2)), c.spine - 4 + rng.normal(0, 4)
        hilum = np.array((-side * np.cos(tilt), -np.sin(tilt)))  # looks to the midline and to the front
        across = np.arctan2(hilum[1], hilum[0])
        # the axis leans outwards and to the front towards the feet, along the psoas
        lean = np.array((-side * 0.16, 0.1))
        x, y = x0 + lean[0] * (c.z - z0), y0 + lean[1] * (c.z - z0)
        at, q = c.view(x0, y0, 42, wobble=4)
        inside = c.cavity[at] + 2
        fat = ellipsoid(q, (x, y, z0), (b, a, long), across) - 3
        c.paint(at, "visceral fat", np.maximum(fat, inside), 8)
        at, q = c.view(x0, y0, 42)
        whole = np.maximum(ellipsoid(q, (x, y, z0), (b, a, long), across), inside)
        gate = x + 0.75 * b * hilum[0], y + 0.75 * b * hilum[1], z0
        sinus, pelvis = (ellipsoid(q, gate, (17 * k, 12 * k, 27 * k), across) for k in (1, 0.62))
        # columns of cortex part the pyramids
        columns = np.clip(np.cos(lobes * np.arctan2(q[1] - y, q[0] - x) + spin + 0.08 * q[2]), 0, 1)
        c.paint(at, "kidney cortex", whole, 9)
        c.paint(at, "kidney medulla", np.maximum(whole + cortex + 6 * columns, 2 - sinus), 8)
        c.paint(at, "renal sinus", np.maximum(sinus, whole), 15)
        c.paint(at, "renal pelvis", np.maximum(pelvis, whole), 8)
        at, q = c.view(np.array((0, x0)), y0 - 15, 30, wobble=1)
        door = *(x0, y0) + 0.6 * b * hilum, z0
        c.paint(at, "vena cava", capsule(q, door, (-14 if side < 0 else 2, c.spine - 32, z0 + 4), 4))
        if side == p.side and LESIONS[p.cls]:
            _paint_lesion(c, (x0, y0) + lean * (p.lesion_z - z0), p.lesion_z - z0, (a, b, long), hilum, spin)


def _paint_lesion(c, spot, height, axes, hilum, spin):
    """Cyst, stone or tumour in a kidney with its axis at `spot`, `height` mm above the kidney's centre."""
    p, rng, (a, b, long), (r, rz) = c.patient, c.rng, axes, c.patient.lesion_r
    tissue, flat = LESIONS[p.cls], rng.uniform(0.85, 1.2)
    if tissue == "stone":  # in the pelvis
        spot = spot + 0.45 * b * hilum + rng.normal(0, 2, 2)
        at, q = c.view(*spot, r + 8, wobble=0.5)
        c.paint(at, "renal pelvis", ellipsoid(q, (*spot, p.lesion_z), (r + 4, r + 4, rz + 6)))
        c.paint(at, tissue, ellipsoid(q, (*spot, p.lesion_z), (r * flat, r / flat, rz), spin), 60)
        return
    # about on the kidney's surface, to the side and the front, where there is room
    turn = rng.uniform(-1.3, 0.6)
    out = np.array((p.side * np.cos(turn), np.sin(turn)))
    slim = np.sqrt(1 - (height / long) ** 2)  # of the kidney at this height
    radius = slim / np.hypot(out @ hilum / b, out @ (-hilum[1], hilum[0]) / a)
    spot = spot + max(rng.uniform(0.6, 0.95) * radius, r - 0.7 * slim * b) * out  # leaves some of the kidney
    at, q = c.view(*spot, 1.3 * r, wobble=0.6 if tissue == "cyst" else 2.2)
    d = np.maximum(ellipsoid(q, (*spot, p.lesion_z), (r * flat, r / flat, rz), spin), c.cavity[at])
    c.paint(at, tissue, d, 4 if tissue == "cyst" else 22)
    if tissue == "tumour":  # necrosis
        c.paint(at, tissue, np.maximum(d + 0.3 * r, 6 * c.ripple[1][at]), 20, 0.5 * c.mean[tissue])


def _paint_back(c):
    """Psoas, quadratus lumborum and the muscles behind the spine."""
    s, bulk = c.spine, c.rng.uniform(0.85, 1.15)
    grow = bulk * np.clip(1 - 0.011 * c.z, 0.5, 1.7)  # the psoas thickens downwards
    for side in (-1, 1):
        at, q = c.view(side * 36, s, 30)
        d = ellipsoid(q, (side * (33 - 0.1 * c.z), s + 6, 0), (10 * grow, 15 * grow, np.inf), side * 0.25)
        c.paint(at, "psoas", d, 9)
        for x, y, a, b, tilt in ((66, 31, 19, 7, 0.3), (34, 50, 33, 24, 0.12)):
            at, q = c.view(side * x, s + y, a + 3, wobble=1)
            d = ellipsoid(q, (side * x, s + y, 0), (a, b * bulk, np.inf), -side * tilt)
            c.paint(at, "muscle", np.maximum(d, c.wall[at] + 2.5), 17)


def _paint_vessels(c):
    """Aorta before the spine, vena cava on its right, the superior mesenteric vessels before them."""
    rng, s = c.rng, c.spine
    x, r, flat = rng.uniform(4, 14), rng.uniform(8, 11), rng.uniform(0.6, 1.0)
    for tissue, centre, axes in (
        ("vena cava", (-19, s - 25), (r + 2, flat * (r + 2))),
        ("aorta", (x, s - 29), (r, r)),
        ("aorta", (x - 1, s - 52 - 0.1 * c.z), (3.5, 3.5)),  # a branch
        ("mesenteric vessel", (x - 14, s - 53), (5.5, 5)),
    ):
        at, q = c.view(*centre, 15)
        c.paint(at, tissue, ellipsoid(q, (*centre, 0), (*axes, np.inf), 0.2), 5)


def _paint_bones(c):
    """Vertebra with canal and processes, alternating with discs along z; ribs in the muscle wall."""
    p, rng, s = c.patient, c.rng, c.spine
    turn = 2 * np.pi * (c.z - rng.uniform(0, 36)) / 36
    bone = np.clip(3.2 - 3.6 * np.cos(turn), 0, 1)  # 0 in the disc, 1 in the vertebra
    pedicle, spinous = np.clip(0.1 - np.cos(turn - 0.7), 0, 1), np.clip(0.8 + np.cos(turn - 0.5), 0, 1)
    at, q = c.view(0, (s - 22, s + 64), 45)
    x, y, flat = q[0], q[1] - np.float32(s + 24), (q[0], q[1], 0 * q[2])
    body = ellipsoid(q, (0, s, 0), (rng.uniform(21, 25), rng.uniform(15, 18), np.inf))
    body = np.maximum(body, 9 - np.hypot(x, y))
    arch = np.abs(np.hypot(x, 1.15 * y) - 13) - 3 + 6 * (1 - pedicle) * (y < 0)
    arch = np.minimum(arch, capsule(flat, (0, s + 36, 0), (0, s + 58, 0), 3.4) + 7 * (1 - spinous))
    for side in (-1, 1):
        process = capsule(flat, (side * 15, s + 26, 0), (side * 36, s + 31, 0), 3) + 8 * (1 - pedicle)
        arch = np.minimum(np.minimum(arch, process), ellipsoid(q, (side * 17, s + 31, 0), (4, 5.5, np.inf)))
    c.paint(at, "vertebra", body, 0, 110 + 280 * bone)
    c.paint(at, "vertebra", body + 2.2, 30, 85 + bone * (c.mean["vertebra"] - 85))
    c.paint(at, "vertebra", arch, 60, c.mean["vertebra"] + 230)
    c.paint(at, "canal", ellipsoid(q, (0, s + 24, 0), (10.5, 8.5, np.inf)), 5)
    for side in (-1, 1):
        first, step = rng.uniform(0.4, 1.0), rng.uniform(0.38, 0.52)
        for k, tip in enumerate((0.75, 0.4, 0.0, -0.4, -0.7)):
            # ribs run downwards to the front, so a higher slice cuts them further back, between tip and spine
            t = first + 0.012 * c.z - step * k + rng.normal(0, 0.04)
            grow = np.clip((t - tip) * 8, 1e-3, 1) * np.clip((1.2 - t) * 8, 1e-3, 1)
            reach = 1 / (1 - c.square * (1 + np.clip(np.sin(t), 0, 1)) * (np.cos(t) * np.sin(t)) ** 2)
            x, y = side * 129 * np.cos(t) * reach, (p.depth - 6) * np.sin(t) * reach
            at, q = c.view(x, y, 20)
            d = ellipsoid(
                q,
                (x, y, 0),
                (rng.uniform(8, 17) * grow, 3.3 * grow, np.inf),
                np.arctan2(p.depth * np.cos(t), -side * 135 * np.sin(t)),
            )
            c.paint(at, "rib", d, 0, c.mean["rib"] + 250)
            c.paint(at, "rib", d + 2)


def _paint_table(c):
    """Table top, a shallow trough, and under some the lower shell; rigid, not deformed with the body."""
    rng, u, v = c.rng, np.abs(c.axis[None, :]), c.axis[:, None]
    back, body = np.where(c.labels > 0, v, -np.inf).max(), c.labels > 0
    top, bow, reach = back + rng.uniform(3, 14), rng.uniform(0.0005, 0.0017), rng.uniform(0.8, 1.15) * c.half
    fade = np.clip((reach - u) / (rng.uniform(0.02, 0.4) * reach), 0, 1)  # the trough's sides leave the slice
    lines = [((v - top + bow * u**2) / np.sqrt(1 + (2 * bow * u) ** 2), fade)]
    if rng.random() < 0.7:
        drop, flat, slope = rng.uniform(40, 60), rng.uniform(80, 120), rng.uniform(0.4, 0.7)
        sides = u > flat
        shell = (v - top - drop + slope * (u - flat) * sides) / np.sqrt(1 + slope**2 * sides)
        lines.append((shell, u < flat + drop / slope))
    for d, strength in lines:  # nearly two image pixels wide at least, or coarse images would lose them
        d = np.where(body, 1e3, np.abs(d) - max(1.5, 1.75 * c.pixel))
        c.paint(..., "table", d.astype(np.float32), 0, strength * (c.mean["table"] + 1000) - 1000)


def draw_anatomy(patient, size):
    """Paints a patient; returns hu float32, labels uint8 and masks bool, each [slices, size, size]."""
    c = Canvas(patient, size)
    for paint in (
        _paint_torso,
        _paint_bowel,
        _paint_organs,
        _paint_back,
        _paint_kidneys,
        _paint_vessels,
        _paint_bones,
        _paint_table,
    ):
        paint(c)
    blocks = (len(c.z), size, 2, size, 2)
    hu, cover = c.hu.reshape(blocks).mean((2, 4)), c.lesion.reshape(blocks).mean((2, 4))
    four = c.labels.reshape(blocks).transpose(0, 1, 3, 2, 4).reshape(*hu.shape, 4)
    votes = (four[..., :, None] == four[..., None, :]).sum(-1)
    labels = np.take_along_axis(four, votes.argmax(-1)[..., None], -1)[..., 0]
    masks = np.zeros(hu.shape, bool)
    if tissue := LESIONS[patient.cls]:
        # half of the peak, so that a stone smaller than a pixel keeps that pixel
        masks = (cover >= 0.5 * cover.max((1, 2), keepdims=True)) | (labels == TISSUE_ID[tissue])
        labels[masks] = TISSUE_ID[tissue]
    return hu, labels, masks

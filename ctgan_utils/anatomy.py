"""Patients and their anatomy: the shapes behind the phantom, painted as labels and Hounsfield units.

``draw_patient`` draws a patient; ``draw_anatomy`` paints the tissues one over another, from smooth implicit
shapes under a smooth random deformation. Everything is in millimetres, so the matrix size only sets how
finely the same anatomy is sampled; skin and table alone are kept about a pixel thick, or they would be lost
in coarse images.

Attenuation: ``_HU`` holds typical clinical means by contrast phase. For the scale and the usual ranges
without contrast agent (air -1000, fat about -100, water 0, soft tissue some tens, bone hundreds) see
Bushberg, Seibert, Leidholdt and Boone, The Essential Physics of Medical Imaging (3rd ed., 2012), ch. 10.
Enhanced values depend on dose and delay of the injection; those here are mid-range, and every patient's
scatter about them.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

CLASSES = ("Cyst", "Normal", "Stone", "Tumor")
CLASS_COUNTS = (3709, 5077, 1377, 2283)

# tissue: mean HU without contrast agent, in the corticomedullary (arterial) and in the nephrographic phase,
# and the standard deviation of the means between patients
_HU = {
    "air": (-1000, -1000, -1000, 0),
    "skin": (20, 25, 25, 5),
    "subcutaneous fat": (-105, -105, -105, 4),
    "visceral fat": (-100, -98, -98, 4),
    "muscle": (52, 60, 66, 4),
    "psoas": (54, 62, 68, 4),
    "vertebra": (190, 200, 205, 40),
    "canal": (28, 32, 34, 4),
    "rib": (260, 270, 270, 40),
    "aorta": (42, 310, 160, 12),
    "vena cava": (40, 115, 150, 8),
    "mesenteric vessel": (40, 190, 150, 8),
    "liver": (58, 76, 106, 5),
    "gallbladder": (8, 9, 10, 4),
    "spleen": (48, 115, 116, 6),
    "kidney cortex": (34, 190, 178, 8),
    "kidney medulla": (30, 92, 168, 7),
    "renal sinus": (-75, -72, -72, 6),
    "renal pelvis": (6, 8, 12, 3),
    "bowel wall/contents": (38, 62, 70, 6),
    "bowel gas": (-850, -850, -850, 30),
    "table": (140, 140, 140, 60),
    "cyst": (8, 9, 10, 4),
    "tumour": (36, 112, 92, 8),
    "stone": (750, 750, 750, 200),
}
TISSUES = tuple(_HU)
_ID = {name: k for k, name in enumerate(TISSUES)}
_LESION = ("cyst", None, "stone", "tumour")  # of each class


@dataclass(frozen=True)
class Patient:
    """What a patient is before anything is drawn; lengths in mm, z from the level between the kidneys."""

    key: tuple  # (seed, patient), the start of every random stream of this patient
    cls: int
    phase: int
    z: np.ndarray  # slice positions
    side: int  # of the lesion: -1 image left (patient's right), +1 image right
    lesion_z: float
    lesion_r: tuple  # semi-axes in plane and along z
    stature: float  # scale of the whole torso
    depth: float  # half-height of the muscle wall, for a half-width of 135
    fat: float  # thickness of subcutaneous fat
    fov: float
    noise: float  # standard deviation, HU, in pixels of 3 mm
    window: tuple  # centre and width of the display window, HU


def draw_patient(seed, index):
    """Draws patient `index`: class, phase, habitus, lesion and slice positions, without rendering."""
    rng = np.random.default_rng([seed, index])
    cls = int(rng.choice(4, p=np.array(CLASS_COUNTS) / sum(CLASS_COUNTS)))
    # of each class: the odds of the phases (stones are looked for without contrast agent, tumours with it)
    # and of a display window that makes fat black; both as in clinical exports
    odds, black_fat = (
        ((0.7, 0.15, 0.15), 0.9),
        ((0.2, 0.4, 0.4), 0.3),
        ((0.9, 0.05, 0.05), 0.75),
        ((0.2, 0.5, 0.3), 0.65),
    )[cls]
    phase = int(rng.choice(3, p=odds))
    stature = rng.uniform(0.88, 1.12)
    fat = float(np.clip(rng.lognormal(2.6, 0.55), 4, 42))
    depth = rng.uniform(86, 104) + 0.2 * fat
    fov = stature * 2 * (135 + fat) / rng.uniform(0.6, 0.9)
    low, high = [(9, 32), (1, 1), (2.5, 6.5), (14, 40)][cls]
    r = low * (high / low) ** rng.beta(1.3, 1.3)
    rz = rng.uniform(7, 15) if cls == 2 else r * rng.uniform(0.85, 1.1)
    side = int(rng.choice([-1, 1]))
    if cls == 1:
        centre = rng.uniform(-45, 55)
    else:  # the left kidney lies higher; keep the whole lesion at the height of its kidney
        centre = 6 * side + rng.uniform(-1, 1) * np.clip(34 - 0.75 * rz, 0, 24)
    count = int(rng.integers(8, 21))
    step = rng.uniform(1.5, 4.0)
    if cls != 1:  # every slice must cut the lesion
        step = min(step, 1.5 * rz / (count - 1))
    z = centre + step * (np.arange(count) - (count - 1) / 2)
    noise = rng.uniform(4, 8) * np.exp(0.008 * (fat - 14)) * stature  # thicker patients stop more photons
    level = rng.normal(95, 12) if rng.random() < black_fat else rng.normal(40, 10)
    display = level, rng.uniform(380, 430)
    return Patient(
        (seed, index), cls, phase, z, side, centre, (r, rz), stature, depth, fat, fov, noise, display
    )


def _spline(u, scale, low, high):
    """Cubic B-spline weights [len(u), knots] of positions u within [low, high] on knots `scale` apart."""
    t = np.abs((u[:, None] - low) / scale - np.arange(-1, int(np.ceil((high - low) / scale)) + 2))
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6).astype(np.float32)


def _ellipsoid(q, centre, axes, angle=0.0):
    """About the signed distance, mm, to an ellipsoid turned by `angle` in plane; an axis may be np.inf."""
    u, v, w = (k - np.float32(m) for k, m in zip(q, centre))
    a, b, c, angle = (np.float32(k) for k in (*axes, angle))
    cos, sin = np.cos(angle), np.sin(angle)
    u, v, w = (cos * u + sin * v) / a, (cos * v - sin * u) / b, w / c
    f = np.sqrt(u**2 + v**2 + w**2) + np.float32(1e-6)
    return f * (f - 1) / np.sqrt((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2 + np.float32(1e-9))


def _capsule(q, start, end, radius):
    """Signed distance, mm, to a tube around the segment from start to end."""
    u, v, w = (k - np.float32(m) for k, m in zip(q, start))
    way = np.subtract(end, start).astype(np.float32)
    t = np.clip((u * way[0] + v * way[1] + w * way[2]) / (way @ way), 0, 1)
    return np.sqrt((u - t * way[0]) ** 2 + (v - t * way[1]) ** 2 + (w - t * way[2]) ** 2) - np.float32(radius)


class _Canvas:
    """One patient's slices while they are painted, on a raster twice as fine as the image.

    x, y, z are body coordinates in mm after pose and deformation: x to the image's right, y to the back,
    z to the head, origin in the middle of the torso. A tall patient is a scaled one: mm are those of normal
    stature.
    """

    def __init__(self, patient, size):
        self.patient, self.rng = patient, np.random.default_rng([*patient.key, 1])
        rng, shape = self.rng, (len(patient.z), 2 * size, 2 * size)
        self.half = patient.fov / patient.stature / 2
        self.pixel = self.half / size
        self.axis = ((np.arange(2 * size) + 0.5) * self.pixel - self.half).astype(np.float32)
        self.z = patient.z.astype(np.float32)[:, None, None]
        self.spine = patient.depth - 70  # y of the vertebral body's centre
        self.shift = rng.uniform(-0.06, 0.06) * self.half, rng.uniform(-0.08, 0.24) * self.half
        turn = np.float32(rng.normal(0, 0.035))
        u, v = self.axis[None, None, :] - self.shift[0], self.axis[None, :, None] - self.shift[1]
        self.x = np.cos(turn) * u + np.sin(turn) * v + 3.5 * self.field(75) + 1.2 * self.field(25)
        self.y = np.cos(turn) * v - np.sin(turn) * u + 3.5 * self.field(75) + 1.2 * self.field(25)
        self.grain = 0.7 * self.field(7) + 0.7 * self.field(3.5)  # texture
        self.ripple = self.field(16), self.field(16)  # finer deformation, for soft organs
        # two random fields vanish together along curves in space: distance, mm, to random vessels
        self.vessels = 12 * np.hypot(*self.ripple)
        self.mean = {k: m[patient.phase] + m[3] * rng.standard_normal() for k, m in _HU.items()}
        self.hu = np.full(shape, self.mean["air"], np.float32)
        self.labels, self.lesion = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)

    def field(self, scale):
        """Smooth random field of unit variance with details of about `scale` mm, the same at every size."""
        z = self.z.ravel()
        axes = ((z, z[0], z[-1]), (self.axis, -self.half, self.half), (self.axis, -self.half, self.half))
        weights = [sparse.csr_array(_spline(u, scale, low, high)) for u, low, high in axes]
        field = self.rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
        for w in weights:  # along the first axis, which then becomes the last
            field = np.moveaxis((w @ field.reshape(len(field), -1)).reshape(-1, *field.shape[1:]), 0, -1)
        return np.ascontiguousarray(field) * (315 / 151) ** 1.5

    def view(self, x=0.0, y=0.0, r=np.inf, z=None, wobble=0.0):
        """Index of the part of the canvas within r mm of a point, or of arrays of them, and its x, y, z.

        The margin leaves room for pose and deformation; wobble adds so many mm of finer deformation.
        """
        x, y = np.add(x, self.shift[0]), np.add(y, self.shift[1])
        box = (0.0, np.inf) if z is None else (z, r), (y, r + 28), (x, r + 28)
        axes = self.z.ravel(), self.axis, self.axis
        at = tuple(slice(*np.searchsorted(a, (np.min(k) - m, np.max(k) + m))) for a, (k, m) in zip(axes, box))
        u, v = (wobble * ripple[at] for ripple in self.ripple)
        return at, (self.x[at] + u, self.y[at] + v, self.z[at[0]])

    def paint(self, at, tissue, distance, grain=0.0, hu=None):
        """Covers distance < 0 with a tissue, edge pixels in part; `hu` stands in for the tissue's mean."""
        cover = np.clip(0.5 - distance * np.float32(1 / self.pixel), 0, 1)
        value = (self.mean[tissue] if hu is None else hu) + np.float32(grain) * self.grain[at]
        self.hu[at] += cover * (value - self.hu[at])
        self.labels[at][cover >= 0.5] = _ID[tissue]
        self.lesion[at] *= 1 - cover
        if tissue in _LESION:
            self.lesion[at] += cover


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
                d = np.maximum(_capsule(q, a, b, r), c.cavity[at])
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
        d = _ellipsoid(q, (x, y, low + 45), (rng.uniform(32, 48), rng.uniform(16, 24), 45), 0.2)
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
    right = _ellipsoid(q, (-88, -8, tip + long), (rng.uniform(52, 72), rng.uniform(60, 80), long), 0.25)
    liver = np.minimum(right, _ellipsoid(q, (-25, -0.5 * p.depth, left + 60), (75, 38, 60), -0.15))
    c.paint(at, "liver", np.maximum(liver, c.cavity), 8)
    if p.phase:
        veins = np.maximum(liver + 6, c.vessels - 2.5)
        c.paint(at, "liver", np.maximum(veins, c.cavity), hu=c.mean["liver"] + 40)
    if rng.random() < 0.7:
        x, y, z = rng.uniform(-62, -45), rng.uniform(-0.62, -0.4) * p.depth, tip + rng.uniform(25, 50)
        at, q = c.view(x, y, 30)
        d = _ellipsoid(q, (x, y, z), (rng.uniform(11, 17), rng.uniform(15, 26), 26), -0.3)
        c.paint(at, "gallbladder", np.maximum(d, c.cavity[at]), 4)
    at, q = c.view(98, 20, 60, wobble=1.5)
    axes = rng.uniform(20, 28), rng.uniform(38, 52), 60
    d = _ellipsoid(q, (98, 22, rng.uniform(-25, 40) + 60), axes, -0.25)
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
        fat = _ellipsoid(q, (x, y, z0), (b, a, long), across) - 3
        c.paint(at, "visceral fat", np.maximum(fat, inside), 8)
        at, q = c.view(x0, y0, 42)
        whole = np.maximum(_ellipsoid(q, (x, y, z0), (b, a, long), across), inside)
        gate = x + 0.75 * b * hilum[0], y + 0.75 * b * hilum[1], z0
        sinus, pelvis = (_ellipsoid(q, gate, (17 * k, 12 * k, 27 * k), across) for k in (1, 0.62))
        # columns of cortex part the pyramids
        columns = np.clip(np.cos(lobes * np.arctan2(q[1] - y, q[0] - x) + spin + 0.08 * q[2]), 0, 1)
        c.paint(at, "kidney cortex", whole, 9)
        c.paint(at, "kidney medulla", np.maximum(whole + cortex + 6 * columns, 2 - sinus), 8)
        c.paint(at, "renal sinus", np.maximum(sinus, whole), 15)
        c.paint(at, "renal pelvis", np.maximum(pelvis, whole), 8)
        at, q = c.view(np.array((0, x0)), y0 - 15, 30, wobble=1)
        door = *(x0, y0) + 0.6 * b * hilum, z0
        c.paint(at, "vena cava", _capsule(q, door, (-14 if side < 0 else 2, c.spine - 32, z0 + 4), 4))
        if side == p.side and _LESION[p.cls]:
            _paint_lesion(c, (x0, y0) + lean * (p.lesion_z - z0), p.lesion_z - z0, (a, b, long), hilum, spin)


def _paint_lesion(c, spot, height, axes, hilum, spin):
    """Cyst, stone or tumour in a kidney with its axis at `spot`, `height` mm above the kidney's centre."""
    p, rng, (a, b, long), (r, rz) = c.patient, c.rng, axes, c.patient.lesion_r
    tissue, flat = _LESION[p.cls], rng.uniform(0.85, 1.2)
    if tissue == "stone":  # in the pelvis
        spot = spot + 0.45 * b * hilum + rng.normal(0, 2, 2)
        at, q = c.view(*spot, r + 8, wobble=0.5)
        c.paint(at, "renal pelvis", _ellipsoid(q, (*spot, p.lesion_z), (r + 4, r + 4, rz + 6)))
        c.paint(at, tissue, _ellipsoid(q, (*spot, p.lesion_z), (r * flat, r / flat, rz), spin), 60)
        return
    # about on the kidney's surface, to the side and the front, where there is room
    turn = rng.uniform(-1.3, 0.6)
    out = np.array((p.side * np.cos(turn), np.sin(turn)))
    slim = np.sqrt(1 - (height / long) ** 2)  # of the kidney at this height
    radius = slim / np.hypot(out @ hilum / b, out @ (-hilum[1], hilum[0]) / a)
    spot = spot + max(rng.uniform(0.6, 0.95) * radius, r - 0.7 * slim * b) * out  # leaves some of the kidney
    at, q = c.view(*spot, 1.3 * r, wobble=0.6 if tissue == "cyst" else 2.2)
    d = np.maximum(_ellipsoid(q, (*spot, p.lesion_z), (r * flat, r / flat, rz), spin), c.cavity[at])
    c.paint(at, tissue, d, 4 if tissue == "cyst" else 22)
    if tissue == "tumour":  # necrosis
        c.paint(at, tissue, np.maximum(d + 0.3 * r, 6 * c.ripple[1][at]), 20, 0.5 * c.mean[tissue])


def _paint_back(c):
    """Psoas, quadratus lumborum and the muscles behind the spine."""
    s, bulk = c.spine, c.rng.uniform(0.85, 1.15)
    grow = bulk * np.clip(1 - 0.011 * c.z, 0.5, 1.7)  # the psoas thickens downwards
    for side in (-1, 1):
        at, q = c.view(side * 36, s, 30)
        d = _ellipsoid(q, (side * (33 - 0.1 * c.z), s + 6, 0), (10 * grow, 15 * grow, np.inf), side * 0.25)
        c.paint(at, "psoas", d, 9)
        for x, y, a, b, tilt in ((66, 31, 19, 7, 0.3), (34, 50, 33, 24, 0.12)):
            at, q = c.view(side * x, s + y, a + 3, wobble=1)
            d = _ellipsoid(q, (side * x, s + y, 0), (a, b * bulk, np.inf), -side * tilt)
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
        c.paint(at, tissue, _ellipsoid(q, (*centre, 0), (*axes, np.inf), 0.2), 5)


def _paint_bones(c):
    """Vertebra with canal and processes, alternating with discs along z; ribs in the muscle wall."""
    p, rng, s = c.patient, c.rng, c.spine
    turn = 2 * np.pi * (c.z - rng.uniform(0, 36)) / 36
    bone = np.clip(3.2 - 3.6 * np.cos(turn), 0, 1)  # 0 in the disc, 1 in the vertebra
    pedicle, spinous = np.clip(0.1 - np.cos(turn - 0.7), 0, 1), np.clip(0.8 + np.cos(turn - 0.5), 0, 1)
    at, q = c.view(0, (s - 22, s + 64), 45)
    x, y, flat = q[0], q[1] - np.float32(s + 24), (q[0], q[1], 0 * q[2])
    body = _ellipsoid(q, (0, s, 0), (rng.uniform(21, 25), rng.uniform(15, 18), np.inf))
    body = np.maximum(body, 9 - np.hypot(x, y))
    arch = np.abs(np.hypot(x, 1.15 * y) - 13) - 3 + 6 * (1 - pedicle) * (y < 0)
    arch = np.minimum(arch, _capsule(flat, (0, s + 36, 0), (0, s + 58, 0), 3.4) + 7 * (1 - spinous))
    for side in (-1, 1):
        process = _capsule(flat, (side * 15, s + 26, 0), (side * 36, s + 31, 0), 3) + 8 * (1 - pedicle)
        arch = np.minimum(np.minimum(arch, process), _ellipsoid(q, (side * 17, s + 31, 0), (4, 5.5, np.inf)))
    c.paint(at, "vertebra", body, 0, 110 + 280 * bone)
    c.paint(at, "vertebra", body + 2.2, 30, 85 + bone * (c.mean["vertebra"] - 85))
    c.paint(at, "vertebra", arch, 60, c.mean["vertebra"] + 230)
    c.paint(at, "canal", _ellipsoid(q, (0, s + 24, 0), (10.5, 8.5, np.inf)), 5)
    for side in (-1, 1):
        first, step = rng.uniform(0.4, 1.0), rng.uniform(0.38, 0.52)
        for k, tip in enumerate((0.75, 0.4, 0.0, -0.4, -0.7)):
            # ribs run downwards to the front, so a higher slice cuts them further back, between tip and spine
            t = first + 0.012 * c.z - step * k + rng.normal(0, 0.04)
            grow = np.clip((t - tip) * 8, 1e-3, 1) * np.clip((1.2 - t) * 8, 1e-3, 1)
            reach = 1 / (1 - c.square * (1 + np.clip(np.sin(t), 0, 1)) * (np.cos(t) * np.sin(t)) ** 2)
            x, y = side * 129 * np.cos(t) * reach, (p.depth - 6) * np.sin(t) * reach
            at, q = c.view(x, y, 20)
            d = _ellipsoid(
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
    c = _Canvas(patient, size)
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
    if tissue := _LESION[patient.cls]:
        # half of the peak, so that a stone smaller than a pixel keeps that pixel
        masks = (cover >= 0.5 * cover.max((1, 2), keepdims=True)) | (labels == _ID[tissue])
        labels[masks] = _ID[tissue]
    return hu, labels, masks

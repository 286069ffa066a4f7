"""The anatomy: tissues painted one over another, from smooth implicit shapes under a smooth deformation.

Here are the body's wall, the muscles of the back and the table; ``bones``, ``organs`` and ``kidneys`` hold
the rest. Skin and table are kept about a pixel of the canvas thick, or they would be lost in coarse images.
"""

import numpy as np

from ctgan_utils.phantom.bones import paint_iliac, paint_ribs, paint_spine
from ctgan_utils.phantom.canvas import Canvas, capsule, ellipsoid
from ctgan_utils.phantom.kidneys import paint_kidneys
from ctgan_utils.phantom.organs import paint_bowel, paint_colon, paint_organs, paint_stomach, paint_vessels
from ctgan_utils.phantom.patients import TISSUE_ID, Patient


def paint_torso(c: Canvas) -> None:
    """Skin, subcutaneous fat, muscle wall and fat-filled cavity; keeps distances c.wall and c.cavity."""
    p, rng = c.patient, c.rng
    at, (x, y, z) = c.view()
    c.square, flesh, furrow = rng.uniform(0.05, 0.25), rng.uniform(8, 14), rng.uniform(2, 10)
    wide, back = rng.uniform(-0.15, 0.3), rng.uniform(-0.3, 0.25)  # where the fat is thicker
    depth = np.float32(p.depth)
    u, v = x / 135, y / depth
    f2 = u**2 + v**2 + np.float32(1e-6)
    f = np.sqrt(f2)
    cos2, sin, cos = (u**2 - v**2) / f2, v / f, np.abs(u) / f
    rear = np.clip(sin, 0, 1)
    radius = f * (1 - c.square * (1 + rear) * (u * v / f2) ** 2)  # squarer at the back
    groove = furrow * rear * np.exp(-((x / 16) ** 2))
    c.wall = radius * (radius - 1) / np.sqrt((u / 135) ** 2 + (v / depth) ** 2 + np.float32(1e-9)) + groove
    # the two straight muscles in front, three flat ones at the sides; thinner under the ribs
    side = np.clip((cos - 0.5) / 0.3, 0, 1)
    straight = 0.3 + 0.75 * np.exp(-(((cos - 0.28) / 0.15) ** 2))
    thick = (
        flesh * (straight + (1.3 - straight) * side) * (1 - 0.55 * rear) * np.clip(1 - 0.006 * z, 0.6, 1.1)
    )
    c.cavity = c.wall + thick
    skin = c.wall - p.fat * (1 + wide * cos2 + back * sin) + 0.5 * groove
    c.outside = skin > -2
    c.paint(at, "skin", skin)
    c.paint(at, "subcutaneous fat", skin + max(2.2, 2.3 * c.pixel), 6)  # at least most of a pixel of skin
    c.paint(at, "muscle", c.wall, 6)
    layer = c.wall / thick  # 0 outside to -1 inside
    gap = np.abs(layer - np.clip(np.rint(4 * layer), -3, -2) / 4) * thick
    c.paint(at, "intermuscular fat", gap - (0.8 * p.marbling * side - 0.5 + 0.7 * c.ripple[0]))
    c.paint(at, "visceral fat", c.cavity, 6)


def paint_back(c: Canvas) -> None:
    """Psoas, quadratus lumborum and the muscles behind the spine, with fat between and, with age, in them."""
    p, s, bulk = c.patient, c.spine, c.rng.uniform(0.85, 1.15)
    grow = bulk * np.clip(1 - 0.011 * c.z, 0.45, 1.8)  # the psoas thickens downwards
    at, q = c.view(0, s + 42, 30)
    c.paint(at, "muscle", ellipsoid(q, (0, s + 40, 0), (30, 18, np.inf)), 8)
    for side in (-1, 1):
        at, q = c.view(side * 36, s, 30)
        d = ellipsoid(q, (side * (32 - 0.08 * c.z), s + 7, 0), (11 * grow, 16 * grow, np.inf), side * 0.25)
        c.paint(at, "psoas", d, 5)
        at, q = c.view(side * 66, s + 31, 24, wobble=1)
        d = ellipsoid(q, (side * 64, s + 30, 0), (17, 6.5 * bulk, np.inf), -side * 0.35)
        c.paint(at, "muscle", np.maximum(d, c.wall[at] + 2.5), 6)
        at, q = c.view(side * 36, s + 50, 40, wobble=1)
        d = ellipsoid(q, (side * 36, s + 48, 0), (37, 26 * bulk, np.inf), -side * 0.12)
        d = np.maximum(d, c.wall[at] + 1)
        c.paint(at, "intermuscular fat", d - p.marbling)
        c.paint(at, "muscle", d, 8)
        septum = np.abs(ellipsoid(q, (side * 12, s + 50, 0), (16, 24, np.inf), side * 0.3))
        septum = np.minimum(septum, np.abs(side * q[0] - 70 + 0.4 * (q[1] - np.float32(s))))
        septum = np.minimum(
            septum - p.marbling + 1 - 0.7 * c.ripple[0][at], c.vessels[at] + 1 - 2 * p.marbling
        )
        c.paint(at, "intermuscular fat", np.maximum(septum, d + 2))


def paint_table(c: Canvas) -> None:
    """Table top, a shallow trough, over a shell with double sides; rigid, not deformed with the body."""
    rng, u, v, body = c.rng, np.abs(c.axis[None, :]), c.axis[:, None], c.labels > 0
    scale = 1 / c.patient.stature
    back, half = np.where(body, v, -np.inf).max(), rng.uniform(210, 240) * scale
    top, sag, drop = (
        back + rng.uniform(3, 24) * scale,
        rng.uniform(32, 48) * scale,
        rng.uniform(52, 64) * scale,
    )
    bow, thick = sag / half**2, max(1.2, 1.55 * c.pixel)
    arc = np.maximum((np.abs(v - top + bow * u**2)) / np.sqrt(1 + (2 * bow * u) ** 2), u - half) - 1.1 * thick
    lines, q = [arc], (u, v, np.float32(0))
    if rng.random() < 0.93:  # nearly two image pixels wide at least, or coarse images would lose them
        low, foot = top + drop, half - rng.uniform(85, 115) * scale
        start = half - 18 * scale, top - sag + rng.uniform(12, 24) * scale, 0
        gap = rng.uniform(4, 6.5) * scale
        lines.append(np.abs(capsule(q, start, (foot, low, 0), gap)) - thick)
        lines.append(np.maximum(np.abs(v - low - gap), u - foot) - thick)
    d = np.where(body, 1e3, np.minimum.reduce(np.broadcast_arrays(*lines))).astype(np.float32)
    c.paint(..., "table", d)


def halve(labels: np.ndarray, lesion: np.ndarray, tissue: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Ground truth at half the matrix, from labels and the share of each pixel that the lesion covers, both
    [slices, 2 size, 2 size]: labels uint8 and masks bool. tissue is the lesion's, or None."""
    e, f, g, h = (labels[:, i::2, j::2] for i in (0, 1) for j in (0, 1))
    rest = np.where((f == g) | (f == h), f, np.where(g == h, g, e))
    labels = np.where((e == f) | (e == g) | (e == h), e, rest)  # the most frequent of the four
    masks = np.zeros(labels.shape, bool)
    if tissue:
        shares = (lesion[:, i::2, j::2].astype(np.float32) for i in (0, 1) for j in (0, 1))
        cover = sum(shares, np.float32(0))
        # half of the peak, so that a stone smaller than a pixel keeps that pixel
        masks = (cover >= 0.5 * cover.max((1, 2), keepdims=True)) | (labels == TISSUE_ID[tissue])
        labels[masks] = TISSUE_ID[tissue]
    return labels, masks


def draw_anatomy(patient: Patient, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paints a patient; returns hu float32, labels uint8 and masks bool, each [slices, size, size]."""
    c = Canvas(patient, size)
    for paint in (
        paint_torso,
        paint_bowel,
        paint_colon,
        paint_stomach,
        paint_organs,
        paint_back,
        paint_ribs,
        paint_iliac,
        paint_kidneys,
        paint_vessels,
        paint_spine,
        paint_table,
    ):
        paint(c)
    blocks = (len(c.z), size, 2, size, 2)
    # clinical images are windowed at a fine matrix before they are scaled down, which keeps thin skin and
    # table visible beside the air: there, black counts as just black unless the whole pixel is
    black = np.float32(patient.black)
    grey = np.where(c.outside, np.maximum(c.hu, black), c.hu).reshape(blocks).mean((2, 4))
    hu = np.where(grey > black, grey, c.hu.reshape(blocks).mean((2, 4)))
    return hu, *halve(c.labels, c.lesion, patient.lesion)

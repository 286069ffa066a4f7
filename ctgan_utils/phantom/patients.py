"""What a patient is before anything is drawn: class, habitus, contrast phase, lesion; and what tissues are.

Attenuation: ``HU`` holds typical clinical means by contrast phase. For the scale and the usual ranges
without contrast agent (air -1000, fat about -100, water 0, soft tissue some tens, bone hundreds) see
Bushberg, Seibert, Leidholdt and Boone, The Essential Physics of Medical Imaging (3rd ed., 2012), ch. 10.
Enhanced values depend on dose and delay of the injection; those here are mid-range, and every patient's
scatter about them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

CLASSES = ("Cyst", "Normal", "Stone", "Tumor")
CLASS_COUNTS = (3709, 5077, 1377, 2283)

# tissue: mean HU without contrast agent, in the corticomedullary (arterial) and in the nephrographic phase,
# and the standard deviation of the means between patients
HU = {
    "air": (-1000, -1000, -1000, 0),
    "skin": (45, 50, 50, 8),
    "subcutaneous fat": (-105, -105, -105, 4),
    "visceral fat": (-100, -98, -98, 4),
    "intermuscular fat": (-85, -82, -80, 6),
    "muscle": (52, 60, 66, 4),
    "psoas": (54, 62, 68, 4),
    "vertebra": (230, 240, 245, 50),
    "disc": (85, 88, 90, 8),
    "canal": (28, 32, 34, 4),
    "rib": (260, 270, 270, 40),
    "iliac bone": (260, 270, 270, 40),
    "aorta": (42, 310, 160, 12),
    "vena cava": (40, 115, 150, 8),
    "mesenteric vessel": (40, 190, 150, 8),
    "liver": (58, 76, 106, 5),
    "liver vessel": (44, 92, 148, 8),
    "gallbladder": (8, 9, 10, 4),
    "spleen": (48, 115, 116, 6),
    "pancreas": (42, 105, 92, 6),
    "lung": (-850, -840, -840, 20),
    "kidney cortex": (34, 190, 178, 8),
    "kidney medulla": (30, 92, 168, 7),
    "renal sinus": (-75, -72, -72, 6),
    "renal pelvis": (6, 8, 12, 3),
    "ureter": (10, 20, 30, 4),
    "connective tissue": (0, 5, 5, 8),
    "calcification": (600, 600, 600, 100),
    "bowel wall/contents": (38, 62, 70, 6),
    "bowel gas": (-850, -850, -850, 30),
    "table": (200, 200, 200, 40),
    "cyst": (8, 9, 10, 4),
    "tumour": (36, 128, 92, 8),
    "stone": (750, 750, 750, 200),
}
TISSUES = tuple(HU)
TISSUE_ID = {name: k for k, name in enumerate(TISSUES)}
LESIONS = ("cyst", None, "stone", "tumour")  # of each class


@dataclass(frozen=True)
class Patient:
    """What a patient is before anything is drawn; lengths in mm, z from the level between the kidneys."""

    key: tuple[int, int]  # (seed, patient), the start of every random stream of this patient
    cls: int
    phase: int
    z: np.ndarray  # slice positions
    side: int  # of the lesion: -1 image left (patient's right), +1 image right
    lesion_z: float
    lesion_r: tuple[float, float]  # semi-axes in plane and along z
    stature: float  # scale of the whole torso
    depth: float  # half-height of the muscle wall, for a half-width of 135
    fat: float  # thickness of subcutaneous fat
    marbling: float  # about the width of the fat between muscles
    fov: float
    photons: float  # dose, as in acquisition.acquire
    window: tuple[float, float]  # centre and width of the display window, HU
    healed: bool = False  # nothing is painted of what makes the class

    @property
    def lesion(self) -> str | None:
        """The tissue that its slices show as the lesion, if there is one."""
        return None if self.healed else LESIONS[self.cls]

    @property
    def black(self) -> float:
        """The Hounsfield units at and below which the display window shows black."""
        return self.window[0] - self.window[1] / 2


def draw_patient(seed: int, index: int) -> Patient:
    """Draws patient `index`: class, phase, habitus, lesion and slice positions, without rendering."""
    rng = np.random.default_rng([seed, index])
    cls = int(rng.choice(4, p=np.array(CLASS_COUNTS) / sum(CLASS_COUNTS)))
    # of each class: the odds of the phases (stones are looked for without contrast agent, tumours with it)
    # and of a display window that makes fat black; both as in clinical exports
    odds, black_fat = (
        ((0.85, 0.05, 0.1), 0.95),
        ((0.05, 0.8, 0.15), 0.25),
        ((0.95, 0.03, 0.02), 0.7),
        ((0.0, 0.75, 0.25), 0.8),
    )[cls]
    phase = int(rng.choice(3, p=odds))
    stature = rng.uniform(0.88, 1.12)
    fat = float(np.clip(rng.lognormal(2.5, 0.55), 4, 42))
    depth = rng.uniform(84, 106) + 0.2 * fat
    marbling = rng.uniform(0, 1.4)
    fov = stature * 2 * (135 + fat) / rng.uniform(0.58, 0.93)
    low, high = [(13, 42), (1, 1), (3.5, 9), (24, 66)][cls]
    r = low * (high / low) ** rng.beta(1.3, 1.5)
    rz = rng.uniform(7, 15) if cls == 2 else r * rng.uniform(0.85, 1.1)
    side = int(rng.choice([-1, 1]))
    if cls == 1:
        centre = rng.uniform(-60, 75)
    else:  # the left kidney lies higher; keep most of the lesion at the height of its kidney
        centre = 6 * side + rng.uniform(-1, 1) * np.clip(38 - 0.75 * rz, 0, 28)
    count = int(rng.integers(8, 21))
    step = rng.uniform(1.5, 4.0)
    if cls != 1:  # every slice must cut the lesion
        step = min(step, min(1.5 * rz, 75) / (count - 1))
    z = centre + step * (np.arange(count) - (count - 1) / 2)
    photons = 10 ** rng.uniform(8.3, 8.8)  # as noisy in flat regions as real slices scaled to 128x128
    level = rng.normal(80, 12) if rng.random() < black_fat else rng.normal(42, 10)
    return Patient(
        key=(seed, index),
        cls=cls,
        phase=phase,
        z=z,
        side=side,
        lesion_z=centre,
        lesion_r=(r, rz),
        stature=stature,
        depth=depth,
        fat=fat,
        marbling=marbling,
        fov=fov,
        photons=photons,
        window=(level, rng.uniform(370, 430)),
    )


PARTNERS: dict[str, Callable[[Patient], Patient]] = {  # the same patient, otherwise
    "low_dose": lambda p: replace(p, photons=p.photons / 100),
    "unenhanced": lambda p: replace(p, phase=0),
    "arterial": lambda p: replace(p, phase=1),
    "healthy": lambda p: replace(p, healed=True),
}

"""Numbers that follow from what the phantom knows of a slice: the width of the body, and its enhancement."""

import numpy as np

from ctgan_utils.phantom import TISSUES, Phantoms

OUTSIDE = [TISSUES.index("air"), TISSUES.index("table")]
AORTA = TISSUES.index("aorta")


def of(drawn: Phantoms) -> dict[str, np.ndarray]:
    """The numbers of phantoms, {name: float32 [N]}."""
    return {"width": width(drawn.labels), "enhancement": enhancement(drawn.labels, drawn.hu)}


def width(tissues: np.ndarray) -> np.ndarray:
    """Width of the body in per cent of the image's, float32 [N], of tissues uint8 [N, H, W].

    From the first to the last column that shows any of it, both counted; 0 where there is none.
    """
    shown = np.any(~np.isin(tissues, OUTSIDE), axis=1)
    first, last = shown.argmax(1), shown.shape[1] - shown[:, ::-1].argmax(1)
    return np.where(shown.any(1), 100 * (last - first) / shown.shape[1], 0).astype(np.float32)


def enhancement(tissues: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """Mean Hounsfield units of the aorta, float32 [N], of tissues uint8 and hu int16 [N, H, W].

    About 40 before a contrast agent is given; nan where a slice shows no aorta.
    """
    aorta = tissues == AORTA
    with np.errstate(invalid="ignore"):
        return (hu.sum((1, 2), where=aorta) / aorta.sum((1, 2))).astype(np.float32)

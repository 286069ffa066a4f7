"""Segmentation: to say of each pixel to which organ it belongs."""

import torch
from torch import Tensor

from ctgan_utils.phantom import TISSUES

ORGANS = {  # which of the phantom's tissues make an organ; all others are the background
    "liver": ("liver", "liver vessel"),
    "spleen": ("spleen",),
    "kidneys": ("kidney cortex", "kidney medulla", "renal sinus", "renal pelvis"),
    "aorta": ("aorta",),
    "vertebra": ("vertebra",),
    "psoas": ("psoas",),
    "lesion": ("cyst", "stone", "tumour"),
}


def organs_of(tissues: Tensor) -> Tensor:
    """int64 [N, H, W] of tissues uint8 [N, 1, H, W]: 0 is background, k + 1 the k-th of ORGANS."""
    table = torch.zeros(len(TISSUES), dtype=torch.int64)
    for k, parts in enumerate(ORGANS.values(), start=1):
        table[[TISSUES.index(part) for part in parts]] = k
    return table[tissues[:, 0].long()]


def organ_weights(organs: Tensor) -> Tensor:
    """What a pixel of each kind counts in the loss, float [K], from maps int64 [N, H, W]; mean 1.

    The inverse square root of how frequent the kind is: else the network learns the background first, and
    small organs last. The weight of a kind that is missing counts as that of a single pixel.
    """
    counts = organs.flatten().bincount(minlength=1 + len(ORGANS)).clamp(min=1)
    weights = counts.float().rsqrt()
    return weights / weights.mean()

"""The training doctor: what the history of a run says of its health, in plain sentences."""

import torch
from torch import Tensor

from ctgan_utils.systems.base import History, System, Verdict
from ctgan_utils.systems.diagnoses import RECENT, collapsed


def diagnose(history: History, system: System) -> list[Verdict]:
    """What is wrong and what to try, the worst first; nothing for a healthy run.

    Any run's samples can collapse; what else can be wrong, the system knows. Fewer than 2 RECENT rows are too
    few to say anything.
    """
    if len(history) < 2 * RECENT:
        return []
    common = collapsed(history) if all("spread" in row for row in history) else None
    return [*([common] if common else []), *system.diagnose(history)]


def spread(images: Tensor) -> float:
    """Mean distance, root mean square grey levels, between the pairs of images uint8 [N, 1, S, S].

    0 for a single image.
    """
    if len(images) < 2:
        return 0.0
    flat = images.flatten(1).float()
    return (torch.pdist(flat).mean() / flat.shape[1] ** 0.5).item()

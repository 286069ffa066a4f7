"""From a run folder or a weights file to images."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ctgan_utils import latents
from ctgan_utils.data.slices import CTImages, as_batch
from ctgan_utils.grey import to_uint8
from ctgan_utils.runtime import SHIPPED, UserError, nearest
from ctgan_utils.systems import System, from_dict
from ctgan_utils.systems.base import History
from ctgan_utils.training import checkpoints
from ctgan_utils.training.history import read_history

SYSTEM_OF: MutableMapping[nn.Module, System] = WeakKeyDictionary()  # of the generators that were loaded


def load_generator(path: Path | str) -> tuple[nn.Module, System]:
    """(G_ema, its System) from a run folder or a .safetensors file, ready to sample from.

    Raises UserError if there is no such file, or if it is not one of ours.
    """
    path = checkpoints.weights_file(path)
    metadata = checkpoints.read_metadata(path)
    if not isinstance(metadata.get("experiment"), dict):
        raise UserError(f"{path}: names no experiment; give a run folder or weights that 'train' wrote")
    system = from_dict(metadata["experiment"])
    G, _ = system.networks()
    checkpoints.load_weights(path, {"G_ema": G})
    SYSTEM_OF[G] = system
    return G.eval().requires_grad_(False), system


def load_shipped(name: str) -> tuple[nn.Module, System]:
    """(G_ema, its System) of an experiment that the course ships, trained on the phantom.

    Raises UserError for another name.
    """
    return load_generator(_shipped(name, "safetensors"))


def shipped_history(name: str) -> History:
    """The history of the run that made a generator of load_shipped, where the course has kept it.

    Raises UserError for another name.
    """
    return read_history(_shipped(name, "jsonl"))


def _shipped(name: str, kind: str) -> Path:
    path = SHIPPED / f"{name}-phantom.{kind}"
    if not path.exists():
        what = {"safetensors": "generator", "jsonl": "history"}[kind]
        shipped = sorted(p.stem.removesuffix("-phantom") for p in SHIPPED.glob(f"*-phantom.{kind}"))
        raise UserError(f"{name}: no {what} of that name is shipped; {nearest(name, shipped)}")
    return path


def given_by(ct: CTImages, system: System) -> dict[str, Tensor]:
    """What a system that translates needs of slices; nothing for others. UserError if nobody knows it."""
    return as_batch(ct.tensors(system.given))


@torch.no_grad()
def sample(
    G: nn.Module,
    n: int,
    seed: int = 0,
    truncation: float | None = None,
    batch_size: int = 256,
    given: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """n generated images, uint8 [n, 1, S, S], which follow from (n, seed, truncation).

    G is a generator that load_generator returned, or any network from latents [N, z_dim] to images. given
    takes the place of what the system would draw, such as the classes {"wanted": int64 [n]}, and holds what
    one that translates needs: see given_by. Raises UserError where that is missing.
    """
    system = SYSTEM_OF.get(G) or System(z_dim=cast(int, G.z_dim))
    if missing := set(system.given) - set(given or {}):
        raise UserError(f"{system.name} translates {', '.join(sorted(missing))}: name slices with --data")
    noise = system.noise(n, torch.Generator().manual_seed(seed))
    if truncation is not None:
        rng = torch.Generator().manual_seed(seed)
        noise["z"] = latents.truncated_normal(n, system.z_dim, truncation, rng)
    noise |= dict(given or {})
    device = next(G.parameters()).device
    parts = zip(*(tensor.to(device).split(batch_size) for tensor in noise.values()))
    return torch.cat([to_uint8(system.generate(G, dict(zip(noise, part)))).cpu() for part in parts])

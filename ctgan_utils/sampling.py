"""From a run folder or a weights file to images."""

import torch

from ctgan_utils import checkpoints, latents
from ctgan_utils.config import from_dict
from ctgan_utils.data import to_uint8
from ctgan_utils.networks import build
from ctgan_utils.runtime import REPOSITORY, UserError, nearest

SHIPPED = REPOSITORY / "data" / "checkpoints"


def load_generator(path):
    """(G_ema, its Experiment) from a run folder or a .safetensors file, ready to sample from.

    Raises UserError if there is no such file, or if it is not one of ours.
    """
    path = checkpoints.weights_file(path)
    metadata = checkpoints.read_metadata(path)
    if "experiment" not in metadata:
        raise UserError(f"{path}: names no experiment; give a run folder or weights that 'train' wrote")
    experiment = from_dict(metadata["experiment"])
    G, _ = build(experiment)
    checkpoints.load_weights(path, {"G_ema": G})
    return G.eval().requires_grad_(False), experiment


def load_shipped(name):
    """(G_ema, its Experiment) of an experiment that the course ships, trained on the phantom.

    Raises UserError for another name.
    """
    path = SHIPPED / f"{name}-phantom.safetensors"
    if not path.exists():
        shipped = sorted(p.stem.removesuffix("-phantom") for p in SHIPPED.glob("*-phantom.safetensors"))
        raise UserError(f"{name}: no generator of that name is shipped; {nearest(name, shipped)}")
    return load_generator(path)


@torch.no_grad()
def sample(G, n, seed=0, truncation=None, batch_size=256):
    """n generated images, uint8 [n, 1, S, S]; image k follows from (seed, truncation, k) alone."""
    rng = torch.Generator().manual_seed(seed)
    z = (
        latents.normal(n, G.z_dim, rng)
        if truncation is None
        else latents.truncated_normal(n, G.z_dim, truncation, rng)
    )
    device = next(G.parameters()).device
    return torch.cat([to_uint8(G(part.to(device))).cpu() for part in z.split(batch_size)])

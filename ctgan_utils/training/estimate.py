"""What a run takes of memory, known before anything of it is allocated."""

import contextlib

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from ctgan_utils.data.slices import blank
from ctgan_utils.systems.base import System


def memory_of(system: System, images: int, dtype: torch.dtype = torch.float32) -> tuple[int, int]:
    """Bytes that training takes at the least: (for the weights, for so many images at a time).

    A weight comes with its gradient and what Adam keeps, or half of it by RMSprop, and one of G with its
    average. Of the images counts all that a critic step remembers until it has its gradient; dtype is that of
    convolutions. The step is outlined only, in tensors without numbers; (0, 0) for one that can't be.
    """
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    # an estimate must not stop what might train: whatever is wrong here, the first step will tell
    with contextlib.suppress(Exception), FakeTensorMode(allow_non_fake_inputs=True):
        G, D = system.networks()
        of_G, of_D = (sum(p.numel() for p in network.parameters()) for network in (G, D))
        moments = 1 if system.optimizer == "rmsprop" else 2
        noise = system.critic_noise(images, torch.Generator())
        batch = blank(system.inputs, images, system.image_size) | noise
        narrow = torch.autocast("cpu", dtype, enabled=dtype != torch.float32)
        with saved_tensors_hooks(keep, lambda tensor: tensor), narrow:
            system.critic_loss(G, D, {**batch, "step": 0})
        for p in (*G.parameters(), *D.parameters()):
            kept.pop(p.untyped_storage()._cdata, None)
        activations = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        return 4 * ((3 + moments) * of_G + (2 + moments) * of_D), activations
    return 0, 0

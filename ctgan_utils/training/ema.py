"""G_ema: the averaged generator that samples are drawn from."""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ctgan_utils.systems.base import System

SETTLED = 256  # generated images from which the statistics of batch normalisation are taken


class EMA:
    """An exponential moving average of the generator's weights (Yazici 2019).

    A weight counts half after half_life generated images, or after 5 % of those made so far while that
    is less, so that short runs do not average in their first images. The statistics of batch normalisation
    are not averaged: those of the raw generator belong to other weights, so they are taken anew from images
    that the average itself generates, whenever `settle` is called.
    """

    def __init__(self, G: nn.Module, half_life: int) -> None:
        self.G = copy.deepcopy(G).eval().requires_grad_(False)
        self.half_life = half_life

    @torch.no_grad()
    def update(self, G: nn.Module, batch_size: int, generated: int) -> None:
        """Move the average towards G, which has made `generated` images so far, batch_size of them new."""
        decay = 0.5 ** (batch_size / min(self.half_life, 0.05 * generated))
        torch._foreach_lerp_(list(self.G.parameters()), list(G.parameters()), 1 - decay)
        for average, new in zip(self._other_buffers(self.G), self._other_buffers(G)):
            average.copy_(new)

    def settle(self, system: System) -> None:
        """Take the statistics of batch normalisation from the average's own images."""
        recompute_batch_norm(self.G, system)

    @staticmethod
    def _other_buffers(G: nn.Module) -> list[torch.Tensor]:
        norms = [m for m in G.modules() if isinstance(m, _BatchNorm)]
        theirs = {id(buffer) for norm in norms for buffer in norm.buffers()}
        return [buffer for buffer in G.buffers() if id(buffer) not in theirs]


@torch.no_grad()
def recompute_batch_norm(G: nn.Module, system: System, n: int = SETTLED, seed: int = 0) -> None:
    """Set G's running means and variances to those of n images that it generates, in batches of 64, in place.

    The latents follow from the seed. A network without batch normalisation stays as it is.
    """
    norms = [m for m in G.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return
    was_training, momenta = G.training, [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    rng, device = torch.Generator().manual_seed(seed), next(G.parameters()).device
    G.train()
    with torch.random.fork_rng(devices=[]):  # dropout draws from PyTorch's global state
        torch.manual_seed(seed)
        for _ in range(-(-n // 64)):
            system.generate(G, {k: v.to(device) for k, v in system.noise(64, rng).items()})
    G.train(was_training)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum

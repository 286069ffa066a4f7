"""Generators and critics. Images are float [N, 1, H, W] in [-1, 1]; latents are [N, z_dim]."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def count_operations(network: nn.Module, x: Tensor, forward: Callable[[], Tensor] | None = None) -> int:
    """Multiplications, each with an addition, of convolutions and matrix products for one of the inputs x.

    forward, if given, is called in place of network(x), for networks that take more than one input.
    """
    was_training = network.training
    network.eval()
    with FlopCounterMode(display=False) as counter:
        forward() if forward else network(x)
    network.train(was_training)
    return counter.get_total_flops() // (2 * len(x))

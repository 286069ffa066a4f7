"""Generators and critics. Images are float [N, 1, H, W] in [-1, 1]; latents are [N, z_dim]."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.generators import Generator


def build(experiment):
    """(G, D) of an Experiment, freshly initialised from PyTorch's global random state."""
    e = experiment
    G = Generator(
        e.image_size,
        e.z_dim,
        e.width,
        stem=e.stem,
        stem_channels=e.stem_channels,
        kernel_size=e.kernel_size,
        kernel_init=e.kernel_init,
        kernel_place=e.kernel_place,
        additions=e.additions,
        interpolation=e.interpolation,
        upsampling=e.upsampling,
    )
    return G, ConvCritic(e.image_size, e.width, e.critic_norm)


def count_parameters(network):
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def count_operations(network, x):
    """Multiplications, each with an addition, of convolutions and linear layers for one of the inputs x."""
    was_training = network.training
    with FlopCounterMode(display=False) as counter:
        network.eval()(x)
    network.train(was_training)
    return counter.get_total_flops() // (2 * len(x))

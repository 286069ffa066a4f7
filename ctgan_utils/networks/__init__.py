"""Generators and critics. Images are float [N, 1, H, W] in [-1, 1]; latents are [N, z_dim]."""

from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.thesis import SmallGenerator

GENERATORS = {"small": SmallGenerator}


def build(experiment):
    """(G, D) of an Experiment, freshly initialised from PyTorch's global random state."""
    e = experiment
    G = GENERATORS[e.network](
        image_size=e.image_size,
        z_dim=e.z_dim,
        width=e.width,
        stem_channels=e.stem_channels,
        kernel_size=e.kernel_size,
        interpolation=e.interpolation,
    )
    return G, ConvCritic(image_size=e.image_size, width=e.width)


def count_parameters(network):
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)

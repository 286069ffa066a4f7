"""Noise: the latents z that a generator turns into images."""

import math

import torch

from ctgan_utils.runtime import UserError


def normal(n, z_dim, rng, device="cpu"):
    """Standard normal latents [n, z_dim]. rng is a torch.Generator on the same device."""
    return torch.randn(n, z_dim, generator=rng, device=device)


def truncated_normal(n, z_dim, truncation, rng, device="cpu"):
    """Standard normal latents [n, z_dim] conditioned on |z| <= truncation (thesis equation A.6, figure 2.4).

    Inverts the distribution function: u is uniform between the two tails. A small truncation keeps
    samples near the mode, which trades diversity for fidelity. Raises UserError unless truncation > 0.
    """
    if not truncation > 0:
        raise UserError(f"truncation {truncation}: it must be above 0")
    tail = math.erf(truncation / math.sqrt(2))
    u = torch.rand(n, z_dim, generator=rng, device=device, dtype=torch.float64)
    z = math.sqrt(2) * torch.erfinv((2 * u - 1) * tail)
    return z.clamp(-truncation, truncation).float()

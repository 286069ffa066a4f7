"""Noise: the latents z that a generator turns into images."""

import math

import torch
from torch import Tensor

from ctgan_utils.runtime import UserError


def normal(n: int, z_dim: int, rng: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal latents [n, z_dim]. rng is a torch.Generator on the same device."""
    return torch.randn(n, z_dim, generator=rng, device=device)


def truncated_normal(
    n: int, z_dim: int, truncation: float, rng: torch.Generator, device: torch.device | str = "cpu"
) -> Tensor:
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


def spherical(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Latents on the arc from a to b, [..., z_dim]; t is in [0, 1] (White 2016).

    Normal latents have lengths near sqrt(z_dim). The arc stays there; the straight line cuts the corner.
    Where a and b point the same way there is no arc, and where they are opposite there are many: the line
    serves instead.
    """
    direction_a, direction_b = (x / x.norm(dim=-1, keepdim=True) for x in (a, b))
    angle = (direction_a * direction_b).sum(-1, keepdim=True).clamp(-1, 1).arccos()
    sine = angle.sin()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp(min=1e-4)
    return torch.where(sine < 1e-4, (1 - t) * a + t * b, arc)

"""How a network's gradient varies with its input: the measure of shattered gradients."""

from collections.abc import Callable

import torch
from torch import Tensor


def input_gradients(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """d f(x_t) / d x_t [T, d] at points x [T, d], for f from [T, d] to one number a point, [T].

    Each point's number must depend on that point alone: batch normalisation must be in evaluation mode.
    """
    x = x.detach().requires_grad_(True)
    (gradients,) = torch.autograd.grad(f(x).sum(), x)
    return gradients


def autocorrelation(series: Tensor, lags: int) -> Tensor:
    """Autocorrelation [lags + 1] of a series [T, d] at 0, 1, ..., lags steps; at 0 it is 1.

    r_k = sum_t <s_t - m, s_(t + k) - m> / sum_t <s_t - m, s_t - m>, with m the mean over the series (Box and
    Jenkins 1970; for d = 1 what Balduzzi 2017 plots in figure 2). White noise has about 0 from 1 on; a series
    that hardly changes has about 1. A constant one, as the gradient of a linear map, has 1 by convention.
    Raises ValueError for lags not below T.
    """
    if not 0 <= lags < len(series):
        raise ValueError(f"{lags} lags: a series of {len(series)} has 0 to {len(series) - 1}")
    centred = series.double() - series.double().mean(0)
    total = (centred**2).sum()
    if total <= 1e-24 * (series.double() ** 2).sum():
        return torch.ones(lags + 1, dtype=torch.float64)
    products = [(centred[: len(centred) - k] * centred[k:]).sum() for k in range(lags + 1)]
    return torch.stack(products) / total

"""Latents: SciPy's distributions, and paths between latents of known lengths."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from ctgan_utils.latents import normal, spherical, truncated_normal


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("truncation", [0.3, 1.0, 2.5])
def test_truncated_normal_has_scipys_distribution(truncation):
    z = truncated_normal(200, 100, truncation, generator()).numpy().ravel()
    assert np.abs(z).max() <= truncation
    assert stats.kstest(z, stats.truncnorm(-truncation, truncation).cdf).pvalue > 0.01


def test_a_wide_truncation_is_the_normal_distribution():
    z = truncated_normal(200, 100, 8.0, generator()).numpy().ravel()
    assert stats.kstest(z, stats.norm.cdf).pvalue > 0.01


def test_latents_follow_from_the_generator():
    assert torch.equal(normal(3, 5, generator()), normal(3, 5, generator()))
    assert normal(3, 5, generator()).shape == (3, 5)


def test_truncation_must_be_positive():
    with pytest.raises(ValueError, match="above 0"):
        truncated_normal(1, 1, 0.0, generator())


def test_the_arc_keeps_the_length_and_starts_and_ends_right():
    a, b = torch.randn(2, 4, 128).unbind()
    a, b = a / a.norm(dim=-1, keepdim=True), b / b.norm(dim=-1, keepdim=True)
    assert_close(spherical(a, b, 0.0), a)
    assert_close(spherical(a, b, 1.0), b)
    assert_close(spherical(a, b, 0.3).norm(dim=-1), torch.ones(4))
    assert_close(spherical(a, a, 0.5), a)


def test_an_eighth_of_a_turn_lies_half_way_to_a_quarter():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert_close(spherical(a, b, 0.5), torch.full((2,), 0.5**0.5))


def test_one_pair_without_an_arc_leaves_the_others_on_theirs():
    a, b = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    assert_close(spherical(a, b, 0.5), torch.tensor([[2.0, 0.0], [0.5**0.5, 0.5**0.5]]))


def test_truncated_normal_is_equation_a6_for_its_own_uniform_numbers():
    u = torch.rand(3, 4, generator=generator(), dtype=torch.float64).numpy()
    expected = stats.truncnorm.ppf(u, -1.5, 1.5)
    assert_close(truncated_normal(3, 4, 1.5, generator()).double().numpy(), expected, rtol=0, atol=1e-6)

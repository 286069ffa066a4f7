"""Differentiable augmentation: what stays, what changes, and that gradients pass."""

import pytest
import torch
from torch.testing import assert_close

from ctgan_utils.networks.augmentation import augment


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(500, 1, 16, 16) * 1.2 - 1


def test_nothing_changes_without_probability(images):
    assert_close(augment(images, 0.0), images)


def test_about_as_many_stay_as_they_are_as_the_probability_leaves(images):
    changed = (augment(images, 0.4) - images).abs().amax((1, 2, 3)) > 1e-4
    assert changed.float().mean().item() == pytest.approx(1 - 0.6**2, abs=0.07)  # two kinds of change


def test_what_comes_in_from_outside_is_black_and_grey_levels_stay_in_range(images):
    assert augment(torch.full_like(images, -1), 0.9).max() == -1
    assert augment(torch.ones_like(images), 0.9).abs().max() <= 1


def test_gradients_pass_to_every_image(images):
    images.requires_grad_(True)
    augment(images, 0.9).sum().backward()
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()


def test_the_changes_are_small_ones(images):
    """In 19 of 20 images a disc moves by less than a fifth of the side; its light changes by 8 percent."""
    axis = torch.arange(32) - 15.5
    disc = (axis[:, None] ** 2 + axis**2 < 64).float().expand(2_000, 1, 32, 32) * 1.2 - 1
    light = augment(disc, 0.99) + 1
    middle = (light * axis).sum((1, 2, 3)) / light.sum((1, 2, 3))
    assert middle.abs().quantile(0.95) < 32 / 5
    assert middle.abs().mean() > 0.5
    assert light.amax((1, 2, 3)).std().item() == pytest.approx(1.2 * 0.08, rel=0.2)

"""The objectives against closed forms."""

import pytest
import torch
from torch.testing import assert_close

from ctgan_utils.config import EXPERIMENTS
from ctgan_utils.losses import (
    WassersteinGP,
    build_objective,
    critic_estimate,
    gradient_penalty,
    interpolate_pairs,
)


def linear_critic(weight, bias=0.0):
    return lambda x: (weight * x).sum((1, 2, 3)) + bias


def test_estimate_is_the_difference_of_the_means():
    assert critic_estimate(torch.tensor([3.0, 5.0]), torch.tensor([1.0, 0.0, 2.0])).item() == 3.0


@pytest.mark.parametrize("norm", [0.25, 1.0, 4.0])
def test_penalty_of_a_linear_critic_is_exact(norm):
    weight = torch.randn(1, 8, 8)
    weight *= norm / weight.norm()
    penalty = gradient_penalty(linear_critic(weight), torch.randn(5, 1, 8, 8))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5, abs=1e-6)


def test_penalty_is_per_image_over_all_pixels():
    """A critic with gradient norm a on one image and b on the other is charged the mean of both squares."""
    scale = torch.tensor([2.0, 5.0])
    pixels = 16

    def critic(x):
        return scale * x.sum((1, 2, 3))

    expected = ((scale * pixels**0.5 - 1) ** 2).mean()
    assert_close(gradient_penalty(critic, torch.randn(2, 1, 4, 4)), expected)


def test_penalty_reaches_the_critic_weights():
    """d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|."""
    weight = torch.randn(1, 4, 4, requires_grad=True)
    gradient_penalty(linear_critic(weight), torch.randn(3, 1, 4, 4)).backward()
    norm = weight.detach().norm()
    assert_close(weight.grad, 2 * (norm - 1) * weight.detach() / norm)


def test_interpolates_lie_between_with_one_share_per_image():
    real, fake = torch.ones(6, 1, 4, 4), torch.zeros(6, 1, 4, 4)
    points = interpolate_pairs(real, fake, torch.Generator().manual_seed(0))
    shares = points[:, 0, 0, 0]
    assert ((shares > 0) & (shares < 1)).all()
    assert len(set(shares.tolist())) == 6
    assert_close(points, shares[:, None, None, None].expand_as(points))


def test_critic_loss_rewards_scoring_real_above_fake():
    real, fake = torch.ones(4, 1, 2, 2), -torch.ones(4, 1, 2, 2)
    objective, rng = WassersteinGP(0.0), torch.Generator().manual_seed(0)
    right, terms = objective.critic_loss(linear_critic(torch.ones(1, 2, 2)), real, fake, rng)
    wrong, _ = objective.critic_loss(linear_critic(-torch.ones(1, 2, 2)), real, fake, rng)
    assert right.item() == -8.0
    assert wrong.item() == 8.0
    assert terms["estimate"].item() == 8.0


def test_a_constant_added_to_all_scores_changes_the_generator_loss_only():
    real, fake = torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2)
    weight = torch.randn(1, 2, 2)
    losses = []
    for bias in (0.0, 100.0):
        critic, rng = linear_critic(weight, bias), torch.Generator().manual_seed(0)
        objective = WassersteinGP(10.0)
        losses.append(
            (objective.critic_loss(critic, real, fake, rng)[0], objective.generator_loss(critic, fake))
        )
    assert_close(losses[0][0], losses[1][0], atol=1e-4, rtol=0)
    assert_close(losses[0][1] - 100, losses[1][1], atol=1e-4, rtol=0)


def test_the_registry_names_objectives_that_exist():
    for experiment in EXPERIMENTS.values():
        assert build_objective(experiment).penalty_weight == 10.0

"""The objectives against closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import jensenshannon
from torch.nn import functional
from torch.testing import assert_close

from ctgan_utils.distances import (
    earth_movers_distance,
    earth_movers_of_samples,
    js_divergence,
    kl_divergence,
    total_variation,
)
from ctgan_utils.losses import (
    CrossEntropy,
    WassersteinClip,
    WassersteinGP,
    critic_estimate,
    gradient_penalty,
    hinge,
    relativistic,
    squared_slope,
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


def test_the_penalty_is_taken_between_each_pair():
    """C(x) = x^2 of one pixel has gradient 2 x, at x = epsilon real + (1 - epsilon) fake."""
    real, fake = torch.full((2, 1, 1, 1), 3.0), torch.full((2, 1, 1, 1), 1.0)
    epsilon = torch.tensor([0.25, 1.0])[:, None, None, None]
    _, terms = WassersteinGP(10.0).critic_loss(lambda x: (x**2).sum((1, 2, 3)), real, fake, epsilon)
    assert terms["penalty"].item() == pytest.approx(((2 * 1.5 - 1) ** 2 + (2 * 3 - 1) ** 2) / 2)


def test_critic_loss_rewards_scoring_real_above_fake():
    real, fake = torch.ones(4, 1, 2, 2), -torch.ones(4, 1, 2, 2)
    objective, epsilon = WassersteinGP(0.0), torch.rand(4, 1, 1, 1)
    right, terms = objective.critic_loss(linear_critic(torch.ones(1, 2, 2)), real, fake, epsilon)
    wrong, _ = objective.critic_loss(linear_critic(-torch.ones(1, 2, 2)), real, fake, epsilon)
    assert right.item() == -8.0
    assert wrong.item() == 8.0
    assert terms["estimate"].item() == 8.0


def test_a_constant_added_to_all_scores_changes_the_generator_loss_only():
    real, fake = torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2)
    weight, epsilon = torch.randn(1, 2, 2), torch.rand(4, 1, 1, 1)
    losses = []
    for bias in (0.0, 100.0):
        critic = linear_critic(weight, bias)
        objective = WassersteinGP(10.0)
        losses.append(
            (objective.critic_loss(critic, real, fake, epsilon)[0], objective.generator_loss(critic, fake))
        )
    assert_close(losses[0][0], losses[1][0], atol=1e-4, rtol=0)
    assert_close(losses[0][1] - 100, losses[1][1], atol=1e-4, rtol=0)


class Weighted(torch.nn.Module):
    """A critic with one weight, w: C(x) = w * (sum of x)."""

    def __init__(self, weight):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, x):
        return self.w * x.sum((1, 2, 3))


def test_clipping_holds_whenever_the_critic_is_used():
    critic, objective = Weighted(3.0), WassersteinClip(0.01)
    real, fake = torch.full((2, 1, 1, 1), 5.0), torch.full((2, 1, 1, 1), 2.0)
    loss, terms = objective.critic_loss(critic, real, fake, None)
    assert critic.w.item() == pytest.approx(0.01)
    assert loss.item() == pytest.approx(-0.03)
    assert terms["estimate"].item() == pytest.approx(0.03)
    torch.nn.init.constant_(critic.w, -7.0)
    assert objective.generator_loss(critic, fake).item() == pytest.approx(0.02)
    assert critic.w.item() == pytest.approx(-0.01)


def test_cross_entropy_is_torchs():
    scores_real, scores_fake = torch.randn(2, 50)
    critic = {1.0: scores_real, 0.0: scores_fake}
    game = CrossEntropy(saturating=False)
    loss, _ = game.critic_loss(lambda x: critic[x[0, 0, 0, 0].item()], images(1.0), images(0.0), None)
    bce = functional.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(50), torch.zeros(50)
    assert_close(loss, bce(scores_real, ones) + bce(scores_fake, zeros))
    assert_close(game.generator_loss(lambda x: scores_fake, images(0.0)), bce(scores_fake, ones))
    minimax = CrossEntropy(saturating=True).generator_loss(lambda x: scores_fake, images(0.0))
    assert_close(minimax, -bce(scores_fake, zeros))


def images(value):
    return torch.full((50, 1, 1, 1), value)


def test_an_undecided_discriminator_costs_two_log_two():
    loss, _ = CrossEntropy(False).critic_loss(lambda x: torch.zeros(50), images(1.0), images(0.0), None)
    assert loss.item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize(("saturating", "expected"), [(True, -4.54e-5), (False, -1.0)])
def test_the_minimax_gradient_vanishes_while_the_discriminator_wins(saturating, expected):
    """At D(G(z)) = -10 the derivatives are -s(l) and s(l) - 1 (Goodfellow 2014, section 3)."""
    score = torch.tensor([-10.0], requires_grad=True)
    CrossEntropy(saturating).generator_loss(lambda x: score, None).backward()
    assert score.grad.item() == pytest.approx(expected, rel=1e-2)


def test_squared_slope_of_a_linear_critic_is_that_of_its_weights():
    weights = torch.randn(1, 5, 5)
    slope = squared_slope(lambda x: (x * weights).sum((1, 2, 3)), torch.randn(7, 1, 5, 5))
    assert_close(slope, weights.square().sum())


def test_squared_slope_is_the_mean_over_images():
    """C(x) = |x|^2 / 2 has the gradient x."""
    x = torch.randn(7, 1, 4, 4)
    slope = squared_slope(lambda x: x.square().sum((1, 2, 3)) / 2, x)
    assert_close(slope, x.square().sum((1, 2, 3)).mean())


def test_relativistic_compares_pairs_and_cares_for_differences_only():
    real, fake = torch.randn(2, 50)
    expected = -torch.log(torch.sigmoid(real - fake)).mean()
    assert_close(relativistic(real, fake), expected)
    assert_close(relativistic(real + 5, fake + 5), expected, rtol=1e-4, atol=1e-5)
    assert relativistic(real, real).item() == pytest.approx(math.log(2))


def test_hinge_stops_caring_beyond_the_margin():
    assert hinge(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -9.0])).item() == 0
    assert hinge(torch.zeros(4), torch.zeros(4)).item() == 2
    assert hinge(torch.tensor([-1.0]), torch.tensor([-1.0])).item() == 2


def probabilities(k=7, seed=0):
    p = torch.rand(2, k, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (p / p.sum(1, keepdim=True)).unbind()


def test_total_variation_is_the_largest_difference_over_all_events():
    p, q = probabilities()
    events = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 7)
    assert_close(total_variation(p, q), (events @ (p - q)).abs().max())


def test_divergences_are_scipys():
    p, q = probabilities()
    assert kl_divergence(p, q).item() == pytest.approx(stats.entropy(p.numpy(), q.numpy()))
    assert js_divergence(p, q).item() == pytest.approx(jensenshannon(p.numpy(), q.numpy()) ** 2)


def test_distances_where_the_supports_are_disjoint():
    p, q = torch.tensor([0.5, 0.5, 0, 0, 0, 0]), torch.tensor([0, 0, 0, 0, 0.5, 0.5])
    assert total_variation(p, q).item() == 1
    assert kl_divergence(p, q).item() == math.inf
    assert js_divergence(p, q).item() == pytest.approx(math.log(2))
    assert earth_movers_distance(p, q, spacing=0.5).item() == 2.0
    assert kl_divergence(p, p).item() == 0


def test_earth_movers_distances_are_scipys():
    p, q = probabilities()
    places = np.arange(7) * 0.3
    expected = stats.wasserstein_distance(places, places, p.numpy(), q.numpy())
    assert earth_movers_distance(p, q, 0.3).item() == pytest.approx(expected)
    x, y = torch.randn(2, 50, 1, dtype=torch.float64)
    expected = stats.wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert earth_movers_of_samples(x, y) == pytest.approx(expected)


def test_a_shifted_sample_is_as_far_as_the_shift():
    x = torch.randn(40, 2)
    assert earth_movers_of_samples(x, x + torch.tensor([3.0, 4.0])) == pytest.approx(5.0, rel=1e-5)
    with pytest.raises(ValueError, match="must be equal"):
        earth_movers_of_samples(x, x[:10])


def test_only_the_earth_movers_distance_has_a_slope_between_disjoint_supports():
    places = torch.arange(60, dtype=torch.float64) * 0.1
    p = torch.relu(1 - (places - 1).abs())
    slopes = {}
    for name, distance in (
        ("tv", total_variation),
        ("js", js_divergence),
        ("em", lambda p, q: earth_movers_distance(p, q, 0.1)),
    ):
        theta = torch.tensor(4.03, dtype=torch.float64, requires_grad=True)
        q = torch.relu(1 - (places - theta).abs())
        distance(p / p.sum(), q / q.sum()).backward()
        slopes[name] = theta.grad.item()
    assert slopes == {
        "tv": pytest.approx(0, abs=1e-12),
        "js": pytest.approx(0, abs=1e-12),
        "em": pytest.approx(1, rel=0.05),
    }

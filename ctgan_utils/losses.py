"""Objectives: what the critic and the generator minimise, each as short as its equation.

The objectives of the thesis are classes with two methods. critic_loss(critic, real, fake, epsilon) returns
the critic's loss and what it is made of, {name: scalar tensor}, the critic's `estimate` always among it;
generator_loss(critic, fake) that of the generator. real and fake are [N, 1, H, W]; scores are [N], without a
sigmoid; epsilon is uniform noise [N, 1, 1, 1], for those that look between real and fake. The functions after
them are what later objectives are made of.

What these losses estimate, distances between distributions, is in distances.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu, softplus

Critic = Callable[[Tensor], Tensor]  # images [N, C, H, W] -> scores [N]
Terms = dict[str, Tensor]  # what a loss is made of, for the log: {name: scalar}


def critic_estimate(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E C(x) - E C(G(z)): the critic's estimate of the earth mover's distance (thesis 2.2, 2.6)."""
    return real_scores.mean() - fake_scores.mean()


def gradient_penalty(critic: Critic, images: Tensor) -> Tensor:
    """E (|| grad C(x) ||_2 - 1)^2 at images [N, C, H, W] (Gulrajani 2017, equation 3; thesis 2.7).

    The norm is per image, over all of C, H and W, and is taken in float32 whatever the critic computes in.
    """
    images = images.detach().requires_grad_(True)
    scores = critic(images)
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return ((gradient.float().flatten(1).norm(dim=1) - 1) ** 2).mean()


class WassersteinGP:
    """Wasserstein distance with gradient penalty (Gulrajani 2017; thesis 2.1.6, signs of 2.7 corrected)."""

    def __init__(self, penalty_weight: float) -> None:
        self.penalty_weight = penalty_weight

    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor
    ) -> tuple[Tensor, Terms]:
        estimate = critic_estimate(critic(real), critic(fake))
        penalty = gradient_penalty(critic, epsilon * real + (1 - epsilon) * fake)
        return self.penalty_weight * penalty - estimate, {"estimate": estimate, "penalty": penalty}

    def generator_loss(self, critic: Critic, fake: Tensor) -> Tensor:
        """-E C(G(z)). Its value alone says nothing of quality; watch the critic's estimate."""
        return -critic(fake).mean()


class WassersteinClip:
    """Wasserstein distance, kept Lipschitz by clipping weights (Arjovsky 2017, algorithm 1; thesis 2.2)."""

    def __init__(self, clip: float) -> None:
        self.clip = clip

    def critic_loss(
        self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor | None
    ) -> tuple[Tensor, Terms]:
        self._clip(critic)
        estimate = critic_estimate(critic(real), critic(fake))
        return -estimate, {"estimate": estimate}

    def generator_loss(self, critic: nn.Module, fake: Tensor) -> Tensor:
        self._clip(critic)
        return -critic(fake).mean()

    @torch.no_grad()
    def _clip(self, critic: nn.Module) -> None:
        for weight in critic.parameters():
            weight.clamp_(-self.clip, self.clip)


class CrossEntropy:
    """The minimax game on logits l = D(x) (Goodfellow 2014, equation 1; thesis 2.1, A.1).

    With s the sigmoid, the discriminator minimises -E log s(D(x)) - E log(1 - s(D(G(z)))). The generator
    minimises E log(1 - s(D(G(z)))), or, non-saturating, -E log s(D(G(z))), whose gradient does not vanish
    while the discriminator wins (Goodfellow 2014, section 3).
    """

    def __init__(self, saturating: bool) -> None:
        self.saturating = saturating

    def critic_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor | None
    ) -> tuple[Tensor, Terms]:
        real_scores, fake_scores = critic(real), critic(fake)
        loss = softplus(-real_scores).mean() + softplus(fake_scores).mean()
        return loss, {"estimate": critic_estimate(real_scores, fake_scores)}

    def generator_loss(self, critic: Critic, fake: Tensor) -> Tensor:
        scores = critic(fake)
        return -softplus(scores).mean() if self.saturating else softplus(-scores).mean()


def squared_slope(critic: Critic, images: Tensor) -> Tensor:
    """E || grad C(x) ||_2^2 at images [N, C, H, W]; gamma / 2 times it is R1 on real images (Mescheder 2018,
    equation 9) and R2 on generated ones. In float32, as gradient_penalty.
    """
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradient.float().flatten(1).square().sum(1).mean()


def relativistic(scores: Tensor, others: Tensor) -> Tensor:
    """E softplus(-(s - o)) over pairs: `scores` [N] should lie above `others` [N] (Jolicoeur-Martineau 2018).

    The critic minimises it for real against generated scores, the generator with the two exchanged
    (Huang 2024, equation 2).
    """
    return softplus(others - scores).mean()


def hinge(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E max(0, 1 - C(x)) + E max(0, 1 + C(G(z))): the critic's hinge loss on scores [N] (Lim and Ye 2017)."""
    return relu(1 - real_scores).mean() + relu(1 + fake_scores).mean()


def gradient_difference(x: Tensor, y: Tensor) -> Tensor:
    """E (|dx| - |dy|)^2 over the steps d from pixel to pixel along rows and columns of images [N, C, H, W].

    Small where y has edges as strong as those of x, however bright both are (Mathieu 2016; Nie 2018; thesis
    2.8, whose print lost the absolute values).
    """
    total = torch.zeros((), device=x.device)
    for axis in (2, 3):
        steps = (images.diff(dim=axis).abs() for images in (x, y))
        total = total + (next(steps) - next(steps)).square().mean()
    return total


def semi_supervised(scores: Tensor, labels: Tensor, unlabelled: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy over K classes and one more, "made up", whose score is fixed at 0 (Salimans 2016, 5).

    scores [M, K] of slices whose labels [M] are known, unlabelled [N, K] of real ones, fake [N, K] of
    generated ones. Labelled slices are to be of their class; of unlabelled real ones it is only known that
    they are of one of the K.
    """
    real = softplus(-unlabelled.logsumexp(1)).mean()  # -log of the share of the K classes
    return cross_entropy(scores, labels) + real + softplus(fake.logsumexp(1)).mean()

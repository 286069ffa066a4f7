"""Objectives: what the critic and the generator minimise, each as short as its equation."""

import torch


def critic_estimate(real_scores, fake_scores):
    """E C(x) - E C(G(z)): the critic's estimate of the earth mover's distance (thesis 2.2, 2.6)."""
    return real_scores.mean() - fake_scores.mean()


def interpolate_pairs(real, fake, rng):
    """A random point between each real and fake image, [N, 1, H, W] (Gulrajani 2017, algorithm 1)."""
    epsilon = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
    return epsilon * real + (1 - epsilon) * fake


def gradient_penalty(critic, images):
    """E (|| grad C(x) ||_2 - 1)^2 at images [N, C, H, W] (Gulrajani 2017, equation 3; thesis 2.7).

    The norm is per image, over all of C, H and W, and is taken in float32 whatever the critic computes in.
    """
    images = images.detach().requires_grad_(True)
    scores = critic(images)
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return ((gradient.float().flatten(1).norm(dim=1) - 1) ** 2).mean()


class WassersteinGP:
    """Wasserstein distance with gradient penalty (Gulrajani 2017; thesis 2.1.6, signs of 2.7 corrected)."""

    def __init__(self, penalty_weight):
        self.penalty_weight = penalty_weight

    def critic_loss(self, critic, real, fake, rng):
        """The critic's loss, and what it is made of as {name: scalar tensor}."""
        estimate = critic_estimate(critic(real), critic(fake))
        penalty = gradient_penalty(critic, interpolate_pairs(real, fake, rng))
        return self.penalty_weight * penalty - estimate, {"estimate": estimate, "penalty": penalty}

    def generator_loss(self, critic, fake):
        """-E C(G(z)). Its value alone says nothing of quality; watch the critic's estimate."""
        return -critic(fake).mean()


def build_objective(experiment):
    """The objective an Experiment names."""
    return {"wgan-gp": lambda: WassersteinGP(experiment.gradient_penalty)}[experiment.objective]()

"""Objectives: what the critic and the generator minimise, each as short as its equation.

Every objective has two methods. critic_loss(critic, real, fake, epsilon) returns the critic's loss and what
it is made of, {name: scalar tensor}, the critic's `estimate` always among it; generator_loss(critic, fake)
that of the generator. real and fake are [N, 1, H, W]; scores are [N], without a sigmoid; epsilon is uniform
noise [N, 1, 1, 1], for those that look between real and fake.

At the end: distances between distributions, of which these losses are estimates.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import softplus


def critic_estimate(real_scores, fake_scores):
    """E C(x) - E C(G(z)): the critic's estimate of the earth mover's distance (thesis 2.2, 2.6)."""
    return real_scores.mean() - fake_scores.mean()


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

    def critic_loss(self, critic, real, fake, epsilon):
        estimate = critic_estimate(critic(real), critic(fake))
        penalty = gradient_penalty(critic, epsilon * real + (1 - epsilon) * fake)
        return self.penalty_weight * penalty - estimate, {"estimate": estimate, "penalty": penalty}

    def generator_loss(self, critic, fake):
        """-E C(G(z)). Its value alone says nothing of quality; watch the critic's estimate."""
        return -critic(fake).mean()


class WassersteinClip:
    """Wasserstein distance, kept Lipschitz by clipping weights (Arjovsky 2017, algorithm 1; thesis 2.2)."""

    def __init__(self, clip):
        self.clip = clip

    def critic_loss(self, critic, real, fake, epsilon):
        self._clip(critic)
        estimate = critic_estimate(critic(real), critic(fake))
        return -estimate, {"estimate": estimate}

    def generator_loss(self, critic, fake):
        self._clip(critic)
        return -critic(fake).mean()

    @torch.no_grad()
    def _clip(self, critic):
        for weight in critic.parameters():
            weight.clamp_(-self.clip, self.clip)


class CrossEntropy:
    """The minimax game on logits l = D(x) (Goodfellow 2014, equation 1; thesis 2.1, A.1).

    With s the sigmoid, the discriminator minimises -E log s(D(x)) - E log(1 - s(D(G(z)))). The generator
    minimises E log(1 - s(D(G(z)))), or, non-saturating, -E log s(D(G(z))), whose gradient does not vanish
    while the discriminator wins (Goodfellow 2014, section 3).
    """

    def __init__(self, saturating):
        self.saturating = saturating

    def critic_loss(self, critic, real, fake, epsilon):
        real_scores, fake_scores = critic(real), critic(fake)
        loss = softplus(-real_scores).mean() + softplus(fake_scores).mean()
        return loss, {"estimate": critic_estimate(real_scores, fake_scores)}

    def generator_loss(self, critic, fake):
        scores = critic(fake)
        return -softplus(scores).mean() if self.saturating else softplus(-scores).mean()


OBJECTIVES = {
    "wgan-gp": lambda e: WassersteinGP(e.gradient_penalty),
    "wgan-clip": lambda e: WassersteinClip(e.clip),
    "non-saturating": lambda e: CrossEntropy(saturating=False),
    "minimax": lambda e: CrossEntropy(saturating=True),
}


def build_objective(experiment):
    """The objective an Experiment names."""
    return OBJECTIVES[experiment.objective](experiment)


def total_variation(p, q):
    """The largest |P(A) - Q(A)| over all events A, in [0, 1] (Arjovsky 2017, section 2; thesis A.3).

    p and q are probabilities [K] on the same K outcomes; the largest difference is half the sum of |p - q|.
    """
    return (p - q).abs().sum() / 2


def kl_divergence(p, q):
    """Sum of p log(p / q) over outcomes with p > 0, in nats (thesis A.4).

    p and q are probabilities [K]. It is 0 for p = q, infinite where q misses an outcome of p, not symmetric.
    """
    inside = p > 0
    return (p[inside] * (p[inside] / q[inside]).log()).sum()


def js_divergence(p, q):
    """The mean KL divergence of p and q, probabilities [K], to their middle; in [0, log 2] nats.

    Thesis A.5 (and Arjovsky 2017, section 2) leaves the mean's 1/2 out: twice this.
    """
    middle = (p + q) / 2
    return (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2


def earth_movers_distance(p, q, spacing=1.0):
    """The least mass times way that turns p into q, probabilities [K] on a line (thesis 2.2, 2.6).

    Neighbouring outcomes lie `spacing` apart. What has to cross a gap is the difference of the distribution
    functions there.
    """
    return spacing * (p - q).cumsum(0).abs().sum()


def earth_movers_of_samples(x, y):
    """The exact earth mover's distance of two samples [n, d] of the same size: a float, by the best pairing.

    Takes n^3 operations: for n to some thousands. Raises ValueError if the sizes differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"samples of shapes {tuple(x.shape)} and {tuple(y.shape)}: they must be equal")
    ways = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return ways[linear_sum_assignment(ways.cpu().numpy())].mean().item()

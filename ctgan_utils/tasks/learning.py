"""The short loop in which the networks of a task learn."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

BATCH = 4  # slices in a step

LossOf = Callable[[Tensor], Tensor]  # of the slices with these indices, int64 [BATCH]


def learn(players: Sequence[tuple[nn.Module, LossOf, float]], n: int, seen: int, seed: int = 0) -> None:
    """Lets networks learn in turn, each from its own loss, till they saw `seen` of n slices, with repetition.

    players are (network, its loss, its learning rate); one for plain learning, two for a game. Adam, at rates
    that fall to zero along a straight line. Which slices are in a step follows from the seed.
    """
    rng, steps = torch.Generator().manual_seed(seed), seen // BATCH
    optimisers = [torch.optim.Adam(network.parameters(), rate, (0.5, 0.99)) for network, _, rate in players]
    for k in range(steps):
        for (network, loss_of, rate), optimiser in zip(players, optimisers):
            optimiser.param_groups[0]["lr"] = rate * (1 - k / steps)
            optimiser.zero_grad()
            loss = loss_of(torch.randint(n, (BATCH,), generator=rng))
            loss.backward(inputs=list(network.parameters()))
            optimiser.step()


@torch.no_grad()
def applied(network: nn.Module, images: Tensor) -> Tensor:
    """What a network in use makes of images [N, C, H, W], a hundred at a time."""
    network.eval()
    return torch.cat([network(part) for part in images.split(100)])

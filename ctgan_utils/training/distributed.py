"""Several processes, one run: `torchrun` starts them, and each works on its share of every batch.

All of them draw the same random numbers and take their own part, so that a run of two processes follows the
run of one. PyTorch's DistributedDataParallel averages the gradients.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


@dataclass(frozen=True)
class Worker:
    """The part of every batch that falls to process `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True for the one process that writes files and speaks."""
        return self.rank == 0

    def of(self, batch: Tensor) -> Tensor:
        """This process's part of a batch [N, ...]; N is a multiple of size."""
        return batch.chunk(self.size)[self.rank]

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """What is inside happens in the leading process, and only then in the others."""
        if not self.leads:
            torch.distributed.barrier()
        yield
        if self.leads and self.size > 1:
            torch.distributed.barrier()

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network as its gradients are averaged over the processes; its weights become the leader's."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)


@contextmanager
def joined(device: torch.device) -> Iterator[Worker]:
    """The Worker of this process: of those that torchrun started, or the whole."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield Worker()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(torch.distributed.rendezvous("env://"))
    # torchrun keeps one store over all restarts: under a prefix, no process looks for those that have died
    store = torch.distributed.PrefixStore(f"restart-{restarts()}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield Worker(rank, size)
    finally:
        torch.distributed.destroy_process_group()


def restarts() -> int:
    """How often torchrun has started the processes anew because one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def average(tensor: Tensor) -> Tensor:
    """The mean of a tensor over the processes, through which gradients flow."""
    return all_reduce(tensor) / torch.distributed.get_world_size()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' parts, which are of one size.

    What nn.SyncBatchNorm does on GPUs, on any device.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.float()
            mean = average(wide.mean((0, 2, 3)))
            centred = wide - mean[:, None, None]
            variance = average(centred.square().mean((0, 2, 3)))
            scale = self.weight * torch.rsqrt(variance + self.eps)
            out = centred * scale[:, None, None] + self.bias[:, None, None]
        self._remember(mean.detach(), variance.detach(), wide[:, 0].numel())
        return out.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean, variance, pixels):
        n = pixels * torch.distributed.get_world_size()
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * n / (n - 1), self.momentum)


def share_batch_norm(network: nn.Module) -> None:
    """Turn every nn.BatchNorm2d of a network, in place, into one over all processes."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d

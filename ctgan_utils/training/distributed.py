"""Several processes, one run: `torchrun` starts them, and each works on its share of every batch.

All of them draw the same batches and the same noise and take their own part, so that a run of two processes
follows the run of one; what networks draw themselves, such as dropout, each draws for its part. PyTorch's
DistributedDataParallel averages the gradients.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from ctgan_utils.runtime import UserError, brief, printable

MEND = "start the processes with torchrun, which sets it, or unset WORLD_SIZE"


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
    """The Worker of this process: of those that torchrun started, or the whole.

    Raises UserError when the environment names processes that can't meet.
    """
    size = _number("WORLD_SIZE", 1, default="1")
    if size == 1:
        yield Worker()
        return
    rank = _number("RANK", 0, size - 1)
    _check_meeting_place()
    if device.type == "cuda":
        torch.cuda.set_device(_number("LOCAL_RANK", 0, torch.cuda.device_count() - 1))
    try:
        store, _, _ = next(torch.distributed.rendezvous("env://"))
        # torchrun keeps one store over all restarts: under a prefix, none looks for those that have died
        store = torch.distributed.PrefixStore(f"restart-{restarts()}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        reason = brief(printable(error), 200)
        raise UserError(f"WORLD_SIZE={size}: the processes don't meet ({reason}); {MEND}") from None
    try:
        yield Worker(rank, size)
    finally:
        torch.distributed.destroy_process_group()


def restarts() -> int:
    """How often torchrun has started the processes anew because one of them died."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0, default="0")


def _number(name: str, low: int, high: int | None = None, default: str = "") -> int:
    """The whole number that an environment variable holds. Raises UserError for anything else."""
    text = os.environ.get(name, default)
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        wanted = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"{name}={brief(text)}: it must be a whole number {wanted}; {MEND}")
    return number


def _check_meeting_place() -> None:
    """Raises UserError unless MASTER_ADDR and MASTER_PORT name a place; PyTorch would seek it for long."""
    port, address = _number("MASTER_PORT", 1, 65_535), os.environ.get("MASTER_ADDR", "")
    try:
        if not address:
            raise OSError("empty")
        socket.getaddrinfo(address, port)
    except (OSError, UnicodeError):  # names of hosts are put into ASCII
        raise UserError(f"MASTER_ADDR={brief(address)}: no such host; {MEND}") from None


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
            gain, bias = (self.weight, self.bias[:, None, None]) if self.affine else (1.0, 0.0)
            scale = gain * torch.rsqrt(variance + self.eps)
            out = centred * scale[:, None, None] + bias
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

"""The training loop, and what it carries from step to step."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ctgan_utils.data.image_files import grid_png
from ctgan_utils.data.slices import Batches, as_batch
from ctgan_utils.grey import to_uint8
from ctgan_utils.runtime import UserError, atomic_write, progress, seed_of
from ctgan_utils.systems.base import Batch, History, System, Terms
from ctgan_utils.training import checkpoints
from ctgan_utils.training.distributed import Worker, share_batch_norm
from ctgan_utils.training.doctor import spread
from ctgan_utils.training.ema import EMA
from ctgan_utils.training.history import Diverged, Log

LOG_EVERY = 20  # generator steps averaged in one line of the history
SAVE_EVERY = 60  # seconds of training that a kill can cost
N_FIXED = 64  # latents that every sample sheet of a run shares


class Trainer:
    """A run in progress: networks, optimisers, EMA, random state and step.

    data is what the system asks for, {name: tensor [N, ...]} (CTImages.tensors): images are uint8
    [N, 1, S, S]. dtype is that of the convolutions (runtime.choose_precision); worker is this process
    among those that share the run. Batches, noise and whatever the networks draw follow from the seed and the
    step, so that on the CPU a run repeats, and resumes, bit for bit. Raises UserError when the data do not
    suit the system, or the batch can't be divided as asked.
    """

    def __init__(
        self,
        system: System,
        G: nn.Module,
        D: nn.Module,
        data: dict[str, Tensor],
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        worker: Worker | None = None,
    ) -> None:
        s = self.system = system
        self.seed, self.device, self.dtype = seed, torch.device(device), dtype
        self.step, self.worker = 0, worker or Worker()
        if self.worker.size > 1 and not s.divisible:
            raise UserError(f"{s.name}: its networks can't be shared by several processes; train it in one")
        self.part = s.micro_batch or s.batch_size // self.worker.size
        if s.batch_size % (self.part * self.worker.size):
            parts = f"micro-batches of {self.part} in {self.worker.size} process(es)"
            raise UserError(f"batch_size={s.batch_size}: not divisible into {parts}; change one (--set)")
        s.check(data)
        s.adapt(G, D, data)
        self.G, self.D = (n.to(self.device).to(memory_format=torch.channels_last).train() for n in (G, D))
        self.ema = EMA(self.G, s.ema_half_life)
        if self.worker.size > 1:
            for network in (self.G, self.D):
                share_batch_norm(network)
        self.parallel_G, self.parallel_D = self.worker.parallel(self.G), self.worker.parallel(self.D)
        self.opt_G, self.opt_D = s.optimisers(self.G, self.D)
        self.rates = [group["lr"] for group in self.groups()]
        self.batches = Batches({k: v.to(device) for k, v in data.items()}, s.batch_size, seed)
        self.rng = torch.Generator().manual_seed(seed)
        self.fixed = s.noise(N_FIXED, torch.Generator().manual_seed(seed))
        images = data["images"]
        some = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:N_FIXED]
        self.fixed |= as_batch({name: data[name][some] for name in s.given})
        self.real_spread = spread(images[some])

    @property
    def images_seen(self) -> int:
        """Real images that the critic has been shown."""
        return self.step * self.system.critic_steps * self.system.batch_size

    def train_step(self) -> Terms:
        """Critic steps, a generator step, EMA (Gulrajani 2017, algorithm 1): {name: scalar tensor}."""
        s, n = self.system, self.system.batch_size
        for group, rate in zip(self.groups(), self.rates):
            group["lr"] = rate * s.rate(self.step)
        with torch.random.fork_rng(devices=[]):  # whatever the networks draw, dropout say
            torch.manual_seed(seed_of(self.seed, self.step, self.worker.rank))  # rank 0 counts nothing in it
            s.before_step(self.G, self.D, self.step)
            for k in range(s.critic_steps):
                real = self.batches[self.step * s.critic_steps + k]
                batch = real | self.drawn(s.critic_noise(n, self.rng))
                critic_terms = self.descend(self.opt_D, self.critic_loss, batch)
            with frozen(self.D):
                batch = real | self.drawn(s.noise(n, self.rng))
                generator_terms = self.descend(self.opt_G, self.generator_loss, batch)
        self.step += 1
        self.ema.update(self.G, n, generated=self.step * n)
        return critic_terms | generator_terms

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        loss, terms = self.system.critic_loss(self.G, self.parallel_D, batch)
        return loss, {"critic_loss": loss, **terms}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Terms]:
        loss, terms = self.system.generator_loss(self.parallel_G, self.D, batch)
        return loss, {"generator_loss": loss, **terms}

    def descend(self, optimiser: torch.optim.Optimizer, loss_of: Callable, batch: Batch) -> Terms:
        """One step of the optimiser down the mean loss of a batch's micro-batches; returns the mean terms."""
        optimiser.zero_grad(set_to_none=True)
        parts = [self.worker.of(tensor).split(self.part) for tensor in batch.values()]
        count = len(parts[0])
        totals: Terms = {}
        for tensors in zip(*parts):
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                loss, terms = loss_of({**dict(zip(batch, tensors)), "step": self.step})
            (loss / count).backward()
            totals = {k: totals.get(k, 0) + v.detach() / count for k, v in terms.items()}
        optimiser.step()
        return totals

    def drawn(self, noise: Batch) -> Batch:
        """Noise, drawn on the CPU whatever the device, so that a seed means the same everywhere."""
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in noise.items()}

    def groups(self) -> list[dict]:
        """Both optimisers' groups of parameters, each with its learning rate."""
        return [group for optimiser in (self.opt_G, self.opt_D) for group in optimiser.param_groups]

    @property
    def G_ema(self) -> nn.Module:
        """The averaged generator, its batch normalisation settled, ready to sample from."""
        self.ema.settle(self.system)
        return self.ema.G

    @torch.no_grad()
    def samples(self) -> Tensor:
        """The fixed latents through G_ema, uint8 [64, 1, S, S]."""
        return to_uint8(self.system.generate(self.G_ema, self.drawn(self.fixed))).cpu()

    def spread(self) -> float | None:
        """How far the fixed samples lie apart, as a share of how far real ones do, if these differ."""
        return spread(self.samples()) / self.real_spread if self.real_spread else None

    def networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "G_ema": self.G_ema, "D": self.D}

    def save(self, folder: Path | str) -> None:
        """Write the checkpoint. Raises Diverged, and writes nothing, when a weight is not finite."""
        networks = self.networks()
        if not all(torch.isfinite(p).all() for n in networks.values() for p in n.parameters()):
            raise Diverged("a weight", self.step, folder)
        optimisers = {"opt_G": self.opt_G.state_dict(), "opt_D": self.opt_D.state_dict()}
        state = {"step": self.step, "rng": self.rng.get_state(), **optimisers}
        checkpoints.save(folder, networks, state, self.system)

    def load(self, folder: Path | str) -> None:
        """Go back to the folder's last checkpoint; without one, stay at step 0."""
        state = checkpoints.load_state(folder)
        if state is None:
            return
        checkpoints.load_weights(Path(folder) / checkpoints.WEIGHTS, self.networks())
        checkpoints.load_optimiser(self.opt_G, state["opt_G"])
        checkpoints.load_optimiser(self.opt_D, state["opt_D"])
        self.rng.set_state(state["rng"])
        self.step = state["step"]


def train(
    trainer: Trainer,
    steps: int,
    folder: Path | str,
    tensorboard: bool = False,
    until: float = math.inf,
) -> History:
    """Train up to a total of steps, with all that a run folder holds; returns the history, a list of rows.

    until is the time of time.monotonic() at which it stops, and saves, wherever it is. Raises Diverged when a
    loss is not finite, and KeyboardInterrupt, after saving, on Ctrl-C or SIGTERM.
    """
    if not trainer.worker.leads:
        while trainer.step < steps:
            trainer.train_step()
        return []
    folder, log, saved = Path(folder), Log(folder, trainer, tensorboard), -math.inf
    with stop_signals(trainer.worker) as stop, progress(steps, folder.name, "step", trainer.step) as bar:
        while True:
            finished = trainer.step >= steps or stop.is_set() or time.monotonic() >= until
            if finished or trainer.step % LOG_EVERY == 0:
                log.write(bar)
                if finished or time.monotonic() - saved > SAVE_EVERY:
                    trainer.save(folder)
                    saved = time.monotonic()
            if finished or is_milestone(trainer.step):
                atomic_write(folder / "samples" / f"step-{trainer.step:07d}.png", grid_png(trainer.samples()))
            if finished:
                break
            log.add(trainer.train_step())
            bar.update()
    if stop.is_set():
        raise KeyboardInterrupt(f"stopped at step {trainer.step}")
    return log.rows


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of the network's weights inside; gradients still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


@contextmanager
def stop_signals(worker: Worker) -> Iterator[threading.Event]:
    """An Event that Ctrl-C or SIGTERM sets, so that the step is finished; a second Ctrl-C interrupts it.

    One of several processes stops at once instead: the others could not finish a step without it.
    """
    stop = threading.Event()
    if worker.size > 1 or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number, frame):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_milestone(step: int) -> bool:
    """Steps 0, 1, 2, 5, 10, 20, 50, ... and every 10,000th: dense where samples change fast."""
    leading = step / 10 ** int(math.log10(step)) if step else 1
    return leading in (1, 2, 5) or step % 10_000 == 0

"""The training loop, and what it carries from step to step."""

import copy
import math
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import torch

from ctgan_utils import checkpoints, latents
from ctgan_utils.data import Batches, to_uint8
from ctgan_utils.distributed import Share, share_batch_norm
from ctgan_utils.doctor import spread
from ctgan_utils.history import Log, not_finite
from ctgan_utils.image_files import grid_png
from ctgan_utils.losses import build_objective
from ctgan_utils.runtime import UserError, atomic_write, progress

LOG_EVERY = 20  # generator steps averaged in one line of the history
SAVE_EVERY = 60  # seconds of training that a kill can cost
N_FIXED = 64  # latents that every sample sheet of a run shares


class EMA:
    """G_ema: an exponential moving average of the generator's weights (Yazici 2019).

    A weight counts half after half_life generated images, or after 5 % of those made so far while that
    is less, so that short runs do not average in their first images. Statistics of batch normalisation
    are averages already and are copied.
    """

    def __init__(self, G, half_life):
        self.G = copy.deepcopy(G).eval().requires_grad_(False)
        self.half_life = half_life

    @torch.no_grad()
    def update(self, G, batch_size, generated):
        decay = 0.5 ** (batch_size / min(self.half_life, 0.05 * generated))
        torch._foreach_lerp_(list(self.G.parameters()), list(G.parameters()), 1 - decay)
        for average, new in zip(self.G.buffers(), G.buffers()):
            average.copy_(new)


def build_optimizer(experiment, network, learning_rate):
    """Adam, or RMSprop as Arjovsky 2017 trains: without momentum, decay 0.99."""
    if experiment.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), learning_rate)
    betas = (experiment.beta1, experiment.beta2)
    return torch.optim.Adam(network.parameters(), learning_rate, betas, fused=True)


class Trainer:
    """A run in progress: networks, optimisers, EMA, random state and step.

    images are uint8 [N, 1, S, S]; dtype is that of the convolutions (runtime.choose_precision); share is this
    process's part of every batch. Batches and noise follow from the seed, so that on the CPU a run repeats
    bit for bit. Raises UserError when the batch can't be divided as asked.
    """

    def __init__(self, experiment, G, D, images, *, seed=0, device="cpu", dtype=torch.float32, share=None):
        e = self.experiment = experiment
        self.device, self.dtype, self.step, self.share = torch.device(device), dtype, 0, share or Share()
        self.part = e.micro_batch or e.batch_size // self.share.size
        if e.batch_size % (self.part * self.share.size):
            parts = f"micro-batches of {self.part} in {self.share.size} process(es)"
            raise UserError(f"batch_size={e.batch_size}: not divisible into {parts}; change one (--set)")
        self.G, self.D = (n.to(device, memory_format=torch.channels_last).train() for n in (G, D))
        self.ema = EMA(self.G, e.ema_half_life)
        if self.share.size > 1:
            for network in (self.G, self.D):
                share_batch_norm(network)
        self.parallel_G, self.parallel_D = self.share.parallel(self.G), self.share.parallel(self.D)
        self.objective = build_objective(e)
        self.opt_G = build_optimizer(e, self.G, e.learning_rate)
        self.opt_D = build_optimizer(e, self.D, e.critic_learning_rate)
        self.batches = Batches(images.to(device), e.batch_size, seed)
        self.rng = torch.Generator(device).manual_seed(seed)
        self.z_fixed = latents.normal(N_FIXED, e.z_dim, torch.Generator().manual_seed(seed)).to(device)
        some = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:N_FIXED]
        self.real_spread = spread(images[some])

    @property
    def images_seen(self):
        """Real images that the critic has been shown."""
        return self.step * self.experiment.critic_steps * self.experiment.batch_size

    def train_step(self):
        """Critic steps, a generator step, EMA (Gulrajani 2017, algorithm 1): {name: scalar tensor}."""
        e = self.experiment
        for k in range(e.critic_steps):
            real = self.batches[self.step * e.critic_steps + k]
            critic_terms = self.descend(self.opt_D, self.critic_loss, real, self.z(), self.epsilon())
        with frozen(self.D):
            generator_terms = self.descend(self.opt_G, self.generator_loss, self.z())
        self.step += 1
        self.ema.update(self.G, e.batch_size, generated=self.step * e.batch_size)
        return critic_terms | generator_terms

    def critic_loss(self, real, z, epsilon):
        with torch.no_grad():
            fake = self.G(z)
        loss, terms = self.objective.critic_loss(self.parallel_D, real, fake, epsilon)
        return loss, {"critic_loss": loss, **terms}

    def generator_loss(self, z):
        loss = self.objective.generator_loss(self.D, self.parallel_G(z))
        return loss, {"generator_loss": loss}

    def descend(self, optimiser, loss_of, *batch):
        """One step of the optimiser down the mean loss of a batch's micro-batches; returns the mean terms."""
        optimiser.zero_grad(set_to_none=True)
        parts = list(zip(*(self.share.of(tensor).split(self.part) for tensor in batch)))
        totals = {}
        for part in parts:
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                loss, terms = loss_of(*part)
            (loss / len(parts)).backward()
            totals = {k: totals.get(k, 0) + v.detach() / len(parts) for k, v in terms.items()}
        optimiser.step()
        return totals

    def z(self):
        return latents.normal(self.experiment.batch_size, self.experiment.z_dim, self.rng, self.device)

    def epsilon(self):
        """Shares of the real image in the points at which a penalty is taken."""
        return torch.rand(self.experiment.batch_size, 1, 1, 1, generator=self.rng, device=self.device)

    @torch.no_grad()
    def samples(self):
        """The fixed latents through G_ema, uint8 [64, 1, S, S]."""
        return to_uint8(self.ema.G(self.z_fixed)).cpu()

    def spread(self):
        """How far the fixed samples lie apart, as a share of how far real slices do."""
        return spread(self.samples()) / self.real_spread

    def networks(self):
        return {"G": self.G, "G_ema": self.ema.G, "D": self.D}

    def save(self, folder):
        """Write the checkpoint. Raises UserError, and writes nothing, when a weight is not finite."""
        if not all(torch.isfinite(p).all() for n in self.networks().values() for p in n.parameters()):
            raise UserError(not_finite("a weight", self.step, folder))
        optimisers = {"opt_G": self.opt_G.state_dict(), "opt_D": self.opt_D.state_dict()}
        state = {"step": self.step, "rng": self.rng.get_state(), **optimisers}
        checkpoints.save(folder, self.networks(), state, self.experiment)

    def load(self, folder):
        """Go back to the folder's last checkpoint; without one, stay at step 0."""
        state = checkpoints.load_state(folder)
        if state is None:
            return
        checkpoints.load_weights(Path(folder) / checkpoints.WEIGHTS, self.networks())
        self.opt_G.load_state_dict(state["opt_G"])
        self.opt_D.load_state_dict(state["opt_D"])
        self.rng.set_state(state["rng"])
        self.step = state["step"]


def train(trainer, steps, folder, tensorboard=False):
    """Train up to a total of steps, with all that a run folder holds; returns the history, a list of rows.

    Raises UserError when a loss is not finite, and KeyboardInterrupt, after saving, on Ctrl-C or SIGTERM.
    """
    if not trainer.share.leads:
        while trainer.step < steps:
            trainer.train_step()
        return []
    folder, log, saved = Path(folder), Log(folder, trainer, tensorboard), -math.inf
    with stop_signals(trainer.share) as stop, progress(steps, folder.name, "step", trainer.step) as bar:
        while True:
            finished = trainer.step >= steps or stop.is_set()
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
def frozen(network):
    """Compute no gradients of the network's weights inside; gradients still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


@contextmanager
def stop_signals(share):
    """An Event that Ctrl-C or SIGTERM sets, so that the step is finished; a second Ctrl-C interrupts it.

    One of several processes stops at once instead: the others could not finish a step without it.
    """
    stop = threading.Event()
    if share.size > 1 or threading.current_thread() is not threading.main_thread():
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


def is_milestone(step):
    """Steps 0, 1, 2, 5, 10, 20, 50, ... and every 10,000th: dense where samples change fast."""
    leading = step / 10 ** int(math.log10(step)) if step else 1
    return leading in (1, 2, 5) or step % 10_000 == 0

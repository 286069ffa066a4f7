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
        for average, new in zip(self.G.parameters(), G.parameters()):
            average.lerp_(new, 1 - decay)
        for average, new in zip(self.G.buffers(), G.buffers()):
            average.copy_(new)


class Trainer:
    """A run in progress: networks, optimisers, EMA, random state and step.

    images are uint8 [N, 1, S, S]; dtype is that of the convolutions (runtime.choose_precision).
    Batches and latents follow from the seed, so that on the CPU a run repeats bit for bit.
    """

    def __init__(self, experiment, G, D, images, *, seed=0, device="cpu", dtype=torch.float32):
        e = self.experiment = experiment
        self.device, self.dtype, self.step = torch.device(device), dtype, 0
        self.G, self.D = (n.to(device, memory_format=torch.channels_last).train() for n in (G, D))
        self.ema = EMA(self.G, e.ema_half_life)
        self.objective = build_objective(e)
        betas = (e.beta1, e.beta2)
        self.opt_G = torch.optim.Adam(self.G.parameters(), e.learning_rate, betas, fused=True)
        self.opt_D = torch.optim.Adam(self.D.parameters(), e.critic_learning_rate, betas, fused=True)
        self.batches = Batches(images.to(device), e.batch_size, seed)
        self.rng = torch.Generator(device).manual_seed(seed)
        self.z_fixed = latents.normal(N_FIXED, e.z_dim, torch.Generator().manual_seed(seed)).to(device)

    @property
    def images_seen(self):
        """Real images that the critic has been shown."""
        return self.step * self.experiment.critic_steps * self.experiment.batch_size

    def train_step(self):
        """Critic steps, a generator step, EMA (Gulrajani 2017, algorithm 1): {name: scalar tensor}."""
        e = self.experiment
        for k in range(e.critic_steps):
            real = self.batches[self.step * e.critic_steps + k]
            with self.autocast():
                with torch.no_grad():
                    fake = self.G(self.z())
                critic_loss, terms = self.objective.critic_loss(self.D, real, fake, self.rng)
            descend(self.opt_D, critic_loss)
        with self.autocast(), frozen(self.D):
            generator_loss = self.objective.generator_loss(self.D, self.G(self.z()))
        descend(self.opt_G, generator_loss)
        self.step += 1
        self.ema.update(self.G, e.batch_size, generated=self.step * e.batch_size)
        terms = {"critic_loss": critic_loss, "generator_loss": generator_loss, **terms}
        return {name: value.detach() for name, value in terms.items()}

    def z(self):
        return latents.normal(self.experiment.batch_size, self.experiment.z_dim, self.rng, self.device)

    def autocast(self):
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def samples(self):
        """The fixed latents through G_ema, uint8 [64, 1, S, S]."""
        return to_uint8(self.ema.G(self.z_fixed)).cpu()

    def networks(self):
        return {"G": self.G, "G_ema": self.ema.G, "D": self.D}

    def save(self, folder):
        """Write the checkpoint. Raises UserError, and writes nothing, when a weight is not finite."""
        if not all(torch.isfinite(p).all() for n in self.networks().values() for p in n.parameters()):
            raise UserError(_not_finite("a weight", self.step, folder))
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


def train(trainer, steps, folder):
    """Train up to a total of steps, with all that a run folder holds; returns the history, a list of rows.

    Raises UserError when a loss is not finite, and KeyboardInterrupt, after saving, on Ctrl-C or SIGTERM.
    """
    folder = Path(folder)
    history = [row for row in checkpoints.read_history(folder) if row["step"] <= trainer.step]
    checkpoints.write_history(folder, history)
    log = Log(trainer, folder, history)
    saved = -math.inf
    with stop_signals() as stop, progress(steps, folder.name, "step", trainer.step) as bar:
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
    return history


class Log:
    """Averages what the steps return, and writes it without making the device wait at each step."""

    def __init__(self, trainer, folder, history):
        self.trainer, self.folder, self.history = trainer, folder, history
        self.pending, self.since = [], time.perf_counter()

    def add(self, terms):
        self.pending.append(terms)

    def write(self, bar):
        if not self.pending:
            return
        step, e = self.trainer.step, self.trainer.experiment
        row = {"step": step, "images": self.trainer.images_seen}
        names = list(self.pending[0])
        values = torch.stack([torch.stack([terms[name] for name in names]) for terms in self.pending]).cpu()
        bad = (~values.isfinite()).nonzero().tolist()
        if bad:
            first, which = bad[0]
            raise UserError(_not_finite(names[which], step - len(values) + 1 + first, self.folder))
        row |= {name: round(mean, 5) for name, mean in zip(names, values.mean(0).tolist())}
        shown = len(self.pending) * e.critic_steps * e.batch_size
        row["images_per_second"] = round(shown / (time.perf_counter() - self.since), 1)
        self.history.append(row)
        checkpoints.append_history(self.folder, row)
        bar.set_postfix(estimate=f"{row['estimate']:.3g}", refresh=False)
        self.pending, self.since = [], time.perf_counter()


def _not_finite(name, step, folder):
    return (
        f"{folder}: {name} is not finite at step {step}; the last good state is kept. "
        "Try a lower learning_rate or a larger gradient_penalty (--set), with another --out"
    )


def descend(optimiser, loss):
    """One step of the optimiser down the loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@contextmanager
def frozen(network):
    """Compute no gradients of the network's weights inside; gradients still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


@contextmanager
def stop_signals():
    """An Event that Ctrl-C or SIGTERM sets, so that the step is finished; a second Ctrl-C interrupts it."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
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

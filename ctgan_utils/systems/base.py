"""What a system is: one run's settings, its networks, its noise, its losses, and its diagnoses."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ctgan_utils import latents
from ctgan_utils.losses import Terms
from ctgan_utils.runtime import UserError, brief, nearest

Batch = dict[str, Any]  # {name: tensor [N, ...]}, and "step", the number of the generator step
Networks = tuple[nn.Module, nn.Module]  # G, D
History = list[dict[str, float]]  # rows of history.jsonl
Rule = tuple[str, bool, str]  # a field, whether its value is valid, what it must be

# More than these is a slip of the pen: nobody has trained such a network, or no machine holds it.
WIDEST = 1_024  # channels: sixteen times the thesis'; a critic of 256x256 has ten thousand million weights
LONGEST_LATENT = 65_536  # numbers: an image of 256x256 has no more
LARGEST_BATCH = 65_536  # images: five times as many as CT KIDNEY has; twice the largest of You et al. 2017
MOST_CRITIC_STEPS = 1_000  # per generator step: the critic is then as good as optimal
LONGEST_RUN = 10**12  # images: what a GPU that is shown 10,000 a second sees in three years


class Kind(NamedTuple):
    """What a field of one type may hold, in words, and as a test."""

    words: str
    holds: Callable[[Any], bool]


KINDS = {
    int: Kind("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    float: Kind(
        "a finite number",
        lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= sys.float_info.max,
    ),
    bool: Kind("true or false", lambda v: isinstance(v, bool)),
    str: Kind("a text", lambda v: isinstance(v, str)),
}


def kind_of(setting: Field) -> type | None:
    """The type of a field, if it is one of KINDS; a module may write it as a text."""
    return next((kind for kind in KINDS if setting.type in (kind, kind.__name__)), None)


class Verdict(NamedTuple):
    """What is wrong with a run: a key by which it is known, and a sentence that says what to try."""

    key: str
    text: str


@dataclass(frozen=True)
class System:
    """One run's settings (its fields) and what they mean. Settings are those of the thesis by default.

    A system of its own derives from this class, adds its fields, and says in methods what networks it
    trains, what noise it draws, and what G and D minimise. A batch is {name: tensor [N, ...]}: `inputs` of
    the data ("images" are float [N, 1, S, S] in [-1, 1]), and what `noise` draws.
    """

    name: str = ""  # of the experiment
    image_size: int = 64  # pixels, a power of two from 8
    z_dim: int = 128  # numbers in a latent z
    width: int = 64  # channels of the networks' layers nearest to the image; the profiles narrow it
    critic_steps: int = 1  # per generator step
    batch_size: int = 64
    micro_batch: int = 0  # images at a time, whose gradients are accumulated to the batch's; 0 for all
    optimizer: str = "adam"  # or rmsprop, without momentum
    learning_rate: float = 2e-4  # of the generator
    critic_learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    horizon: int = 0  # real images over which both rates fall by a cosine to a tenth; 0 for never
    ema_half_life: int = 10_000  # generated images until a weight counts half in G_ema

    inputs: ClassVar[tuple[str, ...]] = ("images",)  # what of the data a batch holds: see CTImages.tensors
    given: ClassVar[tuple[str, ...]] = ()  # what of these `generate` needs: it translates them
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"optimizer": ("adam", "rmsprop")}
    # several processes can share a run: G and D are only called, and every weight has a part in every loss
    divisible: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for f in fields(self):
            kind, value = kind_of(f), getattr(self, f.name)
            if kind and not KINDS[kind].holds(value):
                raise UserError(f"{f.name}={brief(repr(value))}: it must be {KINDS[kind].words}")
        for name, valid, rule in self.rules():
            if not valid:
                raise UserError(f"{name}={brief(getattr(self, name))}: it must be {rule}")

    def rules(self) -> Iterator[Rule]:
        """(field, whether its value is valid, what it must be) for each field that has a rule."""
        yield from ((k, getattr(self, k) in c, f"one of {', '.join(c)}") for k, c in self.choices.items())
        yield "image_size", self.image_size in (8, 16, 32, 64, 128, 256), "8, 16, 32, 64, 128 or 256"
        yield self.within("z_dim", 1, LONGEST_LATENT)
        yield self.within("width", 1, WIDEST)
        yield self.within("critic_steps", 1, MOST_CRITIC_STEPS)
        yield self.within("batch_size", 2, LARGEST_BATCH, ", at least 2 for batch normalisation")
        part = self.micro_batch
        divides = part == 0 or (part >= 2 and self.batch_size % part == 0)
        yield "micro_batch", divides, f"0, or from 2 and a divisor of batch_size={self.batch_size}"
        yield "learning_rate", self.learning_rate > 0, "above 0"
        yield "critic_learning_rate", self.critic_learning_rate > 0, "above 0"
        yield "beta1", 0 <= self.beta1 < 1, "from 0 to below 1"
        yield "beta2", 0 <= self.beta2 < 1, "from 0 to below 1"
        yield self.within("horizon", 0, LONGEST_RUN)
        yield self.within("ema_half_life", 1, LONGEST_RUN)

    def within(self, name: str, low: int, high: int, why: str = "") -> Rule:
        """The rule of a field that lies between two bounds, both allowed."""
        return name, low <= getattr(self, name) <= high, f"from {low:,} to {high:,}{why}"

    def check(self, tensors: dict[str, Tensor]) -> None:
        """Raises UserError when the data do not suit the settings."""

    def adapt(self, G: nn.Module, D: nn.Module, tensors: dict[str, Tensor]) -> None:
        """What fresh networks take from the data before the first step; nothing, unless a system says so."""

    def networks(self) -> Networks:
        """(G, D), freshly initialised from PyTorch's global random state."""
        raise NotImplementedError

    def optimisers(self, G: nn.Module, D: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Adam, or RMSprop as Arjovsky 2017 trains: without momentum, decay 0.99."""
        return self._optimiser(G, self.learning_rate), self._optimiser(D, self.critic_learning_rate)

    def _optimiser(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        if self.optimizer == "rmsprop":
            return torch.optim.RMSprop(network.parameters(), rate)
        fused = next(network.parameters()).device.type in ("cpu", "cuda")
        return torch.optim.Adam(network.parameters(), rate, (self.beta1, self.beta2), fused=fused)

    def passed(self, step: int) -> float:
        """The share of the horizon that is behind a generator step, from 0 to 1."""
        seen = step * self.critic_steps * self.batch_size
        return min(1.0, seen / self.horizon) if self.horizon else 0.0

    def rate(self, step: int) -> float:
        """The factor of both rates at a step: 1 for three tenths of the horizon, then a cosine to a tenth."""
        late = max(0.0, (self.passed(step) - 0.3) / 0.7)
        return 0.1 + 0.9 * (1 + math.cos(math.pi * late)) / 2

    def noise(self, n: int, rng: torch.Generator) -> Batch:
        """What n images are generated from; rng is on the CPU."""
        return {"z": latents.normal(n, self.z_dim, rng)}

    def critic_noise(self, n: int, rng: torch.Generator) -> Batch:
        """What is drawn for a critic step: noise, and whatever its loss needs besides."""
        return self.noise(n, rng)

    def generate(self, G: nn.Module, batch: Batch) -> Tensor:
        """Images [N, 1, S, S] in [-1, 1] of what noise drew."""
        return G(batch["z"])

    def score(self, D: nn.Module, batch: Batch) -> Tensor:
        """The critic's scores [N] of a batch's images."""
        return D(batch["images"])

    def critic_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """The critic's loss, and what it is made of, "estimate" always among it."""
        raise NotImplementedError

    def generator_loss(self, G: nn.Module, D: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """The generator's loss, and what it is made of."""
        raise NotImplementedError

    def before_step(self, G: nn.Module, D: nn.Module, step: int) -> None:
        """What changes in the networks before a generator step; nothing, unless a system says so."""

    def diagnose(self, history: History) -> list[Verdict]:
        """What the history of a run says of its health; none for a healthy one. See systems.diagnoses."""
        return []

    def layout(self) -> dict[str, Any]:
        """What the table of experiments shows under "objective" and "kernel"; neither is needed."""
        return {}


@dataclass(frozen=True)
class ThesisRecord:
    """What the thesis reports of a system; nothing here changes how it is trained."""

    section: str
    scores: Mapping[int, float | None] = field(default_factory=dict)  # {epochs of training: FID, or None}

    @property
    def epochs(self) -> int | None:
        """Of the longest training that the thesis reports, if it reports any."""
        return max(self.scores, default=None)

    @property
    def fid(self) -> float | None:
        """The score after the longest training, if the thesis gives one."""
        return self.scores[max(self.scores)] if self.scores else None


class Override(NamedTuple):
    """Fields that a profile gives to every system whose settings match."""

    where: Mapping[str, Any]
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """A system with a name: an experiment."""

    system: System
    thesis: ThesisRecord | None = None
    overrides: Mapping[str, tuple[Override, ...]] = field(default_factory=dict)  # by profile


def settings(system: System) -> dict[str, Any]:
    """The settings of a system that differ from its class's defaults, as plain JSON values."""
    return {
        f.name: getattr(system, f.name)
        for f in fields(system)
        if f.name != "name" and getattr(system, f.name) != f.default
    }


def difference(a: System, b: System) -> tuple[str, Any, Any] | None:
    """The first setting in which two systems differ, as (name, value of a, value of b), or None."""
    if type(a) is not type(b):
        return "system", type(a).__name__, type(b).__name__
    for f in fields(a):
        if getattr(a, f.name) != getattr(b, f.name):
            return f.name, getattr(a, f.name), getattr(b, f.name)
    return None


TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse(setting: str, kind: type[System]) -> tuple[str, Any]:
    """ "field=value" as (field, value), the value in the type of that field of a class of systems.

    Raises UserError for an unknown field, or for a value that is none of its type.
    """
    name, separator, text = setting.partition("=")
    types: dict[str, Any] = {f.name: kind_of(f) for f in fields(kind) if f.name != "name"}
    if not separator:
        raise UserError(f"--set {brief(setting)}: write it as field=value")
    if name not in types:
        raise UserError(f"--set {brief(name)}: no such field; {nearest(name, types)}")
    if types[name] is None:
        raise UserError(f"--set {name}: of a type that can't be set here; change it in the system's file")
    try:
        return name, TRUTHS[text.lower()] if types[name] is bool else types[name](text)
    except (ValueError, KeyError):
        raise UserError(f"--set {brief(setting)}: {name} must be {KINDS[types[name]].words}") from None

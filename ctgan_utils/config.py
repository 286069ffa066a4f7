"""The thesis' systems as data: what is trained (EXPERIMENTS) and at what scale (PROFILES)."""

import math
from dataclasses import asdict, dataclass, field, fields, replace

from ctgan_utils.runtime import UserError, nearest


@dataclass(frozen=True)
class ThesisRecord:
    """What the thesis reports of a system; nothing here changes how it is trained."""

    section: str
    figures: tuple[str, ...]
    epochs: int | None = None
    fid: float | None = None


@dataclass(frozen=True)
class Experiment:
    """One system: its networks, its objective and its optimiser. Defaults are those of the thesis.

    Where the thesis leaves a choice open, the field's comment names the readings.
    """

    name: str
    # generator
    image_size: int = 64  # pixels, a power of two from 8
    z_dim: int = 128  # numbers in a latent z
    stem: str = "linear"  # or conv, as DCGAN
    stem_channels: int = 1  # of the linear stem's 4x4 map: 1 as printed, 8 keeps 128 numbers, 128 is wide
    kernel_size: int = 0  # pixels, odd: the learnable kernel on the 4x4 map; 0 for none
    kernel_init: str = "normal"  # N(0, 1) as printed; or identity
    kernel_place: str = "after"  # F1(x) + x, as equation 3.3 has it; or before it
    width: int = 64  # G has 2, 4, 8, ... times as many channels from the image down; D has 1, 2, 4, ...
    additions: str = "one"  # none, one, branches, doubled, around or levels: see networks.blocks.UpBlock
    interpolation: str = "bilinear"  # of the additions; or nearest
    upsampling: str = "transposed"  # convolution; or resize
    # critic
    critic_norm: str = "none"  # or batch, layer, instance
    # objective
    objective: str = "wgan-gp"  # or wgan-clip, non-saturating, minimax
    gradient_penalty: float = 10.0  # its weight lambda
    clip: float = 0.01  # of wgan-clip: every weight of the critic stays within +-clip
    critic_steps: int = 5  # per generator step
    # optimisation
    optimizer: str = "adam"  # or rmsprop, without momentum
    batch_size: int = 64
    micro_batch: int = 0  # images at a time, whose gradients are accumulated to the batch's; 0 for all
    learning_rate: float = 2e-4  # of the generator
    critic_learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    ema_half_life: int = 10_000  # generated images until a weight counts half in G_ema
    thesis: ThesisRecord = field(default=ThesisRecord("", ()), compare=False)

    def __post_init__(self):
        choices = [(k, getattr(self, k) in c, f"one of {', '.join(c)}") for k, c in CHOICES.items()]
        for name, valid, rule in (
            *choices,
            ("image_size", self.image_size in (8, 16, 32, 64, 128, 256), "8, 16, 32, 64, 128 or 256"),
            ("z_dim", self.z_dim >= 1, "at least 1"),
            ("stem_channels", self.stem_channels >= 1, "at least 1"),
            ("kernel_size", self.kernel_size in (0, 3, 5, 7), "0, 3, 5 or 7"),
            ("width", self.width >= 1, "at least 1"),
            ("gradient_penalty", self.gradient_penalty >= 0, "at least 0"),
            ("clip", self.clip > 0, "above 0"),
            ("critic_steps", self.critic_steps >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 2, "at least 2, for batch normalisation"),
            ("micro_batch", self.micro_batch != 1 and self.micro_batch >= 0, "0, or at least 2"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("critic_learning_rate", self.critic_learning_rate > 0, "above 0"),
            ("beta1", 0 <= self.beta1 < 1, "from 0 to below 1"),
            ("beta2", 0 <= self.beta2 < 1, "from 0 to below 1"),
            ("ema_half_life", self.ema_half_life >= 1, "at least 1"),
        ):
            if not valid:
                raise UserError(f"{name}={getattr(self, name)}: it must be {rule}")


@dataclass(frozen=True)
class Profile:
    """A scale at which the whole course runs."""

    name: str
    phantoms: int  # slices of the built-in phantom
    steps: int | None  # generator steps; None for the thesis' epochs
    evaluated: int  # images on each side of a Fréchet distance, at most
    narrowing: int  # the width of every Experiment is divided by this
    overrides: dict  # fields of every Experiment
    where: dict = field(default_factory=dict)  # {(field, value): fields of the Experiments with that value}


CHOICES = {
    "stem": ("linear", "conv"),
    "kernel_init": ("normal", "identity"),
    "kernel_place": ("after", "before"),
    "additions": ("none", "one", "branches", "doubled", "around", "levels"),
    "interpolation": ("bilinear", "nearest"),
    "upsampling": ("transposed", "resize"),
    "critic_norm": ("none", "batch", "layer", "instance"),
    "objective": ("wgan-gp", "wgan-clip", "non-saturating", "minimax"),
    "optimizer": ("adam", "rmsprop"),
}

# A single critic step at a faster rate stands in for five (Heusel 2017), with the momentum of Gulrajani 2017:
# on two CPU cores this shows anatomy in minutes, where the settings of the thesis take hours.
_SHORT = {
    ("objective", "wgan-gp"): {
        "critic_steps": 1,
        "learning_rate": 5e-4,
        "critic_learning_rate": 2e-3,
        "beta1": 0.0,
        "beta2": 0.9,
    },
    ("image_size", 128): {"critic_learning_rate": 1e-3},
}

_DCGAN = {
    "stem": "conv",
    "z_dim": 100,
    "additions": "none",
    "critic_norm": "batch",
    "objective": "non-saturating",
    "critic_steps": 1,
}
_LARGE = {"image_size": 128, "width": 32, "kernel_size": 3}

EXPERIMENTS = {
    e.name: e
    for e in (
        Experiment("dcgan-b64", **_DCGAN, thesis=ThesisRecord("4.5.1", ("4.20", "4.24"), 3000)),
        Experiment(
            "dcgan-b100", **_DCGAN, batch_size=100, thesis=ThesisRecord("4.5.1", ("4.21", "4.25"), 1500, 149)
        ),
        Experiment(
            "wgan-conv",
            stem="conv",
            z_dim=100,
            additions="none",
            thesis=ThesisRecord("4.5.2", ("4.22", "4.26"), 2500),
        ),
        Experiment(
            "wgan-linear-conv", additions="none", thesis=ThesisRecord("4.5.3", ("4.23", "4.27"), 2500)
        ),
        Experiment("small", thesis=ThesisRecord("3.2.1", ("3.3", "3.7", "4.18"), 7000, 64)),
        Experiment("small-kernel", kernel_size=3, thesis=ThesisRecord("3.1.1", ("4.19",), 7000, 264)),
        Experiment(
            "large-v1",
            **_LARGE,
            additions="branches",
            thesis=ThesisRecord("3.2.2", ("3.5", "3.8", "4.16"), 9000, 97),
        ),
        Experiment(
            "large-v2-z100",
            **_LARGE,
            additions="levels",
            z_dim=100,
            thesis=ThesisRecord("3.2.3", ("3.6", "3.9", "4.17"), 11_500, 89),
        ),
        Experiment(
            "large-v2-z128",
            **_LARGE,
            additions="levels",
            thesis=ThesisRecord("3.2.3", ("3.6", "3.9", "4.17"), 9000, 87),
        ),
    )
}

PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 64, 4, 32, 32, {"batch_size": 8, "critic_steps": 1}),
        Profile("lesson", 2_000, 800, 1_000, 4, {}, _SHORT),
        Profile("thesis", 12_446, None, 5_000, 1, {}),
        # the thesis on a GPU of 4 GB, as its laptop had (4.2.4): a batch in four parts, where no batch
        # normalisation of a critic ties its images together
        Profile("thesis-4gb", 12_446, None, 5_000, 1, {}, {("objective", "wgan-gp"): {"micro_batch": 16}}),
    )
}


def get_experiment(name, profile="thesis", settings=()):
    """The experiment of that name at a profile's scale, with "field=value" settings on top.

    Raises UserError for an unknown name, profile or field, or for a value that does not fit.
    """
    if name not in EXPERIMENTS:
        raise UserError(f"{name}: no such experiment; {nearest(name, EXPERIMENTS)}")
    experiment, scale = EXPERIMENTS[name], get_profile(profile)
    chosen = {"width": max(1, experiment.width // scale.narrowing), **scale.overrides}
    for (name, value), overrides in scale.where.items():
        if getattr(experiment, name) == value:
            chosen |= overrides
    chosen.update(_parse(setting) for setting in settings)
    return replace(experiment, **chosen)


def get_profile(name):
    """The profile of that name. Raises UserError for an unknown one."""
    if name not in PROFILES:
        raise UserError(f"{name}: no such profile; {nearest(name, PROFILES)}")
    return PROFILES[name]


def total_steps(profile, experiment, n_images, epochs=None):
    """Generator steps of a run: the profile's, or those of the epochs given, or of the thesis' epochs.

    An epoch is one batch per generator step, as in the course code that the thesis builds on.
    """
    if epochs is None and profile.steps is not None:
        return profile.steps
    return (epochs or experiment.thesis.epochs) * math.ceil(n_images / experiment.batch_size)


def _parse(setting):
    """ "field=value" as (field, value), the value in the field's type."""
    name, separator, text = setting.partition("=")
    types = {f.name: f.type for f in fields(Experiment) if f.name not in ("name", "thesis")}
    if not separator:
        raise UserError(f"--set {setting}: write it as field=value")
    if name not in types:
        raise UserError(f"--set {name}: no such field; {nearest(name, types)}")
    try:
        return name, types[name](text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}[types[name]]
        raise UserError(f"--set {setting}: {name} must be {kind}") from None


def to_dict(experiment):
    """The experiment as plain JSON values."""
    return asdict(experiment)


def from_dict(values):
    """The experiment that to_dict wrote. Raises UserError for one of another version of this package."""
    strange = set(values) ^ {f.name for f in fields(Experiment)}
    if strange:
        raise UserError(
            f"experiment {values.get('name')}: written by another version of ctgan_utils (field "
            f"{min(strange)}); use that version, or train again"
        )
    record = ThesisRecord(**{**values["thesis"], "figures": tuple(values["thesis"]["figures"])})
    return Experiment(**{**values, "thesis": record})


def difference(a, b):
    """The first field in which two experiments differ, as (name, value of a, value of b), or None."""
    for f in fields(Experiment):
        if f.compare and getattr(a, f.name) != getattr(b, f.name):
            return f.name, getattr(a, f.name), getattr(b, f.name)
    return None

"""What can be trained: EXPERIMENTS, gathered from the files of this folder, and the scales they run at.

A file here defines a subclass of System and names its experiments in PRESETS; nothing else has to be told of
it. Files of your own, in a folder that $CTGAN_SYSTEMS names, are gathered too.
"""

import importlib
import math
import os
import pkgutil
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ctgan_utils.runtime import UserError, nearest
from ctgan_utils.systems.base import Preset, System, difference, parse, settings
from ctgan_utils.systems.profiles import PROFILES, Profile, get_profile

__all__ = [
    "EXPERIMENTS",
    "PROFILES",
    "SYSTEMS",
    "Preset",
    "Profile",
    "System",
    "difference",
    "from_dict",
    "get_experiment",
    "get_profile",
    "to_dict",
    "total_steps",
]

__path__ += [os.path.abspath(p) for p in os.environ.get("CTGAN_SYSTEMS", "").split(os.pathsep) if p]


def _gather() -> dict[str, Preset]:
    """The presets of every file, those of the thesis first."""
    names = sorted(
        (m.name for m in pkgutil.iter_modules(__path__)), key=lambda name: (name != "thesis", name)
    )
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {p.system.name: p for module in modules for p in getattr(module, "PRESETS", ())}


EXPERIMENTS = _gather()
SYSTEMS = {type(p.system).__name__: type(p.system) for p in EXPERIMENTS.values()}


def get_experiment(name: str, profile: str = "thesis", settings: Iterable[str] = ()) -> System:
    """The system of that name at a profile's scale, with "field=value" settings on top.

    What a profile overrides is looked up after the settings are known, so that another objective gets its own
    rates; a field that is set is never overridden. Raises UserError for an unknown name, profile or field, or
    for a value that does not fit.
    """
    if name not in EXPERIMENTS:
        raise UserError(f"{name}: no such experiment; {nearest(name, EXPERIMENTS)}")
    preset, scale = EXPERIMENTS[name], get_profile(profile)
    asked = dict(parse(setting, type(preset.system)) for setting in settings)
    wanted = replace(preset.system, **asked)
    chosen: dict[str, Any] = {"width": max(1, preset.system.width // scale.narrowing)}
    for override in preset.profiles.get(profile, ()):
        if all(getattr(wanted, field) == value for field, value in override.where.items()):
            chosen |= override.fields
    return replace(preset.system, **{**chosen, **asked})


def total_steps(profile: Profile, system: System, n_images: int, epochs: int | None = None) -> int:
    """Generator steps of a run: the profile's, or those of the epochs given, or of the thesis' epochs.

    An epoch is one batch per generator step, as in the course code that the thesis builds on. Raises
    UserError where the thesis names no epochs.
    """
    if epochs is None and profile.steps is not None:
        return profile.steps
    thesis = EXPERIMENTS[system.name].thesis
    epochs = epochs or (thesis.epochs if thesis else None)
    if epochs is None:
        raise UserError(f"{system.name}: the thesis names no epochs for it; pass --steps or --epochs")
    return epochs * math.ceil(n_images / system.batch_size)


def to_dict(system: System) -> dict[str, Any]:
    """A system as plain JSON values: its class, and what differs from the defaults of that class."""
    return {"name": system.name, "system": type(system).__name__, "settings": settings(system)}


def from_dict(values: dict[str, Any]) -> System:
    """The system that to_dict wrote, or that version 0.1 wrote with all its fields.

    Raises UserError for a class or a field that this version does not know, or a value that does not fit.
    """
    known = {"name", "thesis"}  # version 0.1 had one class of systems, and wrote every field
    old = {"system": "ThesisGAN", "settings": {k: v for k, v in values.items() if k not in known}}
    values = values if "system" in values else {**values, **old}
    name, kind, chosen = (values.get(key) for key in ("name", "system", "settings"))
    if kind not in SYSTEMS or not isinstance(chosen, dict):
        raise UserError(
            f"experiment {name}: its system {kind} is unknown here; {nearest(str(kind), SYSTEMS)}"
        )
    try:
        return SYSTEMS[kind](str(name), **chosen)
    except TypeError as error:  # names the field, or compares a text with a number
        reason = str(error).split("__init__() ")[-1]
        raise UserError(
            f"experiment {name}: written by another version of ctgan_utils ({reason}); use that version, or "
            "train again"
        ) from None

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
from pathlib import Path
from typing import Any

from ctgan_utils.runtime import UserError, brief, nearest
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

OWN = [Path(p).resolve() for p in os.environ.get("CTGAN_SYSTEMS", "").split(os.pathsep) if p]
__path__ += map(str, OWN)


def _gather() -> dict[str, Preset]:
    """The presets of every file, those of the thesis first.

    Raises UserError for a folder or a file of the user's own that can't be used.
    """
    for folder in OWN:
        if not folder.is_dir():
            raise UserError(f"CTGAN_SYSTEMS: {folder} is no folder; name the one that holds your systems")
    found = {m.name for m in pkgutil.iter_modules(__path__[:1])}
    own = [(m.name, folder / f"{m.name}.py") for folder in OWN for m in pkgutil.iter_modules([str(folder)])]
    presets: dict[str, Preset] = {}
    for name in sorted(found, key=lambda name: (name != "thesis", name)):
        module = importlib.import_module(f"{__name__}.{name}")
        presets |= {p.system.name: p for p in getattr(module, "PRESETS", ())}
    for name, path in own:
        if name in found:
            raise UserError(f"{path}: this name is taken by a file of the package; rename yours")
        try:
            module = importlib.import_module(f"{__name__}.{name}")
            new = {p.system.name: p for p in module.PRESETS}
        except Exception as error:  # whatever a file of somebody's may raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise UserError(f"{path}: {reason}; mend it, or unset CTGAN_SYSTEMS") from None
        if taken := new.keys() & presets.keys():
            raise UserError(f"{path}: there is an experiment {min(taken)} already; choose another name")
        presets |= new
    return presets


EXPERIMENTS = _gather()
SYSTEMS = {type(p.system).__name__: type(p.system) for p in EXPERIMENTS.values()}


def get_experiment(name: str, profile: str = "thesis", settings: Iterable[str] = ()) -> System:
    """The system of that name at a profile's scale, with "field=value" settings on top.

    What a profile overrides is looked up after the settings are known, so that another objective gets its own
    rates; a field that is set is never overridden. Raises UserError for an unknown name, profile or field, or
    for a value that does not fit.
    """
    if name not in EXPERIMENTS:
        raise UserError(f"{brief(name)}: no such experiment; {nearest(name, EXPERIMENTS)}")
    preset, scale = EXPERIMENTS[name], get_profile(profile)
    asked = dict(parse(setting, type(preset.system)) for setting in settings)
    wanted = replace(preset.system, **asked)
    chosen: dict[str, Any] = {"width": max(1, preset.system.width // scale.narrowing)}
    for override in preset.overrides.get(profile, ()):
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

    Raises UserError for values that are no system, a class or a field that this version does not know, or a
    value that does not fit.
    """
    if not isinstance(values, dict):
        raise UserError(f"experiment {brief(values)}: not a system; restore the file, or train again")
    known = {"name", "thesis"}  # version 0.1 had one class of systems, and wrote every field
    old = {"system": "ThesisGAN", "settings": {k: v for k, v in values.items() if k not in known}}
    values = values if "system" in values else {**values, **old}
    name, kind, chosen = (values.get(key) for key in ("name", "system", "settings"))
    name, kind = brief(name), str(kind)
    if kind not in SYSTEMS or not isinstance(chosen, dict):
        raise UserError(
            f"experiment {name}: its system {brief(kind)} is unknown here; {nearest(kind, SYSTEMS)}"
        )
    try:
        return SYSTEMS[kind](name, **chosen)
    except UserError as error:
        raise UserError(f"experiment {name}: {error}") from None
    except TypeError as error:  # names the field
        reason = str(error).split("__init__() ")[-1]
        raise UserError(
            f"experiment {name}: written by another version of ctgan_utils ({reason}); use that version, or "
            "train again"
        ) from None

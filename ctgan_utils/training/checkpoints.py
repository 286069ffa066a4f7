"""The files of a run folder: written whole, read without pickle, consistent after a kill at any moment."""

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ctgan_utils.data.slices import CTImages
from ctgan_utils.runtime import UserError, atomic_write, versions
from ctgan_utils.systems import System, difference, from_dict, to_dict

WEIGHTS, STATE, CONFIG = "weights.safetensors", "state.pt", "config.json"


def open_run(folder: Path | str, system: System, data: CTImages, seed: int, resume: bool = False) -> None:
    """Make a run folder with its config.json, or check that an old one is of the same run before it goes on.

    Raises UserError when the folder holds another run, a run that is not to be resumed, or other files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left_by_a_kill in folder.glob("*.tmp"):
        left_by_a_kill.unlink()
    if (folder / CONFIG).exists():
        if not resume:
            raise UserError(f"{folder}: holds a run already; pass --resume to go on, or another --out")
        return _check_same_run(folder, system, data, seed)
    if any(folder.iterdir()):
        raise UserError(f"{folder}: neither empty nor a run folder; name another --out")
    config = {
        "experiment": to_dict(system),
        "seed": seed,
        "data": {"source": data.source, "fingerprint": data.fingerprint, "images": len(data)},
        "versions": versions(),
    }
    atomic_write(folder / CONFIG, json.dumps(config, indent=2).encode())


def _check_same_run(folder: Path, system: System, data: CTImages, seed: int) -> None:
    config = read_config(folder)
    changed = difference(from_dict(config["experiment"]), system)
    if config["seed"] != seed:
        changed = "seed", config["seed"], seed
    if config["data"]["fingerprint"] != data.fingerprint:
        changed = "data", config["data"]["source"], data.source
    if changed:
        name, old, new = changed
        raise UserError(f"{folder}: its run has {name} {old}, not {new}; ask for the same, or another --out")


def save(
    folder: Path | str, networks: Mapping[str, nn.Module], state: Mapping[str, Any], system: System
) -> None:
    """Write networks {prefix: module} and state (tensors and plain values, with "step") as one checkpoint.

    Both files are written in full under another name before either takes its place. A kill between the two
    renames leaves the new state beside the old weights; load_state then finishes the second rename.
    """
    folder = Path(folder)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic_write(
        _next(folder / WEIGHTS),
        pack_weights(networks, {"step": state["step"], "experiment": to_dict(system)}),
    )
    atomic_write(_next(folder / STATE), buffer.getvalue())
    os.replace(_next(folder / STATE), folder / STATE)
    os.replace(_next(folder / WEIGHTS), folder / WEIGHTS)


def load_state(folder: Path | str) -> dict[str, Any] | None:
    """The state of the last checkpoint, or None if none was written. Raises UserError if it can't be read."""
    path = Path(folder) / STATE
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True)
    except Exception:  # a broken file raises almost anything
        raise UserError(f"{path}: not a readable state; start again with another --out") from None
    weights, prepared = path.with_name(WEIGHTS), _next(path.with_name(WEIGHTS))
    if read_metadata(weights).get("step") != state["step"] and prepared.exists():
        os.replace(prepared, weights)
    if read_metadata(weights).get("step") != state["step"]:
        raise UserError(f"{weights}: not of step {state['step']} like {STATE}; put back that step's file")
    return state


def _next(path: Path) -> Path:
    return path.with_name(f"next-{path.name}")


def pack_weights(networks: Mapping[str, nn.Module], metadata: Mapping[str, Any]) -> bytes:
    """Networks {prefix: module} as the bytes of a safetensors file; metadata is JSON-like."""
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    return safetensors.torch.save(tensors, {"ctgan": json.dumps(metadata)})


def weights_file(path: Path | str) -> Path:
    """The weights of a run folder, or the path itself if it is a file. Raises UserError for other folders."""
    path = Path(path)
    if path.is_dir():
        read_config(path)
        return path / WEIGHTS
    return path


def read_metadata(path: Path | str) -> dict[str, Any]:
    """The metadata that pack_weights wrote. Raises UserError if the file is missing or of another kind."""
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {}).get("ctgan", "{}"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; train first, or name another run folder") from None
    except SafetensorError:
        raise UserError(f"{path}: not a readable safetensors file; restore it or train again") from None


def load_weights(path: Path | str, networks: Mapping[str, nn.Module]) -> None:
    """Read networks {prefix: module} from a safetensors file, in place.

    Raises UserError that names the first tensor that is missing or of another shape.
    """
    read_metadata(path)
    tensors = safetensors.torch.load_file(path)
    for prefix, network in networks.items():
        for name, expected in network.state_dict().items():
            found = tensors.get(f"{prefix}.{name}")
            if found is None or found.shape != expected.shape:
                has = "no such tensor" if found is None else f"shape {list(found.shape)}"
                raise UserError(
                    f"{path}: of another architecture: {prefix}.{name} has {has}, "
                    f"this network needs {list(expected.shape)}; use the experiment that wrote it"
                )
        network.load_state_dict(
            {name: tensors[f"{prefix}.{name}"] for name in network.state_dict()},
        )


def read_config(folder: Path | str) -> dict[str, Any]:
    """What open_run wrote. Raises UserError when the folder holds no run."""
    path = Path(folder) / CONFIG
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: not a run folder (no {CONFIG}); train first, or name another") from None
    except ValueError:
        raise UserError(f"{path}: not readable as JSON; restore it, or train with another --out") from None

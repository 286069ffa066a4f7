"""The files of a run folder: written whole, read without pickle, consistent after a kill at any moment.

A folder belongs to one process at a time.
"""

import fcntl
import io
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ctgan_utils.data.slices import CTImages, digest
from ctgan_utils.runtime import UserError, atomic_write, is_leftover, remove_leftovers, versions
from ctgan_utils.systems import System, difference, from_dict, to_dict

WEIGHTS, STATE, CONFIG, LOCK = "weights.safetensors", "state.pt", "config.json", "lock"
SEEN = "seen.safetensors"  # the keys of the slices that the run learns from
STEPS = ".steps"  # ends the name of what a tensor of whole numbers is to be multiplied by


class Busy(UserError):
    """A run folder that belongs to another process."""


def check_run_folder(folder: Path | str, resume: bool = False) -> None:
    """Raises UserError for a folder that holds other files, or a run that is not to be resumed.

    Nothing is written, so it can be asked before any work. A run that was stopped before its first checkpoint
    has nothing to lose and may start again.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder}: a file; name a folder with --out")
    if (folder / CONFIG).exists():
        if not resume and ((folder / STATE).exists() or (folder / WEIGHTS).exists()):
            raise UserError(f"{folder}: holds a run already; pass --resume to go on, or another --out")
    elif any(path.name != LOCK and not is_leftover(path) for path in folder.iterdir()):
        raise UserError(f"{folder}: neither empty nor a run folder; name another --out")


@contextmanager
def run_folder(
    folder: Path | str, system: System, data: CTImages, seed: int, resume: bool = False
) -> Iterator[None]:
    """A run folder that belongs to this process inside, with its config.json.

    A new one is made; an old one must be of the same run. Raises UserError when the folder holds another run,
    a run that is not to be resumed, or other files, and Busy while another process trains there; what was not
    there before is then removed again.
    """
    folder = Path(folder)
    check_run_folder(folder, resume)
    if (folder / CONFIG).exists():
        _check_same_run(folder, system, data, seed)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder):
            remove_leftovers(folder)
            check_run_folder(folder, resume)
            if not (folder / CONFIG).exists():
                config = {
                    "experiment": to_dict(system),
                    "seed": seed,
                    "data": {
                        "source": data.source,
                        "fingerprint": data.fingerprint,
                        "images": len(data),
                        "classes": list(data.classes),
                    },
                    "versions": versions(),
                }
                atomic_write(folder / CONFIG, json.dumps(config, indent=2).encode())
            if not (folder / SEEN).exists():
                atomic_write(folder / SEEN, safetensors.torch.save({"seen": data.keys}, {"ctgan": "{}"}))
            yield
    finally:
        if made and not (folder / CONFIG).exists():
            (folder / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock inside. The operating system lets go of it when the process ends, however.

    Raises Busy, naming process and host, while another holds it.
    """
    path = folder / LOCK
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise Busy(f"{folder}: {owner} trains there; wait for it, or name another --out") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


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

    The weights name the state that they belong to by its digest. Both files are written in full under another
    name before either takes its place. A kill between the two renames leaves the new state beside the old
    weights; load_state then finishes the second rename.
    """
    folder = Path(folder)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    about = {"step": state["step"], "experiment": to_dict(system), "state": digest_of(state)}
    atomic_write(_next(folder / WEIGHTS), pack_weights(networks, about))
    atomic_write(_next(folder / STATE), buffer.getvalue())
    os.replace(_next(folder / STATE), folder / STATE)
    os.replace(_next(folder / WEIGHTS), folder / WEIGHTS)


def load_state(folder: Path | str) -> dict[str, Any] | None:
    """The state of the last checkpoint, or None if none was written.

    Raises UserError if it can't be read, is missing beside its weights, or is not the one that was saved with
    them.
    """
    path = Path(folder) / STATE
    weights, prepared = path.with_name(WEIGHTS), _next(path.with_name(WEIGHTS))
    if not path.exists():
        if weights.exists():
            mend = "put it back, or start again with another --out"
            raise UserError(f"{path}: missing, without it the run can't go on; {mend}")
        return None
    try:
        state = torch.load(path, weights_only=True)
        key = digest_of(state)
    except Exception:  # a broken file raises almost anything
        raise UserError(f"{path}: not a readable state; start again with another --out") from None
    if prepared.exists() and read_metadata(prepared).get("state") == key:
        os.replace(prepared, weights)
    if read_metadata(weights).get("state") != key:
        mend = "put back the two files of one checkpoint, or start again with another --out"
        raise UserError(f"{path}: damaged, or not of the same checkpoint as {WEIGHTS}; {mend}")
    return state


def digest_of(state: Any) -> str:
    """Of tensors, dicts, lists and plain values: the same before they are written and after they are read."""
    if torch.is_tensor(state):
        return digest(repr((state.dtype, state.shape)).encode(), state.cpu().contiguous().numpy().tobytes())
    if isinstance(state, dict):
        return digest(*(part for k, v in state.items() for part in (repr(k).encode(), digest_of(v).encode())))
    if isinstance(state, (list, tuple)):
        return digest(*(digest_of(value).encode() for value in state))
    return digest(repr(state).encode())


def _next(path: Path) -> Path:
    return path.with_name(f"next-{path.name}")


def pack_weights(
    networks: Mapping[str, nn.Module],
    metadata: Mapping[str, Any],
    bits: int = 32,
    seen: Tensor | None = None,
) -> bytes:
    """Networks {prefix: module} as the bytes of a safetensors file; metadata is JSON-like.

    seen is what read_seen gives back: the keys of the slices that the networks learnt from, int64 [K].
    With 8 bits, matrices and kernels are whole numbers from -127 to 127, and beside them stands the step
    between two, one for each output channel: a quarter of the size. load_weights multiplies them out.
    """
    tensors = {} if seen is None else {"seen": seen}
    for prefix, network in networks.items():
        for name, tensor in network.state_dict().items():
            values = tensor.detach().cpu().contiguous()
            if bits == 8 and values.ndim > 1:
                steps = values.abs().amax(tuple(range(1, values.ndim)), keepdim=True).clamp(min=1e-12) / 127
                values = (values / steps).round().to(torch.int8)
                tensors[f"{prefix}.{name}{STEPS}"] = steps
            tensors[f"{prefix}.{name}"] = values
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
            text = (file.metadata() or {}).get("ctgan")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; train first, or name another run folder") from None
    except (SafetensorError, OSError):
        raise UserError(f"{path}: not a readable safetensors file; restore it or train again") from None
    if text is None:
        raise UserError(f"{path}: names no experiment; give a run folder or weights that 'train' wrote")
    return _json_object(text, f"{path}: its metadata are")


def read_seen(path: Path | str) -> Tensor | None:
    """The keys of the slices that a run, or a file of pack_weights, learnt from; None if it doesn't say.

    They are int64 [K], to be compared with CTImages.keys. Raises UserError if they can't be read.
    """
    path = Path(path)
    if path.is_dir():
        path = path / SEEN
        if not path.exists():
            return None
    read_metadata(path)
    with safe_open(path, "pt") as file:
        return file.get_tensor("seen") if "seen" in set(file.keys()) else None


def read_classes(path: Path | str) -> list[str]:
    """Classes of the slices that a run, or a file that export wrote, learnt from; [] if it doesn't say."""
    path = Path(path)
    about = read_config(path)["data"] if path.is_dir() else read_metadata(path)
    names = about.get("classes")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _json_object(text: str, subject: str) -> dict[str, Any]:
    """The values of a JSON text. Raises UserError, which begins with the subject, for another text."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UserError(f"{subject} not readable as JSON; restore it, or train with another --out")
    return values


def load_weights(path: Path | str, networks: Mapping[str, nn.Module]) -> None:
    """Read networks {prefix: module} from a safetensors file, in place.

    Raises UserError that names the first tensor that is missing, of another shape or type, or not finite.
    """
    read_metadata(path)
    with safe_open(path, "pt") as file:
        present = set(file.keys())
        for prefix, network in networks.items():
            found = {}
            for name, expected in network.state_dict().items():
                key = f"{prefix}.{name}"
                tensor = file.get_tensor(key) if key in present else None
                steps = file.get_tensor(key + STEPS) if key + STEPS in present else None
                if tensor is not None and steps is not None and steps.shape == _one_a_channel(tensor):
                    tensor = tensor * steps
                if tensor is None or tensor.shape != expected.shape or tensor.dtype != expected.dtype:
                    has = "no such tensor" if tensor is None else f"{_described(tensor)}"
                    raise UserError(
                        f"{path}: of another architecture: {key} has {has}, this network needs "
                        f"{_described(expected)}; use the experiment that wrote it"
                    )
                if tensor.is_floating_point() and not tensor.isfinite().all():
                    raise UserError(
                        f"{path}: {key} holds numbers that are not finite; restore it or train again"
                    )
                found[name] = tensor
            network.load_state_dict(found)


def _one_a_channel(tensor: Tensor) -> tuple[int, ...]:
    return (*tensor.shape[:1], *[1] * (tensor.ndim - 1))


def _described(tensor: Tensor) -> str:
    kind = "" if tensor.dtype == torch.float32 else f" of {tensor.dtype}".replace("torch.", "")
    return f"shape {list(tensor.shape)}{kind}"


def load_optimiser(optimiser: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Go on with the moments that were saved; rates and other settings stay those of the system.

    Raises UserError if they are of other networks.
    """
    now = optimiser.state_dict()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    try:
        for number, moments in saved["state"].items():
            shapes = {tuple(m.shape) for m in moments.values() if torch.is_tensor(m) and m.numel() > 1}
            if shapes - {tuple(parameters[number].shape)}:
                raise ValueError(f"moments of shapes {shapes}")
        optimiser.load_state_dict({"state": saved["state"], "param_groups": now["param_groups"]})
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{STATE}: its optimiser is of other networks; start again in another --out"
        ) from None


def read_config(folder: Path | str) -> dict[str, Any]:
    """What run_folder wrote. Raises UserError when the folder holds no run, or a config.json of others."""
    path = Path(folder) / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: not a run folder (no {CONFIG}); train first, or name another") from None
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: not readable as JSON; restore it, or train with another --out") from None
    config = _json_object(text, f"{path}:")
    for name, kind in (("experiment", dict), ("seed", int), ("data", dict)):
        if not isinstance(config.get(name), kind):
            raise UserError(f"{path}: has no {name}; restore it, or train with another --out")
    for name in ("source", "fingerprint"):
        if not isinstance(config["data"].get(name), str):
            raise UserError(f"{path}: its data have no {name}; restore it, or train with another --out")
    return config

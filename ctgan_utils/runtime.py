"""The machine and the user: errors, seeds, device, precision, memory, progress, files written whole."""

import contextlib
import difflib
import hashlib
import itertools
import json
import math
import os
import platform
import random
import re
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from tqdm import tqdm

REPOSITORY = Path(__file__).resolve().parents[1]  # the checkout, if there is one
SHIPPED = REPOSITORY / "data" / "checkpoints"  # trained weights
IN_CHECKOUT = SHIPPED.is_dir()
if not IN_CHECKOUT:  # installed by `pip install .`: the weights lie in the package
    SHIPPED = Path(__file__).resolve().parent / "shipped"
WORKPLACE = REPOSITORY if IN_CHECKOUT else Path()  # what is fetched or made goes below it
STANDARD_OUTPUT = "standard output"
HEADLESS_LINES = 18  # of progress, besides the first and the last


class UserError(ValueError):
    """A mistake a user can mend. Its text is one line that names the file or option and the mend."""


def nearest(name: str, choices: Collection[str]) -> str:
    """What to try in place of an unknown name: "did you mean ...?", or the list of what there is."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(choices)}"


def brief(value: object, most: int = 60) -> str:
    """A value as a message shows it: the beginning of a text that has no end."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def reason_of(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def printable(text: object) -> str:
    """A text on one line that any stream can take: control characters and broken bytes as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


@contextlib.contextmanager
def to_standard_output() -> Iterator[None]:
    """What can't be written inside is said to be of standard output; a reader that has gone stays one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from None


def say(*lines: object) -> None:
    """Print lines at once, each as one whatever the names in it hold."""
    with to_standard_output():
        print(*map(printable, lines), sep="\n", flush=True)


def cache_folder() -> Path:
    """Where decoded slices and their features are kept: $CTGAN_CACHE, or build/cache in the repository.

    A package that was installed without the repository keeps them in the user's own cache folder.
    """
    if chosen := os.environ.get("CTGAN_CACHE"):
        return Path(chosen)
    if IN_CHECKOUT:
        return REPOSITORY / "build" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ctgan_utils"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch. Runs repeat bit for bit on the CPU; on a GPU some sums do not."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_of(*numbers: int) -> int:
    """One seed of 64 bits that follows from several numbers, such as a run's seed and a step's number."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


DEVICES = "auto", "cpu", "cuda", "mps"


def choose_device(name: str = "auto") -> torch.device:
    """The torch.device for one of DEVICES: auto takes an NVIDIA GPU, else an Apple GPU (mps), else the CPU.

    Operations that PyTorch lacks on an Apple GPU run on the CPU instead (see ctgan_utils/__init__.py). Raises
    UserError when a GPU is asked for and absent.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, here in present.items() if here)
    if not present[name]:
        kind = {"cuda": "CUDA device", "mps": "Apple GPU"}[name]
        raise UserError(f"--device {name}: no {kind} is visible here; leave the option out to use the CPU")
    if name == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is asked for
        torch.backends.cudnn.benchmark = True  # batches keep their shape: the fastest kernel is sought once
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of convolutions for auto, fp32 or bf16: auto takes bf16 where the hardware multiplies it.

    Emulated bf16, as on GPUs before NVIDIA's Ampere, is many times slower than fp32. On an Apple GPU auto
    takes fp32: not all of them multiply bf16.
    """
    if name == "auto":
        multiplies = {"cuda": _gpu_multiplies_bf16, "cpu": _cpu_multiplies_bf16}.get(device.type)
        name = "bf16" if multiplies and multiplies() else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[name]


def _gpu_multiplies_bf16() -> bool:
    return torch.cuda.is_bf16_supported(including_emulation=False)


def _cpu_multiplies_bf16() -> bool:
    # PyTorch has no public question for this
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def machine(device: torch.device) -> str:
    """The name of the GPU, or of the processor with the number of threads that PyTorch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):  # of Linux alone
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), name)
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' * (threads > 1)}"


def is_headless() -> bool:
    """True under the course runner and in tests, where nothing may wait for a person."""
    return os.environ.get("CTGAN_HEADLESS") == "1"


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


class _Lines:
    """A file for tqdm without a terminal: each state of the bar on a line of its own."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, text: str) -> None:
        if text.strip():
            with contextlib.suppress(OSError):  # nobody's work is lost because a log can't be written
                self.file.write(text.strip() + "\n")

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.file.flush()


def progress(total: int, description: str, unit: str = "it", start: int = 0) -> tqdm:
    """A tqdm bar with rate and time left, shown after half a second; without a terminal, 20 lines.

    Headless notebooks show none: their outputs are kept.
    """
    options = {
        "total": total,
        "initial": start,
        "desc": printable(description),
        "unit": unit,
        "ncols": 100,
        "delay": 0.5,
    }
    if _in_notebook():
        return tqdm(file=sys.stdout, disable=is_headless(), leave=False, **options)
    if sys.stderr.isatty():
        return tqdm(**options)
    every = max(1, math.ceil((total - start) / HEADLESS_LINES))
    return tqdm(file=_Lines(sys.stderr), miniters=every, mininterval=0, maxinterval=math.inf, **options)


_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
_LEFTOVER = re.compile(r"\.ctgan-([0-9a-f]{6})-([0-9]{1,10})-[0-9]+\.tmp")
_COUNT = itertools.count()


def is_leftover(path: Path) -> bool:
    """True for a temporary file of atomic_write, whoever wrote it."""
    return bool(_LEFTOVER.fullmatch(path.name))


def remove_leftovers(folder: Path | str) -> None:
    """Delete temporary files of this host's processes that are gone, directly in a folder."""
    for path in Path(folder).glob(".ctgan-*.tmp"):
        match = _LEFTOVER.fullmatch(path.name)
        if match and match[1] == _HOST and not _is_alive(int(match[2])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def atomic_write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes to a file so that a reader, or a crash, sees the old file or the new one, never a part.

    Raises OSError, with the file's name, when the disk is full or the folder can't be written; the old file
    is then untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".ctgan-{_HOST}-{os.getpid()}-{next(_COUNT)}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def save_numbers(numbers: Mapping[str, object], notebook: str, out: str | os.PathLike[str]) -> None:
    """Write a notebook's numbers, a dict of plain values, to out/<notebook>.json.

    Raises ValueError for numbers that are not finite: JSON has none.
    """
    atomic_write(Path(out) / f"{notebook}.json", json.dumps(numbers, indent=2, allow_nan=False).encode())


def versions() -> dict[str, str]:
    """The versions that decide a result, as {name: version}."""
    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-image")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}

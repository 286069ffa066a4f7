"""How a command ends: with what code, and with which one line of error."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper
from types import FrameType
from typing import Any

import torch

from ctgan_utils.runtime import STANDARD_OUTPUT, UserError, brief, printable, to_standard_output


def ended(command: Callable[[], int | None], is_process: bool) -> int:
    """Run a command to its end; returns the exit code: 0, its own, or 2 behind a line on stderr.

    is_process says that the process is here for this command alone, so that signals are the command's.
    """
    try:
        if is_process:
            _take_signals()
        _prepare_streams()
        try:
            code = command() or 0
        except SystemExit as end:  # after --help
            code = int(end.code or 0)
        with to_standard_output():
            sys.stdout.flush()
        return code
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; what was written before is whole")
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        _silence(sys.stdout)
        return 0
    except OSError as error:
        if error.filename == STANDARD_OUTPUT:
            _silence(sys.stdout)
        return _fail(_about_system(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_about_memory(error):
            raise
        reason = brief(str(error).splitlines()[0] if str(error) else "none is left", 120)
        return _fail(
            f"out of memory ({reason}); ask for fewer or smaller images, or a smaller batch or network"
        )


def _fail(message: str) -> int:
    """Say in one line what is wrong; returns the exit code of a failure."""
    with contextlib.suppress(OSError):
        print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    return 2


def _prepare_streams() -> None:
    """Let names in any script be printed on any terminal. Raises UserError if standard output is closed."""
    if sys.stderr is None:  # closed by the caller; a file of ours must not come to stand in its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        raise UserError("standard output: closed; send it to a file, or to /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _take_signals() -> None:
    """Let Ctrl-C and SIGTERM end the command by a KeyboardInterrupt, so that half-written files are removed.

    A second one does not wait for what is still at work. One of several processes that share a run is stopped
    at once by SIGTERM: it may be waiting for the others.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda number, frame: os._exit(2))
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    if "WORLD_SIZE" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
MENDS = {
    **dict.fromkeys(WRITING, "free some space or choose another place; what was written before is whole"),
    errno.EACCES: "change its permissions, or name another",
    errno.EPERM: "change its permissions, or name another",
    errno.EISDIR: "name a file in it",
    errno.ENOTDIR: "choose another place",
    errno.EEXIST: "choose another place",
    errno.ENOENT: "name another",
    errno.ENAMETOOLONG: "shorten it",
    errno.ELOOP: "name what the link should point to",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENOMEM: "ask for fewer or smaller images, or a smaller batch or network",
}


def _about_system(error: OSError) -> str:
    """What the operating system refuses, of which file or stream, and the mend."""
    place = f"{error.filename}: " if error.filename is not None else ""
    mend = MENDS.get(error.errno or 0, "try again, or name another place")
    return f"{place}{error.strerror or error}; {mend}"


def _silence(stream: Any) -> None:
    """Let a broken stream take what is still in it, so that Python does not complain at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_about_memory(error: Exception) -> bool:
    """True where an allocation failed; PyTorch says so in a RuntimeError on the CPU."""
    said = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(s in str(error) for s in said)

"""The command line: python -m ctgan_utils COMMAND --help. Until `command_line` is imported, seconds pass."""

import os
import signal
import sys
from types import FrameType


def main(argv: list[str] | None = None) -> int:
    """Run a command, that of the process if no words are given; returns the exit code.

    A user's mistake is one line on stderr and code 2.
    """
    if argv is None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _leave)
    from ctgan_utils.command_line import run

    return run(argv)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: an exception in the middle of an import of C++ code would be an abort."""
    os.write(2, b"error: interrupted; nothing was begun\n")
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main())

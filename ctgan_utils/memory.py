"""How much memory can be had, asked before it is."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ctgan_utils.runtime import UserError

# a control group's files: what its processes may take, and what they have
VERSION_2 = "memory.max", "memory.current"
VERSION_1 = "memory.limit_in_bytes", "memory.usage_in_bytes"


def available_memory() -> int | None:
    """Bytes that can be had now: the machine's, or those of the process's control group if they are fewer.

    None where neither can be known.
    """
    free = list(_free_in_control_groups())
    with contextlib.suppress(OSError, LookupError, ValueError):
        free.append(1024 * _numbers("/proc/meminfo")["MemAvailable:"])
    return max(0, min(free)) if free else None


def _free_in_control_groups(root: str = "/sys/fs/cgroup") -> Iterator[int]:
    """What the limits of version 2, then of version 1, leave in the group of this process and in those above.

    The files that the kernel keeps in memory count as free.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            version_2 = not kinds
            if not version_2 and "memory" not in kinds.split(","):
                continue
            base = Path(root) if version_2 else Path(root, "memory")
            names = VERSION_2 if version_2 else VERSION_1
            for folder in (base / group.strip("/"), *(base / group.strip("/")).parents):
                with contextlib.suppress(OSError, LookupError, ValueError):  # the root has no limit
                    kept = _numbers(folder / "memory.stat")
                    cached = kept["inactive_file"] + kept["active_file"]
                    limit, used = (int((folder / name).read_text()) for name in names)
                    yield limit - used + cached


def _numbers(path: Path | str) -> dict[str, int]:
    """{name: number} of a file of the kernel's with a pair in each line."""
    pairs = (line.split()[:2] for line in Path(path).read_text().splitlines())
    return {name: int(number) for name, number in pairs}


def require_memory(needed: int, what: str) -> None:
    """Raises UserError if so many bytes can't be had now; `what` is the option, with its value, to lower."""
    free = available_memory()
    if free is not None and needed > free:
        takes = f"takes at least {needed / 1e9:,.1f} GB of memory, {free / 1e9:,.1f} GB are free"
        raise UserError(f"{what}: {takes}; lower it")

"""Where a command may write: asked before any work, so that none is in vain and nothing foreign is lost."""

import html
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from ctgan_utils.runtime import UserError, brief, is_leftover

LONGEST_NAME = 255  # bytes, on the file systems of today
LONGEST_PATH = 4_095  # bytes, on Linux; macOS takes fewer
SNIFFED = 4_096  # bytes at the beginning of a page, where its mark is


def mark(command: str = "") -> str:
    """The element by which a web page is known as written here, by that command."""
    return f'<meta name="generator" content="{f"ctgan_utils {command}".strip()}">'


def is_marked(page: Path, command: str = "") -> bool:
    """True for a web page with the mark of that command."""
    with open(page, "rb") as file:
        return mark(command).encode() in file.read(SNIFFED)


def page(title: str, body: str, command: str = "") -> bytes:
    """A web page of HTML that needs no other file, with the mark of a command."""
    return PAGE.format(mark=mark(command), title=html.escape(title), body=body).encode()


def check_file(
    path: Path, option: str, suffixes: Collection[str], is_ours: Callable[[Path], bool] = lambda path: False
) -> None:
    """Raises UserError unless a file of one of the suffixes can be written there.

    A file that is there already is replaced only if is_ours says that the same command wrote it.
    """
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{option} {brief(path)}: its name must end in {' or '.join(suffixes)}")
    check_place(path, option)
    if path.is_dir():
        raise UserError(f"{option} {path}: a folder; name a file in it")
    if os.path.lexists(path) and not (path.is_file() and is_ours(path)):
        raise UserError(f"{option} {path}: there already, and not written by this command; name another file")


def check_folder(
    path: Path, option: str = "--out", is_ours: Callable[[Path], bool] = lambda path: False
) -> None:
    """Raises UserError unless files can be written below that folder, which is new, or empty, or ours."""
    check_place(path, option)
    if os.path.lexists(path) and not path.is_dir():
        raise UserError(f"{option} {path}: a file; name a folder")
    if path.is_dir() and any(not is_leftover(entry) for entry in path.iterdir()) and not is_ours(path):
        raise UserError(f"{option} {path}: holds other files already; name an empty folder, or a new one")


def check_place(path: Path, option: str) -> None:
    """Raises UserError unless its names fit, and the nearest folder that is there can be written to."""
    whole = path.absolute()
    if max(map(len, map(os.fsencode, whole.parts))) > LONGEST_NAME or len(os.fsencode(whole)) > LONGEST_PATH:
        raise UserError(
            f"{option} {brief(path)}: a name of more than {LONGEST_NAME} bytes, or {LONGEST_PATH:,} in all; "
            "shorten it"
        )
    places = [whole, *whole.parents] if os.path.isdir(whole) else whole.parents
    try:
        with tempfile.TemporaryFile(dir=next(place for place in places if os.path.lexists(place))):
            pass
    except OSError as error:
        raise UserError(
            f"{option} {path}: can't be written ({error.strerror}); choose another place"
        ) from None


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{mark}<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ background: #f6f6f6; padding: 1rem; overflow-x: auto }}
img {{ max-width: 100%; display: block; margin: 1rem 0 }}
table {{ border-collapse: collapse }}
th, td {{ border-bottom: 1px solid #ddd; padding: 0.3rem 0.6rem; text-align: left; vertical-align: top }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""

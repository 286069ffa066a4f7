"""Which patient a file shows: an index.csv with the columns file and patient."""

import csv
import io
import unicodedata
from pathlib import Path

from ctgan_utils.runtime import UserError

COLUMNS = {"file", "patient"}
SEPARATORS = ",;\t"


def key_of(path: Path, root: Path) -> str:
    """A file's name below a folder as an index names it, whatever the system that wrote the index."""
    return _plain(path.relative_to(root).as_posix())


def read_index(path: Path) -> tuple[dict[str, str], list[str]]:
    """({file: patient}, what had to be assumed) of an index.csv; ({}, ...) if there is none.

    Commas, semicolons or tabs; UTF-8, UTF-16 or Windows-1252; capitals, spaces and backslashes as a
    spreadsheet leaves them. Raises UserError for a table that is damaged, or that names two patients for a
    file.
    """
    if not path.is_file():
        return {}, []
    text, notes = _decoded(path.read_bytes())
    first_line = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first_line.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path}: not readable as a table ({error}); write it again as CSV") from None
    head = [name.strip().casefold() for name in rows[0]] if rows else []
    if not set(head) >= COLUMNS:
        return {}, [f"{path.name} has no columns file and patient, and is not used"]
    file, patient = head.index("file"), head.index("patient")
    found: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) <= max(file, patient):
            raise UserError(f"{path}: row {number} has {len(row)} columns, row 1 has {len(head)}; mend it")
        name, who = _plain(row[file].strip()), row[patient].strip()
        if found.setdefault(name, who) != who:
            raise UserError(f"{path}: two patients, {found[name]} and {who}, for {row[file]}; keep one")
    return found, notes


def _decoded(content: bytes) -> tuple[str, list[str]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace"), []
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), ["index.csv is not in UTF-8, read as Windows-1252"]


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))

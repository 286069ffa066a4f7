"""What an index.csv tells of files: which patient each shows, and numbers in columns of their own."""

import csv
import io
import math
import unicodedata
from collections.abc import Iterable, Iterator
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
    rows, notes = _rows(path)
    if not set(rows[0]) >= COLUMNS:
        return {}, [f"{path.name} has no columns file and patient, and is not used"]
    found: dict[str, str] = {}
    for name, who in _columns(path, rows, "patient"):
        if found.setdefault(_plain(name), who) != who:
            raise UserError(f"{path}: two patients, {found[_plain(name)]} and {who}, for {name}; keep one")
    return found, notes


def read_numbers(path: Path, names: Iterable[str]) -> dict[str, dict[str, float]]:
    """{name: {file: number}} for those of the names that are a column of an index.csv; see read_index.

    An empty cell is nan. Raises UserError for a damaged table, and for what is no number in these columns.
    """
    if not path.is_file():
        return {}
    rows, _ = _rows(path)
    found: dict[str, dict[str, float]] = {n: {} for n in names if {"file", n.casefold()} <= set(rows[0])}
    for column, numbers in found.items():
        for name, text in _columns(path, rows, column.casefold()):
            try:
                number = float(text or "nan")
            except ValueError:
                number = math.inf
            if math.isinf(number):
                raise UserError(f"{path}: {column} of {name} is '{text}', no number; mend it")
            numbers[_plain(name)] = number
    return found


def _rows(path: Path) -> tuple[list[list[str]], list[str]]:
    """(a table's rows, the names of the columns in small letters; what had to be assumed)."""
    text, notes = _decoded(path.read_bytes())
    first_line = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first_line.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path}: not readable as a table ({error}); write it again as CSV") from None
    head = [name.strip().casefold() for name in rows[0]] if rows else []
    return [head, *rows[1:]], notes


def _columns(path: Path, rows: list[list[str]], column: str) -> Iterator[tuple[str, str]]:
    """(file, what stands in the column) of each row; UserError for one that is too short."""
    head = rows[0]
    file, other = head.index("file"), head.index(column)
    for number, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) <= max(file, other):
            raise UserError(f"{path}: row {number} has {len(row)} columns, row 1 has {len(head)}; mend it")
        yield row[file].strip(), row[other].strip()


def _decoded(content: bytes) -> tuple[str, list[str]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace"), []
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), ["index.csv is not in UTF-8, read as Windows-1252"]


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))

"""The trace: each equation, figure, system, metric, data fact and claim of the thesis, and where it is."""

import csv
import io
import re
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode
from PIL import Image

from ctgan_utils.runtime import REPOSITORY, atomic_write

Row = dict[str, str]  # of the trace: {column: text}
TRACE = REPOSITORY / "data" / "thesis_trace.csv"
THUMBNAILS = REPOSITORY / "data" / "results" / "thumbnails"
WIDTH, HEIGHT = 280, 200  # pixels, at most
CHAPTERS = {
    "1": "Introduction",
    "2": "Review of Methods",
    "3": "Contributions",
    "4": "Evaluation and Results",
    "5": "Conclusion and Future Work",
    "A": "Appendix",
}


def read_trace() -> list[Row]:
    """The rows of data/thesis_trace.csv, as dictionaries."""
    with open(TRACE, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def figures_of(notebook: str) -> list[str]:
    """The thesis' figures that a notebook saves, such as ["2.1", "2.2"], in the order of the trace."""
    return [
        row["id"]
        for row in read_trace()
        if row["kind"] == "figure" and row["notebook"] == notebook and row["status"] != "open"
    ]


def chapter_table(chapter: str) -> str:
    """A chapter ("2", "3", "4", "A") as a Markdown table: section, what of it there is, notebook, status."""
    rows = sorted((r for r in read_trace() if r["section"].split(".")[0] == chapter), key=_place)
    lines = ["| section | what | notebook | status |", "|---|---|---|---|"]
    for (_, notebook, status), same in groupby(rows, _place):
        group = list(same)
        link = notebook if status == "open" else f"[{notebook[:2]}]({notebook}.ipynb)"
        lines.append(f"| {group[0]['section']} | {_kinds(group)} | {link} | {status} |")
    return "\n".join(lines)


def claims_table() -> str:
    """The thesis' claims as a Markdown table for the README: claim, verdict and why, notebook."""
    lines = ["| the thesis says | verdict | what was found | notebook |", "|---|---|---|---|"]
    for row in sorted((r for r in read_trace() if r["kind"] == "claim"), key=_place):
        verdict, found = re.split("[:;] ", row["note"], maxsplit=1)
        notebook = row["notebook"]
        link = notebook[:2] if row["status"] == "open" else f"[{notebook[:2]}](notebooks/{notebook}.ipynb)"
        lines.append(f"| {row['what']} ({row['section']}) | {verdict} | {found} | {link} |")
    return "\n".join(lines)


def _place(row: Row) -> tuple[list[int], str, str]:
    section = [int(part) for part in row["section"].split(".") if part.isdigit()]
    return section, row["notebook"], row["status"]


def _kinds(rows: Iterable[Row]) -> str:
    """Rows in words: "equations 2.3, 2.4; figures 2.2, 2.3; claim: ...", each number linked to its place."""
    parts = []
    for kind, same in groupby(rows, lambda row: row["kind"]):
        group = list(same)
        if kind in ("equation", "figure"):
            parts.append(f"{kind}{'s' * (len(group) > 1)} {', '.join(map(_linked, group))}")
        else:
            parts.append("; ".join(f"{kind}: {row['what']}" for row in group))
    return "; ".join(parts)


def _linked(row: Row) -> str:
    if row["status"] == "open":
        return row["id"]
    return f"[{row['id']}]({row['notebook']}.ipynb#{anchor(heading(row))})"


def anchor(title: str) -> str:
    """The place of a heading in its notebook, as in an address after the #: as nbconvert names it.

    A word in code is named without its marks.
    """
    return quote(title.replace("`", "").replace(" ", "-"), safe="?/:@!$&'()*+,;=")


def heading(row: Row) -> str:
    """The heading in its notebook under which an equation has its \\tag, or a figure is saved."""
    figure = row["kind"] == "figure"
    kind, mark = ("code", f'"{row["id"]}"') if figure else ("markdown", f"\\tag{{{row['id']}}}")
    for above, cell in _cells_below_headings(row["notebook"]):
        if cell.cell_type == kind and mark in cell.source:
            return above
    raise LookupError(f"{row['notebook']}: no cell has {mark}")


@cache
def _cells_below_headings(notebook: str) -> list[tuple[str, NotebookNode]]:
    """(heading, cell) for each cell of a notebook below its opening; a text's own heading counts."""
    above, found = "", []
    for cell in nbformat.read(REPOSITORY / "notebooks" / f"{notebook}.ipynb", 4).cells[1:]:
        if cell.cell_type == "markdown" and (titles := re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)):
            above = titles[-1]
        if above:
            found.append((above, cell))
    return found


def write_thumbnail(figure: Path) -> Path:
    """Write a small copy of a figure's PNG, which save_figure wrote, to data/results/thumbnails; its path."""
    with Image.open(figure) as image:
        small = image.convert("RGB")
    small.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.quantize(64).save(buffer, "PNG", optimize=True)
    atomic_write(THUMBNAILS / figure.name, buffer.getvalue())
    return THUMBNAILS / figure.name

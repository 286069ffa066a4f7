"""The two tables about the thesis, of what is where and of what is wrong: they are whole, and true."""

import csv
import importlib
import re
from collections import Counter

import nbformat
import pytest

from ctgan_utils.course.execute import notebook_paths
from ctgan_utils.course.trace import THUMBNAILS, claims_table, figures_of, heading, read_trace
from ctgan_utils.runtime import REPOSITORY
from ctgan_utils.systems import EXPERIMENTS, PROFILES

# the thesis' sections that have no sections below them, in the order of its contents
SECTIONS = [
    "1",
    *(f"2.1.{k}" for k in range(1, 10)),
    *(f"2.2.{k}" for k in range(1, 7)),
    *("3.1.1", "3.1.2", "3.2.1", "3.2.2", "3.2.3", "3.3.1"),
    "4.1",
    *(f"4.2.{k}" for k in range(1, 5)),
    *(f"4.{part}.{k}" for part in (3, 4) for k in range(1, 4)),
    *(f"4.5.{k}" for k in range(1, 6)),
    *("5.1", "5.2", "5.3", "A"),
]
PARENTS = {section.rpartition(".")[0] for section in SECTIONS if section.count(".") == 2}  # 2.1, 2.2, ...
VERDICTS = ("holds", "does not hold", "not decided", "not tested")  # of a claim: its note begins with one


def test_the_trace_has_every_equation_and_figure_once():
    rows = read_trace()
    columns = ["id", "kind", "section", "what", "notebook", "function", "status", "note"]
    assert all(list(row) == columns for row in rows)  # a comma that nobody quoted would make one more
    ids = Counter((row["kind"], row["id"]) for row in rows)
    assert max(ids.values()) == 1
    last = {"2": 12, "3": 11, "4": 29}
    figures = {f"{chapter}.{k}" for chapter, n in last.items() for k in range(1, n + 1)}
    assert {row["id"] for row in rows if row["kind"] == "figure"} == figures
    equations = (
        {f"2.{k}" for k in range(1, 10)} | {"3.1", "3.2", "3.3", "4.1"} | {f"A.{k}" for k in range(1, 7)}
    )
    assert {row["id"] for row in rows if row["kind"] == "equation"} == equations


def test_the_trace_has_a_row_for_each_section_of_the_thesis():
    sections = {row["section"] for row in read_trace()}
    assert set(SECTIONS) - sections == set()
    assert sections - set(SECTIONS) - PARENTS == set()


@pytest.mark.parametrize("row", read_trace(), ids=lambda row: f"{row['kind']}-{row['id']}")
def test_a_row_is_what_its_status_says(row):
    assert row["status"] in ("done", "partial", "open")
    assert row["kind"] in ("equation", "figure", "system", "metric", "data", "topic", "claim")
    assert row["what"]
    built = row["notebook"] in [path.stem for path in notebook_paths()]
    assert built or (row["status"] == "open" and re.fullmatch(r"\d\d \(planned\)", row["notebook"]))
    assert row["status"] != "partial" or row["note"]
    assert row["kind"] != "claim" or row["note"].startswith(VERDICTS)
    if row["status"] == "open":
        assert not row["function"]
        return
    module, name = row["function"].rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))
    if row["status"] == "done":
        text = (REPOSITORY / "notebooks" / f"{row['notebook']}.ipynb").read_text()
        opening = text.split("**Time**")[0]
        assert row["section"] in opening
        if row["kind"] in ("equation", "figure"):
            assert heading(row)


def test_the_readme_tells_what_became_of_each_claim():
    table = claims_table()
    assert table.count("\n") == 1 + sum(row["kind"] == "claim" for row in read_trace())
    assert table in (REPOSITORY / "README.md").read_text()


def listed(path):
    """What a notebook's opening says it covers: sections, and the ids of its equations and figures."""
    opening = nbformat.read(path, 4).cells[0].source
    line = re.search(r"\*\*Thesis sections, equations and figures:\*\* (.*)", opening)[1]
    sections, *rest = line.split("; ")
    named = {part.split(" ", 1)[0].rstrip("s"): part.split(" ", 1)[1].split(", ") for part in rest}
    return sections.split(", "), named


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_an_opening_lists_exactly_the_rows_of_the_trace(path):
    sections, named = listed(path)
    rows = [row for row in read_trace() if row["notebook"] == path.stem and row["status"] != "open"]
    for kind in ("equation", "figure"):
        assert named.get(kind, []) == [row["id"] for row in rows if row["kind"] == kind]
    assert {row["section"].replace("A", "appendix A") for row in rows} <= set(sections)


def test_each_figure_has_its_thumbnail():
    figures = [figure for path in notebook_paths() for figure in figures_of(path.stem)]
    assert {path.name for path in THUMBNAILS.iterdir()} == {f"{figure}.png" for figure in figures}
    assert sum(path.stat().st_size for path in THUMBNAILS.iterdir()) < 600_000


def errata():
    with open(REPOSITORY / "data" / "thesis_errata.csv") as file:
        return list(csv.DictReader(file))


def text_of(notebook, kind):
    """The text of a notebook's cells of one kind."""
    cells = nbformat.read(REPOSITORY / "notebooks" / f"{notebook}.ipynb", 4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == kind)


def test_the_errata_have_every_equation_and_id_once():
    rows = errata()
    columns = ["id", "item", "kind", "section", "printed", "problem", "corrected", "source", "proof", "where"]
    assert list(rows[0]) == columns
    assert max(Counter(row["id"] for row in rows).values()) == 1
    equations = {row["id"] for row in rows if row["item"] == "equation"}
    assert equations == {row["id"] for row in read_trace() if row["kind"] == "equation"}


@pytest.mark.parametrize("row", errata(), ids=lambda row: row["id"])
def test_an_entry_of_the_errata_says_what_it_is_and_points_at_what_exists(row):
    kinds = ("misprint", "error", "claim not reproduced", "opinion", "stands", "reading")
    assert row["kind"] in kinds
    assert row["item"] in ("equation", "statement", "reference", "number", "choice")
    assert (row["kind"] == "reading") == (row["item"] == "choice")
    assert row["printed"]
    assert row["corrected"]
    assert row["source"] or row["kind"] == "reading"
    assert row["problem"] or row["kind"] in ("stands", "reading")
    assert len(row["problem"]) <= 160, "too long for a table"
    assert row["section"] in {*SECTIONS, *PARENTS}
    words = " ".join(row.values())
    traced = {kind: {r["id"] for r in read_trace() if r["kind"] == kind} for kind in ("figure", "equation")}
    for kind, ids in traced.items():
        for listed_ids in re.findall(rf"(?i)\b{kind}s? ((?:[\dA]\.\d+(?:, | and | to )?)+)", words):
            assert set(re.findall(r"[\dA]\.\d+", listed_ids)) <= ids
    assert set(re.findall(r"\br-[a-z-]+", words)) <= {r["id"] for r in errata()}


@pytest.mark.parametrize("row", errata(), ids=lambda row: row["id"])
def test_where_an_entry_is_proved_exists(row):
    here = "13_errata_and_readings"
    if row["proof"] == "here":
        proof = rf'prove\(\s*"{re.escape(row["id"])}"'
        assert row["kind"] == "reading" or re.search(proof, text_of(here, "code"))
    elif row["proof"] != "quote":
        notebook, heading_ = row["proof"].split(": ", 1)
        assert notebook != here
        assert re.search(rf"^##+ {re.escape(heading_)}$", text_of(notebook, "markdown"), re.MULTILINE)


@pytest.mark.parametrize("row", [row for row in errata() if row["where"]], ids=lambda row: row["id"])
def test_where_an_erratum_is_mended_exists(row):
    module, name = row["where"].rsplit(".", 1)
    if row["where"].startswith("ctgan_utils."):
        assert hasattr(importlib.import_module(module), name)
        return
    owner = PROFILES[module] if module in PROFILES else EXPERIMENTS[module].system
    value = getattr(owner, name)
    assert row["kind"] != "reading" or str(value) == row["source"]

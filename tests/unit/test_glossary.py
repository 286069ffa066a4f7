"""The glossary: every entry is read, in order, and its notebook speaks of the term."""

import re

import nbformat
import pytest

from ctgan_utils.course import execute, index

ENTRIES = index.glossary()


def test_every_line_of_the_glossary_is_an_entry_in_alphabetical_order():
    lines = [line for line in index.GLOSSARY.read_text().splitlines() if line.startswith("- ")]
    assert len(lines) == len(ENTRIES) > 0
    terms = [re.sub(r"\W", "", entry["term"]).lower() for entry in ENTRIES]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["term"])
def test_the_notebook_of_an_entry_speaks_of_the_term(entry):
    (path,) = [path for path in execute.notebook_paths() if path.stem == entry["notebook"]]
    cells = nbformat.read(path, 4).cells
    text = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    plain = re.sub(r"\s+", " ", re.sub(r"[*`]", "", text)).lower()
    assert entry["term"].lower() in plain

"""The course's first page: what has run, what failed, what is to come, and what the search knows."""

import json
import subprocess

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from ctgan_utils.course import index, trace

WHERE = [
    ("https://github.com/some-one/A.name.git", "some-one/A.name"),
    ("git@github.com:some-one/other", "some-one/other"),
    ("https://github.com/some-one/other/", "some-one/other"),
    ("https://example.org/some-one/other.git", ""),
    ("", ""),
]
PARAMETERS = {"DATA": "phantom <&>", "PROFILE": "smoke", "SEED": 0}


@pytest.fixture
def written(tmp_path):
    """The page of a run in which one notebook worked, one failed, and one is still to come."""
    paths = [tmp_path / "notebooks" / f"{name}.ipynb" for name in ("97_works", "98_fails", "99_comes")]
    paths[0].parent.mkdir()
    for path in paths:
        opening = (
            f"# {path.stem[:2]} · A & B\n\n**You will** see $x < y$ in [02](02_x.ipynb).\n\n**Time**: long"
        )
        cells = [v4.new_markdown_cell(opening), v4.new_markdown_cell("## A place\n\n```\n## no heading\n```")]
        nbformat.write(v4.new_notebook(cells=cells), path)
    results = [
        {"path": paths[0], "seconds": 2.4, "error": None, "figures": ["a.png"]},
        {"path": paths[1], "seconds": 9.0, "error": "NameError: <x>", "figures": []},
    ]
    index.write_index(tmp_path, paths, results, PARAMETERS)
    return BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")


def test_the_page_tells_what_has_run_what_failed_and_what_is_to_come(written):
    works, fails, comes = written.select("article")
    assert works.select_one("h3 a")["href"] == "html/97_works.html"
    assert works.h3.get_text() == "97 · A & B"
    assert works.p.get_text() == "You will see x<y in 02."
    assert works.footer.span.get_text() == "2 s"
    assert fails.select_one(".failed").get_text() == "failed: NameError: <x>"
    assert comes.footer.span.get_text() == "not run yet"
    assert comes.select_one("h3 a") is None
    assert "2 of 3 notebooks have run, 1 failed" in written.get_text()
    assert "phantom <&>" in written.get_text()
    assert written.select_one('meta[http-equiv="refresh"]')


def test_the_page_fetches_only_the_figures_beside_it(written):
    sources = [image["src"] for image in written("img") if not image["src"].startswith("data:")]
    assert sources == ["figures/a.png"]
    assert not written.select("link, script[src], iframe")


def test_the_chapters_count_the_rows_of_the_trace(written):
    counted = [block.p.get_text() for block in written.select(".chapters > div")]
    numbers = [int(part.split()[0]) for text in counted for part in text.split(", ")]
    assert sum(numbers) == len([row for row in trace.read_trace() if row["section"]])


def test_the_search_knows_headings_once_and_every_row_and_term(written):
    rows = json.loads(written.select_one("#rows").get_text())
    found = {row["title"]: row for row in rows}
    assert {"Equation 3.3", "Figure 2.9", "Mode collapse", "A place"} <= set(found)
    assert "no heading" not in found
    assert found["A place"]["href"] == "html/98_fails.html#A-place"
    assert found["Equation 3.3"]["href"] == ""  # its notebook is not part of this run
    assert len(rows) == len(trace.read_trace()) + len(index.glossary()) + 2


@pytest.mark.parametrize(("address", "name"), WHERE)
def test_the_buttons_lead_to_the_clone_under_its_own_name(address, name, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    if address:
        subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", address], check=True)
    assert index.hosted(tmp_path) == name


def test_a_clone_on_github_has_its_buttons_and_another_none(tmp_path, monkeypatch):
    path = tmp_path / "99_a.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# 99 · A")]), path)
    for name, buttons in (("", 0), ("me/mine", 2)):
        monkeypatch.setattr(index, "hosted", lambda clone, name=name: name)
        index.write_index(tmp_path, [path], [], PARAMETERS)
        soup = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
        links = [link["href"] for link in soup.select('a[href^="http"]')]
        assert sum("/me/mine/" in link for link in links) == len(links) == buttons

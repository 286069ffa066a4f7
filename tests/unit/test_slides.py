"""Slides: what is shown, what is a note, what is left out; and that no figure or equation is missing."""

import base64
import re

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from ctgan_utils.__main__ import main
from ctgan_utils.course import execute, slides
from ctgan_utils.data.image_files import png


def picture(height=8, width=16):
    data = base64.b64encode(png(np.zeros((height, width), np.uint8))).decode()
    return v4.new_output("display_data", {"image/png": data})


def code(*outputs, tags=(), source="x = 1"):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def slides_of(*cells):
    cells = [v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    title = v4.new_markdown_cell("# 07 · A title\n\n**You will** see.\n\n**Time**: long")
    return slides.slides_of(v4.new_notebook(cells=[title, *cells]), "07_test")[1:]


def text(markup):
    return BeautifulSoup(markup, "html.parser").get_text().strip()


def test_the_title_comes_first_with_what_one_will_do():
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# 07 · A title\n\n**You will** see.\n\nMore.")])
    (first,) = slides.slides_of(notebook, "07_test")
    assert (first.kind, text(first.title), [text(shown) for shown in first.shown]) == (
        "title",
        "07 · A title",
        ["You will see."],
    )
    assert [text(note) for note in first.notes] == ["More."]


def test_a_short_text_opens_a_section_and_what_follows_is_for_the_speaker():
    (slide,) = slides_of(
        "## A heading\n\nIs it so?", code(picture()), "Look at the left.\n\nThen at the right."
    )
    assert text(slide.title) == "A heading"
    assert text(slide.shown[0]) == "Is it so?"
    assert "--ratio: 2.0000" in slide.shown[1]
    assert 'alt="figure: A heading"' in slide.shown[1]
    assert [text(note) for note in slide.notes] == ["Look at the left.", "Then at the right."]


def test_a_long_text_is_for_the_speaker_unless_nothing_else_is_shown():
    long = "A word. " * 100
    (with_picture,) = slides_of(f"## A\n\n{long}", code(picture()))
    assert len(with_picture.shown) == len(with_picture.notes) == 1
    (alone,) = slides_of(f"## A\n\n{long}\n\n{long}")
    assert len(alone.shown) == len(alone.notes) == 1


def test_pictures_and_tables_have_slides_of_their_own_and_streams_none():
    table = v4.new_output(
        "display_data", {"text/html": "<style>x</style><table><tr><td>$y$</td></tr></table>"}
    )
    stream = v4.new_output("stream", text="a line")
    first, second, third = slides_of("## A", code(picture(), stream), code(table), code(picture()))
    assert {text(slide.title) for slide in (first, second, third)} == {"A"}
    assert "<math" in second.shown[0]
    assert "style" not in second.shown[0]


def table_of(*rows):
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    html = f"<table><thead><tr><th>head</th></tr></thead><tbody>{body}</tbody></table>"
    return code(v4.new_output("display_data", {"text/html": html}))


def test_a_long_table_goes_on_on_the_next_slide_with_its_head():
    long = [f"<td>{k} {'x' * (slides.TABLE // 3)}</td>" for k in range(7)]
    found = slides_of("## A", table_of(*long))
    assert [len(part.shown) for part in found] == [1] * 4
    assert all(text(part.shown[0]).startswith("head") for part in found)
    assert re.findall(r"\d", "".join(text(part.shown[0]) for part in found)) == list("0123456")


def test_a_table_with_cells_over_several_rows_stays_whole():
    long = [f'<th rowspan="2">{k}</th><td>{"x" * slides.TABLE}</td>' for k in range(3)]
    (slide,) = slides_of("## A", table_of(*long))
    assert len(BeautifulSoup(slide.shown[0], "html.parser").select("tbody tr")) == 3


def test_equations_are_shown_with_the_text_that_opens_them():
    (slide,) = slides_of("## A\n\nWe have\n\n$$x = 1 \\tag{2.1}$$\n\nand so on.")
    assert "(2.1)" in text(slide.shown[1])
    assert [text(note) for note in slide.notes] == ["and so on."]


def test_answers_and_references_are_left_out_and_each_exercise_has_its_slide():
    answer = "<details><summary>Solution</summary>\n\nThat.\n\n</details>"
    one = f"1. **Predict.** What?\n\n{answer}\n\n2. **Code.** Do."
    check = code(picture(), tags=["check"])
    found = slides_of(f"## Exercises\n\n{one}", check, "## References\n\n- A book.")
    assert [text(slide.shown[0]) for slide in found] == ["Predict. What?", "Code. Do."]
    assert not any("That." in part for slide in found for part in slide.shown + slide.notes)


def test_code_is_shown_where_it_is_tagged():
    assert slides_of("## A", code(source="hidden = 1")) == []
    (slide,) = slides_of("## A", code(source="shown = 1", tags=["slide"]))
    assert "shown" in text(slide.shown[0])


@pytest.mark.parametrize("path", execute.notebook_paths(), ids=lambda path: path.stem)
def test_the_slides_of_a_notebook_have_all_its_figures_and_numbered_equations(path):
    notebook = nbformat.read(path, 4)
    shown = "".join(part for slide in slides.slides_of(notebook, path.stem) for part in slide.shown)
    cells = [cell for cell in notebook.cells if "check" not in cell.metadata.get("tags", [])]
    figures = sum("image/png" in o.get("data", {}) for c in cells for o in c.get("outputs", []))
    assert shown.count('<div class="picture">') == figures
    texts = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    numbers = BeautifulSoup(shown, "html.parser").select('mtd[style*="text-align: right"]:last-child')
    assert [f"\\tag{{{cell.get_text()[1:-1]}}}" for cell in numbers] == re.findall(r"\\tag\{.*?\}", texts)
    assert "$$" not in shown


def test_the_command_writes_a_deck_for_each_notebook_and_an_index_with_the_sessions(tmp_path, capsys):
    assert main(["slides", "--out", str(tmp_path / "slides")]) == 0
    names = {path.stem for path in execute.notebook_paths()}
    assert {path.stem for path in (tmp_path / "slides").iterdir()} == names | {"index"}
    soup = BeautifulSoup((tmp_path / "slides" / "index.html").read_text(), "html.parser")
    assert {link["href"] for link in soup.select("ul a")} == {f"{name}.html" for name in names}
    sessions = [row.td.get_text() for row in soup.table("tr")[1:]]
    assert sessions == [str(k) for k in range(1, len(sessions) + 1)]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kept.txt").write_text("mine")
    assert main(["slides", "--out", str(tmp_path / "other")]) == 2
    assert "holds other files" in capsys.readouterr().err

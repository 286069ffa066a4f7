"""Slides of each notebook: its headings, equations, figures and tables, with the text below as notes.

What becomes a slide follows from the notebook; a code cell is shown if it is tagged `slide`.
"""

import html
import re
import struct
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from ctgan_utils import outputs
from ctgan_utils.course import pages
from ctgan_utils.runtime import atomic_write

LEAD = 420  # letters at most of a text that opens a slide; a longer one is for the notes
LIST = 700  # letters at most of a list that is shown
TABLE = 1_500  # letters at most of a table's rows; those of a longer one go on, on further slides
LEFT_OUT = ("References",)  # sections without slides
PLAN = re.compile(r"^## How to teach from this$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclass
class Slide:
    """A title as HTML, what is shown below it, and what the speaker says; a kind is "", "part" or "title"."""

    title: str
    kind: str = ""
    shown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_full: bool = False  # with a picture, a table or code: nothing more goes on it

    @property
    def level(self) -> str:
        return "h1" if self.kind else "h2"


def write_decks(folder: Path, notebooks: Sequence[Path]) -> list[Path]:
    """Write the slides of executed notebooks into a folder, NAME.html, and index.html; returns their paths.

    Raises UserError if the folder holds other files.
    """
    outputs.check_folder(folder, is_ours=_is_of_slides)
    write_index(folder, notebooks)  # marks the folder
    return [write_deck(path, folder) for path in notebooks]


def write_deck(executed: Path, folder: Path) -> Path:
    """Write the slides of one executed notebook, NAME.ipynb, as NAME.html; returns their path."""
    notebook = nbformat.read(executed, 4)
    text = _fill(_title(notebook), slides_of(notebook, executed.stem))
    atomic_write(folder / f"{executed.stem}.html", text.encode())
    return folder / f"{executed.stem}.html"


def write_index(folder: Path, notebooks: Sequence[Path]) -> None:
    """Write index.html: all slides, and the sessions of a class as the course's first notebook plans them."""
    titles = {path.stem: _title(nbformat.read(path, 4)) for path in notebooks}
    links = "\n".join(f"- [{title}]({name}.ipynb)" for name, title in titles.items())
    cells = nbformat.read(notebooks[0], 4).cells if notebooks else []
    plans = [match[0] for cell in cells if (match := PLAN.search(cell.source))]
    markup = pages.Renderer("index").markdown("\n\n".join([f"# Slides\n\n{links}", *plans]))
    text = pages.fill("slides_index.html", mark=outputs.mark("slides"), body=markup)
    atomic_write(folder / "index.html", text.encode())


def _fill(title: str, slides: Sequence[Slide]) -> str:
    formatter = HtmlFormatter(style="monokai")
    dark = formatter.get_style_defs(':root[data-theme="dark"] .highlight')
    code_css = f"{HtmlFormatter().get_style_defs('.highlight')}\n{dark}"
    mark = outputs.mark("slides")
    return pages.fill("slides.html", mark=mark, title=html.escape(title), slides=slides, code_css=code_css)


def _title(notebook: NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def slides_of(notebook: NotebookNode, name: str) -> list[Slide]:
    """The slides of a notebook, in its order. A title without anything below it, or notes, is left out."""
    slides: list[Slide] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for element in _elements(pages.Renderer(name).markdown(cell.source)):
                if not slides and element.name != "h1":  # such as the report of a run that failed
                    slides.append(Slide(name))
                _add_text(slides, element)
        elif cell.cell_type == "code" and slides:
            _add_code(slides, cell, name)
    for slide in slides:
        if slide.notes and not slide.shown:  # a section of long texts opens with the first of them
            slide.shown.append(slide.notes.pop(0))
    return [s for s in slides if (s.shown or s.kind) and s.title not in LEFT_OUT]


def _elements(markup: str) -> Iterator[Tag]:
    for element in BeautifulSoup(markup, "html.parser").find_all(recursive=False):
        for anchor in element.select(".anchor-link"):
            anchor.decompose()
        yield element


def _add_text(slides: list[Slide], element: Tag) -> None:
    text = str(element)
    if element.name in ("h1", "h2", "h3", "h4"):
        kind = "" if element.name != "h1" else "part" if slides else "title"
        slides.append(Slide(element.decode_contents(), kind))
    elif element.name == "details":
        return  # a solution
    elif element.select_one('math[display="block"]'):
        _open(slides).shown.append(text)
    elif element.name == "ol" and slides[-1].title == "Exercises":
        _open(slides, is_new=bool(slides[-1].shown)).shown.append(text)
    elif element.name == "table":
        _show_table(slides, element)
    elif _fits(slides[-1], element):
        slides[-1].shown.append(text)
    else:
        slides[-1].notes.append(text)


def _fits(slide: Slide, element: Tag) -> bool:
    """Whether a list is short enough to be shown, or a text that opens its section."""
    letters = len(element.get_text())
    if element.name == "p":
        return letters <= LEAD and not slide.shown and not slide.notes
    return element.name in ("ul", "ol") and letters <= LIST and not slide.is_full


def _add_code(slides: list[Slide], cell: NotebookNode, name: str) -> None:
    if "slide" in cell.metadata.get("tags", []):
        _show(slides, Highlight2HTML(pygments_lexer="python")(cell.source))
    if "check" in cell.metadata.get("tags", []):
        return  # its outputs give the answer away
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            _show(slides, _picture(data["image/png"], slides[-1].title))
        elif "text/html" in data:
            table = BeautifulSoup(pages.Renderer(name).output_html(data["text/html"]), "html.parser").table
            if table:
                _show_table(slides, table)


def _open(slides: list[Slide], is_new: bool = False) -> Slide:
    """The last slide if it has room, else a new one with the same title."""
    if slides[-1].is_full or is_new:
        slides.append(Slide(slides[-1].title))
    return slides[-1]


def _show(slides: list[Slide], markup: str) -> None:
    """Put a picture, a table or code on a slide: below a short text if it can, else on one of its own."""
    last = slides[-1]
    has_room = not last.shown or (len(last.shown) == 1 and not last.notes and not last.kind)
    slide = _open(slides, is_new=not has_room)
    slide.shown.append(markup)
    slide.is_full = True


def _show_table(slides: list[Slide], table: Tag) -> None:
    """Show a table; a long one on several slides, each with its head, unless cells reach over rows."""
    rows = [] if table.select_one("tbody [rowspan]") else table.select("tbody > tr")
    parts: list[list[Tag]] = [[]]
    for row in rows:
        if parts[-1] and sum(len(r.get_text()) for r in [*parts[-1], row]) > TABLE:
            parts.append([])
        parts[-1].append(row.extract())
    body = table.tbody
    for part in parts:
        if body and part:
            body.clear()
            body.extend(part)
        _show(slides, str(table))


def _picture(png: str, title: str) -> str:
    width, height = struct.unpack(">II", b64decode(png[:44])[16:24])
    about = html.escape(f"figure: {BeautifulSoup(title, 'html.parser').get_text()}")
    source = "data:image/png;base64," + "".join(png.split())
    picture = f'<img style="--ratio: {width / height:.4f}" alt="{about}" src="{source}">'
    return f'<div class="picture">{picture}</div>'


def _is_of_slides(folder: Path) -> bool:
    index = folder / "index.html"
    return index.is_file() and outputs.is_marked(index, "slides")

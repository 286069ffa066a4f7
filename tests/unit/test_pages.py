"""The course's web pages: equations are drawn, code and money stay as they are, and nothing is fetched."""

import re
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from ctgan_utils.course import index, pages
from ctgan_utils.course.execute import notebook_paths

ADDRESSES = ("src", "srcset", "poster", "data", "background")  # what a browser fetches; of links, <link> only
NUMBER = 'mtd[style*="text-align: right"]:last-child'
TEX = r"\$[^$]*\$|\\[a-zA-Z({[]+"


def soup_of(*cells):
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(c) if isinstance(c, str) else c for c in cells])
    return BeautifulSoup(pages.page(notebook, "00_test"), "html.parser")


def text_of(soup):
    """What a reader sees, without code and equations."""
    texts = soup.body.find_all(string=True)
    return "".join(text for text in texts if not text.find_parent(["code", "pre", "math", "style"]))


def fetched(soup):
    """What a browser would fetch to show a page, and scripts, which may fetch anything."""
    addresses = [element[name] for name in ADDRESSES for element in soup.select(f"[{name}]")]
    addresses += [element["href"] for element in soup.select("link[href], image[href], use[href]")]
    for style in [*soup("style"), *soup.select("[style]")]:
        rules = re.sub(r"/\*.*?\*/", "", style.get("style") or style.get_text(), flags=re.DOTALL)
        addresses += re.findall(r"@import[^;]*", rules)
        addresses += re.findall(r"url\(\s*[\"']?([^\"')]*)", rules)
    own = [pages.fill("theme.js").strip()]  # the button for light and dark
    scripts = [script for script in soup("script") if script.get_text().strip() not in own or script.attrs]
    addresses += [str(element) for element in [*scripts, *soup(["iframe", "object", "embed"])]]
    return [address for address in addresses if not address.startswith(("data:", "#"))]


@pytest.fixture(scope="module")
def course():
    """The page of each committed notebook, parsed, by the notebook's name."""
    return {path.stem: soup_of(*nbformat.read(path, 4).cells) for path in notebook_paths()}


def test_every_equation_of_the_course_becomes_mathml(caplog):
    for path in notebook_paths():
        cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
        soup = soup_of(*cells)
        prose = re.sub(r"```.*?```|`[^`]*`", "", "\n\n".join(cells), flags=re.DOTALL)
        displayed = re.findall(r"\$\$.*?\$\$", prose, re.DOTALL)
        inline = re.findall(r"\$[^$]+\$", re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL))
        assert len(soup.select('math[display="block"]')) == len(displayed), path.stem
        assert len(soup("math")) == len(displayed) + len(inline), path.stem
        assert not re.findall(TEX, " ".join(math.get_text() for math in soup("math"))), path.stem
        numbers = re.findall(r"\\tag\{(.*?)\}", prose)
        assert [cell.get_text() for cell in soup.select(NUMBER)] == [f"({number})" for number in numbers]
    assert caplog.messages == []


def test_the_pages_of_the_course_show_no_tex(course):
    for name, soup in course.items():
        assert not re.findall(TEX, text_of(soup)), name


def test_the_pages_of_the_course_fetch_nothing(course):
    for name, soup in course.items():
        assert fetched(soup) == [], name


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="https://a.org/x.js"></script>',
        "<script>import('https://a.org/x.js')</script>",
        '<link rel="stylesheet" href="https://a.org/x.css">',
        '<img src="http://a.org/x.png">',
        '<img src="picture.png">',
        "<style>@import 'https://a.org/x.css';</style>",
        '<style>@font-face { src: url("https://a.org/x.woff2") }</style>',
        '<p style="background: url(https://a.org/x.png)">',
    ],
)
def test_what_would_be_fetched_is_found(markup):
    assert fetched(BeautifulSoup(markup, "html.parser"))


def test_pictures_inside_the_page_and_links_for_readers_are_not_fetched():
    style = '<style>/* url(https://a.org) */ a { background: url("data:image/png;base64,AA") }</style>'
    markup = f'{style}<a href="https://a.org">a link</a><img src="data:image/png;base64,AA">'
    assert fetched(BeautifulSoup(markup, "html.parser")) == []


def test_links_between_notebooks_lead_to_their_pages(course):
    places = {name: {element["id"] for element in soup.select("[id]")} for name, soup in course.items()}
    for name, soup in course.items():
        for link in soup.select('a[href]:not([href^="http"], header a)'):
            path, _, place = link["href"].partition("#")
            to = path.removesuffix(".html") or name
            assert to in places, link
            assert not place or {place, unquote(place)} & places[to], link


def test_the_links_of_others_stay():
    soup = soup_of("[a](https://a.org/x.ipynb) [b](../x.ipynb) [c](01_x.ipynb#A-place) [d](#here)")
    hrefs = [link["href"] for link in soup.select("p a")]
    assert hrefs == ["https://a.org/x.ipynb", "../x.ipynb", "01_x.html#A-place", "#here"]


def test_dollars_that_are_no_equations_stay():
    code = v4.new_code_cell('price = "$5$"', outputs=[v4.new_output("stream", text="$a_1$ costs $$2$$")])
    soup = soup_of("It costs \\$5, or \\$6 with `$x$`.\n\n```\n$$y$$\n```\n\n    $z$\n", code)
    assert soup("math") == []
    assert "It costs $5, or $6 with" in text_of(soup)
    shown = " ".join(element.get_text() for element in soup("pre"))
    assert all(dollars in shown for dollars in ("$$y$$", "$z$", '"$5$"', "$a_1$ costs $$2$$"))


def test_equations_are_no_markdown():
    soup = soup_of(r"$a_1 * b_2 * c_1$ and $\{A\}$, $x<y$, $$\begin{pmatrix}1\\2\end{pmatrix}$$")
    texts = [math.get_text() for math in soup("math")]
    assert texts == ["a1∗b2∗c1", "{A}", "x<y", "(12)"]
    assert len(soup("mtr")) == 3  # the equation's own, and the matrix' two
    assert soup.select("p em") == []


def test_a_tag_is_the_number_at_the_right():
    (row,) = soup_of(r"$$x = 1 \tag{3.1}$$")("mtr")
    assert [cell.get_text() for cell in row("mtd")] == ["", "x=1", "(3.1)"]
    assert "text-align: right" in row("mtd")[-1]["style"]


def test_a_big_bracket_stands_in_a_row_of_its_own():
    (power,) = soup_of(r"$\big(x\big)^2$")("msup")
    assert [(child.name, child.get_text()) for child in power.children] == [("mrow", ")"), ("mn", "2")]


def test_an_equation_that_cannot_be_converted_stays_tex_and_is_told_in_a_line(caplog):
    soup = soup_of(r"One: $\unknown{x}$." "\n\n" r"$$a" "\n" r"& b$$" "\n\n" r"\begin{strange}x\end{strange}")
    assert soup("math") == []
    for tex in (r"$\unknown{x}$", "$$a\n& b$$", r"\begin{strange}x\end{strange}"):
        assert tex in text_of(soup)
    assert [message.count("\n") for message in caplog.messages] == [0, 0, 0]
    assert caplog.messages[0].startswith(r"00_test: stays TeX in the page: \unknown{x} (")


def test_printed_equations_are_drawn():
    latex = v4.new_output("display_data", {"text/latex": r"$\displaystyle x_1$", "text/plain": "x1"})
    markdown = v4.new_output("display_data", {"text/markdown": "so $y$"})
    table = "<p title='$1$'>$z < 2$ &lt; &amp; 3 <a href='01_x.ipynb#a'>01</a> <code>$5$</code></p>"
    html = v4.new_output("display_data", {"text/html": table})
    soup = soup_of(v4.new_code_cell("show()", outputs=[latex, markdown, html]))
    assert [math.get_text() for math in soup("math")] == ["x1", "y", "z<2"]
    paragraph = soup.select_one("p[title]")
    assert paragraph["title"] == "$1$"
    assert paragraph.get_text() == "z<2 < & 3 01 $5$"
    assert paragraph.a["href"] == "01_x.html#a"


def test_widgets_are_not_loaded():
    notebook = v4.new_notebook(cells=[v4.new_code_cell("1")])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    soup = BeautifulSoup(pages.page(notebook, "00_test"), "html.parser")
    assert "http" not in " ".join(fetched(soup))


def test_each_page_leads_back_to_the_course_and_to_its_slides():
    assert [link["href"] for link in soup_of("# A").select("header a")] == [
        "../index.html",
        "../slides/00_test.html",
    ]


def test_the_search_leads_to_places_that_are_there(course):
    places = {name: {element["id"] for element in soup.select("[id]")} for name, soup in course.items()}
    rows = index.search_rows(course, notebook_paths())
    numbered = [row for row in rows if re.match(r"(Equation|Figure) [\dA]", row["title"]) and row["href"]]
    assert len(numbered) > 60
    assert all("#" in row["href"] for row in numbered)
    for row in rows:
        page, _, place = row["href"].partition("#")
        name = page.removeprefix("html/").removesuffix(".html")
        assert not page or name in places, row
        assert not place or {place, unquote(place)} & places[name], row

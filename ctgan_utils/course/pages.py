"""An executed notebook as a web page that needs no network, and what all pages of the course share."""

import base64
import html
import logging
import re
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from math_core import LatexError, LatexToMathML
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath, MathInlineParser
from nbformat import NotebookNode

from ctgan_utils.runtime import atomic_write

LOG = logging.getLogger(__name__)
HERE = Path(__file__).parent
MATH_FONT = HERE / "stix_two_math.woff2"  # its source and licence: stix_two_math.txt
TEMPLATES = Environment(loader=FileSystemLoader(HERE), autoescape=False)  # what they take is HTML


def write_page(executed: Path, out: Path) -> None:
    """Write the page of one executed notebook, NAME.ipynb, as html/NAME.html."""
    text = page(nbformat.read(executed, 4), executed.stem)
    atomic_write(out / "html" / f"{executed.stem}.html", text.encode())


def page(notebook: NotebookNode, name: str) -> str:
    """A notebook as one HTML file that is complete in itself.

    Its equations are MathML, which browsers draw without a script, in a font that the page brings along. An
    equation that cannot be converted stays TeX, and a warning tells which one. Links to other notebooks lead
    to their pages, in the same folder.
    """
    renderer = Renderer(name)
    filters = {"markdown2html": renderer.markdown, "output_html": renderer.output_html, "dark": _dark}
    exporter = HTMLExporter(raw_template=TEMPLATE, filters=filters)
    css = f"{_text('theme.css')}\n{math_css()}\n{PAGE_CSS}"
    resources = {"metadata": {"name": name}, "course_css": css, "theme_js": _text("theme.js")}
    text, _ = exporter.from_notebook_node(notebook, resources)
    return text


def fill(template: str, **values: Any) -> str:
    """A page made from a template beside this file, with the course's colours, equations and code."""
    shared = {name.replace(".", "_"): _text(name) for name in ("theme.css", "theme.js")}
    return TEMPLATES.get_template(template).render(**shared, math_css=math_css(), **values)


def math_css() -> str:
    """The rules by which equations are drawn, with their font in them."""
    return MATH_CSS.replace("FONT", base64.b64encode(MATH_FONT.read_bytes()).decode())


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


class Renderer(IPythonRenderer):
    """Markdown as nbconvert reads it, with equations as MathML and links to pages instead of notebooks."""

    def __init__(self, name: str) -> None:
        super().__init__(escape=False)
        self.name = name
        self.converter = LatexToMathML(fancy_error=False)

    def markdown(self, source: str) -> str:
        """A text in Markdown as HTML."""
        return MarkdownWithMath(renderer=self).render(source)

    def inline_math(self, body: str) -> str:
        return self._mathml(body, False) or super().inline_math(body)

    def block_math(self, body: str) -> str:
        tex = rf"\begin{{equation*}}{body}\end{{equation*}}"  # where TeX allows a \tag
        return self._mathml(tex, True) or super().block_math(body)

    def latex_environment(self, name: str, body: str) -> str:
        tex = rf"\begin{{{name}}}{body}\end{{{name}}}"
        return self._mathml(tex, True) or super().latex_environment(name, body)

    def _mathml(self, tex: str, is_display: bool) -> str:
        try:
            mathml = self.converter.convert_with_global_state(tex, displaystyle=is_display)
        except LatexError as error:
            LOG.warning("%s: stays TeX in the page: %s (%s)", self.name, " ".join(tex.split()), error)
            return ""
        # a \big bracket stands in a row of its own: else Chromium lowers it where it has an exponent
        return re.sub(r"<mo minsize=.*?</mo>", r"<mrow>\g<0></mrow>", mathml)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, _page_of(url), title)

    def output_html(self, markup: str) -> str:
        """HTML that a cell has displayed, such as a table, with the equations and links in its texts."""
        soup = BeautifulSoup(markup, "html.parser")
        for link in soup.select("a[href]"):
            link["href"] = _page_of(str(link["href"]))
        for text in soup.find_all(string=re.compile(r"\$")):
            if not text.find_parent(["code", "pre", "script", "style"]):
                parts = re.split(MathInlineParser.INLINE_MATH_TEX, text)  # every other one is an equation
                parts[::2] = map(html.escape, parts[::2])
                parts[1::2] = map(self.inline_math, parts[1::2])
                text.replace_with(BeautifulSoup("".join(parts), "html.parser"))
        return str(soup)


def _page_of(address: str) -> str:
    """The page beside this one, for the address of a notebook beside this one; others stay as they are."""
    return re.sub(r"^([^/]+)\.ipynb(?=#|$)", r"\1.html", address)


def _dark(style: str) -> str:
    """JupyterLab's dark colours, for when the reader has chosen them."""
    return str(style).replace(":root", ':root[data-theme="dark"]')


MATH_CSS = """
@font-face { font-family: "STIX Two Math"; src: url(data:font/woff2;base64,FONT) }
math { font-family: "STIX Two Math", math; font-size: 1.1em }
p:has(> math[display="block"]) { overflow: auto hidden }
:is(munder, mover) > mo { outline: 20em solid transparent } /* else Chromium may cut the ends of braces off */
"""

PAGE_CSS = """
body.jp-Notebook { background: var(--paper) }
main { max-width: 72rem; margin: auto }
header.course { display: flex; gap: 1.2rem; align-items: center; padding: .6rem 1.2rem }
header.course { font: .9rem system-ui, sans-serif }
header.course a { color: var(--link) }
header.course .theme { margin-left: auto; color: var(--soft) }
.jp-RenderedImage img { background: #fff; border: 1px solid var(--line); border-radius: .4rem }
.jp-RenderedImage img { padding: .5rem; box-sizing: border-box }
"""

# nbconvert's own page, without what it loads: MathJax, require.js, Mermaid and the widgets' scripts.
TEMPLATE = """{% extends "index.html.j2" %}
{% block html_head_js %}<script>{{ resources.theme_js }}</script>{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_css %}
{{ resources.include_css("static/theme-dark.css") | dark }}
<style>{{ resources.course_css }}</style>{% endblock %}
{% block body_header %}{{ super() }}
<header class="course"><a href="../index.html">the course</a>
<a href="../slides/{{ resources.metadata.name }}.html">slides</a>
<button class="button theme" type="button">light / dark</button></header>
{% endblock %}
{% block data_html %}{{ super() | output_html }}{% endblock %}
{% block data_latex %}
<div class="jp-RenderedHTMLCommon jp-RenderedLatex jp-OutputArea-output">
{{ output.data["text/latex"] | markdown2html }}
</div>
{% endblock %}
"""

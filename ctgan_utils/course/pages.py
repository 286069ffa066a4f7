"""The course as web pages: one for each executed notebook, and the index. They need no network."""

import base64
import html
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from math_core import LatexError, LatexToMathML
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath, MathInlineParser
from nbformat import NotebookNode

from ctgan_utils import outputs
from ctgan_utils.runtime import atomic_write

LOG = logging.getLogger(__name__)
MATH_FONT = Path(__file__).with_name("stix_two_math.woff2")  # its source and licence: stix_two_math.txt


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
    renderer = _Renderer(name)
    filters = {
        "markdown2html": MarkdownWithMath(renderer=renderer).render,
        "output_html": renderer.output_html,
    }
    exporter = HTMLExporter(raw_template=TEMPLATE, filters=filters)
    font = base64.b64encode(MATH_FONT.read_bytes()).decode()
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": name}, "math_font": font})
    return text


def write_index(out: Path, results: Sequence[dict[str, Any]], parameters: dict[str, Any]) -> None:
    """Write index.html: one row per notebook that has run, with its figures."""
    rows = []
    for result in results:
        name = result["path"].stem
        notebook = nbformat.read(result["path"], 4)
        title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
        state = f"failed: {html.escape(result['error'])}" if result["error"] else f"{result['seconds']:.0f} s"
        figures = "".join(
            f'<a href="figures/{figure}"><img src="figures/{figure}" alt="{figure}" loading="lazy"></a>'
            for figure in result["figures"]
        )
        rows.append(
            f'<tr><td><a href="html/{name}.html">{html.escape(title)}</a><br><small>{state} · '
            f'<a href="notebooks/{name}.ipynb">notebook</a> · <a href="{name}.json">numbers</a></small></td>'
            f"<td>{figures}</td></tr>"
        )
    about = f"data: {parameters['DATA']}, profile: {parameters['PROFILE']}, seed: {parameters['SEED']}"
    text = INDEX.format(mark=outputs.mark("course"), about=html.escape(about), rows="\n".join(rows))
    atomic_write(out / "index.html", text.encode())


class _Renderer(IPythonRenderer):
    """Markdown as nbconvert reads it, with equations as MathML and links to pages instead of notebooks."""

    def __init__(self, name: str) -> None:
        super().__init__(escape=False)
        self.name = name
        self.converter = LatexToMathML(fancy_error=False)

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


# nbconvert's own page, without what it loads: MathJax, require.js, Mermaid and the widgets' scripts.
TEMPLATE = """{% extends "index.html.j2" %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_css %}<style>
@font-face { font-family: "STIX Two Math"; src: url(data:font/woff2;base64,{{ resources.math_font }}) }
math { font-family: "STIX Two Math", math; font-size: 1.1em }
p:has(> math[display="block"]) { overflow: auto hidden }
:is(munder, mover) > mo { outline: 20em solid transparent } /* else Chromium may cut the ends of braces off */
</style>{% endblock %}
{% block data_html %}{{ super() | output_html }}{% endblock %}
{% block data_latex %}
<div class="jp-RenderedHTMLCommon jp-RenderedLatex jp-OutputArea-output">
{{ output.data["text/latex"] | markdown2html }}
</div>
{% endblock %}
"""

INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{mark}<title>GANs for CT images: the course</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
td {{ vertical-align: top; padding: .6rem; border-top: 1px solid #ddd }} td:first-child {{ width: 20rem }}
img {{ height: 6rem; margin: 0 .4rem .4rem 0; border: 1px solid #eee }} small {{ color: #666 }}
</style></head><body><h1>GANs for CT images</h1><p>{about}</p><table>
{rows}
</table></body></html>
"""

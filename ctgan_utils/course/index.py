"""The course's first page: notebooks with their figures, the thesis by chapters, a glossary, and a search."""

import base64
import html
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat

from ctgan_utils import outputs
from ctgan_utils.course import pages, trace
from ctgan_utils.runtime import REPOSITORY, atomic_write

HERO = REPOSITORY / "data" / "results" / "opening.png"
GLOSSARY = REPOSITORY / "GLOSSARY.md"
ENTRY = re.compile(r"^- \*\*(?P<term>.+?)\*\*(?P<meaning>.+) \[\d\d\]\(notebooks/(?P<notebook>\w+)\.ipynb\)$")


def write_index(
    out: Path, notebooks: Sequence[Path], results: Sequence[dict[str, Any]], parameters: dict[str, Any]
) -> None:
    """Write index.html for the notebooks of a run: those with a result, executed, and those still to come."""
    by_name = {result["path"].stem: result for result in results}
    rows = search_rows(list(by_name), [result["path"] for result in results])
    failed = sum(bool(result["error"]) for result in results)
    state = f"{len(results)} of {len(notebooks)} notebooks have run" + f", {failed} failed" * bool(failed)
    text = pages.fill(
        "index.html",
        mark=outputs.mark("course"),
        is_running=len(results) < len(notebooks),
        about=html.escape(
            f"data: {parameters['DATA']}, profile: {parameters['PROFILE']}, seed: {parameters['SEED']}"
        ),
        state=state,
        share=100 * len(results) // max(1, len(notebooks)),
        repository=hosted(REPOSITORY),
        hero=base64.b64encode(HERO.read_bytes()).decode(),
        cards=[_card(path, by_name.get(path.stem)) for path in notebooks],
        chapters=[_chapter(key, title, by_name) for key, title in trace.CHAPTERS.items()],
        terms=[_term(entry, by_name) for entry in glossary()],
        rows=json.dumps(rows).replace("<", "\\u003c"),
    )
    atomic_write(out / "index.html", text.encode())


def hosted(clone: Path) -> str:
    """The clone's "owner/name" on GitHub, by the address it was cloned from; "" if it is elsewhere."""
    command = ["git", "-C", str(clone), "config", "--get", "remote.origin.url"]
    try:
        address = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:  # no git: a copy of the repository
        return ""
    match = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(\.git)?/?$", address)
    return match[1] if match else ""


def glossary() -> list[dict[str, str]]:
    """The entries of GLOSSARY.md: {"term", "meaning", "notebook"}, a meaning with what follows the term."""
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    return [match.groupdict() for line in lines if (match := ENTRY.fullmatch(line))]


def search_rows(executed: Iterable[str], notebooks: Iterable[Path]) -> list[dict[str, str]]:
    """What the search finds: {"title", "about", "href"} for each row of the trace, heading, and term.

    href is the page of an executed notebook, with the place in it, or "" where there is none.
    """
    here = set(executed)
    rows = []
    for row in trace.read_trace():
        numbered = row["kind"] in ("equation", "figure")
        place = ""
        if row["notebook"] in here and row["status"] != "open":
            place = _page(row["notebook"], trace.heading(row) if numbered else "")
        title = f"{row['kind']} {row['id']}" if numbered else f"{row['kind']}: {row['what']}"
        about = f"{row['what']} · section {row['section']} · {row['notebook'][:2]}, {row['status']}"
        rows.append({"title": title.capitalize(), "about": about, "href": place})
    headings = [(path.stem, title) for path in notebooks if path.stem in here for title in _headings(path)]
    often = Counter(title for _, title in headings)
    for name, title in headings:
        if often[title] < 3:  # not "Exercises" and the like
            rows.append({"title": title, "about": f"notebook {name[:2]}", "href": _page(name, title)})
    for entry in glossary():
        place = _page(entry["notebook"]) if entry["notebook"] in here else ""
        about = re.sub(r"[*`$]", "", entry["meaning"].removeprefix(": "))
        rows.append({"title": entry["term"], "about": about, "href": place})
    return rows


def _page(name: str, heading: str = "") -> str:
    return f"html/{name}.html" + f"#{trace.anchor(heading)}" * bool(heading)


def _headings(path: Path) -> list[str]:
    cells = nbformat.read(path, 4).cells
    texts = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"^##+ (.+)$", re.sub(r"```.*?```", "", texts, flags=re.DOTALL), re.MULTILINE)


def _card(path: Path, result: dict[str, Any] | None) -> dict[str, Any]:
    opening = nbformat.read(path, 4).cells[0].source.split("\n\n")
    about = opening[1] if len(opening) > 1 else ""
    card = {"name": path.stem, "title": html.escape(opening[0].lstrip("# ")), "about": _html(about)}
    if result is None:
        return {**card, "state": "not run yet"}
    error = result["error"]
    state = f"failed: {html.escape(error)}" if error else f"{result['seconds']:.0f} s"
    return {**card, "state": state, "failed": error, "href": _page(path.stem), "figures": result["figures"]}


def _chapter(key: str, title: str, here: Iterable[str]) -> dict[str, Any]:
    rows = [row for row in trace.read_trace() if row["section"].split(".")[0] == key]
    count = Counter(row["status"] for row in rows)
    names = sorted({row["notebook"] for row in rows if row["status"] != "open" and row["notebook"] in here})
    return {
        "title": f"{key} · {title}",
        "counts": ", ".join(f"{count[status]} {status}" for status in ("done", "partial", "open")),
        "links": " ".join(f'<a href="{_page(name)}">{name[:2]}</a>' for name in names),
        **{status: 100 * count[status] / max(1, len(rows)) for status in ("done", "partial")},
    }


def _term(entry: dict[str, str], here: Iterable[str]) -> dict[str, str]:
    name = entry["notebook"]
    where = f'<a href="{_page(name)}">{name[:2]}</a>' if name in here else name[:2]
    return {"term": entry["term"], "meaning": _html(entry["meaning"]), "where": where}


def _html(markdown: str) -> str:
    """A line of Markdown as HTML without the paragraph around it; links to notebooks lead nowhere here."""
    text = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", markdown)
    return pages.Renderer("index").markdown(text).strip().removeprefix("<p>").removesuffix("</p>")

"""Execute the notebooks: `make course`, `make notebooks`, and the notebook tests run through here."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbformat import NotebookNode
from papermill.exceptions import PapermillException

from ctgan_utils import outputs
from ctgan_utils.course import index, pages, slides
from ctgan_utils.course.trace import figures_of, write_thumbnail
from ctgan_utils.data import at_hand
from ctgan_utils.runtime import REPOSITORY, UserError, atomic_write, nearest

NOTEBOOKS = REPOSITORY / "notebooks"
WEEKS = 30 * 24 * 3_600
CELL_TIMEOUT = {"smoke": 300, "lesson": 1_800, "thesis": WEEKS, "thesis-4gb": WEEKS}  # seconds


def notebook_paths() -> list[Path]:
    """The notebooks in the order of the course."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> float:
    """Run one notebook from a clean kernel and write it, with its outputs, to another file; returns seconds.

    Raises UserError for a parameter it does not have, and papermill's error when a cell fails; the outputs
    up to that cell are written all the same.
    """
    known = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        if name not in known:
            raise UserError(f"{notebook.name}: no parameter {name}; {nearest(name, known)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    papermill.execute_notebook(
        str(notebook),
        str(output),
        parameters,
        cwd=str(notebook.parent),
        kernel_name="python3",
        progress_bar=sys.stderr.isatty(),
        extra_arguments=["--IPKernelApp.log_level=50"],  # else it tells of its sockets and shutdown
        execution_timeout=CELL_TIMEOUT[parameters["PROFILE"]],
    )
    return time.perf_counter() - begun


def check_out(out: Path) -> None:
    """Raises UserError unless the course can be written there: to a new folder, an empty one, or its own."""
    outputs.check_folder(out, is_ours=_is_of_course)


def _is_of_course(folder: Path) -> bool:
    page = folder / "index.html"
    return page.is_file() and outputs.is_marked(page, "course")


def run_course(data: str, profile: str, seed: int, out: Path) -> list[str]:
    """Run every notebook; returns the names of those that failed. Writes outputs, figures and index.html."""
    os.environ["CTGAN_HEADLESS"] = "1"
    out = Path(out).resolve()
    parameters = {"PROFILE": profile, "DATA": data, "SEED": seed, "OUT": str(out)}
    paths = notebook_paths()
    results: list[dict[str, Any]] = []
    expected = {path: expected_seconds(path, profile) for path in paths}
    begun = time.perf_counter()
    index.write_index(out, paths, results, parameters)  # marks the folder
    for k, path in enumerate(paths):
        left = _minutes_left(expected, paths[:k], paths[k:], time.perf_counter() - begun)
        print(f"[{k + 1}/{len(paths)}] {path.stem:24} {left}", flush=True)
        executed, error = out / "notebooks" / path.name, None
        start, started_at = time.perf_counter(), time.time()
        try:
            execute(path, executed, parameters)
        except PapermillException as failure:
            error = str(failure).strip().splitlines()[-1]
            print(f"      failed: {error}", flush=True)
        figures = [p.name for p in sorted((out / "figures").glob("*.png")) if p.stat().st_mtime >= started_at]
        seconds = time.perf_counter() - start
        results.append({"path": executed, "seconds": seconds, "error": error, "figures": figures})
        pages.write_page(executed, out)
        slides.write_deck(executed, out / "slides")
        index.write_index(out, paths, results, parameters)
    slides.write_index(out / "slides", paths)
    print(f"{time.perf_counter() - begun:.0f} s; open {out / 'index.html'}")
    return [result["path"].stem for result in results if result["error"]]


def rerun_in_place(only: Sequence[str] = ()) -> None:
    """Re-execute the committed notebooks in place, in lesson on the phantom; renew their thumbnails.

    Raises UserError for an unknown name, and where real slices lie in data/: notebook 01 would show them.
    """
    for folder in at_hand().values():
        raise UserError(f"{folder}: its slices would get into committed outputs; move it away first")
    os.environ["CTGAN_HEADLESS"] = "1"
    names = [path.stem for path in notebook_paths()]
    for name in only:
        if name not in names:
            raise UserError(f"{name}: no such notebook; {nearest(name, names)}")
    for path in notebook_paths():
        if only and path.stem not in only:
            continue
        temporary = REPOSITORY / "build" / "notebooks" / path.name
        seconds = execute(path, temporary, {"PROFILE": "lesson"})
        notebook = nbformat.read(temporary, 4)
        atomic_write(path, nbformat.writes(clean(notebook)).encode() + b"\n")
        for figure in figures_of(path.stem):
            write_thumbnail(REPOSITORY / "build" / "figures" / f"{figure}.png")
        print(f"{path.stem}: {seconds:.0f} s", flush=True)


def clean(notebook: NotebookNode) -> NotebookNode:
    """A notebook without papermill's marks, widget state and times, so that a rerun changes outputs only."""
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in ("jupyter", "tags") if cell.metadata.get(key)}
        cell.metadata = nbformat.from_dict(kept)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    kept = {"kernelspec": kernel, "language_info": {"name": "python"}, "ctgan": notebook.metadata.ctgan}
    notebook.metadata = nbformat.from_dict(kept)
    return notebook


def expected_seconds(path: Path, profile: str) -> float | None:
    """The measured seconds that the notebook's metadata gives for a profile; None if not measured."""
    return nbformat.read(path, 4).metadata.get("ctgan", {}).get("seconds", {}).get(profile)


def notebook_table() -> str:
    """The notebooks as a Markdown table, read from their openings: title, thesis, times, what one does."""
    lines = ["| notebook | thesis | smoke | lesson | you will |", "|---|---|---|---|---|"]
    for path in notebook_paths():
        notebook = nbformat.read(path, 4)
        title, you_will, _, thesis, *_ = notebook.cells[0].source.split("\n\n")
        sections = thesis.split(":** ")[1].split(";")[0]
        seconds = notebook.metadata.ctgan.seconds
        about = " ".join(you_will.removeprefix("**You will** ").split())
        lines.append(
            f"| [{title.removeprefix('# ')}]({path.name}) | {sections} | {seconds['smoke']:.0f} s "
            f"| {seconds['lesson']:.0f} s | {about} |"
        )
    return "\n".join(lines)


def _minutes_left(expected, done, todo, elapsed):
    if any(expected[path] is None for path in expected):
        return ""
    planned = sum(expected[path] for path in done)
    speed = elapsed / planned if planned else 1.0
    return f"about {sum(expected[path] for path in todo) * speed / 60:.1f} min left"

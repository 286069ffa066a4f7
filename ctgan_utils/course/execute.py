"""Execute the notebooks: `make course`, `make notebooks`, and the notebook tests run through here."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
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
        progress_bar=False,  # two notebooks may run side by side
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
    """Run every notebook; returns the names of those that failed. Writes outputs, figures and index.html.

    Where there are cores for it, two notebooks run at a time, each on half of them: small networks keep few
    cores busy. The long profiles run one at a time, since each may fill the memory.
    """
    os.environ["CTGAN_HEADLESS"] = "1"
    cores = os.cpu_count() or 1
    at_once = 2 if cores > 1 and profile in ("smoke", "lesson") else 1
    os.environ.setdefault("OMP_NUM_THREADS", str(cores // at_once))
    out = Path(out).resolve()
    parameters = {"PROFILE": profile, "DATA": data, "SEED": seed, "OUT": str(out)}
    paths = notebook_paths()
    results: dict[Path, dict[str, Any]] = {}
    expected = {path: expected_seconds(path, profile) for path in paths}
    begun = time.perf_counter()
    index.write_index(out, paths, [], parameters)  # marks the folder
    print(f"{len(paths)} notebooks, {at_once} at a time; each is named when it has ended", flush=True)
    run = partial(_run_one, out=out, parameters=parameters)
    ignored = signal.SIGINT, signal.SIG_IGN  # Ctrl-C is for this process, which then ends the others
    with get_context("spawn").Pool(at_once, signal.signal, ignored) as pool:
        for path, result in pool.imap_unordered(run, paths):
            results[path] = result
            took = {done: r["seconds"] for done, r in results.items()}
            left = minutes_left(expected, took, at_once)
            done = f"[{len(results)}/{len(paths)}]"
            print(f"{done} {path.stem:24} {result['seconds']:4.0f} s   {left}", flush=True)
            if result["error"]:
                print(f"      failed: {result['error']}", flush=True)
            index.write_index(out, paths, [results[p] for p in paths if p in results], parameters)
    slides.write_index(out / "slides", paths)
    print(f"{time.perf_counter() - begun:.0f} s; open {out / 'index.html'}")
    return [path.stem for path in paths if results[path]["error"]]


def _run_one(path: Path, out: Path, parameters: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Run a notebook, and write its page and its slides; says how long it took, and what it drew."""
    executed, error = out / "notebooks" / path.name, None
    start, started_at = time.perf_counter(), time.time()
    try:
        execute(path, executed, parameters)
    except PapermillException as failure:  # of a cell
        error = str(failure).strip().splitlines()[-1]
    except (CellTimeoutError, DeadKernelError) as failure:  # of the kernel, which has run out of memory, say
        error = str(failure).splitlines()[0]
    seconds = time.perf_counter() - start
    pages.write_page(executed, out)
    slides.write_deck(executed, out / "slides")
    drawn = [p for p in sorted((out / "figures").glob("*.png")) if p.stat().st_mtime >= started_at]
    its_own = {path.stem[:2], *figures_of(path.stem)}  # another notebook draws into the same folder
    figures = [p.name for p in drawn if p.stem.split("-")[0] in its_own]
    return path, {"path": executed, "seconds": seconds, "error": error, "figures": figures}


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


def minutes_left(expected: Mapping[Path, float | None], took: Mapping[Path, float], at_once: int) -> str:
    """About how long the notebooks that are not among those that took some seconds still take, in words.

    This machine is as slow as they were against what was expected. A minute counts as if it had gone as
    expected, so that the first notebook, which draws the data for all, says little. "" if nothing is known.
    """
    known = {path: seconds for path, seconds in expected.items() if seconds is not None}
    if len(known) < len(expected):
        return ""
    done = sum(known[path] for path in took)
    slowness = (sum(took.values()) + 60) / (done + 60)
    return f"about {(sum(known.values()) - done) * slowness / at_once / 60:.0f} min left"

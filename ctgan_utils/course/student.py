"""Copies of the notebooks for a class: solutions emptied, outputs cleared."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ctgan_utils import outputs
from ctgan_utils.course.execute import notebook_paths
from ctgan_utils.runtime import UserError, atomic_write

SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION$.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
STUB = r'\1raise NotImplementedError("your answer")'
ANSWER = re.compile(r"<details>.*?</details>", re.DOTALL)


def emptied(source: str) -> str:
    """A cell's code with each region between nbgrader's solution marks replaced by a line that raises."""
    return SOLUTION.sub(STUB, source)


def exercises(notebook: NotebookNode) -> list[tuple[NotebookNode, NotebookNode]]:
    """The exercises in code, as pairs of cells: a solution, tagged so, and the check after it."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [
        (cell, check) for cell, check in zip(code, code[1:]) if "solution" in cell.metadata.get("tags", [])
    ]


def student_copy(notebook: NotebookNode) -> NotebookNode:
    """A notebook without its answers, in text and code, and without outputs; its checks stay."""
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = ANSWER.sub("*Your answer:*", cell.source)
            continue
        cell.source = emptied(cell.source)
        cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("jupyter", None)  # an emptied cell is not folded
    return copy


def write_student_copies(folder: Path | str) -> list[Path]:
    """Write a copy of every notebook into a new or empty folder; returns the paths.

    Raises UserError, and writes nothing, if the folder has one of them already, for a student's work is kept,
    or holds other files.
    """
    targets = {path: Path(folder) / path.name for path in notebook_paths()}
    if present := [target for target in targets.values() if target.exists()]:
        raise UserError(f"{present[0]}: there already, with somebody's answers perhaps; choose another --out")
    outputs.check_folder(Path(folder))
    for path, target in targets.items():
        text = nbformat.writes(student_copy(nbformat.read(path, 4)))
        atomic_write(target, text.encode() + b"\n")
    return list(targets.values())

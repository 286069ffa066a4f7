"""A course folder for nbgrader: each notebook an assignment, in which checks give the marks."""

import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ctgan_utils import outputs
from ctgan_utils.course.execute import notebook_paths
from ctgan_utils.course.student import ANSWER
from ctgan_utils.runtime import atomic_write

SCHEMA = 3  # the version of nbgrader's metadata; a test compares it with that of the installed nbgrader
PARAMETERS = {"PROFILE": '"smoke"', "OUT": '"build"'}  # what a grader runs: a minute, beside the notebook
NEIGHBOUR = re.compile(r"\]\((\d\d_\w+)\.ipynb")


def write_course_folder(folder: Path | str) -> list[Path]:
    """Write source/NAME/NAME.ipynb for every notebook, and nbgrader_config.py; returns the notebooks' paths.

    In the new or empty folder, nbgrader's commands then work as they are. Raises UserError, and writes
    nothing, if the folder holds other files.
    """
    folder = Path(folder)
    outputs.check_folder(folder)
    targets = {path: folder / "source" / path.stem / path.name for path in notebook_paths()}
    for path, target in targets.items():
        text = nbformat.writes(assignment(nbformat.read(path, 4)))
        atomic_write(target, text.encode() + b"\n")
    atomic_write(folder / "nbgrader_config.py", CONFIG.encode())
    return list(targets.values())


def assignment(notebook: NotebookNode) -> NotebookNode:
    """A notebook with its solutions, as nbgrader's source: it empties the solutions and grades by the checks.

    A check is worth a point. An answer in words becomes a cell of its own, which is graded by hand and worth
    nothing until the teacher gives it points. The parameters are put back before a notebook is graded, so
    that a student's choice of them costs no marks.
    """
    source = nbformat.from_dict(notebook)
    source.cells = [part for cell in source.cells for part in _without_answers(cell)]
    counts = dict.fromkeys(KINDS, 0)
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("jupyter", None)  # an emptied cell is not folded
        for kind in counts.keys() & set(cell.metadata.get("tags", [])):
            counts[kind] += 1
            grade_id = f"{kind}-{counts[kind]}"
            about = {"grade_id": grade_id, "schema_version": SCHEMA, "cell_type": cell.cell_type}
            cell.metadata.nbgrader = nbformat.from_dict({**about, **KINDS[kind]})
        if "parameters" in cell.metadata.get("tags", []):
            for name, value in PARAMETERS.items():
                cell.source = re.sub(
                    rf'^{name} = ".*?"', f"{name} = {value}", cell.source, flags=re.MULTILINE
                )
    return source


def _without_answers(cell: NotebookNode) -> list[NotebookNode]:
    """A text in parts, each folded answer a part of its own, tagged so; links lead to other assignments."""
    if cell.cell_type != "markdown":
        return [cell]
    parts = []
    for k, text in enumerate(re.split(f"({ANSWER.pattern})", cell.source, flags=ANSWER.flags)):
        if text := NEIGHBOUR.sub(r"](../\1/\1.ipynb", text.strip()):
            part = nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-{k}" if k else cell.id)
            part.metadata = nbformat.from_dict({"tags": ["answer"]} if k % 2 else cell.metadata)
            parts.append(part)
    return parts


KINDS: dict[str, dict[str, Any]] = {  # by the cell's tag, what nbgrader is told of it
    "solution": {"solution": True, "grade": False, "locked": False, "task": False},
    "check": {"solution": False, "grade": True, "locked": True, "task": False, "points": 1},
    "answer": {"solution": True, "grade": True, "locked": False, "task": False, "points": 0},
    "parameters": {"solution": False, "grade": False, "locked": True, "task": False},
}

CONFIG = '''"""The course in nbgrader. In this folder, for the assignment 05_learnable_kernel, say:

    nbgrader generate_assignment 05_learnable_kernel    # release/: for the students, without solutions
    nbgrader autograde 05_learnable_kernel              # grades submitted/STUDENT/05_learnable_kernel/
    nbgrader generate_feedback 05_learnable_kernel      # feedback/: pages for the students

nbgrader runs the notebooks with the Python it is installed for, which needs this course's package too.
"""

import os
import sys

# nbgrader calls alembic, which lies beside its Python
os.environ["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
os.environ["CTGAN_HEADLESS"] = "1"  # no sliders where nobody moves them
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "gans_for_ct"
c.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("your answer")'}
c.ClearSolutions.text_stub = "*Your answer:*"
c.LockCells.lock_readonly_cells = False  # students may change the parameters; grading puts them back
c.Execute.timeout = 600  # seconds for a cell
'''

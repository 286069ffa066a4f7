"""The students' copies: nothing of the answers is left, everything else is."""

import ast
import re

import nbformat
import pytest

from ctgan_utils.__main__ import main
from ctgan_utils.course import execute, student

SOLVED = '''def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    half = x
    return half + x
    ### END SOLUTION


class Doubler:
    def __call__(self, x):
        ### BEGIN SOLUTION
        return 2 * x
        ### END SOLUTION
'''
EMPTIED = '''def double(x):
    """Twice x."""
    raise NotImplementedError("your answer")


class Doubler:
    def __call__(self, x):
        raise NotImplementedError("your answer")
'''


def test_each_solution_becomes_a_line_that_raises():
    assert student.emptied(SOLVED) == EMPTIED
    assert student.emptied(EMPTIED) == EMPTIED


@pytest.mark.parametrize("path", execute.notebook_paths(), ids=lambda path: path.stem)
def test_a_notebook_has_exercises_of_each_kind_and_its_copy_no_answers(path):
    notebook = nbformat.read(path, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    asked = re.findall(r"^(\d)\. \*\*(\w+)\.\*\*", text.split("## Exercises\n")[1], re.MULTILINE)
    assert [int(number) for number, _ in asked] == list(range(1, len(asked) + 1))
    assert 3 <= len(asked) <= 5
    kinds = [kind for _, kind in asked]
    assert set(kinds) == {"Predict", "Code", "Experiment", "Open"}
    assert text.count("<details>") >= len(kinds) - kinds.count("Code")
    pairs = student.exercises(notebook)
    assert len(pairs) == kinds.count("Code")
    for solution, check in pairs:
        assert solution.metadata.jupyter.source_hidden
        assert check.metadata.tags == ["check"]
        assert "NotImplementedError" in ast.dump(ast.parse(student.emptied(solution.source)))
    copy = nbformat.writes(student.student_copy(notebook))
    assert "SOLUTION" not in copy
    assert "<details>" not in copy


def test_a_copy_keeps_all_but_the_answers():
    notebook = nbformat.read(execute.notebook_paths()[0], 4)
    before = nbformat.writes(notebook)
    copy = student.student_copy(notebook)
    assert nbformat.writes(notebook) == before
    changed = [(a, b) for a, b in zip(notebook.cells, copy.cells) if a.source != b.source]
    assert all("solution" in a.metadata.get("tags", []) or "<details>" in a.source for a, b in changed)
    assert [cell.metadata.get("tags") for cell in copy.cells] == [
        cell.metadata.get("tags") for cell in notebook.cells
    ]
    assert not any(cell.outputs for cell in copy.cells if cell.cell_type == "code")
    nbformat.validate(copy)


def test_a_students_work_is_not_overwritten(tmp_path, capsys):
    assert main(["student", "--out", str(tmp_path)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [path.name for path in execute.notebook_paths()]
    for path in list(tmp_path.iterdir())[1:]:
        path.unlink()
    (kept,) = tmp_path.iterdir()
    kept.write_text("my answers")
    assert main(["student", "--out", str(tmp_path)]) == 2
    assert f"{kept}: there already" in capsys.readouterr().err
    assert [kept.read_text() for kept in tmp_path.iterdir()] == ["my answers"]

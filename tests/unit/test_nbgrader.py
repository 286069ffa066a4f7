"""The course folder, by nbgrader itself: solved copies get full marks, emptied ones none."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.nbgraderformat import SCHEMA_VERSION, MetadataValidator

from ctgan_utils.__main__ import main
from ctgan_utils.course import execute, nbgrader
from ctgan_utils.runtime import REPOSITORY

QUICK = sorted(execute.notebook_paths(), key=lambda path: execute.expected_seconds(path, "smoke"))[:2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    assert main(["student", "--nbgrader", "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("path", execute.notebook_paths(), ids=lambda path: path.stem)
def test_an_assignment_is_valid_and_has_every_exercise(path, folder):
    notebook = nbformat.read(path, 4)
    source = nbformat.read(folder / "source" / path.stem / path.name, 4)
    nbformat.validate(source)
    MetadataValidator().validate_nb(source)
    told = [cell.metadata.nbgrader for cell in source.cells if "nbgrader" in cell.metadata]
    assert {about.schema_version for about in told} == {SCHEMA_VERSION}
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    points = [about.points for about in told if about.grade]
    assert sum(points) == tags.count("check") > 0
    assert sum(about.solution and not about.grade for about in told) == tags.count("solution")
    folded = sum(cell.source.count("<details>") for cell in notebook.cells)
    assert points.count(0) == folded > 0
    assert not any(cell.get("outputs") for cell in source.cells)
    (parameters,) = [cell for cell in source.cells if "parameters" in cell.metadata.get("tags", [])]
    assert parameters.metadata.nbgrader.locked
    values = {}
    exec(parameters.source, values)
    assert (values["PROFILE"], values["DATA"], values["OUT"]) == ("smoke", "phantom", "build")


def test_no_word_is_lost_and_links_lead_to_the_assignments_beside():
    answers = "<details>one</details>\n\nMore.\n\n<details>two</details>"
    text = f"See [02](02_gan_foundations.ipynb#A-place).\n\n{answers}"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text, id="a")])
    cells = nbgrader.assignment(notebook).cells
    link = "[02](../02_gan_foundations/02_gan_foundations.ipynb#A-place)"
    assert [cell.source for cell in cells] == [
        f"See {link}.",
        "<details>one</details>",
        "More.",
        "<details>two</details>",
    ]
    assert [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in cells] == [
        None,
        "answer-1",
        None,
        "answer-2",
    ]


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_nbgrader_gives_a_solved_copy_full_marks_and_an_emptied_one_none(path, folder):
    name = path.stem
    run_nbgrader(folder, "generate_assignment", name)
    released = nbformat.read(folder / "release" / name / path.name, 4)
    text = nbformat.writes(released)
    assert "SOLUTION" not in text
    assert "<details>" not in text
    handed_in = {"solved": folder / "source" / name, "emptied": folder / "release" / name}
    for student, work in handed_in.items():
        shutil.copytree(work, folder / "submitted" / student / name)
    solved = folder / "submitted" / "solved" / name / path.name
    solved.write_text(solved.read_text().replace('PROFILE = \\"smoke\\"', 'PROFILE = \\"nonsense\\"'))
    run_nbgrader(folder, "autograde", name)
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        marks = {student: gradebook.find_submission(name, student) for student in handed_in}
        most = marks["solved"].max_score
        assert most > 0
        assert {student: mark.score for student, mark in marks.items()} == {"solved": most, "emptied": 0}


def run_nbgrader(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr

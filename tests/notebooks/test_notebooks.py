"""Every notebook: executed in the smoke profile, and committed as one clean run."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from ctgan_utils.course import execute, student
from ctgan_utils.runtime import UserError
from ctgan_utils.systems import PROFILES

PATHS = execute.notebook_paths()
OPENING = ("**You will**", "**Before you start:**", "**Thesis sections, equations and figures:**", "**Time**")
ENDING = ("## What you learned", "## Exercises", "<details><summary>Solution</summary>", "## References")


UNSOLVED = """
try:
    exec({code!r}, globals())
except NotImplementedError:
    print("exercise {k}: its check fails on the emptied cell")
else:
    raise AssertionError("exercise {k}: its check passes without an answer")
"""


def with_emptied_exercises(path, tmp_path):
    """The notebook, followed by each exercise in code without its solution: its check must fail."""
    notebook = nbformat.read(path, 4)
    for k, (solution, check) in enumerate(student.exercises(notebook), start=1):
        code = f"{student.emptied(solution.source)}\n\n{check.source}"
        notebook.cells.append(nbformat.v4.new_code_cell(UNSOLVED.format(code=code, k=k)))
    nbformat.write(notebook, tmp_path / path.name)
    return tmp_path / path.name


def executed(path, tmp_path, **parameters):
    out = tmp_path / "out"
    output = tmp_path / "executed.ipynb"
    longer = with_emptied_exercises(path, tmp_path)
    execute.execute(longer, output, {"PROFILE": "smoke", "OUT": str(out), **parameters})
    return nbformat.read(output, 4), json.loads((out / f"{path.stem}.json").read_text()), out / "figures"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_runs_in_the_smoke_profile(path, tmp_path):
    notebook, numbers, figures = executed(path, tmp_path)
    assert numbers["profile"] == "smoke"
    assert numbers["data"].startswith("built-in phantom, 64 slices")
    opening = notebook.cells[0].source
    promised = opening.split("figures ")[-1].split("\n")[0].split(", ") if "; figures" in opening else []
    assert {f"{figure}.png" for figure in promised} <= {file.name for file in figures.iterdir()}
    for cell in notebook.cells:
        lines = sum(
            o.get("text", "").count("\n") for o in cell.get("outputs", []) if o.output_type == "stream"
        )
        assert lines <= 100


@pytest.mark.real_data
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_runs_on_real_slices(path, tmp_path):
    _, numbers, _ = executed(path, tmp_path, DATA=os.environ["CT_KIDNEY_DIR"])
    assert numbers["data"].startswith("folder ")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_committed_notebook_is_one_clean_lesson_run(path):
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert set(notebook.metadata) == {"kernelspec", "language_info", "ctgan"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size <= 1_500_000
    text = json.dumps([cell.get("outputs") for cell in code])
    assert "/home/" not in text
    assert "/root/" not in text
    assert str(execute.REPOSITORY) not in text


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_opens_and_ends_like_the_others(path):
    notebook = nbformat.read(path, 4)
    first, *_ = notebook.cells
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert first.source.startswith(f"# {path.stem[:2]} · ")
    assert all(part in first.source for part in OPENING)
    assert all(part in text for part in ENDING)
    assert set(notebook.metadata.ctgan.seconds) >= {"smoke", "lesson"}
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    values = {}
    exec(tagged[0].source, values)
    defaults = {"PROFILE": "lesson", "DATA": "phantom", "SEED": 0, "OUT": "../build"}
    assert defaults.items() <= values.items()


def install_cell(path):
    (cell,) = [c for c in nbformat.read(path, 4).cells if "install" in c.metadata.get("tags", [])]
    return cell.source


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_opens_with_the_cell_that_installs_the_course(path):
    assert nbformat.read(path, 4).cells[1].metadata.tags == ["install"]
    assert install_cell(path) == install_cell(PATHS[0])


def test_the_course_is_installed_from_a_clone_of_any_name_where_it_is_missing(tmp_path, monkeypatch):
    clone, cloud = tmp_path / "any-name", tmp_path / "cloud"
    (clone / "ctgan_utils").mkdir(parents=True)
    (clone / "ctgan_utils" / "__init__.py").write_text("")
    (clone / "requirements.txt").write_text("")  # nothing to fetch
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *arguments], check=True)
    cloud.mkdir()
    monkeypatch.chdir(cloud)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("builtins.input", lambda question: clone.as_uri())
    exec(install_cell(PATHS[0]), {})
    assert not list(cloud.iterdir())  # it is installed here
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(install_cell(PATHS[0]), {})
    assert sys.path[0] == "course"
    assert (cloud / "course" / "ctgan_utils" / "__init__.py").exists()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_cells_are_short(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 28, cell.source[:80]


def test_an_unknown_parameter_fails_before_anything_runs(tmp_path):
    with pytest.raises(UserError, match="no parameter PROFLE; did you mean PROFILE"):
        execute.execute(PATHS[0], tmp_path / "x.ipynb", {"PROFLE": "smoke"})
    assert not list(tmp_path.iterdir())


def notebook_of(*sources, **metadata):
    cells = [nbformat.v4.new_markdown_cell("# 98 · A test"), nbformat.v4.new_code_cell('PROFILE = "lesson"')]
    cells[1].metadata.tags = ["parameters"]
    cells[1].source += '\nDATA = "phantom"\nSEED = 0\nOUT = "x"'
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "ctgan": {}, **metadata})


def test_the_course_goes_on_after_a_failure_and_names_it(tmp_path, monkeypatch, capsys):
    nbformat.write(notebook_of("import os; os._exit(1)"), tmp_path / "97_dies.ipynb")
    nbformat.write(notebook_of("1 / 0"), tmp_path / "98_fails.ipynb")
    nbformat.write(notebook_of("print(PROFILE)"), tmp_path / "99_works.ipynb")
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    out = tmp_path / "out"
    assert execute.run_course("phantom", "smoke", 0, out) == ["97_dies", "98_fails"]
    assert "ZeroDivisionError" in capsys.readouterr().out
    index = (out / "index.html").read_text()
    assert "failed: ZeroDivisionError" in index
    assert "failed: Kernel died" in index
    assert "html/99_works.html" in index
    works = nbformat.read(out / "notebooks" / "99_works.ipynb", 4)
    assert works.cells[-1].outputs[0].text == "smoke\n"
    assert (out / "html" / "98_fails.html").exists()


def test_minutes_left_follow_the_slowness_of_what_has_ended():
    first, second, third = paths = [Path(name) for name in "abc"]
    expected = dict(zip(paths, (60, 600, 1_200)))
    assert execute.minutes_left(expected, {first: 60}, 1) == "about 30 min left"  # as fast as expected
    assert execute.minutes_left(expected, {first: 60}, 2) == "about 15 min left"
    assert execute.minutes_left(expected, {first: 180}, 1) == "about 60 min left"  # (180 + 60) / (60 + 60)
    assert execute.minutes_left(expected, {first: 60, second: 1_380}, 1) == "about 42 min left"
    assert execute.minutes_left(expected, dict(zip(paths, (1, 1, 1))), 1) == "about 0 min left"
    assert execute.minutes_left({**expected, third: None}, {first: 60}, 1) == ""


def test_cleaning_leaves_outputs_and_renumbers():
    notebook = notebook_of("1", "2", papermill={"duration": 3}, widgets={})
    notebook.cells.insert(
        2, nbformat.v4.new_code_cell("SEED = 5", metadata={"tags": ["injected-parameters"]})
    )
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="two")]
    cleaned = execute.clean(notebook)
    code = [cell for cell in cleaned.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert code[-1].outputs[0].text == "two"
    assert set(cleaned.metadata) == {"kernelspec", "language_info", "ctgan"}


def test_every_profile_has_a_timeout():
    assert set(execute.CELL_TIMEOUT) == set(PROFILES)

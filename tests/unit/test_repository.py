"""The repository keeps its own rules: imports, trace, dependencies, files."""

import ast
import csv
import importlib
import re
import subprocess
import sys
from collections import Counter, defaultdict

import nbformat
import pytest

from ctgan_utils.config import EXPERIMENTS, PROFILES
from ctgan_utils.course import notebook_paths
from ctgan_utils.runtime import REPOSITORY
from ctgan_utils.trace import THUMBNAILS, figures_of, heading, read_trace

PACKAGE = REPOSITORY / "ctgan_utils"
# module: what it may import of the package; imports run one way, downwards
ALLOWED = {
    "runtime": set(),
    "config": {"runtime"},
    "latents": {"runtime"},
    "filters": set(),
    "gradients": set(),
    "losses": set(),
    "metrics": {"metrics"},
    "doctor": set(),
    "distributed": set(),
    "history": {"doctor", "runtime"},
    "phantom": {"phantom", "runtime"},
    "image_files": {"phantom", "runtime"},
    "similarity": set(),
    "inspection": {"image_files", "similarity", "runtime"},
    "kaggle": {"image_files", "phantom", "runtime"},
    "data": {"phantom", "image_files", "similarity", "kaggle", "runtime"},
    "checkpoints": {"config", "runtime"},
    "networks": {"networks", "filters"},
    "ct_features": {"runtime"},
    "features": {"checkpoints", "ct_features", "runtime"},
    "faults": set(),
    "evaluation": {"data", "features", "metrics", "runtime"},
    "report": {"evaluation", "figures", "metrics"},
    "training": {
        *("losses", "latents", "data", "image_files", "checkpoints", "history", "doctor"),
        *("distributed", "runtime"),
    },
    "sampling": {"checkpoints", "config", "data", "latents", "networks", "runtime"},
    "runs": {
        *("checkpoints", "config", "features", "metrics", "networks", "sampling", "training", "runtime"),
    },
    "figures": {"figures", "metrics", "networks", "runtime"},
    "trace": {"runtime"},
    "course": {"runtime", "trace"},
    "student": {"course", "runtime"},
}


def imported(path):
    """Modules of the package that a file imports, by their first name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ctgan_utils":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ctgan_utils."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("module", ALLOWED)
def test_imports_run_one_way(module):
    files = (
        [PACKAGE / f"{module}.py"] if (PACKAGE / f"{module}.py").exists() else (PACKAGE / module).glob("*.py")
    )
    for path in files:
        assert set(imported(path)) <= ALLOWED[module], path.name


def test_every_module_has_its_place():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        p.parent.name for p in PACKAGE.glob("*/__init__.py")
    }
    assert modules - {"__init__", "__main__", "commands"} == set(ALLOWED)


def test_only_the_command_line_and_the_course_import_papermill():
    code = "import sys, ctgan_utils.__main__; sys.exit('papermill' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_the_trace_has_every_equation_and_figure_once():
    rows = read_trace()
    assert list(rows[0]) == ["id", "kind", "section", "what", "notebook", "function", "status", "note"]
    ids = Counter((row["kind"], row["id"]) for row in rows)
    assert max(ids.values()) == 1
    last = {"2": 12, "3": 11, "4": 29}
    figures = {f"{chapter}.{k}" for chapter, n in last.items() for k in range(1, n + 1)}
    assert {row["id"] for row in rows if row["kind"] == "figure"} == figures
    equations = (
        {f"2.{k}" for k in range(1, 10)} | {"3.1", "3.2", "3.3", "4.1"} | {f"A.{k}" for k in range(1, 7)}
    )
    assert {row["id"] for row in rows if row["kind"] == "equation"} == equations


@pytest.mark.parametrize("row", read_trace(), ids=lambda row: f"{row['kind']}-{row['id']}")
def test_a_row_is_what_its_status_says(row):
    assert row["status"] in ("done", "partial", "open")
    assert row["what"]
    assert row["notebook"]
    if row["status"] == "open":
        assert not row["function"]
        return
    module, name = row["function"].rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))
    if row["status"] == "done":
        text = (REPOSITORY / "notebooks" / f"{row['notebook']}.ipynb").read_text()
        opening = text.split("**Time**")[0]
        assert row["section"] in opening
        if row["kind"] in ("equation", "figure"):
            assert heading(row)


def listed(path):
    """What a notebook's opening says it covers: sections, and the ids of its equations and figures."""
    opening = nbformat.read(path, 4).cells[0].source
    line = re.search(r"\*\*Thesis sections, equations and figures:\*\* (.*)", opening)[1]
    sections, *rest = line.split("; ")
    named = {part.split(" ", 1)[0].rstrip("s"): part.split(" ", 1)[1].split(", ") for part in rest}
    return sections.split(", "), named


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: path.stem)
def test_an_opening_lists_exactly_the_rows_of_the_trace(path):
    sections, named = listed(path)
    rows = [row for row in read_trace() if row["notebook"] == path.stem and row["status"] != "open"]
    for kind in ("equation", "figure"):
        assert named.get(kind, []) == [row["id"] for row in rows if row["kind"] == kind]
    assert {row["section"].replace("A", "appendix A") for row in rows} <= set(sections)


def test_no_two_notebooks_define_the_same_helper():
    owners = defaultdict(set)
    for path in notebook_paths():
        code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        for node in ast.parse("\n".join(code)).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                owners[node.name].add(path.stem)
    assert {name: paths for name, paths in owners.items() if len(paths) > 1} == {}


def test_the_readme_lists_every_notebook():
    text = (REPOSITORY / "README.md").read_text()
    linked = re.findall(r"^\| \[\d\d .*?\]\(notebooks/(.*?)\.ipynb\)", text, re.MULTILINE)
    assert linked == [path.stem for path in notebook_paths()]


def test_each_figure_has_its_thumbnail():
    figures = [figure for path in notebook_paths() for figure in figures_of(path.stem)]
    assert {path.name for path in THUMBNAILS.iterdir()} == {f"{figure}.png" for figure in figures}
    assert sum(path.stat().st_size for path in THUMBNAILS.iterdir()) < 600_000


def errata():
    with open(REPOSITORY / "data" / "thesis_errata.csv") as file:
        return list(csv.DictReader(file))


def test_the_errata_have_every_equation_once_and_their_proofs_exist():
    rows = errata()
    columns = ["id", "kind", "section", "printed", "problem", "corrected", "source", "proof", "where"]
    assert list(rows[0]) == columns
    assert max(Counter(row["id"] for row in rows).values()) == 1
    equations = {row["id"] for row in rows if row["kind"] == "equation"}
    assert equations == {row["id"] for row in read_trace() if row["kind"] == "equation"}
    cells = nbformat.read(REPOSITORY / "notebooks" / "13_errata_and_readings.ipynb", 4).cells
    text = "\n".join(cell.source for cell in cells)
    for row in rows:
        assert row["kind"] in ("equation", "statement", "reference", "number", "reading"), row["id"]
        assert row["printed"], row["id"]
        assert row["problem"] or row["corrected"], row["id"]
        assert len(row["problem"]) <= 160, f"{row['id']}: too long for a table"
        if row["proof"] == "here" and row["kind"] != "reading":
            assert re.search(rf'prove\(\s*"{re.escape(row["id"])}"', text), row["id"]
        elif row["proof"] not in ("here", "quote"):
            assert re.fullmatch(r"\d\d_[a-z_0-9]+", row["proof"]), row["id"]


@pytest.mark.parametrize("row", [row for row in errata() if row["where"]], ids=lambda row: row["id"])
def test_where_an_erratum_is_mended_exists(row):
    module, name = row["where"].rsplit(".", 1)
    if row["where"].startswith("ctgan_utils."):
        assert hasattr(importlib.import_module(module), name)
        return
    owner = PROFILES[module] if module in PROFILES else EXPERIMENTS[module]
    value = getattr(owner, name)
    assert row["kind"] != "reading" or str(value) == row["source"]


def test_the_lock_pins_every_requirement_within_its_range():
    from packaging.requirements import Requirement

    text = (REPOSITORY / "requirements.txt").read_text()
    wanted = [Requirement(line.split("#")[0]) for line in text.splitlines() if line.split("#")[0].strip()]
    pinned = {}
    for line in (REPOSITORY / "requirements.lock").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==([^ ;]+)", line):
            pinned.setdefault(match[1].lower().replace("_", "-"), []).append(match[2])
    for requirement in wanted:
        versions = pinned[requirement.name.lower().replace("_", "-")]
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_no_module_names_a_device_or_unpickles():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert ".cuda(" not in text, path
        assert "torch.load(" not in text.replace("weights_only=True", "").replace(
            "torch.load(path, )", ""
        ) or re.search(r"torch\.load\([^)]*weights_only=True", text), path


def test_shipped_files_are_small():
    for path in (REPOSITORY / "data" / "checkpoints").iterdir():
        assert path.suffix == ".safetensors"
        assert path.stat().st_size < 2_000_000
    for path in notebook_paths():
        assert path.stat().st_size < 1_500_000

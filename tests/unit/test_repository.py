"""The repository keeps its own rules: imports, trace, dependencies, files."""

import ast
import csv
import importlib
import re
import subprocess
import sys
from collections import Counter

import pytest

from ctgan_utils.course import notebook_paths
from ctgan_utils.runtime import REPOSITORY

PACKAGE = REPOSITORY / "ctgan_utils"
# module: what it may import of the package; imports run one way, downwards
ALLOWED = {
    "runtime": set(),
    "config": {"runtime"},
    "latents": {"runtime"},
    "filters": set(),
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
    "course": {"runtime"},
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


def trace():
    with open(REPOSITORY / "data" / "thesis_trace.csv") as file:
        return list(csv.DictReader(file))


def test_the_trace_has_every_equation_and_figure_once():
    rows = trace()
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


@pytest.mark.parametrize("row", trace(), ids=lambda row: f"{row['kind']}-{row['id']}")
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
        if row["kind"] in ("figure", "equation"):
            assert re.search(rf"\b{re.escape(row['id'])}\b", opening)
        assert row["section"] in opening


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

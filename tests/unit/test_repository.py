"""The repository keeps its own rules: imports, helpers, dependencies, files."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter

import nbformat
import pytest

from ctgan_utils.course.execute import notebook_paths
from ctgan_utils.runtime import REPOSITORY

PACKAGE = REPOSITORY / "ctgan_utils"
# room: which rooms it may import besides itself; imports run one way, downwards
GROUND = {
    "runtime",
    "memory",
    "outputs",
    "option_types",
    "endings",
    "grey",
    "latents",
    "filters",
    "losses",
    "distances",
    "gradients",
    "metrics",
}
FLOORS = [  # each may import what stands above it in this list
    GROUND,
    {"phantom"},
    {"data"},
    {"networks"},
    {"tasks"},
    {"systems"},
    {"training"},
    {"sampling"},
    {"figures"},
    {"evaluation"},
    {"campaign"},
    {"course"},
    {"commands"},
    {"command_line"},
    {"__main__"},
]
ON_THE_GROUND = {  # the little that these modules need of each other
    "latents": {"runtime"},
    "memory": {"runtime"},
    "outputs": {"runtime"},
    "option_types": {"runtime"},
    "endings": {"runtime"},
    "metrics": {"filters"},
}


def imported(path):
    """Modules of the package that a file imports, by their first name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ctgan_utils":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ctgan_utils."):
            yield node.module.split(".")[1]


def modules_imported(path):
    """Modules of the package that a file imports when it is imported itself, by their full names."""
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("ctgan_utils"):
            continue
        package = node.module.removeprefix("ctgan_utils").strip(".")
        for alias in node.names:
            name = f"{package}.{alias.name}".strip(".")
            here = PACKAGE / name.replace(".", "/")
            if here.with_suffix(".py").is_file() or (here / "__init__.py").is_file():
                yield name
            elif package:
                yield package


def below(room):
    """What a room may import: itself, and all the floors below its own."""
    if room in GROUND:
        return {room} | ON_THE_GROUND.get(room, set())
    level = next(k for k, floor in enumerate(FLOORS) if room in floor)
    return {room}.union(*FLOORS[:level])


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    if path != PACKAGE / "__init__.py":
        assert set(imported(path)) - {"__version__"} <= below(room_of(path))


def test_every_module_has_its_place():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms == set().union(*FLOORS)


def test_no_module_is_imported_in_a_circle():
    """Within a room too: modules can be put in an order in which each imports earlier ones only."""
    graph = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = set(modules_imported(path)) - {name}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_only_the_command_line_and_the_course_import_papermill():
    code = "import sys, ctgan_utils.command_line; sys.exit('papermill' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


class Anonymous(ast.NodeTransformer):
    """Code without its names: variables and arguments are numbered as they come, docstrings left out."""

    def __init__(self):
        self.names = {}

    def visit_Name(self, node):
        node.id = self.names.setdefault(node.id, f"n{len(self.names)}")
        return node

    def visit_arg(self, node):
        node.arg, node.annotation = self.names.setdefault(node.arg, f"n{len(self.names)}"), None
        return node

    def visit_FunctionDef(self, node):
        node.name, node.returns = "f", None
        if ast.get_docstring(node) and len(node.body) > 1:
            node.body = node.body[1:]
        return self.generic_visit(node)

    def visit_ClassDef(self, node):
        node.name = "C"
        if ast.get_docstring(node) and len(node.body) > 1:
            node.body = node.body[1:]
        return self.generic_visit(node)


def normalised(node):
    return ast.dump(Anonymous().visit(node))


def test_names_do_not_hide_that_two_helpers_are_one():
    one, two, other = (
        ast.parse(source).body[0]
        for source in (
            'def f(a, b):\n    """Sum."""\n    c = a + b\n    return c',
            "def g(x, y):\n    z = x + y\n    return z",
            "def g(x, y):\n    z = x - y\n    return z",
        )
    )
    assert normalised(one) == normalised(two) != normalised(other)


def test_no_two_notebooks_define_the_same_helper():
    by_name, by_code = defaultdict(set), defaultdict(set)
    for path in notebook_paths():
        code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        for node in ast.parse("\n".join(code)).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                by_name[node.name].add(path.stem)
                by_code[normalised(node)].add(path.stem)
    assert {name: paths for name, paths in by_name.items() if len(paths) > 1} == {}
    assert [paths for paths in by_code.values() if len(paths) > 1] == []


def test_the_readme_lists_every_notebook():
    text = (REPOSITORY / "README.md").read_text()
    linked = re.findall(r"^\| \[\d\d .*?\]\(notebooks/(.*?)\.ipynb\)", text, re.MULTILINE)
    assert linked == [path.stem for path in notebook_paths()]


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


def calls(path, name):
    """The calls of a function, such as "torch.load", in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            yield node


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_names_a_device_or_unpickles(path):
    assert ".cuda(" not in path.read_text()
    safe = {("torch.load", "weights_only"): "True", ("np.load", "allow_pickle"): "False"}
    for (function, option), value in safe.items():
        for call in calls(path, function):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get(option) == value, f"{path.name}, line {call.lineno}"
    assert not re.search(r"^\s*(import|from) (pickle|dill|joblib)\b", path.read_text(), re.MULTILINE)


def without_hints(path):
    """What lacks a type hint in a module's public functions and methods, as "class.function: parameter"."""

    def inspect(body, owner=""):
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from inspect(node.body, f"{owner}{node.name}.")
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if node.name.startswith("_") and node.name != "__init__":
                continue
            a, name = node.args, owner + node.name
            stars = [arg for arg in (a.vararg, a.kwarg) if arg and not arg.arg.startswith("_")]
            arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *stars]
            if owner and "staticmethod" not in map(ast.unparse, node.decorator_list):
                arguments = arguments[1:]  # without self or cls
            yield from (f"{name}: {arg.arg}" for arg in arguments if arg.annotation is None)
            if node.returns is None:
                yield f"{name}: what it returns"

    return list(inspect(ast.parse(path.read_text()).body))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_functions_have_type_hints(path):
    assert without_hints(path) == []


def test_shipped_files_are_small():
    for path in (REPOSITORY / "data" / "checkpoints").iterdir():
        assert path.suffix in (".safetensors", ".jsonl")
        assert path.stat().st_size < 2_000_000
    for path in notebook_paths():
        assert path.stat().st_size < 1_500_000

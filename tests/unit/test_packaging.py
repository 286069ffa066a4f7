"""The package as others install it: what it requires, its version, and what is in its wheel."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging.requirements import Requirement

import ctgan_utils
from ctgan_utils import runtime
from ctgan_utils.runtime import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings along there

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
WEIGHTS = sorted(path.name for path in (REPOSITORY / "data" / "checkpoints").iterdir())


def requirement_lines():
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_requirements_are_those_of_the_package_the_course_and_the_tests():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["course"], *extras["test"]]
    listed = [line.split("#")[0] for line in requirement_lines()]
    assert [str(Requirement(line)) for line in listed] == [str(Requirement(line)) for line in declared]


def test_each_requirement_has_its_reason():
    for line in requirement_lines():
        assert re.search(r"\S +# \S", line), line


def test_the_version_is_one_number_everywhere():
    citation = (REPOSITORY / "CITATION.cff").read_text()
    changes = (REPOSITORY / "CHANGELOG.md").read_text()
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ctgan_utils.__version__"}
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [ctgan_utils.__version__]
    assert re.findall(r"^## \[(\d.*?)\]", changes, re.MULTILINE)[0] == ctgan_utils.__version__


def test_every_folder_with_code_is_listed_as_a_package():
    code = {path.parent.relative_to(REPOSITORY) for path in (REPOSITORY / "ctgan_utils").rglob("*.py")}
    folders = {".".join(folder.parts) for folder in code}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == folders | {"ctgan_utils.shipped"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that `pip install .` makes, built from a copy and without a network."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("ctgan_utils", "data/checkpoints"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (path,) = (source / "dist").glob("*.whl")
    return path


def test_the_wheel_holds_all_code_the_weights_and_the_command(wheel):
    code = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "ctgan_utils").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        information = f"ctgan_utils-{ctgan_utils.__version__}.dist-info/"
        names = {name for name in archive.namelist() if not name.startswith(information)}
        commands = archive.read(f"{information}entry_points.txt").decode()
    page = {"ctgan_utils/evaluation/quiz.html"}
    assert names == code | page | {f"ctgan_utils/shipped/{name}" for name in WEIGHTS}
    assert "ctgan-utils = ctgan_utils.__main__:main" in commands


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs Python, from another folder, with the package of the wheel in place of the checkout's."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    (folder / "elsewhere").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "XDG_CACHE_HOME": str(folder / "cache")}
    environment.pop("CTGAN_CACHE", None)

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=folder / "elsewhere", env=environment, capture_output=True, text=True
        )

    run.folder = folder
    return run


def test_an_installed_package_finds_its_weights_and_a_cache(installed):
    code = """
from ctgan_utils import runtime
from ctgan_utils.evaluation.features import load_extractor
from ctgan_utils.sampling import load_shipped
assert not runtime.IN_CHECKOUT
load_shipped("small"), load_extractor("ct")
print(runtime.SHIPPED, runtime.cache_folder(), sep="\\n")
"""
    result = installed("-c", code)
    assert result.returncode == 0, result.stderr
    site, cache = installed.folder / "site", installed.folder / "cache"
    assert result.stdout.split() == [str(site / "ctgan_utils" / "shipped"), str(cache / "ctgan_utils")]


@pytest.mark.parametrize("command", ["course", "notebooks", "student"])
def test_what_needs_the_notebooks_says_so_in_one_line(installed, command):
    result = installed("-m", "ctgan_utils", command)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "clone of the repository" in result.stderr


def test_a_checkout_keeps_its_places(monkeypatch):
    monkeypatch.delenv("CTGAN_CACHE", raising=False)
    assert runtime.IN_CHECKOUT
    assert runtime.cache_folder() == REPOSITORY / "build" / "cache"
    assert sorted(path.name for path in runtime.SHIPPED.iterdir()) == WEIGHTS

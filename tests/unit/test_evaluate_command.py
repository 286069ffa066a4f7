"""The evaluate command: numbers, ranking, page, and the mistakes that would make them worthless."""

import json

import pytest

from ctgan_utils.__main__ import main

SMALL = ["--profile", "smoke", "--set", "image_size=32", "--steps", "2"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Phantoms, two runs on them, of which the second kept patients out, and samples of the first."""
    root = tmp_path_factory.mktemp("evaluate")
    assert main(["phantom", "--n", "80", "--size", "32", "--out", str(root / "real")]) == 0
    train = ["train", "small", *SMALL, "--data", str(root / "real")]
    assert main([*train, "--out", str(root / "run")]) == 0
    assert main([*train, "--hold-out", "0.3", "--out", str(root / "kept")]) == 0
    assert main(["sample", str(root / "run"), "--n", "40", "--out", str(root / "samples")]) == 0
    return root


def evaluate(capsys, *arguments):
    """The report, or the list of them, of a command that must succeed."""
    capsys.readouterr()
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main(["evaluate", *map(str, arguments)]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error:"))
    return line


def test_a_run_and_its_samples_get_the_same_numbers(folders, capsys):
    of_run = evaluate(capsys, "--real", folders / "real", "--fake", folders / "run")
    of_files = evaluate(capsys, "--real", folders / "real", "--fake", folders / "samples")
    assert (of_run["metric"], of_run["n"], of_run["size"]) == ("FD-ct", 40, 32)
    assert of_run["ratio"] == pytest.approx(of_run["value"] / of_run["floor"])
    assert of_run["value"] > of_run["floor"] > 0
    assert of_files["value"] == pytest.approx(of_run["value"], rel=1e-6)
    for name, values in of_run["measures"].items():
        assert of_files["measures"][name] == pytest.approx(values, rel=1e-6)


def test_all_the_images_leave_none_for_a_floor_and_are_warned_of_as_the_same(folders, capsys):
    found = evaluate(capsys, "--real", folders / "real", "--fake", folders / "real", "--n", "80")
    assert found["floor"] is None
    assert found["value"] < 1e-3
    assert any("80 of 80 generated images are" in warning for warning in found["warnings"])


def test_swapped_folders_are_warned_of(folders, capsys):
    found = evaluate(capsys, "--real", folders / "samples", "--fake", folders / "real", "--n", "20")
    assert any("swapped" in warning for warning in found["warnings"])
    found = evaluate(capsys, "--real", folders / "real", "--fake", folders / "samples", "--n", "20")
    assert not any("swapped" in warning for warning in found["warnings"])


def test_slices_kept_from_training_are_kept_here_too(folders, capsys):
    options = ["--real", folders / "real", "--n", "20", "--hold-out", "0.3"]
    found = evaluate(capsys, *options, "--fake", folders / "kept")
    assert set(found["memorisation"]) == {"features", "pixels"}
    assert not any("other slices" in warning for warning in found["warnings"])
    found = evaluate(capsys, *options, "--fake", folders / "run")
    assert any("was trained on other slices" in warning for warning in found["warnings"])


def test_several_are_ranked_and_shown_on_a_page(folders, tmp_path, capsys):
    fakes = [folders / "run", folders / "real"]
    page = tmp_path / "page.html"
    ranked = evaluate(capsys, "--real", folders / "real", "--fake", *fakes, "--n", "40", "--html", page)
    assert [report["fake"] for report in ranked] == [str(folders / "real"), str(folders / "run")]
    assert page.read_text().count("<h2>") == 2
    main(["evaluate", "--real", str(folders / "real"), "--fake", *map(str, fakes), "--n", "40"])
    assert capsys.readouterr().out.splitlines()[-2].startswith(f"1. {folders / 'real'}: FD-ct ")


def test_sizes_and_numbers_that_do_not_fit_are_one_line(folders, tmp_path, capsys):
    real = ["--real", folders / "real"]
    assert "--n 99: there are 80 real images" in refused(
        capsys, *real, "--fake", folders / "samples", "--n", 99
    )
    assert "too few to compare" in refused(capsys, *real, "--fake", folders / "samples", "--n", 2)
    assert "32x32 images" in refused(capsys, *real, "--fake", folders / "run", "--size", 64)
    main(["phantom", "--n", "2", "--size", "36", "--out", str(tmp_path / "odd")])
    assert "images of 36x36; pass --size" in refused(capsys, *real, "--fake", tmp_path / "odd")

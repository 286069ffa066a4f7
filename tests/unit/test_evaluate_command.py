"""The evaluate command: numbers, ranking, page, and the mistakes that would make them worthless."""

import json
import shutil
from functools import partial

import pytest

from ctgan_utils import data
from ctgan_utils.__main__ import main
from ctgan_utils.evaluation.references import FOREIGN, SEEN, UNKNOWN, UNSEEN
from ctgan_utils.runtime import SHIPPED

SMALL = ["--profile", "smoke", "--set", "image_size=32", "--steps", "2"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Phantoms; a run, its samples and its export; another seed of it; and a run that held nothing out."""
    root = tmp_path_factory.mktemp("evaluate")
    run, samples = str(root / "run"), str(root / "samples")
    assert main(["phantom", "--n", "160", "--size", "32", "--out", str(root / "real")]) == 0
    train = ["train", "small", *SMALL, "--data", str(root / "real")]
    assert main([*train, "--out", run]) == 0
    assert main([*train, "--seed", "1", "--out", str(root / "other-seed")]) == 0
    assert main([*train, "--hold-out", "0", "--out", str(root / "all")]) == 0
    assert main(["sample", run, "--n", "12", "--out", samples]) == 0
    assert main(["export", run, "--out", str(root / "exported.safetensors")]) == 0
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


def test_a_run_its_samples_and_its_export_get_the_same_numbers(folders, capsys):
    fakes = folders / "run", folders / "samples", folders / "exported.safetensors"
    of_run, *others = (
        evaluate(capsys, "--real", folders / "real", "--fake", fake, "--n", "12") for fake in fakes
    )
    assert (of_run["metric"], of_run["n"], of_run["size"]) == ("FD-ct", 12, 32)
    assert of_run["value"] > of_run["distances"]["FD-ct"]["other patients"] > 0
    for found in others:
        assert found["value"] == pytest.approx(of_run["value"], rel=1e-6)
        for name, values in of_run["distances"].items():
            assert found["distances"][name]["seen"] == pytest.approx(values["seen"], rel=1e-6)


def test_a_run_is_judged_by_patients_that_it_did_not_learn_from(folders, capsys):
    found = evaluate(capsys, "--real", folders / "real", "--fake", folders / "run")
    assert found["against"] == UNSEEN
    assert set(found["memorisation"]) == {"features", "pixels"}
    assert found["distances"]["FD-ct"]["seen"] is not None
    assert not any("record" in warning for warning in found["warnings"])


def test_what_was_kept_out_is_known_by_its_pixels_not_by_an_option(folders, tmp_path, capsys):
    """A folder that holds the same slices, under other names, is recognised; one with new ones is foreign."""
    shutil.copytree(folders / "real", tmp_path / "copy")
    (tmp_path / "copy" / "Normal").rename(tmp_path / "copy" / "Healthy")
    (tmp_path / "copy" / "index.csv").unlink()
    found = evaluate(capsys, "--real", tmp_path / "copy", "--fake", folders / "run", "--n", "10")
    assert found["against"] in (UNSEEN, SEEN)  # by similarity, groups may be few and all seen
    main(["phantom", "--n", "120", "--size", "32", "--seed", "9", "--out", str(tmp_path / "new")])
    found = evaluate(capsys, "--real", tmp_path / "new", "--fake", folders / "run")
    assert found["against"] == FOREIGN
    assert any("learnt from none of these slices" in warning for warning in found["warnings"])


def test_without_held_out_patients_the_report_says_so(folders, capsys):
    found = evaluate(capsys, "--real", folders / "real", "--fake", folders / "all")
    assert found["against"] == SEEN
    assert found["memorisation"] is None
    assert any("train with --hold-out" in warning for warning in found["warnings"])


def test_what_nobody_recorded_can_be_said_with_hold_out(folders, tmp_path, capsys):
    main(["phantom", "--n", "40", "--size", "32", "--seed", "9", "--out", str(tmp_path / "fake")])
    found = evaluate(capsys, "--real", folders / "real", "--fake", tmp_path / "fake")
    assert found["against"] == UNKNOWN
    assert any("nothing records" in warning for warning in found["warnings"])
    options = "--hold-out", "0.3", "--n", "16"
    found = evaluate(capsys, "--real", folders / "real", "--fake", tmp_path / "fake", *options)
    assert found["against"] == UNSEEN


def test_of_the_phantom_new_patients_are_drawn(capsys, monkeypatch):
    monkeypatch.setattr(data, "load", partial(data.load, phantoms=200))  # drawing them takes the time
    shipped = SHIPPED / "small-phantom.safetensors"
    found = evaluate(capsys, "--real", "phantom", "--fake", shipped, "--n", "40")
    assert found["against"] == UNSEEN
    assert found["distances"]["FD-ct"]["generated"] > found["distances"]["FD-ct"]["same patients"]
    learnt_from_others = SHIPPED / "ct-64-phantom.safetensors"  # and says so
    found = evaluate(capsys, "--real", "phantom", "--fake", learnt_from_others, "--n", "40")
    assert found["against"] == FOREIGN
    assert found["memorisation"] is None
    assert found["distances"]["FD-ct"]["seen"] is None


def test_real_slices_in_place_of_generated_ones_are_noticed(folders, capsys):
    found = evaluate(capsys, "--real", folders / "real", "--fake", folders / "real", "--n", "30")
    assert any("30 of 30 generated images are" in warning for warning in found["warnings"])


def test_swapped_folders_are_warned_of(folders, capsys):
    main(["sample", str(folders / "run"), "--n", "60", "--out", str(folders / "sixty")])
    found = evaluate(capsys, "--real", folders / "sixty", "--fake", folders / "real", "--n", "10")
    assert any("swapped" in warning for warning in found["warnings"])
    found = evaluate(capsys, "--real", folders / "real", "--fake", folders / "sixty", "--n", "10")
    assert not any("swapped" in warning for warning in found["warnings"])


def test_several_are_ranked_and_shown_on_a_page(folders, tmp_path, capsys):
    fakes = [folders / "samples", folders / "real"]
    page = tmp_path / "page.html"
    found = evaluate(capsys, "--real", folders / "real", "--fake", *fakes, "--n", "12", "--html", page)
    assert [place["name"] for place in found["ranking"]] == [str(folders / "real"), str(folders / "samples")]
    assert [report["fake"] for report in found["reports"]] == [
        str(folders / "real"),
        str(folders / "samples"),
    ]
    assert page.read_text().count("<h2>") == 2
    main(["evaluate", "--real", str(folders / "real"), "--fake", *map(str, fakes), "--n", "12"])
    assert capsys.readouterr().out.splitlines()[-2].startswith(f"1. {folders / 'real'}: FD-ct ")


def test_runs_that_differ_in_their_seed_are_one_system(folders, capsys):
    fakes = folders / "run", folders / "other-seed", folders / "all"
    found = evaluate(capsys, "--real", folders / "real", "--fake", *fakes, "--n", "12")
    runs = sorted(sorted(place["runs"]) for place in found["ranking"])
    assert runs == sorted(
        [[str(folders / "all")], sorted([str(folders / "run"), str(folders / "other-seed")])]
    )


def test_sizes_and_numbers_that_do_not_fit_are_one_line(folders, tmp_path, capsys):
    real = ["--real", folders / "real"]
    assert "slices in a set are all there are" in refused(
        capsys, *real, "--fake", folders / "samples", "--n", 99
    )
    assert "samples holds 12 images" in refused(capsys, *real, "--fake", folders / "samples", "--n", 13)
    assert "as many, and 10, are needed" in refused(capsys, *real, "--fake", folders / "samples", "--n", 2)
    assert "32x32 images" in refused(capsys, *real, "--fake", folders / "run", "--size", 64)
    main(["phantom", "--n", "2", "--size", "36", "--out", str(tmp_path / "odd")])
    assert "images of 36x36; pass --size" in refused(capsys, *real, "--fake", tmp_path / "odd")

"""The command line as a user meets it: the whole way once, and every mistake as one line with code 2."""

import csv
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ctgan_utils import data
from ctgan_utils.__main__ import main
from ctgan_utils.evaluation.references import UNSEEN
from ctgan_utils.phantom import CLASSES
from ctgan_utils.runtime import REPOSITORY
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems import EXPERIMENTS
from ctgan_utils.training import checkpoints

SMALL = ["--profile", "smoke", "--set", "image_size=32"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "small", *SMALL, "--steps", "6", "--out", str(folder)]) == 0
    return folder


def refused(capsys, *arguments):
    """The one line on stderr of a command that must fail with code 2."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    return lines[0]


def test_a_run_folder_holds_what_the_design_says(run):
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    samples = {f"samples/step-{k:07d}.png" for k in (0, 1, 2, 5, 6)}
    assert names == {"config.json", "history.jsonl", "lock", "seen.safetensors", "state.pt"} | {
        "weights.safetensors",
        *samples,
    }


def test_sample_draws_the_same_images_as_sheet_and_as_files(run, tmp_path):
    assert main(["sample", str(run), "--n", "3", "--out", str(tmp_path / "grid.png")]) == 0
    assert main(["sample", str(run), "--n", "3", "--out", str(tmp_path / "single")]) == 0
    sheet = np.asarray(Image.open(tmp_path / "grid.png"))
    for k, path in enumerate(sorted((tmp_path / "single").glob("*.png"))):
        assert np.array_equal(np.asarray(Image.open(path)), sheet[:32, 33 * k : 33 * k + 32])


def test_a_class_can_be_asked_for(capsys, run, tmp_path):
    shipped = REPOSITORY / "data" / "checkpoints" / "conditional-phantom.safetensors"
    for name, options in (("tumors", ["--class", "Tumor"]), ("stones", ["--class", "Stone"])):
        assert main(["sample", str(shipped), "--n", "3", "--out", str(tmp_path / name), *options]) == 0
    tumors, stones = (data.load_folder(tmp_path / name, 64).images for name in ("tumors", "stones"))
    G, _ = load_generator(shipped)
    assert torch.equal(tumors, sample(G, 3, given={"wanted": torch.full((3,), CLASSES.index("Tumor"))}))
    assert not torch.equal(tumors, stones)
    again = ["--n", "3", "--out", str(tmp_path / "again.png"), "--class"]
    assert "did you mean Tumor?" in refused(capsys, "sample", shipped, *again, "Tumour")
    assert "small is told no class" in refused(capsys, "sample", run, *again, "Tumor")


def test_a_run_remembers_the_names_of_its_classes(tmp_path):
    main(["train", "conditional", "--profile", "smoke", "--steps", "1", "--out", str(tmp_path / "run")])
    main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "G.safetensors")])
    assert [checkpoints.read_classes(tmp_path / name) for name in ("run", "G.safetensors")] == [
        [*CLASSES]
    ] * 2


def test_truncation_narrows_the_samples(tmp_path):
    shipped = REPOSITORY / "data" / "checkpoints" / "small-phantom.safetensors"
    for name, options in (("wide", []), ("narrow", ["--truncation", "0.1"])):
        main(["sample", str(shipped), "--n", "64", "--out", str(tmp_path / name), *options])
    wide, narrow = (
        data.load_folder(tmp_path / name, 32).images.float().std(0).mean() for name in ("wide", "narrow")
    )
    assert narrow < 0.5 * wide


def test_phantoms_are_written_by_class_with_index_and_ground_truth(tmp_path, capsys):
    assert main(["phantom", "--n", "30", "--size", "64", "--seed", "1", "--out", str(tmp_path)]) == 0
    rows = list(csv.DictReader((tmp_path / "index.csv").read_text().splitlines()))
    truth = np.load(tmp_path / "ground_truth.npz")
    assert len(rows) == len(truth["masks"]) == len(truth["labels"]) == len(truth["hu"]) == 30
    for row, mask in zip(rows, truth["masks"]):
        assert row["file"].startswith(row["class"] + "/")
        assert mask.sum() == int(row["lesion_pixels"])
        assert (row["class"] == "Normal") == (int(row["lesion_pixels"]) == 0)
    ct = data.load_folder(tmp_path, 64)
    assert (len(ct), ct.grouped_by) == (30, "patient")
    assert len(ct.groups.unique()) == len({row["patient"] for row in rows})
    capsys.readouterr()
    main(["data", "check", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["sizes"] == {"64x64": 30}


def test_a_dry_run_prints_a_plan_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "small", *SMALL, "--steps", "1000", "--out", str(out), "--dry-run"]) == 0
    assert "s a step" in capsys.readouterr().out
    assert not out.exists()


def test_an_exported_generator_samples_the_same(run, tmp_path):
    assert main(["export", str(run), "--out", str(tmp_path / "G.safetensors")]) == 0
    for name, source in (("a", run), ("b", tmp_path / "G.safetensors")):
        main(["sample", str(source), "--n", "2", "--out", str(tmp_path / f"{name}.png")])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_registry_is_a_table(capsys):
    assert main(["experiments"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert set(EXPERIMENTS) < set(rows)
    assert rows["small"][1] == "3.2.1"
    assert rows["small"][-2:] == ["7000", "64"]
    assert rows["dcgan-b64"][-2:] == ["3000", "-"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "smal"], "did you mean small"),
        (["train", "small", "--step", "3"], "--step: no such option; did you mean --steps"),
        (["train", "small", "--set", "widht=3"], "did you mean width"),
        (["train", "small", "--profile", "leson"], "did you mean lesson"),
        (["train", "small", "--steps", "0"], "from 1 to"),
        (["train", "small", "--precision", "fp8"], "invalid choice: 'fp8'"),
        (["train", "small", "--steps", "3", "--epochs", "1"], "not allowed with"),
        (["train", "small", "--data", "/no/such/folder"], "/no/such/folder: no such folder"),
        (["trian", "small"], "invalid choice: 'trian'"),
        ([], "required: COMMAND"),
        (["sample", "/no/run", "--out", "x.png"], "/no/run: no such file"),
        (["evaluate", "--fake", "/no/such/folder"], "no such folder"),
        (["evaluate", "--fake", "/no/such/folder", "--features", "fid"], "--features fid: no such features"),
        (["evaluate", "--fake", "/no/such/folder", "--size", "100"], "--size 100: it must be one of"),
        (["evaluate", "--fake", "/no/such/folder", "--hold-out", "1.5"], "from 0 to below 1"),
        (["phantom", "--n", "2", "--seed", "-1", "--out", "x"], "from 0 to 4,294,967,295"),
        (["phantom", "--n", "2", "--size", "63", "--out", "x"], "bad size: 63"),
        (["course", "--data", "/no/such/folder"], "no such folder"),
        (["notebooks", "07_smal_gan"], "did you mean 07_small_gan"),
    ],
)
def test_mistakes_are_one_line_with_the_mend(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


def test_a_gpu_that_is_not_there_is_one_line(capsys):
    if torch.cuda.is_available():
        assert main(["train", "small", *SMALL, "--device", "cuda", "--dry-run"]) == 0
    else:
        assert "no CUDA device" in refused(capsys, "train", "small", *SMALL, "--device", "cuda")


def test_images_that_cannot_be_read_are_named_and_skipped_on_request(capsys, tmp_path):
    for k in range(9):
        path = tmp_path / "set" / f"{k}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (40, 40), dtype=np.uint8)).save(path)
    (tmp_path / "set" / "4.jpg").write_bytes((tmp_path / "set" / "4.jpg").read_bytes()[:300])
    train = ["train", "small", *SMALL, "--steps", "1", "--data", tmp_path / "set", "--out", tmp_path / "run"]
    assert "4.jpg: damaged" in refused(capsys, *train)
    assert not (tmp_path / "run").exists()
    assert main([str(word) for word in [*train, "--skip-unreadable"]]) == 0


def test_a_run_is_not_overwritten_and_not_resumed_as_another(capsys, run):
    before = (run / checkpoints.WEIGHTS).read_bytes()
    again = ["train", "small", *SMALL, "--steps", "9", "--out", run]
    assert "pass --resume" in refused(capsys, *again)
    assert "has width 2, not 3" in refused(capsys, *again, "--set", "width=3", "--resume")
    assert "has seed 0, not 4" in refused(capsys, *again, "--seed", "4", "--resume")
    assert (run / checkpoints.WEIGHTS).read_bytes() == before


def test_a_checkpoint_of_another_architecture_is_named(capsys, run, tmp_path):
    other = tmp_path / "other"
    main(["train", "small", *SMALL, "--set", "width=3", "--steps", "1", "--out", str(other)])
    (other / checkpoints.WEIGHTS).write_bytes((run / checkpoints.WEIGHTS).read_bytes())
    line = refused(
        capsys, "train", "small", *SMALL, "--set", "width=3", "--steps", "2", "--out", other, "--resume"
    )
    assert checkpoints.WEIGHTS in line


def test_losses_that_explode_stop_with_the_step(capsys, tmp_path):
    explode = ["--set", "learning_rate=1e30", "--steps", "30", "--precision", "fp32"]
    line = refused(capsys, "train", "small", *SMALL, *explode, "--out", tmp_path / "run")
    assert "not finite at step" in line
    assert checkpoints.load_state(tmp_path / "run")["step"] == 0


def test_a_place_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    line = refused(capsys, "train", "small", *SMALL, "--steps", "1", "--out", tmp_path / "file" / "run")
    assert "choose another place" in line


def test_a_full_disk_is_one_line_and_keeps_the_last_state(run, tmp_path):
    """A limit on the size of files stands in for a full disk."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "ctgan_utils", "train", "small", *SMALL, "--out", str(folder)]
    subprocess.run([*command, "--steps", "2"], cwd=REPOSITORY, check=True, capture_output=True)
    before = (folder / checkpoints.WEIGHTS).read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    full = [*command, "--steps", "4", "--resume"]
    result = subprocess.run(full, cwd=REPOSITORY, preexec_fn=limit, capture_output=True, text=True)
    assert result.returncode == 2
    assert "free some space" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert (folder / checkpoints.WEIGHTS).read_bytes() == before
    assert checkpoints.load_state(folder)["step"] == 2


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    interrupt = (
        "import os, signal, sys, ctgan_utils.training.trainer as t, ctgan_utils.__main__ as m\n"
        "step = t.Trainer.train_step\n"
        "def once(self):\n"
        "    if self.step == 3: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return step(self)\n"
        "t.Trainer.train_step = once\n"
        "sys.exit(m.main(sys.argv[1:]))"
    )
    folder = tmp_path / "run"
    words = ["train", "small", *SMALL, "--steps", "50", "--out", str(folder)]
    command = [sys.executable, "-c", interrupt, *words]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith(
        f"error: stopped at step 4, saved in {folder}; go on with: python -m ctgan_utils train"
    )
    assert last.endswith("--resume")
    assert checkpoints.load_state(folder)["step"] == 4


def test_no_traceback_reaches_the_user_of_a_whole_process(tmp_path):
    command = [sys.executable, "-m", "ctgan_utils", "train", "smal"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.splitlines() == ["error: smal: no such experiment; did you mean small?"]


@pytest.mark.real_data
def test_the_whole_way_on_real_slices(real_folder, tmp_path, capsys):
    run = tmp_path / "run"
    train = ["train", "small", *SMALL, "--data", str(real_folder), "--steps", "3", "--out", str(run)]
    assert main(train) == 0
    assert main(["sample", str(run), "--n", "16", "--out", str(tmp_path / "grid.png")]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--real", str(real_folder), "--fake", str(run), "--n", "100", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["against"] == UNSEEN
    assert report["value"] > report["distances"]["FD-ct"]["other patients"]
    assert "3,956 slices" in report["real"]


def test_a_fifth_of_the_patients_is_held_out_unless_told_not_to(tmp_path):
    """What a run learnt from is recorded slice by slice; whole patients are missing from it."""
    folder = tmp_path / "slices"
    main(["phantom", "--n", "120", "--size", "32", "--out", str(folder)])
    ct = data.load(folder, 32)
    quick = ["--data", str(folder), "--profile", "smoke", "--set", "image_size=32", "--steps", "1"]
    for options, share in (([], 0.2), (["--hold-out", "0"], 0), (["--hold-out", "0.5"], 0.5)):
        run = tmp_path / f"run-{share}"
        assert main(["train", "small", *quick, *options, "--out", str(run)]) == 0
        was_seen = torch.isin(ct.keys, checkpoints.read_seen(run))
        assert 1 - was_seen.float().mean() == pytest.approx(share, abs=0.12)
        for patient in ct.groups.unique():
            assert was_seen[ct.groups == patient].float().mean() in (0, 1)


def test_slices_of_one_patient_are_all_trained_on_and_that_is_said(tmp_path, capsys):
    main(["phantom", "--n", "6", "--size", "32", "--out", str(tmp_path / "one")])
    quick = ["--data", str(tmp_path / "one"), "--profile", "smoke", "--set", "image_size=32", "--steps", "1"]
    capsys.readouterr()
    assert main(["train", "small", *quick, "--out", str(tmp_path / "run")]) == 0
    assert "all of one patient, so that no slices can be held out" in capsys.readouterr().out
    assert len(checkpoints.read_seen(tmp_path / "run")) == 6

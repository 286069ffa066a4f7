"""Files of a run: whole at every moment, readable without pickle, refused when they do not fit."""

import json
import os
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from torch import nn

from ctgan_utils import data, runtime
from ctgan_utils.runtime import UserError, atomic_write
from ctgan_utils.systems import get_experiment
from ctgan_utils.training import checkpoints
from ctgan_utils.training.history import read_history

EXPERIMENT = get_experiment("small", "smoke")


def network(value, shape=(2, 3)):
    n = nn.Linear(*shape)
    nn.init.constant_(n.weight, value)
    return n


def save(folder, step):
    checkpoints.save(folder, {"G": network(step)}, {"step": step}, EXPERIMENT)


def start(folder, system=EXPERIMENT, ct=None, seed=0, resume=False):
    """Open a run folder and close it again."""
    with checkpoints.run_folder(folder, system, ct or toy(), seed, resume):
        pass


def toy(grey=0):
    images = torch.full((2, 1, 8, 8), grey, dtype=torch.uint8)
    return data.CTImages(images, torch.zeros(2), ("x",), torch.arange(2), "patient", "toy")


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_between_the_renames_leaves_a_readable_pair(tmp_path, monkeypatch, renames):
    """The checkpoint is written in full before the first of its renames; count those that still happen."""
    save(tmp_path, 1)
    done, real = [], os.replace

    def replace(source, target):
        if str(target).endswith((checkpoints.WEIGHTS, checkpoints.STATE)) and not str(source).endswith(
            ".tmp"
        ):
            if len(done) == renames:
                raise SystemExit("killed")
            done.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    try:
        save(tmp_path, 2)
    except SystemExit:
        assert renames < 2
    monkeypatch.undo()
    step = checkpoints.load_state(tmp_path)["step"]
    assert step == (2 if renames else 1)
    found = network(0)
    checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"G": found})
    assert (found.weight == step).all()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_weights_of_another_architecture_are_named_by_tensor(tmp_path):
    save(tmp_path, 1)
    with pytest.raises(
        UserError, match=r"another architecture: G\.weight has shape \[3, 2\].*needs shape \[3, 4\]"
    ):
        checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"G": network(0, (4, 3))})
    with pytest.raises(UserError, match="D.weight has no such tensor"):
        checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"D": network(0)})


@pytest.mark.parametrize("name", [checkpoints.WEIGHTS, checkpoints.STATE, checkpoints.CONFIG])
def test_a_broken_file_is_named(tmp_path, name):
    start(tmp_path)
    save(tmp_path, 1)
    (tmp_path / name).write_bytes(b"broken")
    read = checkpoints.read_config if name == checkpoints.CONFIG else checkpoints.load_state
    with pytest.raises(UserError, match=name):
        read(tmp_path)


def test_a_kill_between_the_renames_of_the_first_save_is_mended(tmp_path):
    save(tmp_path, 1)
    (tmp_path / checkpoints.WEIGHTS).rename(tmp_path / f"next-{checkpoints.WEIGHTS}")
    assert checkpoints.load_state(tmp_path)["step"] == 1
    assert checkpoints.read_metadata(tmp_path / checkpoints.WEIGHTS)["step"] == 1


def test_weights_without_their_state_do_not_start_anew(tmp_path):
    save(tmp_path, 40)
    (tmp_path / checkpoints.STATE).unlink()
    with pytest.raises(UserError, match=r"state\.pt: missing, without it the run can't go on"):
        checkpoints.load_state(tmp_path)


def test_a_state_of_another_checkpoint_is_refused(tmp_path):
    save(tmp_path, 1)
    of_step_1 = (tmp_path / checkpoints.STATE).read_bytes()
    save(tmp_path, 2)
    (tmp_path / checkpoints.STATE).write_bytes(of_step_1)
    with pytest.raises(UserError, match=r"state\.pt: damaged, or not of the same checkpoint"):
        checkpoints.load_state(tmp_path)


def test_a_pickle_in_the_state_is_not_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    checkpoints.save(tmp_path, {"G": network(1)}, {"step": 1, "bomb": Bomb()}, EXPERIMENT)
    with pytest.raises(UserError, match="not a readable state"):
        checkpoints.load_state(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    for value in (float("nan"), float("inf")):
        checkpoints.save(tmp_path, {"G": network(value)}, {"step": 1}, EXPERIMENT)
        with pytest.raises(UserError, match=r"G\.weight holds numbers that are not finite"):
            checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"G": network(0)})


def test_weights_of_another_type_or_without_metadata_are_refused(tmp_path):
    checkpoints.save(tmp_path, {"G": network(1).double()}, {"step": 1}, EXPERIMENT)
    with pytest.raises(UserError, match=r"G\.weight has shape \[3, 2\] of float64, this network needs"):
        checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"G": network(0)})
    safetensors.torch.save_file({"G.weight": torch.zeros(3, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="names no experiment"):
        checkpoints.read_metadata(tmp_path / "other.safetensors")


def test_8_bits_keep_each_weight_to_half_a_step_at_a_quarter_of_the_size(tmp_path):
    torch.manual_seed(0)
    G = nn.Sequential(nn.Conv2d(8, 32, 3), nn.BatchNorm2d(32), nn.Linear(256, 256))
    path = tmp_path / "G.safetensors"
    path.write_bytes(checkpoints.pack_weights({"G": G}, {}, bits=8))
    assert len(path.read_bytes()) < 0.3 * len(checkpoints.pack_weights({"G": G}, {}))
    found = nn.Sequential(nn.Conv2d(8, 32, 3), nn.BatchNorm2d(32), nn.Linear(256, 256))
    checkpoints.load_weights(path, {"G": found})
    for (name, true), near in zip(G.state_dict().items(), found.state_dict().values()):
        if true.ndim > 1:
            steps = true.abs().flatten(1).amax(1) / 127
            assert ((near - true).abs().flatten(1).amax(1) <= 0.5001 * steps).all(), name
            assert not torch.equal(near, true)
        else:
            assert torch.equal(near, true)


def test_steps_of_another_shape_are_refused(tmp_path):
    whole, steps = torch.ones(3, 2, dtype=torch.int8), torch.ones(7)
    tensors = {"G.weight": whole, "G.weight.steps": steps, "G.bias": torch.ones(3)}
    safetensors.torch.save_file(tensors, tmp_path / "G.safetensors", {"ctgan": "{}"})
    with pytest.raises(UserError, match=r"G\.weight has shape \[3, 2\] of int8"):
        checkpoints.load_weights(tmp_path / "G.safetensors", {"G": network(0)})


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": None},
        {"experiment": []},
        {"seed": "0"},
        {"data": {"source": "x"}},
        {"data": {"source": 1, "fingerprint": "x"}},
    ],
)
def test_a_config_with_fields_of_another_kind_is_refused(tmp_path, change):
    start(tmp_path)
    path = tmp_path / checkpoints.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"config\.json: (has no|its data have no) \w+; restore it"):
        checkpoints.read_config(tmp_path)


@pytest.mark.parametrize("content", [b"[]", b"[" * 100_000, b"\xff", b"3", b""])
def test_a_config_that_is_no_object_is_refused(tmp_path, content):
    (tmp_path / checkpoints.CONFIG).write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json: not readable as JSON"):
        checkpoints.read_config(tmp_path)


def trained():
    n = network(1)
    optimiser = torch.optim.Adam(n.parameters(), 0.1)
    n(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    return optimiser


def test_moments_come_back_and_rates_stay_those_of_the_system():
    saved = trained().state_dict()
    saved["param_groups"][0]["lr"] = -1.0
    fresh = torch.optim.Adam(network(1).parameters(), 0.5)
    checkpoints.load_optimiser(fresh, saved)
    assert fresh.param_groups[0]["lr"] == 0.5
    assert torch.equal(fresh.state_dict()["state"][0]["exp_avg"], saved["state"][0]["exp_avg"])


def test_moments_of_other_networks_are_refused():
    for saved in ({}, {"state": 3}, {"state": {7: {}}}, trained().state_dict()):
        with pytest.raises(UserError, match="its optimiser is of other networks"):
            checkpoints.load_optimiser(torch.optim.Adam(network(1, (5, 4)).parameters()), saved)


def test_a_run_folder_is_not_taken_over(tmp_path):
    run = tmp_path / "run"
    start(run)
    save(run, 1)
    before = (run / checkpoints.CONFIG).read_bytes()
    wider = get_experiment("small", "smoke", ["width=8"])
    for arguments, message in (
        ((EXPERIMENT, toy(), 0, False), "holds a run already; pass --resume"),
        ((wider, toy(), 0, True), "has width 2, not 8"),
        ((EXPERIMENT, toy(), 1, True), "has seed 0, not 1"),
        ((EXPERIMENT, toy(9), 0, True), "has data toy"),
    ):
        with pytest.raises(UserError, match=message):
            start(run, *arguments)
    start(run, resume=True)
    assert (run / checkpoints.CONFIG).read_bytes() == before
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.tmp").write_text("x")
    with pytest.raises(UserError, match="neither empty nor a run folder"):
        start(tmp_path / "letters")
    assert (tmp_path / "letters" / "dear.tmp").exists()


def test_a_run_that_never_saved_may_start_again(tmp_path):
    start(tmp_path / "run")
    start(tmp_path / "run")
    with pytest.raises(UserError, match="has seed 0, not 1"):
        start(tmp_path / "run", seed=1)


HOLD = """
import sys, time
from ctgan_utils.training.checkpoints import _locked
with _locked(__import__("pathlib").Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_belongs_to_one_process_and_a_dead_one_holds_nothing(tmp_path):
    start(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"process {owner.pid} on \S+ trains there; wait for it"):
            start(tmp_path, resume=True)
        owner.kill()
    start(tmp_path, resume=True)


def test_what_a_refused_run_made_is_removed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "atomic_write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        start(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_only_leftovers_of_processes_that_are_gone_are_removed(tmp_path):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    path = tmp_path / "file"
    atomic_write(path, b"x")
    ours = f".ctgan-{runtime._HOST}-"
    names = [
        f"{ours}{int(gone.stdout)}-0.tmp",
        f"{ours}{os.getpid()}-0.tmp",
        ".ctgan-ffffff-1-0.tmp",
        "my.tmp",
    ]
    for name in names:
        (tmp_path / name).write_text("x")
    runtime.remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["file", *names[1:]])


ROWS = [{"step": 20, "estimate": 1.5}, {"step": 40, "estimate": 2}]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"step": 20}\n{"st\n{"step": 40}\n', 2),
        ('{"step": 20}\n{"step": 20}\n', 2),
        ('{"step": "20"}\n', 1),
        ("[1]\n", 1),
        ('{"step": 20, "estimate": null}\n', 1),
        ("[" * 100_000 + "\n", 1),
    ],
)
def test_a_broken_line_of_the_history_is_named(tmp_path, text, line):
    (tmp_path / "history.jsonl").write_text(text)
    with pytest.raises(UserError, match=rf"history\.jsonl: line {line} is no row"):
        read_history(tmp_path)


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    for cut in ("", '{"step": 60, "esti', "\x00"):
        (tmp_path / "history.jsonl").write_text(text + cut)
        assert read_history(tmp_path) == read_history(tmp_path / "history.jsonl") == ROWS

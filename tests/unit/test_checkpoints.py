"""Files of a run: whole at every moment, readable without pickle, refused when they do not fit."""

import os

import pytest
import torch
from torch import nn

from ctgan_utils import data
from ctgan_utils.runtime import UserError, atomic_write
from ctgan_utils.systems import get_experiment
from ctgan_utils.training import checkpoints

EXPERIMENT = get_experiment("small", "smoke")


def network(value, shape=(2, 3)):
    n = nn.Linear(*shape)
    nn.init.constant_(n.weight, value)
    return n


def save(folder, step):
    checkpoints.save(folder, {"G": network(step)}, {"step": step}, EXPERIMENT)


def toy(fingerprint="f"):
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    return data.CTImages(images, torch.zeros(2), ("x",), torch.arange(2), "patient", "toy", fingerprint)


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
        UserError, match=r"another architecture: G\.weight has shape \[3, 2\].*needs \[3, 4\]"
    ):
        checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"G": network(0, (4, 3))})
    with pytest.raises(UserError, match="D.weight has no such tensor"):
        checkpoints.load_weights(tmp_path / checkpoints.WEIGHTS, {"D": network(0)})


@pytest.mark.parametrize("name", [checkpoints.WEIGHTS, checkpoints.STATE, checkpoints.CONFIG])
def test_a_broken_file_is_named(tmp_path, name):
    checkpoints.open_run(tmp_path, EXPERIMENT, toy(), 0)
    save(tmp_path, 1)
    (tmp_path / name).write_bytes(b"broken")
    read = checkpoints.read_config if name == checkpoints.CONFIG else checkpoints.load_state
    with pytest.raises(UserError, match=name):
        read(tmp_path)


def test_a_pickle_in_the_state_is_not_executed(tmp_path):
    save(tmp_path, 1)

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"step": 1, "bomb": Bomb()}, tmp_path / checkpoints.STATE)
    with pytest.raises(UserError, match="not a readable state"):
        checkpoints.load_state(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_a_run_folder_is_not_taken_over(tmp_path):
    run = tmp_path / "run"
    checkpoints.open_run(run, EXPERIMENT, toy(), 0)
    before = (run / checkpoints.CONFIG).read_bytes()
    wider = get_experiment("small", "smoke", ["width=8"])
    for arguments, message in (
        ((EXPERIMENT, toy(), 0, False), "holds a run already; pass --resume"),
        ((wider, toy(), 0, True), "has width 2, not 8"),
        ((EXPERIMENT, toy(), 1, True), "has seed 0, not 1"),
        ((EXPERIMENT, toy("other"), 0, True), "has data toy"),
    ):
        with pytest.raises(UserError, match=message):
            checkpoints.open_run(run, *arguments)
    checkpoints.open_run(run, EXPERIMENT, toy(), 0, True)
    assert (run / checkpoints.CONFIG).read_bytes() == before
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("x")
    with pytest.raises(UserError, match="neither empty nor a run folder"):
        checkpoints.open_run(tmp_path / "letters", EXPERIMENT, toy(), 0)

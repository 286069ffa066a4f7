"""What hostile and clumsy users do: one line that names the mistake and the mend, code 2, nothing lost."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from ctgan_utils import __main__, command_line, data, memory, outputs, phantom, runtime
from ctgan_utils.commands import generators, options, train
from ctgan_utils.data import kaggle, mednist
from ctgan_utils.data.formats.base import Reading
from ctgan_utils.evaluation import ct_features, features
from ctgan_utils.runtime import REPOSITORY, UserError, atomic_write, is_leftover, remove_leftovers
from ctgan_utils.sampling import load_shipped
from ctgan_utils.training import checkpoints, runs

SHIPPED = runtime.SHIPPED / "small-phantom.safetensors"
ENDLESS = "9" * 5_000
LONG = "n" * 256
COMMAND = [sys.executable, "-m", "ctgan_utils"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test works in an empty folder of its own, and sees whether something was left in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def snapshot(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture
def refused(capsys, tmp_path):
    """The one line on stderr of a command that must fail with code 2 and leave every file as it was."""

    def run(*words):
        before = snapshot(tmp_path)
        capsys.readouterr()
        code = __main__.main([str(word) for word in words])
        said = capsys.readouterr()
        assert code == 2, said.out
        assert snapshot(tmp_path) == before
        (line,) = said.err.splitlines()
        assert line.startswith("error: ")
        assert len(line) < 1_000
        return line

    return run


@pytest.mark.parametrize(
    "words",
    [
        f"{command} {option} {value}"
        for command, options in {
            "train small": ("--steps", "--epochs", "--seed"),
            "phantom --out x": ("--n", "--size", "--seed"),
            "features --out x.safetensors": ("--n", "--steps", "--seed"),
            f"sample {SHIPPED} --out x": ("--n", "--seed"),
            f"evaluate --fake {SHIPPED}": ("--n", "--size", "--seed"),
            "course": ("--seed",),
        }.items()
        for option in options
        for value in (-1, 8.5, "many", "", 10**30, ENDLESS, 2**32)
    ],
)
def test_whole_numbers_have_their_limits(refused, words):
    option = words.split(" ")[-2]
    assert f"argument {option}: " in refused(*words.split(" "))


NO_NUMBERS = "nan", "inf", "-inf", "-1", "1e300", "1e999", "half", ""


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        (command, option, value)
        for command, option, values in (
            ("train small", "--hold-out", (*NO_NUMBERS, "1")),
            ("train small", "--max-gb", (*NO_NUMBERS, "0")),
            (f"evaluate --fake {SHIPPED}", "--hold-out", (*NO_NUMBERS, "1")),
            ("data check .", "--max-gb", (*NO_NUMBERS, "0")),
            (f"sample {SHIPPED} --out x", "--truncation", (*NO_NUMBERS, "0")),
        )
        for value in values
    ],
)
def test_numbers_are_finite_and_within_their_limits(refused, command, option, value):
    assert f"argument {option}: " in refused(*command.split(), f"{option}={value}")


@pytest.mark.parametrize(
    "setting",
    [
        *(f"learning_rate={value}" for value in ("nan", "inf", "1e999", "-1", "0", "x")),
        *(f"gradient_penalty={value}" for value in ("nan", "-inf", "-1")),
        *(f"width={value}" for value in ("8.5", "", ENDLESS, 10**30, 0, -1, "nan", "1e3")),
        "z_dim=100000000",
        "batch_size=100000000",
        "critic_steps=100000000",
        "micro_batch=3",
        "stem=" + ENDLESS,
        ENDLESS,
        ENDLESS + "=1",
    ],
)
def test_settings_have_their_limits(refused, setting):
    assert setting.split("=")[0][:50] in refused("train", "small", "--set", setting)


def test_digits_of_any_script_are_digits(capsys):
    assert __main__.main(["train", "small", "--profile", "smoke", "--steps", "٣", "--dry-run"]) == 0
    assert "3 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("phantom --n 2000 --size 256 --out x", "n=2000 slices of size=256"),
        ("features --n 100000 --out x.safetensors", "n=100000"),
        ("train small --set width=1024 --steps 1", "width=1024"),
        ("train small --set z_dim=65536 --set stem_channels=128 --steps 1", "z_dim=65536"),
        ("train small --set batch_size=65536 --steps 1", "batch_size=65536"),
        ("train small --set batch_size=65536 --set micro_batch=32768 --steps 1", "micro_batch=32768"),
        (f"sample {SHIPPED} --n 9000000 --out x", "--n 9000000"),
    ],
)
def test_what_no_memory_holds_is_refused_before_any_work(refused, monkeypatch, words, named):
    monkeypatch.setattr(memory, "available_memory", lambda: 500_000_000)
    line = refused(*words.split())
    assert named in line
    assert "0.5 GB are free; lower it" in line


def test_a_table_of_networks_that_no_memory_holds_is_refused(refused, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)
    assert "width=64" in refused("experiments")


def test_available_memory_is_the_least_of_the_machines_and_the_groups(tmp_path, monkeypatch):
    machine = memory.available_memory()
    assert machine is None or machine > 10**8
    group = tmp_path / "groups"
    group.mkdir()
    (group / "memory.max").write_text("5000\n")
    (group / "memory.current").write_text("3000\n")
    (group / "memory.stat").write_text("anon 2000\ninactive_file 700\nactive_file 100\n")
    if sys.platform == "linux":
        monkeypatch.setattr(memory.Path, "read_text", reading("/proc/self/cgroup", "0::/\n"))
        assert list(memory._free_in_control_groups(str(group))) == [5000 - 3000 + 800]
    monkeypatch.setattr(memory, "_free_in_control_groups", lambda: iter([1234]))
    assert memory.available_memory() == 1234


def reading(name, text, read=memory.Path.read_text):
    """Path.read_text that finds another text in one file."""
    return lambda path, *options, **named: text if str(path) == name else read(path, *options, **named)


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        MemoryError("Unable to allocate 9 GiB for an array"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 123 bytes.\nat 0x1"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 123 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee documentation"),
    ],
)
def test_running_out_of_memory_all_the_same_is_one_line(refused, monkeypatch, failure):
    def fail(*arguments, **options):
        raise failure

    monkeypatch.setattr(phantom, "generate", fail)
    assert "fewer or smaller images" in refused("phantom", "--n", 2, "--out", "x")


def test_an_error_that_is_a_bug_stays_one(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(phantom, "generate", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        __main__.main(["phantom", "--n", "2", "--out", "x"])


@pytest.fixture
def run(tmp_path):
    """A run folder, as far as its reader sees: a trained generator and its experiment."""
    folder = tmp_path / "run"
    G, system = load_shipped("small")
    about = {"step": 1, "experiment": checkpoints.to_dict(system)}
    atomic_write(folder / checkpoints.WEIGHTS, checkpoints.pack_weights({"G_ema": G}, about))
    atomic_write(folder / checkpoints.STATE, b"a state")
    config = {"experiment": about["experiment"], "seed": 0, "data": {"source": "x", "fingerprint": "x"}}
    atomic_write(folder / checkpoints.CONFIG, json.dumps(config).encode())
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "export run --out run/weights.safetensors",
        "export run --out run/config.json",
        "export run --out run/state.pt",
        "export run --out run",
        "export run --out foreign.safetensors",
        "export run --out G",
        "export run --out G.pt",
        "evaluate --fake run --html run/config.json",
        "evaluate --fake run --html foreign.html",
        "evaluate --fake run --html page",
        "sample run --out foreign.png",
        "sample run --out foreign/foreign.png",
        "sample run --out foreign",
        "sample run --out run",
        "sample run --out plain",
        "sample run --out plain/below",
        "sample run --out plain/below.png",
        "sample run --out folder.png",
        "sample run --out link.png",
        *(f"sample run --out grid.{suffix}" for suffix in ("jpg", "JPEG", "tif", "gif", "pdf", "pn")),
        "phantom --n 1 --size 32 --out foreign",
        "phantom --n 1 --size 32 --out plain",
        "phantom --n 1 --size 32 --out run",
        "features --n 64 --steps 1 --out run/weights.safetensors",
        "features --n 64 --steps 1 --out foreign.safetensors",
        "features --n 64 --steps 1 --out features.pt",
        "course --profile smoke --out foreign",
        "course --profile smoke --out plain",
        "course --profile smoke --out otherpages",
        "student --out foreign",
        "student --out plain",
        "data kaggle --out plain",
        "data mednist --out plain",
        "train small --out foreign",
        "train small --out plain",
        "train small --out run",
        "train small --out plain/run",
        f"phantom --out {LONG}",
        f"sample run --out {LONG}.png",
        f"sample run --out {LONG}/grid.png",
        f"sample run --out {'/'.join(['n' * 200] * 21)}",
        f"export run --out {LONG}.safetensors",
        f"evaluate --fake run --html {LONG}.html",
        f"train small --out {LONG}",
        f"course --out {LONG}",
        "phantom --out /proc/slices",
        "train small --out /proc/run",
    ],
)
def test_what_others_wrote_stays_and_is_named(refused, run, tmp_path, monkeypatch, words):
    def work(*arguments, **options):
        raise AssertionError("work was done before the output was looked at")

    for module, name in (
        (phantom, "generate"),
        (generators, "sample"),
        (data, "load"),
        (runs, "slices_for"),
        (features, "load_extractor"),
        (kaggle, "download"),
        (mednist, "download"),
        (ct_features, "train_ct_features"),
    ):
        monkeypatch.setattr(module, name, work)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "otherpages").mkdir()
    (tmp_path / "otherpages" / "index.html").write_text(outputs.mark())
    Image.new("L", (8, 8)).save(tmp_path / "foreign" / "foreign.png")
    Image.new("L", (8, 8)).save(tmp_path / "foreign.png")
    (tmp_path / "link.png").symlink_to("foreign.png")
    (tmp_path / "foreign.html").write_text("<html></html>")
    (tmp_path / "foreign.safetensors").write_bytes(b"something")
    (tmp_path / "plain").write_text("a file")
    named = words.split()[-1]
    assert str(named)[:50] in refused(*words.split())


def test_a_command_replaces_what_it_wrote_itself(capsys, run, tmp_path):
    once = [
        ["sample", "run", "--n", "2", "--out", "grid.png"],
        ["export", "run", "--out", "G.safetensors"],
        ["evaluate", "--real", "slices", "--fake", "slices", "--n", "12", "--html", "page.html"],
    ]
    assert __main__.main(["phantom", "--n", "120", "--size", "32", "--out", "slices"]) == 0
    for words in [*once, *once]:
        assert __main__.main(words) == 0, capsys.readouterr().err
    assert Image.open("grid.png").text["Software"] == "ctgan_utils sample"
    assert '<meta name="generator" content="ctgan_utils">' in (tmp_path / "page.html").read_text()


def test_the_course_knows_its_folder(tmp_path, monkeypatch):
    from ctgan_utils.course import execute

    monkeypatch.setattr(execute, "notebook_paths", lambda: [])
    for _ in range(2):
        assert __main__.main(["course", "--out", "made"]) == 0
    assert outputs.is_marked(tmp_path / "made" / "index.html", "course")


def test_names_of_the_longest_length_work(tmp_path):
    name = "n" * 251
    assert __main__.main(["sample", str(SHIPPED), "--n", "1", "--out", f"{name}.png"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "small", "--data", ""], "argument --data: an empty name"),
        (["train", "small", "--out", ""], "argument --out: an empty name"),
        (["evaluate", "--real", "", "--fake", "x"], "argument --real: an empty name"),
        (["evaluate", "--fake", ""], "argument --fake: an empty name"),
        (["evaluate", "--fake", "x", "--html", ""], "argument --html: an empty name"),
        (["sample", "", "--out", "x.png"], "argument run: an empty name"),
        (["sample", "x", "--out", ""], "argument --out: an empty name"),
        (["phantom", "--out", ""], "argument --out: an empty name"),
        (["data", "check", ""], "argument folder: an empty name"),
        (["data", "mednist", "--out", ""], "argument --out: an empty name"),
        (["course", "--data", ""], "argument --data: an empty name"),
        (["course", "--out", ""], "argument --out: an empty name"),
        (["student", "--out", ""], "argument --out: an empty name"),
        (["evaluate", "--fake", "state.pt"], "--fake state.pt: weights, not images; name a run folder"),
        (["evaluate", "--fake", "G.PTH"], "--fake G.PTH: weights, not images"),
        (["evaluate", "--real", "G.pth", "--fake", "x"], "--real G.pth: weights, not images"),
        (["train", "small", "--data", "G.safetensors"], "--data G.safetensors: weights, not images"),
        (["sample", SHIPPED, "--data", "phantom", "--out", "x.png"], "small translates no slices; leave it"),
        (["evaluate", "--fake", "x", "--features", "fid"], "--features fid: no such features"),
        (["train", "small", "--epochs", "1", "--steps", "1"], "not allowed with"),
        (["train", "ct-64", "--profile", "thesis"], "pass --steps or --epochs"),
        (["campaign", "--plan", "a.csv", "--out", "c"], "a.csv: can't be read (No such file or directory)"),
        (["train", "small" * 1_000], "no such experiment"),
        (["x" * 5_000], "invalid choice"),
        (["train", "small", "--" + "x" * 5_000], "no such option"),
        *((["data", "check", ".", "--range", value], "argument --range: ") for value in (
            "", ":", "1", "1:", "240:-160", "1:1", "nan:1", "0:inf", "-inf:0", "a:b", "0:1:2", ENDLESS
        )),
    ],
)  # fmt: skip
def test_mistakes_are_seen_before_anything_is_read(refused, words, message):
    assert message in refused(*words)


def test_tensorboard_that_is_missing_is_said_before_slices_are_read(refused, monkeypatch):
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    assert "--tensorboard: not installed" in refused("train", "small", "--tensorboard", "--data", "nowhere")


@pytest.mark.parametrize("words", [["--range", "-160:240"], ["--range=-160:240"], ["--range", "-.16e3:240"]])
@pytest.mark.parametrize("command", ["data check .", "train small", "evaluate --fake x"])
def test_a_range_may_begin_with_a_minus(command, words):
    args = command_line.parse([*command.split(), *words, "--max-gb", "2.5"])
    assert options.reading_of(args) == Reading(span=(-160, 240), limit=2_500_000_000)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "2"}, "RANK=: "),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: "),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0: "),
        ({"WORLD_SIZE": ENDLESS}, "WORLD_SIZE=999"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK=2: "),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_PORT=: "),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "99999"}, "MASTER_PORT=99999: "),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "2222"}, "MASTER_ADDR=: no such host"),
        (
            {"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "2222", "MASTER_ADDR": "a..b"},
            "MASTER_ADDR=a..b: no such host",
        ),
        ({"TORCHELASTIC_RESTART_COUNT": "often"}, "TORCHELASTIC_RESTART_COUNT=often: "),
    ],
)
def test_processes_that_can_not_meet_are_one_line(refused, monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert message in refused("train", "small", "--profile", "smoke")


@pytest.mark.parametrize(
    "name", ["new\nline", "bell\a", "\x1b[31mred", "\udcff\udcfe", "line\u2028separator", "right\u202eleft"]
)
def test_names_of_any_bytes_are_one_line(refused, capsys, tmp_path, name):
    line = refused("data", "check", name)
    assert line.isprintable()
    assert runtime.printable(name) in line
    assert __main__.main(["phantom", "--n", "2", "--size", "32", "--out", name]) == 0
    assert __main__.main(["data", "check", name]) == 0
    said = capsys.readouterr().out
    assert runtime.printable(name) in said
    assert all(text.isprintable() for text in said.splitlines())


@pytest.mark.parametrize("option", ["--data", "--out"])
def test_a_course_takes_no_names_of_broken_letters(refused, tmp_path, option):
    (tmp_path / "\udcff").mkdir()
    Image.new("L", (64, 64)).save(tmp_path / "\udcff" / "a.png")
    name = "\udcff" if option == "--data" else "\udcfe"
    assert f"{option} " in refused("course", "--profile", "smoke", option, name)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "a"), "a: No space left on device; free some space"),
        (OSError(122, "Disk quota exceeded", "a"), "a: Disk quota exceeded; free some space"),
        (PermissionError(13, "Permission denied", "a"), "a: Permission denied; change its permissions"),
        (IsADirectoryError(21, "Is a directory", "a"), "a: Is a directory; name a file in it"),
        (OSError(36, "File name too long", "a"), "a: File name too long; shorten it"),
        (OSError(5, "Input/output error"), "Input/output error; try again"),
    ],
)
def test_what_the_system_refuses_has_its_own_mend(refused, monkeypatch, error, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(phantom, "generate", fail)
    assert message in refused("phantom", "--n", 2, "--out", "x")


def shell(line, **environment):
    """A line for a shell in which $ctgan is the command."""
    environment = {**os.environ, "ctgan": " ".join(COMMAND), "PYTHONPATH": str(REPOSITORY), **environment}
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("PYTHONUNBUFFERED=1 $ctgan experiments > /dev/full", 2, b"error: standard output: No space left on"),
        ("PYTHONUNBUFFERED= $ctgan experiments > /dev/full", 2, b"error: standard output: No space left on"),
        ("PYTHONUNBUFFERED= $ctgan train --help > /dev/full", 2, b"error: standard output: No space left on"),
        ("$ctgan experiments >&-", 2, b"error: standard output: closed; send it to a file"),
        ("$ctgan train smal 2>&-", 2, b""),
        ("$ctgan train smal 2> /dev/full", 2, b""),
        ("$ctgan experiments | head -1 > /dev/null; exit ${PIPESTATUS[0]}", 0, b""),
        (
            "PYTHONIOENCODING=ascii $ctgan data check '\xc3\xa9\xff'",
            2,
            b"error: \\xe9\\udcff: no such folder",
        ),
    ],
)
def test_streams_may_be_closed_full_or_narrow(line, code, said):
    done = shell(line.encode("latin-1"))
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == bool(said)


def test_a_name_is_printed_on_a_terminal_that_lacks_its_letters():
    done = shell("PYTHONIOENCODING=ascii $ctgan phantom --n 1 --size 32 --out \u00e9")
    assert (done.returncode, done.stdout[:5]) == (0, b"\\xe9:"), done.stderr


LAUNCHER = "import os, sys; os.write(1, b'.'); from ctgan_utils.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("start", "delay", "number"),
    [
        *((["-c", LAUNCHER], delay, signal.SIGINT) for delay in (0.05, 0.2, 0.5, 1, 2, 6)),
        (["-c", LAUNCHER], 0.2, signal.SIGTERM),
        (["-m", "ctgan_utils"], 1, signal.SIGINT),
        (["-m", "ctgan_utils"], 8, signal.SIGTERM),
    ],
)
def test_an_interrupt_is_one_line_from_the_first_import_on(tmp_path, start, delay, number):
    with subprocess.Popen(
        [sys.executable, *start, "phantom", "--n", "100000", "--size", "32", "--out", "x"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    ) as process:
        try:
            if start[0] == "-c":
                process.stdout.read(1)  # Python itself has started
            time.sleep(delay)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1].splitlines()
        finally:
            process.kill()  # one that goes on would draw phantoms for an hour
    assert process.returncode == 2
    assert [line for line in said if not line.startswith("drawing phantoms")] == said[-1:]
    assert said[-1].startswith("error: interrupted; ")
    assert list(tmp_path.iterdir()) == []


def test_a_hint_can_be_pasted(capsys, tmp_path):
    name = "it's $HOME; a run"
    train = ["train", "small", "--profile", "smoke", "--set", "image_size=32", "--steps", "1", "--out", name]
    assert __main__.main(train) == 0
    hint = capsys.readouterr().out.splitlines()[-1].split("see it with: python -m ctgan_utils ")[1]
    assert shell(f"$ctgan {hint}").returncode == 0
    assert (tmp_path / "grid.png").is_file()


def test_only_leftovers_of_processes_that_are_gone_are_removed(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    host = runtime._HOST
    names = [
        f".ctgan-{host}-{os.getpid()}-0.tmp",
        f".ctgan-{host}-1-0.tmp",
        f".ctgan-{'0' * 6}-{gone.pid}-0.tmp",
    ]
    names += ["ours.tmp", f".ctgan-{host}-{gone.pid}-0.tmp.png", f"x.ctgan-{host}-{gone.pid}-0.tmp"]
    left = f".ctgan-{host}-{gone.pid}-0.tmp"
    for name in [*names, left]:
        (tmp_path / name).write_bytes(b"")
    assert is_leftover(tmp_path / left)
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_file_that_can_not_be_written_is_the_one_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError, match="folder.png") as error:
        atomic_write(tmp_path / "folder.png", b"")
    assert error.value.filename == str(tmp_path / "folder.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder.png"]


def test_what_is_needed_is_compared_with_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2_000_000_000)
    memory.require_memory(1_999_999_999, "--n 5")
    with pytest.raises(UserError, match=r"--n 5: takes at least 3.0 GB of memory, 2.0 GB are free; lower it"):
        memory.require_memory(3_000_000_000, "--n 5")
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    memory.require_memory(10**30, "--n 5")

"""The campaign: plans, runs that are stopped and shared, the table that they come to, and its page."""

import csv
import time

import numpy as np
import pytest
import torch
from scipy import stats

from ctgan_utils.__main__ import main
from ctgan_utils.campaign import work as work_module
from ctgan_utils.campaign.plan import Entry, Plan, Run, checked, read_plan
from ctgan_utils.campaign.table import Summary, folder_of, read_result, rows_of, summaries, write_table
from ctgan_utils.campaign.work import Site, is_done, seconds_left, work
from ctgan_utils.runtime import REPOSITORY, UserError
from ctgan_utils.systems import EXPERIMENTS, get_experiment
from ctgan_utils.training import checkpoints
from ctgan_utils.training.history import read_history

HEAD = "experiment,settings,data,images,seeds\n"
TINY = "image_size=32 batch_size=8"


def entry(name="small", settings=TINY, images=32, seeds=2, data="set"):
    return Entry(name, settings, data, images, seeds)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign") / "real"
    assert main(["phantom", "--n", "160", "--size", "32", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def site(real, tmp_path, monkeypatch):
    """A Site whose runs are trained, and measured by a report that is known."""
    monkeypatch.setattr(work_module, "measured", lambda folder, real, site: report(real.n))
    return Site(tmp_path / "campaign", {"set": str(real)}, "smoke", n=12, device=torch.device("cpu"))


def report(n, value=3.0):
    distance = {"generated": value, "other patients": 1.0, "interval": [2.0, 4.0]}
    names = "precision", "recall", "density", "coverage", "1-NN accuracy"
    return {
        "n": n,
        "metric": "FD-ct",
        "value": value,
        "distances": {"FD-ct": distance, "FWD": distance},
        "measures": {name: {"generated": 0.5, "other patients": 0.9} for name in names},
        "memorisation": {"features": {"copied_share": 0.02, "copied_share_expected": 0.01}},
        "critic": None,
    }


def done(plan, site, **options):
    return [(run.entry.name, run.seed, result) for run, result in work(plan, site, **options)]


# plans


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 must be experiment,settings,data,images,seeds"),
        (HEAD, "plans nothing"),
        (HEAD + "smal,,phantom,64,1\n", "did you mean small"),
        (HEAD + "small,widht=3,phantom,64,1\n", "did you mean width"),
        (HEAD + "small,,phantom,many,1\n", "line 2: images many: it must be a whole number"),
        (HEAD + "small,,phantom,64,0\n", "line 2: seeds 0: it must be a whole number from 1 to 1,000"),
        (HEAD + "small,,phantom,64\n", "line 2 has 4 columns, not 5"),
        (HEAD + "small,,,64,1\n", "line 2 names no data"),
        (HEAD + "small,,../ct,64,1\n", "data ../ct: write a name of letters"),
        (HEAD + "small,,phantom,64,1\n" * 2, "small on phantom is planned twice"),
        (HEAD + "small,,phantom,64,1\n".replace("small,", '"sm', 1), "line 2 has 1 columns"),
        ("\xff", "line 1 must be"),
    ],
)
def test_a_plan_that_cannot_be_trained_is_told_with_its_line(tmp_path, text, message):
    path = tmp_path / "plan.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"plan\.csv") as error:
        read_plan(path, "smoke")
    assert message in str(error.value)


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = Plan((entry(), entry("ct-64", "width=8", 96, 1, "ct-kidney")))
    (tmp_path / "plan.csv").write_bytes(plan.as_csv())
    assert read_plan(tmp_path / "plan.csv", "smoke") == plan


def test_first_seeds_come_first():
    plan = Plan((entry(seeds=1), entry("dcgan-b64", seeds=3)))
    assert [(run.entry.experiment, run.seed) for run in plan.runs()] == [
        ("small", 0), ("dcgan-b64", 0), ("dcgan-b64", 1), ("dcgan-b64", 2),
    ]  # fmt: skip


def test_rates_that_fall_do_so_over_the_images_of_the_plan():
    assert get_experiment("ct-64", "smoke").horizon > 96
    assert entry("ct-64", "", 96).system("smoke").horizon == 96
    assert entry("ct-64", "horizon=77", 96).system("smoke").horizon == 77
    assert entry("small", "", 96).system("smoke").horizon == 0


# work


def test_a_campaign_trains_what_is_left_and_no_more(site):
    plan = Plan((entry(),))
    assert [result["images"] for *_, result in done(plan, site)] == [32, 32]
    assert done(plan, site) == []
    more = Plan((entry(images=48),))  # each run goes on
    assert [result["images"] for *_, result in done(more, site)] == [48, 48]
    assert [row["images"] for row in read_history(folder_of(site.folder, Run(more.entries[0], 0)))] == [
        32,
        48,
    ]


def test_a_run_that_is_stopped_goes_on_to_the_same_end(site, tmp_path):
    plan, run = Plan((entry(images=320, seeds=1),)), Run(entry(images=320), 0)
    ((_, _, result),) = done(plan, site, until=time.monotonic() + 0.2)  # of a training that takes longer
    assert result is None
    assert 0 <= checkpoints.load_state(folder_of(site.folder, run))["step"] < 40
    assert not is_done(run, site)
    ((_, _, result),) = done(plan, site)
    assert result["images"] == 320
    whole = Site(tmp_path / "whole", site.places, "smoke", n=12, device=site.device)
    done(plan, whole)
    ends = [
        checkpoints.digest_of(checkpoints.load_state(folder_of(s.folder, run))["opt_G"])
        for s in (site, whole)
    ]
    assert ends[0] == ends[1]


def test_no_run_begins_after_the_time_is_up(site):
    assert done(Plan((entry(),)), site, until=time.monotonic() - 1) == []
    assert not (site.folder / "runs").exists()


def test_processes_that_share_a_folder_do_each_run_once(site):
    plan = Plan((entry(),))
    first = Run(plan.entries[0], 0)
    system = first.entry.system("smoke")
    ct, _ = site.slices("set", system)
    with checkpoints.run_folder(folder_of(site.folder, first), system, ct, seed=0):  # as another process does
        assert [seed for _, seed, _ in done(plan, site)] == [1]
    assert [seed for _, seed, _ in done(plan, site)] == [0]


def test_shards_divide_the_runs_and_the_table_shows_what_is_there(site):
    plan = Plan((entry(seeds=3), entry("ct-64", f"{TINY} critic_width=2", seeds=2)))
    of_shards = [{(name, seed) for name, seed, _ in done(plan, site, shard=(1, 2))}]
    rows = write_table(site.folder, plan)
    assert {(row["experiment"], row["seed"]) for row in rows} == of_shards[0]
    assert len(rows) == 3
    of_shards.append({(name, seed) for name, seed, _ in done(plan, site, shard=(2, 2))})
    assert len(of_shards[0] | of_shards[1]) == len(list(plan.runs())) == len(write_table(site.folder, plan))


def test_a_run_that_diverges_is_in_the_table_and_the_others_go_on(site):
    wild = f"{TINY} optimizer=rmsprop learning_rate=1e30 critic_learning_rate=1e30"
    plan = Plan((entry(settings=wild, seeds=1), entry(seeds=1)))
    outcomes = [result["outcome"] for *_, result in done(plan, site)]
    assert outcomes[0].startswith("diverged at step ")
    assert outcomes[1] == "trained"
    first, second = rows_of(site.folder, plan)
    assert (first["n"], first["FD-ct"], first["precision floor"]) == (None, None, None)
    assert (second["n"], second["FD-ct"]) == (12, 3.0)
    assert done(plan, site) == []


def test_the_time_left_is_that_of_the_images_left(site):
    plan = Plan((entry(images=64),))
    assert seconds_left(plan, site) is None
    done(plan, site, shard=(1, 2))
    seconds = sum(
        (row["images"] - before) / row["images_per_second"]
        for row, before in zip(read_history(folder_of(site.folder, Run(plan.entries[0], 0))), [0])
    )
    assert seconds_left(plan, site) == pytest.approx(seconds)  # the second seed takes as long as the first
    done(plan, site)
    assert seconds_left(plan, site) == 0


# the table


def test_the_mean_over_seeds_and_its_interval_are_those_of_students_t():
    values = [3.1, 2.7, 4.0, 3.3]
    summary = Summary(entry(seeds=4), [{"FD-ct": value} for value in values])
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert summary.mean("FD-ct") == pytest.approx(np.mean(values))
    assert summary.interval("FD-ct") == pytest.approx(expected)
    assert Summary(entry(), [{"FD-ct": 3.1}, {"FD-ct": None}]).interval("FD-ct") is None
    assert Summary(entry(), []).mean("FD-ct") is None


def test_every_entry_has_a_summary_of_its_own_rows():
    plan = Plan((entry(), entry("ct-64")))
    rows = [{"experiment": f"ct-64 {TINY}", "data": "set"}, {"experiment": f"small {TINY}", "data": "other"}]
    assert [len(summary.rows) for summary in summaries(plan, rows)] == [0, 1]


def test_a_damaged_result_is_named(site):
    run = Run(entry(), 0)
    folder_of(site.folder, run).mkdir(parents=True)
    (folder_of(site.folder, run) / "result.json").write_text('{"images": 3}')
    with pytest.raises(UserError, match=r"result\.json: no result; remove it"):
        read_result(site.folder, run)


# the command


def refused(capsys, *words):
    capsys.readouterr()
    assert main(["campaign", *map(str, words)]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error:"))
    return line


def test_the_command_measures_as_evaluate_does_and_goes_on_with_its_folder_alone(real, tmp_path, capsys):
    plan, out = tmp_path / "my.csv", tmp_path / "out"
    plan.write_text(HEAD + f"small,{TINY},real,16,1\n")
    words = ["--profile", "smoke", "--n", "12", "--out", str(out), "--data", str(real)]
    assert main(["campaign", "--plan", str(plan), *words]) == 0
    assert "1 of 1 runs done" in capsys.readouterr().out
    (row,) = csv.DictReader((out / "campaign.csv").open())
    run = folder_of(out, Run(Entry("small", TINY, "real", 16, 1), 0))
    assert main(["evaluate", "--real", str(real), "--fake", str(run), "--n", "12", "--json"]) == 0
    assert f'"value": {float(row["FD-ct"]):.2f}'[:-1] in capsys.readouterr().out
    page = (out / "campaign.html").read_text()
    assert "1 of 1 runs are done" in page
    assert 'alt="16 samples of small' in page
    assert main(["campaign", *words]) == 0
    assert csv.DictReader((out / "campaign.csv").open()).__next__() == row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to do: name experiments, or a plan"),
        (["smal"], "did you mean small"),
        (["small", "--plan", "plan.csv"], "a plan is given with --plan"),
        (["--plan", "none.csv"], "none.csv: can't be read (No such file or directory); name a plan"),
        (["small", "--shard", "3/2"], "it must be I/N"),
        (["small", "--data", "x.safetensors"], "weights, not images"),
        (["small", "--data", "ct=/none/such"], "/none/such"),
        (["small", "--seeds", "0"], "it must be a whole number"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, message):
    assert message in refused(capsys, *words, "--profile", "smoke", "--out", tmp_path / "out")


def test_data_of_a_plan_that_nobody_placed_are_named(tmp_path, capsys):
    plan = tmp_path / "plan.csv"
    plan.write_text(HEAD + "small,,ct_kidney,64,1\n")
    line = refused(capsys, "--plan", plan, "--out", tmp_path / "out")
    assert "say where it lies with --data ct_kidney=FOLDER" in line
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert "holds other files" in refused(capsys, "small", "--out", tmp_path)


def test_images_of_a_plan_stand_in_the_plan(tmp_path, capsys):
    checked([entry()], "smoke", "here")
    plan = tmp_path / "plan.csv"
    plan.write_text(HEAD + "small,,phantom,64,1\n")
    line = refused(capsys, "--plan", plan, "--images", 10, "--out", tmp_path / "out")
    assert "a plan says them for each line" in line


@pytest.mark.parametrize("profile", ["lesson", "thesis"])
def test_the_plan_of_the_course_can_be_trained(profile):
    plan = read_plan(REPOSITORY / "data" / "results" / "plan.csv", profile)
    assert {entry.data for entry in plan.entries} == {"phantom", "ct_kidney", "mednist"}
    nine = {name for name, preset in EXPERIMENTS.items() if preset.thesis}
    assert nine <= {entry.experiment for entry in plan.entries}

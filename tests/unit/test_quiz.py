"""The visual test: its measures against published examples, its page, and the mistakes of its command."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from ctgan_utils import metrics
from ctgan_utils.__main__ import main
from ctgan_utils.evaluation.quiz import quiz_page
from ctgan_utils.runtime import SHIPPED


def contents_of(page):
    (coded,) = re.findall(r'atob\("([^"]+)"\)', page.decode())
    return json.loads(base64.b64decode(coded))


# measures


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (178, 300)])
def test_binomial_intervals_are_those_of_scipy(k, n):
    expected = stats.binomtest(k, n).proportion_ci(method="exact")
    assert metrics.binomial_interval(k, n) == pytest.approx((expected.low, expected.high))


def test_d_prime_is_the_distance_of_two_normal_distributions():
    """Evidence N(0, 1) of real and N(1.5, 1) of generated slices, wherever the reader draws the line."""
    for line in (-0.5, 0.75, 2.0):
        hits, alarms = (round(100_000 * stats.norm.sf(line, shift)) for shift in (1.5, 0))
        assert metrics.d_prime(hits, 100_000, alarms, 100_000) == pytest.approx(1.5, abs=0.01)
    assert metrics.d_prime(5, 10, 5, 10) == 0
    assert np.isfinite(metrics.d_prime(10, 10, 0, 10))


def test_fleiss_kappa_of_a_published_table():
    """Ten subjects, fourteen raters, five categories: 0.210 (the worked example of most textbooks)."""
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert metrics.fleiss_kappa(np.array(table)) == pytest.approx(0.210, abs=5e-4)
    assert metrics.fleiss_kappa(np.array([[3, 0], [0, 3], [3, 0]])) == pytest.approx(1)
    assert np.isnan(metrics.fleiss_kappa(np.array([[3, 0], [3, 0]])))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (metrics.binomial_interval, (5, 4)),
        (metrics.d_prime, (5, 4, 0, 4)),
        (metrics.d_prime, (0, 0, 0, 4)),
        (metrics.fleiss_kappa, (np.array([[1, 0]]),)),
        (metrics.fleiss_kappa, (np.array([[2, 0], [1, 0]]),)),
    ],
)
def test_counts_that_cannot_be_are_refused(function, arguments):
    with pytest.raises(ValueError, match=r"must|needs|no counts|needed"):
        function(*arguments)


# the page


def test_a_page_holds_every_slice_once_in_random_order_and_asks_for_nothing_else():
    real, fake = (torch.randint(256, (6, 1, 32, 32), dtype=torch.uint8) for _ in range(2))
    page = quiz_page(real, fake, "About <these>.", seed=1)
    slices = contents_of(page)["slices"]
    assert len({s["png"] for s in slices}) == 12
    assert sorted(s["generated"] for s in slices) == [False] * 6 + [True] * 6
    assert [s["generated"] for s in slices] != [False] * 6 + [True] * 6
    assert not re.search(rb"(src|href)=.?https?:", page)
    orders = [
        [s["generated"] for s in contents_of(quiz_page(real, fake, "", seed))["slices"]] for seed in (1, 2)
    ]
    assert orders[0] == [s["generated"] for s in slices] != orders[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quiz") / "real"
    assert main(["phantom", "--n", "200", "--size", "64", "--seed", "9", "--out", str(folder)]) == 0
    return folder


def test_the_command_takes_slices_of_different_patients(folder, tmp_path, capsys):
    out = tmp_path / "quiz.html"
    words = ["--real", folder, "--fake", SHIPPED / "small-phantom.safetensors", "--n", "12", "--out", out]
    assert main(["quiz", *map(str, words)]) == 0
    slices = contents_of(out.read_bytes())["slices"]
    assert [s["generated"] for s in slices].count(True) == 6
    shown = [base64.b64decode(s["png"]) for s in slices if not s["generated"]]
    pixels = [np.asarray(Image.open(io.BytesIO(png))) for png in shown]
    patients = dict(line.split(",")[:3:2] for line in (folder / "index.csv").read_text().splitlines()[1:])
    of = {np.asarray(Image.open(folder / name)).tobytes(): who for name, who in patients.items()}
    assert len({of[p.tobytes()] for p in pixels}) == 6
    assert main(["quiz", *map(str, words)]) == 0  # its own page is replaced


def saved(path, reader, said, truth=(True, True, True, False, False, False), quiz="a1"):
    answers = [{"generated": t, "said": s, "seconds": 1.0} for t, s in zip(truth, said)]
    path.write_text(json.dumps({"format": 1, "quiz": quiz, "reader": reader, "answers": answers}))
    return str(path)


def test_scores_of_readers_by_hand(tmp_path, capsys):
    files = [
        saved(tmp_path / "a.json", "Ann", [True, True, False, False, False, False]),
        saved(tmp_path / "b.json", "Bob", [True, False, False, True, False, False]),
    ]
    assert main(["quiz", "--score", *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["right"] for r in found["readers"]] == [5, 3]
    assert [r["generated_taken_for_real"] for r in found["readers"]] == [1, 2]
    assert found["mean_accuracy"] == pytest.approx(4 / 6)
    assert found["taken_for_real"] == [{"slice": 3, "readers": 2}, {"slice": 2, "readers": 1}]
    counts = [[2, 0], [1, 1], [0, 2], [1, 1], [0, 2], [0, 2]]
    assert found["kappa"] == pytest.approx(metrics.fleiss_kappa(np.array(counts)))
    assert main(["quiz", "--score", *files]) == 0
    assert "Ann: right in 5 (83%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--real", "phantom"], "--fake: missing"),
        (["--score", "none.json"], "--score none.json: No such file"),
        (["--score", "a.json", "--out", "b.html"], "--score: it takes the files of answers alone"),
        (["--real", "phantom", "--fake", "x", "--out", "q.txt"], "its name must end in .html"),
    ],
)
def test_a_mistake_is_one_line(words, message, capsys):
    assert main(["quiz", *words]) == 2
    assert message in capsys.readouterr().err


def test_answers_that_do_not_belong_together_are_refused(tmp_path, capsys):
    first = saved(tmp_path / "a.json", "Ann", [True] * 6)
    for other, message in (
        (saved(tmp_path / "b.json", "Bob", [True] * 6, quiz="b2"), "answered different quizzes"),
        (saved(tmp_path / "c.json", "Ann", [True] * 6), "two files are of reader Ann"),
    ):
        assert main(["quiz", "--score", first, other]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "d.json").write_text('{"format": 1, "answers": []}')
    assert main(["quiz", "--score", str(tmp_path / "d.json")]) == 2
    assert "not the answers that a quiz saved" in capsys.readouterr().err


def test_too_few_slices_are_told(folder, tmp_path, capsys):
    words = ["--real", folder, "--fake", folder, "--n", "500", "--out", tmp_path / "q.html"]
    assert main(["quiz", *map(str, words)]) == 2
    assert "200 slices, 250 are needed" in capsys.readouterr().err

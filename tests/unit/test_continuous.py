"""ct-64 told numbers: what they are, how both networks see them, and whether it gets what it asks for."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from test_command_line import refused
from torch.nn.functional import one_hot, softplus
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.__main__ import main
from ctgan_utils.data import measured
from ctgan_utils.networks.conditional import NumbersCritic, NumbersGenerator, ProjectionWaveletCritic, Scale
from ctgan_utils.networks.critics import WaveletCritic
from ctgan_utils.networks.generators import WaveletGenerator, grain_dim
from ctgan_utils.phantom import TISSUES
from ctgan_utils.runtime import SHIPPED, UserError
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.runs import slices_for
from ctgan_utils.training.trainer import Trainer

SMOKE = ["batch_size=4", "penalty_every=2"]


def told(*settings):
    """The system, small."""
    return get_experiment("continuous", "smoke", [*SMOKE, *settings])


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(64, 64, seed=0, truth=["width", "enhancement"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Phantoms as the command writes them."""
    path = tmp_path_factory.mktemp("phantoms") / "folder"
    assert main(["phantom", "--n", "60", "--size", "64", "--seed", "3", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    settings = [word for setting in SMOKE for word in ("--set", setting)]
    options = ["--profile", "smoke", "--steps", "2", "--data", str(folder), "--out", str(path)]
    assert main(["train", "continuous", *settings, *options]) == 0
    return path


# the numbers


def test_the_body_is_as_wide_as_its_outermost_columns_and_the_table_is_none_of_it():
    tissues = np.full((3, 16, 16), TISSUES.index("air"), np.uint8)
    tissues[:, 14] = TISSUES.index("table")
    tissues[0, 3:8, 4:8] = TISSUES.index("liver")
    tissues[0, 5, 11] = TISSUES.index("skin")  # columns 4 to 11, with a gap
    tissues[1] = TISSUES.index("muscle")
    assert measured.width(tissues).tolist() == [100 * 8 / 16, 100, 0]


def test_the_enhancement_is_the_mean_of_the_aorta_alone():
    tissues = np.full((2, 8, 8), TISSUES.index("liver"), np.uint8)
    hu = np.full((2, 8, 8), 3_000, np.int16)
    tissues[0, 2, 2:5], hu[0, 2, 2:5] = TISSUES.index("aorta"), [100, 200, 330]
    values = measured.enhancement(tissues, hu)
    assert values[0] == 210
    assert np.isnan(values[1])


def test_the_width_does_not_depend_on_the_number_of_pixels():
    small, large = (data.load_phantom(20, size, truth=["width"]).truth["width"] for size in (64, 128))
    assert (small - large).abs().max() <= 100 / 64 + 1e-4  # one of the larger pixels


def test_a_folder_of_phantoms_knows_the_numbers_of_the_built_in_ones(folder):
    names = ["width", "enhancement"]
    built_in = data.load_phantom(60, 64, seed=3, truth=names)
    ct = slices_for(told(), folder, phantoms=1)
    order = [int(np.flatnonzero((built_in.images == image).flatten(1).all(1))[0]) for image in ct.images]
    for name in names:
        assert_close(ct.truth[name], built_in.truth[name][order])
    assert data.load_folder(folder, 64).truth == {}


def test_any_column_of_numbers_can_be_told(tmp_path):
    for k, grey in enumerate((10, 90, 200)):
        Image.new("L", (8, 8), grey).save(tmp_path / f"{k}.png")
    index = tmp_path / "index.csv"
    index.write_text("File;Patient;Age\n0.png;A;61\n1.png;A;\n2.png;B;47.5\n")
    ct = data.load_folder(tmp_path, 8, numbers=["age", "weight"])
    assert list(ct.truth) == ["age"]
    assert_close(ct.truth["age"], torch.tensor([61, float("nan"), 47.5]), equal_nan=True)
    with pytest.raises(UserError, match=r"age: not known of 1 of 3 slices; leave these out"):
        told("numbers=age").check(ct.tensors(["images", "age"]))
    with pytest.raises(UserError, match=r"weight of its slices are not known; .* column of index\.csv"):
        ct.tensors(["weight"])
    index.write_text("file,patient,age\n0.png,A,61\n1.png,A,old\n")
    with pytest.raises(UserError, match=r"index\.csv: age of 1\.png is 'old', no number; mend it"):
        data.load_folder(tmp_path, 8, numbers=["age"])


# their scale


def test_numbers_are_told_in_deviations_from_their_mean():
    scale = Scale(2)
    scale.adapt(torch.tensor([[1.0, 100], [3, 100], [5, 400]]))
    assert_close(scale.mean, torch.tensor([3.0, 200]))
    assert_close(scale.deviation, torch.tensor([2.0, 30_000**0.5]))
    assert_close(scale(torch.tensor([[7.0, 200]])), torch.tensor([[2.0, 0]]))


def test_ranks_give_back_the_distribution_of_the_numbers():
    scale, seen = Scale(2), torch.stack([torch.linspace(-3, 7, 1_001), torch.linspace(0, 1, 1_001) ** 3], 1)
    scale.adapt(seen[torch.randperm(1_001)])
    ranks = torch.tensor([0.0, 0.333, 0.5, 1.0])
    found = scale.at(torch.stack([ranks, ranks], 1))
    assert_close(found[:, 0], -3 + 10 * ranks)  # of an even distribution
    assert_close(found[:, 1], ranks**3, atol=1e-4, rtol=0)
    drawn = scale.at(torch.rand(20_000, 2)).sort(0).values[::20]
    assert (drawn - seen.sort(0).values[: len(drawn)]).abs().max() < 0.15


# the networks


def test_the_numbers_are_joined_to_z():
    G = NumbersGenerator(32, 5, 2, 2).eval()
    G.scale.adapt(torch.randn(50, 2) * torch.tensor([10.0, 100]) + 60)
    z, grain, numbers = torch.randn(3, 5), torch.randn(3, grain_dim(32)), torch.full((3, 2), 66.0)
    plain = WaveletGenerator(32, 7, 2).eval()
    plain.load_state_dict({k: v for k, v in G.state_dict().items() if not k.startswith("scale")})
    joined = torch.cat([z, (numbers - G.scale.mean) / G.scale.deviation], dim=1)
    assert torch.equal(G(z, grain, numbers), plain(joined, grain))


def test_the_score_is_linear_in_the_numbers():
    D = NumbersCritic(32, 4, 2)
    D.scale.adapt(torch.randn(50, 2) * torch.tensor([10.0, 100]) + 60)
    x, a, b = torch.randn(5, 1, 32, 32), torch.full((5, 2), 30.0), torch.tensor([[70.0, -20]]).expand(5, 2)
    with torch.no_grad():
        assert_close(D(x, a), WaveletCritic.forward(D, x))  # the embedding begins at 0
        D.classes.weight.normal_()
        features = D.features(x).mean((2, 3))
        change = ((b - a) / D.scale.deviation) @ D.classes.weight
        assert_close(D(x, b) - D(x, a), (change * features).sum(1))
        assert_close(D(x, a + 0.3 * (b - a)), D(x, a) + 0.3 * (D(x, b) - D(x, a)))


def test_classes_told_as_numbers_give_the_projection_of_classes():
    told_classes, told_numbers = ProjectionWaveletCritic(32, 4, 3), NumbersCritic(32, 4, 3)
    with torch.no_grad():
        told_classes.classes.weight.normal_()
    told_numbers.load_state_dict({**told_numbers.state_dict(), **told_classes.state_dict()})
    x, labels = torch.randn(6, 1, 32, 32), torch.tensor([0, 1, 2, 2, 1, 0])
    assert_close(told_numbers(x, one_hot(labels, 3).float()), told_classes(x, labels))


def test_the_units_of_the_numbers_change_nothing(ct):
    """Width in mm on another patient's couch, say: a number times a factor, plus an offset."""
    s = told()
    batch = {**data.Batches(ct.tensors(s.inputs), 4, seed=0)[0], **s.noise(4, torch.Generator()), "step": 1}
    losses = []
    for factor, offset in ((1, 0), (0.1, 7)):
        torch.manual_seed(0)
        G, D = s.networks()
        torch.nn.init.normal_(D.classes.weight)
        tensors = {**ct.truth, "width": factor * ct.truth["width"] + offset}
        s.adapt(G, D, tensors)
        moved = {**batch, "width": factor * batch["width"] + offset}
        losses.append((s.critic_loss(G, D, moved)[0], s.generator_loss(G, D, moved)[0]))
    assert_close(losses[0], losses[1], atol=1e-3, rtol=1e-3)


# the system


def test_a_generated_slice_is_compared_with_a_real_one_of_its_numbers(ct):
    s = told()
    G, D = s.networks()
    s.adapt(G, D, ct.truth)
    batch = {**data.Batches(ct.tensors(s.inputs), 4, seed=0)[0], **s.noise(4, torch.Generator()), "step": 1}
    with torch.no_grad():
        D.classes.weight.normal_()
        numbers = torch.stack([batch["width"], batch["enhancement"]], 1)
        fake = G(batch["z"], batch["grain"], numbers)
        gap = D(batch["images"], numbers) - D(fake, numbers)
        assert_close(s.critic_loss(G, D, batch)[0], softplus(-gap).mean())
        assert_close(s.generator_loss(G, D, batch)[0], softplus(gap).mean())


def test_what_nobody_asks_for_is_drawn_as_the_training_slices_have_it(ct):
    s = told()
    G, D = (network.eval() for network in s.networks())
    s.adapt(G, D, ct.truth)
    noise = s.noise(4, torch.Generator())
    drawn = G.scale.at(noise["ranks"])
    wish = torch.full((4,), 80.0)
    with torch.no_grad():
        assert_close(s.generate(G, noise), G(noise["z"], noise["grain"], drawn))
        both = torch.stack([wish, drawn[:, 1]], 1)
        assert_close(s.generate(G, {**noise, "width": wish}), G(noise["z"], noise["grain"], both))
    low, high = s.bounds(G)["enhancement"]
    assert (low, high) == pytest.approx(
        (ct.truth["enhancement"].min().item(), ct.truth["enhancement"].max().item())
    )


@pytest.mark.parametrize("names", ["", "width,width", "width,", "z", "images,width", "ranks"])
def test_numbers_need_names_of_their_own(names):
    with pytest.raises(UserError, match="numbers=.*different names with commas"):
        told(f"numbers={names}")


def test_a_number_that_is_the_same_for_all_is_refused(ct):
    s = told("numbers=width")
    tensors = {"images": ct.images, "width": torch.full((len(ct),), 70.0)}
    with pytest.raises(UserError, match="width: the same for all slices; leave it out"):
        Trainer(s, *s.networks(), tensors)


# from the command line


def test_the_scale_is_that_of_the_slices_it_learnt_from(run, folder, tmp_path):
    G, system = load_generator(run)
    train, _ = data.split(slices_for(system, folder, phantoms=1), 0.2)
    assert_close(G.scale.mean, torch.stack([train.truth[name].mean() for name in system.names]))
    main(["export", str(run), "--bits", "8", "--out", str(tmp_path / "G.safetensors")])
    exported, _ = load_generator(tmp_path / "G.safetensors")
    assert torch.equal(exported.scale.mean, G.scale.mean)
    assert_close(exported.scale.percentiles, G.scale.percentiles, atol=0.02, rtol=0)


def test_a_number_can_be_asked_for(run, tmp_path, capsys):
    G, system = load_generator(run)
    low, high = system.bounds(G)["width"]
    wish = round((low + high) / 2)
    ask = ["--n", "3", "--ask", f"width={wish}", "--ask", "enhancement=100"]
    assert main(["sample", str(run), *ask, "--out", str(tmp_path / "asked")]) == 0
    given = {"width": torch.full((3,), float(wish)), "enhancement": torch.full((3,), 100.0)}
    assert torch.equal(data.load_folder(tmp_path / "asked", 64).images, sample(G, 3, given=given))
    again = ["sample", run, "--out", tmp_path / "again.png", "--ask"]
    assert "did you mean width?" in refused(capsys, *again, "widht=80")
    for wrong in ("width=wide", "width=nan", "width=1e9", "width", "width="):
        assert f"give a number from {low:.4g} to {high:.4g}" in refused(capsys, *again, wrong)


def test_the_index_of_phantoms_has_the_numbers(folder):
    rows = list(csv.DictReader((folder / "index.csv").read_text().splitlines()))
    truth = np.load(folder / "ground_truth.npz")
    assert_close([float(row["width"]) for row in rows], measured.width(truth["labels"]).tolist())
    values = measured.enhancement(truth["labels"], truth["hu"])
    assert np.array([float(row["enhancement"]) for row in rows]) == pytest.approx(values, rel=1e-6)


def test_who_is_told_no_numbers_is_asked_for_none(capsys, tmp_path):
    shipped = SHIPPED / "small-phantom.safetensors"
    line = refused(capsys, "sample", shipped, "--out", tmp_path / "a.png", "--ask", "width=80")
    assert "small is told no numbers; leave it out" in line

"""Few patients: DiffAugment, the adaptive probability, the choice of patients, membership attacks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from ctgan_utils import data, metrics
from ctgan_utils.data.slices import as_batch
from ctgan_utils.evaluation import scarce
from ctgan_utils.networks.augmentation import (
    AdaptiveProbability,
    apply_policy,
    colour,
    cutout,
    flip,
    translation,
)
from ctgan_utils.runtime import UserError
from ctgan_utils.systems import get_experiment
from ctgan_utils.systems.scarce import adaptive_of
from ctgan_utils.training.runs import new_trainer


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(64, 1, 32, 32, dtype=torch.float64) * 2 - 1


def test_colour_is_the_brightness_and_contrast_of_zhao(images):
    """An image becomes a * x + b with a in [0.5, 1.5), and its mean moves by the brightness alone."""
    changed = colour(images)
    moved = (changed - images).mean((1, 2, 3))
    assert moved.abs().max() <= 0.5
    assert moved.min() < -0.4
    assert moved.max() > 0.4
    factor = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert factor.min() >= 0.5
    assert factor.max() < 1.5
    assert factor.min() < 0.6
    assert factor.max() > 1.4
    mean = images.mean((1, 2, 3), keepdim=True)
    assert_close(changed, factor[:, None, None, None] * (images - mean) + mean + moved[:, None, None, None])


def test_translation_moves_by_up_to_an_eighth_and_lets_in_grey():
    column, row = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    places = (100 * column + row + 1).expand(200, 1, 32, 32)  # each pixel says where it comes from
    torch.manual_seed(0)
    changed = translation(places)[:, 0, 16, 16] - places[0, 0, 16, 16]
    moves = {(round(m / 100), round(m - 100 * round(m / 100))) for m in changed.tolist()}
    assert {abs(x) for move in moves for x in move} == {0, 1, 2, 3, 4}
    corner = translation(places)[:, 0, 0, 0]
    assert (corner == 0).any()
    assert (corner == 1).any()


def test_cutout_takes_half_a_side_wherever_its_middle_lies():
    torch.manual_seed(0)
    changed = cutout(torch.ones(500, 1, 32, 32))[:, 0] == 0
    counts = changed.sum((1, 2))
    assert counts.max() == 16 * 16
    assert counts.min() >= 8 * 8
    rows, columns = changed.any(2).sum(1), changed.any(1).sum(1)
    assert (rows * columns == counts).all()  # a rectangle
    assert changed[:, 0, 0].any()
    assert changed[:, 31, 31].any()


@pytest.mark.parametrize("change", [colour, translation, cutout, flip])
def test_changes_pass_exact_gradients_and_differ_from_image_to_image(images, change):
    few = images[:2, :, :8, :8].clone().requires_grad_(True)

    def repeated(x):
        torch.manual_seed(3)
        return change(x)

    assert torch.autograd.gradcheck(repeated, few)
    if change is not flip:
        same = images[:1].expand(64, -1, -1, -1)
        assert len(change(same).flatten(1).unique(dim=0)) > 16


def test_real_and_generated_images_are_changed_alike(images):
    """With the same draw, what is done to an image does not depend on whose it is."""
    torch.manual_seed(5)
    first = apply_policy(images, "diffaugment", 0.5)
    torch.manual_seed(5)
    assert_close(apply_policy(images.clone(), "diffaugment", 0.5), first)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_a_policy_changes_the_share_that_it_is_asked_to(probability):
    images = torch.arange(8.0).expand(4_000, 1, 1, 8)
    torch.manual_seed(0)
    share = (apply_policy(images, "flips", probability) != images).flatten(1).any(1).float().mean()
    assert abs(share - probability) < 0.03 if 0 < probability < 1 else share == probability


@pytest.mark.parametrize(
    ("scores", "expected"), [([1, 1, 1, 1], 0.34), ([1, 1, 1, -1], 0.26), ([-1] * 4, 0.26)]
)
def test_the_probability_moves_against_overfitting(scores, expected):
    """r_t of 1, 0.5 and -1 against a target of 0.6, from 0.3: by 4 images seen of 100, up for the first."""
    p = AdaptiveProbability()
    p.probability.fill_(0.3)
    p.observe(torch.tensor(scores).float())
    p.adjust(0.6, reach=100)
    assert p.probability.item() == pytest.approx(expected)
    p.adjust(0.6, reach=100)  # nothing was observed since
    assert p.probability.item() == pytest.approx(expected)


def test_the_probability_stays_a_probability():
    p = AdaptiveProbability()
    for scores, bound in ((-torch.ones(50), 0), (torch.ones(50), 1)):
        for _ in range(5):
            p.observe(scores)
            p.adjust(0.6, reach=100)
        assert p.probability == bound


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(96, 32, seed=3)


def test_an_adapted_run_goes_on_bit_for_bit(ct, tmp_path):
    s = get_experiment("scarce", "smoke", ["image_size=32", "policy=diffaugment", "target=0.1", "reach=40"])
    whole = new_trainer(s, ct, 0)
    for _ in range(6):
        whole.train_step()
    assert 0 < adaptive_of(whole.D).probability < 1 or adaptive_of(whole.D).seen > 0
    first = new_trainer(s, ct, 0)
    for _ in range(3):
        first.train_step()
    first.save(tmp_path)
    second = new_trainer(s, ct, 0)
    second.load(tmp_path)
    for _ in range(3):
        second.train_step()
    for network, other in ((whole.G, second.G), (whole.D, second.D)):
        for (name, a), b in zip(network.state_dict().items(), other.state_dict().values()):
            assert torch.equal(a, b), name


def test_the_loss_is_that_of_stylegan2(ct):
    """Non-saturating with R1 every so many steps, by hand."""
    s = get_experiment("scarce", "smoke", ["image_size=32", "gamma=3", "penalty_every=4"])
    torch.manual_seed(0)
    G, D = s.networks()
    batch = as_batch(ct[:8].tensors(s.inputs)) | s.noise(8, torch.Generator().manual_seed(0))
    real, labels = batch["images"].requires_grad_(True), batch["labels"]
    a, b = D(real, labels), D(G(batch["z"], labels).detach(), labels)
    plain = -torch.log(torch.sigmoid(a)).mean() - torch.log(1 - torch.sigmoid(b)).mean()
    (slope,) = torch.autograd.grad(a.sum(), real, retain_graph=True)
    penalty = 4 * 3 / 2 * slope.square().sum((1, 2, 3)).mean()
    for step, expected in ((1, plain), (4, plain + penalty)):
        assert_close(s.critic_loss(G, D, {**batch, "step": step})[0], expected)


@pytest.mark.parametrize("setting", ["policy=mixup", "probability=1.5", "target=1", "reach=0"])
def test_bad_settings_get_a_line(setting):
    with pytest.raises(UserError, match=setting.split("=")[0]):
        get_experiment("scarce", "smoke", [setting])


def test_auc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 40), rng.integers(1, 8, 70)  # with ties
    expected = roc_auc_score(np.repeat([1, 0], [40, 70]), np.concatenate([a, b]))
    assert metrics.roc_auc(a, b) == pytest.approx(expected, abs=1e-12)
    assert metrics.roc_auc([1, 2], [0, 1.5]) == 0.75  # by hand: three of four pairs
    low, high = metrics.auc_interval(a, b)
    assert low < expected < high
    assert metrics.auc_interval(np.array([2.0, 3.0]), np.zeros(9)) == (1, 1)


@pytest.mark.parametrize(("members", "others"), [([], [1.0]), ([np.nan], [1.0])])
def test_auc_needs_scores_on_both_sides(members, others):
    with pytest.raises(ValueError, match="needed|finite"):
        metrics.roc_auc(np.array(members), np.array(others))


def test_intervals_of_auc_hold_the_truth():
    """For two normal distributions a standard deviation apart the truth is Phi(1 / sqrt 2)."""
    truth, held = 0.7602, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        low, high = metrics.auc_interval(rng.normal(1, 1, 40), rng.normal(0, 1, 60), seed)
        held += low <= truth <= high
    assert held >= 53


def test_scores_of_patients_are_means():
    assert metrics.of_patients(np.array([1.0, 3, 10]), np.array([7, 7, 2])).tolist() == [10, 2]


def test_an_attack_guesses_on_a_stranger_and_finds_a_copier():
    """Samples of patients that are neither members nor judged: 0.5. The members' own slices as samples: 1."""
    rng = np.random.default_rng(0)
    members, others, strangers = rng.normal(size=(3, 400, 8))
    patients = np.repeat(np.arange(100), 4)

    def auc(samples):
        scores = (metrics.nearness(rows, samples) for rows in (members, others))
        return metrics.roc_auc(*(metrics.of_patients(s, patients) for s in scores))

    assert abs(auc(strangers) - 0.5) < 0.1
    assert auc(members + rng.normal(0, 0.01, members.shape)) == 1


def made_up(patients, slices=3, classes=4):
    """Slices whose patient and class are known: patient k is of class k % classes, the fewer the higher."""
    groups = torch.arange(patients).repeat_interleave(slices)
    images = torch.randint(256, (len(groups), 1, 16, 16), generator=torch.Generator().manual_seed(0))
    names = tuple(map(str, range(classes)))
    return data.CTImages(images.byte(), groups % classes, names, groups, "patient", "made up")


def test_patients_are_chosen_class_by_class_and_never_twice():
    many = made_up(40)
    a, b, other = (scarce.choose(many, n, 8, seed) for n, seed in ((4, 1), (8, 1), (8, 2)))
    parts = [set(part.groups.tolist()) for part in (b.few, b.new, b.unseen)]
    assert [len(part) for part in parts] == [8, 8, 8]
    assert len(set.union(*parts)) == 24
    assert set(a.few.groups.tolist()) < parts[0]
    assert set(other.few.groups.tolist()) != parts[0]
    assert set(other.unseen.groups.tolist()) == parts[2] == set(a.unseen.groups.tolist())
    assert a.few.labels.unique().tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="too few"):
        scarce.choose(many, 17, 8)


def test_a_classifier_learns_what_can_be_told_and_guesses_the_rest():
    many = made_up(200, slices=1)
    bright = (many.images // 2 + 100 * (torch.arange(200) % 2)[:, None, None, None]).byte()
    ct = data.CTImages(bright, torch.arange(200) % 2, ("dark", "bright"), many.groups, "patient", "made up")
    told = scarce.train_classifier([(ct.images[:100], ct.labels[:100])], 2, 40)
    assert scarce.balanced_accuracy(told, ct[100:]) > 0.95
    untold = scarce.train_classifier([(many.images[:100], ct.labels[:100])], 2, 40)
    assert abs(scarce.balanced_accuracy(untold, made_up(200, 1, classes=2)[100:]) - 0.5) < 0.2

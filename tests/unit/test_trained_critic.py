"""The trained critic: known answers, patients kept whole, intervals that hold, and its figures."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ctgan_utils.evaluation import trained_critic as module
from ctgan_utils.evaluation.trained_critic import TextureCritic, halves, trained_critic
from ctgan_utils.figures.critics import scores_figure, telling_figure

SIZE = 16


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def noise_images(n, mean, seed, deviation=30.0):
    """Independent images of white noise, uint8 [n, 1, 16, 16]."""
    return (
        (mean + deviation * torch.randn(n, 1, SIZE, SIZE, generator=rng(seed))).clamp(0, 255).to(torch.uint8)
    )


def patients_images(patients, each, seed, contrast=40):
    """(images uint8 [N, 1, 16, 16], groups [N]): every patient has stripes and a grey level of its own."""
    groups = torch.arange(patients).repeat_interleave(each)
    level, fx, fy = torch.rand(3, patients, 1, 1, 1, generator=rng(seed))[:, groups]
    phase = 2 * torch.pi * torch.rand(len(groups), 1, 1, 1, generator=rng(seed + 1))
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    stripes = torch.sin(fx * x + fy * y + phase)
    return (60 + 120 * level + contrast * stripes).to(torch.uint8), groups


def contains_chance(interval):
    return interval[0] <= 0.5 <= interval[1]


@pytest.fixture(scope="module")
def easy():
    """Dark against bright noise."""
    real, fake = noise_images(60, 100, 1), noise_images(60, 160, 2)
    return trained_critic(real, torch.arange(60), fake, seeds=2, steps=60)


def test_what_is_easily_told_apart_is(easy):
    assert easy.accuracy == easy.auc == 1
    assert easy.accuracy_interval == easy.auc_interval == (1, 1)
    assert easy.accuracy_of_seeds == easy.auc_of_seeds == (1, 1)
    assert (easy.real_scores > 0.5).all()
    assert (easy.fake_scores < 0.5).all()
    assert (easy.n, easy.patients) == (60, (60, 60))


def test_one_distribution_is_not_told_apart():
    real, fake = noise_images(200, 128, 1), noise_images(200, 128, 2)
    found = trained_critic(real, torch.arange(200), fake, seeds=2, steps=60)
    assert contains_chance(found.accuracy_interval)
    assert contains_chance(found.auc_interval)


def test_patients_are_no_difference_but_would_seem_one_if_they_were_divided():
    """Both sides are drawn from one population of patients, no two of whom look alike.

    A critic that has seen a slice of a patient knows on which side that patient is. Split by slices, it takes
    other patients for another distribution; split by patients, it can't.
    """
    (real, patients), (fake, others) = patients_images(8, 16, 10), patients_images(8, 16, 20)
    by_patients = trained_critic(real, patients, fake, others, seeds=2, steps=60)
    assert contains_chance(by_patients.accuracy_interval)
    assert contains_chance(by_patients.auc_interval)
    by_slices = trained_critic(real, torch.arange(len(real)), fake, seeds=2, steps=60)
    assert by_slices.accuracy_interval[0] > 0.7
    assert by_slices.auc_interval[0] > 0.9


def test_a_faint_fault_is_found():
    """Noise of 4 grey levels, where the patients themselves differ by a hundred."""
    (real, patients), (fake, others) = (patients_images(16, 12, seed, contrast=10) for seed in (10, 20))
    noisy = (fake + 4 * torch.randn(fake.shape, generator=rng(3))).clamp(0, 255).to(torch.uint8)
    assert trained_critic(real, patients, noisy, others, seeds=2, steps=60).auc_interval[0] > 0.9


def test_it_does_not_matter_which_side_is_called_real():
    real, fake = noise_images(100, 120, 1), noise_images(100, 136, 2)
    groups = torch.arange(100)
    one = trained_critic(real, groups, fake, groups, seeds=2, steps=60)
    other = trained_critic(fake, groups, real, groups, seeds=2, steps=60)
    assert one.auc == pytest.approx(other.auc, abs=0.02)
    assert one.real_scores.mean() == pytest.approx(1 - other.fake_scores.mean(), abs=0.05)


def test_the_area_is_that_of_scikit_learn_and_does_not_change_with_the_sides():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 9, 40).astype(float), generator.integers(0, 7, 60).astype(float)
    groups = np.arange(40), np.arange(60)
    truth = [1] * 40 + [0] * 60
    area = module._auc(scores, groups)
    assert area.value == pytest.approx(roc_auc_score(truth, np.concatenate(scores)))
    swapped = module._auc((-scores[1], -scores[0]), groups[::-1])
    assert (swapped.value, swapped.margin) == pytest.approx((area.value, area.margin))


def test_the_accuracy_weighs_both_sides_alike():
    scores = np.array([1.0, 2.0, -1.0, 3.0]), np.array([-1.0, 1.0])
    found = module._accuracy(scores, (np.arange(4), np.arange(2)))
    assert found.value == (3 / 4 + 1 / 2) / 2


def test_slices_of_a_patient_that_are_all_alike_count_as_one():
    generator = np.random.default_rng(0)
    scores = generator.normal(1, 1, 30), generator.normal(0, 1, 30)
    once = module._auc(scores, [np.arange(30)] * 2)
    repeated = module._auc([s.repeat(7) for s in scores], [np.arange(30).repeat(7)] * 2)
    assert (repeated.value, repeated.margin) == pytest.approx((once.value, once.margin))
    naive = module._auc([s.repeat(7) for s in scores], [np.arange(210)] * 2)
    assert naive.margin < 0.5 * once.margin


def test_the_margin_is_welchs():
    """For parts that are plain numbers, each a group, it is that of the difference of two means."""
    from scipy import stats

    generator = np.random.default_rng(0)
    x, y = generator.normal(0, 1, 9), generator.normal(0, 3, 6)
    found = module._judged(0.0, (x, y), (np.arange(9), np.arange(6)))
    welch = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    assert found.margin == pytest.approx((welch.high - welch.low) / 2)


def test_a_margin_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    groups = np.arange(12).repeat(8), np.arange(60)
    hits = []
    for _ in range(400):
        x = generator.normal(size=12)[groups[0]] + generator.normal(size=96)
        area = module._auc((x, 1.4 * generator.normal(size=60)), groups)
        hits.append(abs(area.value - 0.5) <= area.margin)
    assert 0.92 < np.mean(hits) < 0.98


def test_patients_are_never_divided():
    groups = torch.tensor([5, 5, 9, 9, 9, 1, 7, 7, 3])
    for seed in range(20):
        first = halves(groups, rng(seed))
        assert not set(groups[first].tolist()) & set(groups[~first].tolist())
        assert len(groups[first].unique()) == 2
    divisions = {tuple(halves(groups, rng(seed)).tolist()) for seed in range(20)}
    assert len(divisions) > 3


def test_a_critic_is_judged_only_on_patients_that_it_has_not_seen(monkeypatch):
    """Each image is its patient's number: what is learnt from and what is judged share none."""
    groups = torch.arange(10).repeat_interleave(4)
    images = groups.to(torch.uint8)[:, None, None, None].expand(-1, 1, SIZE, SIZE)
    learnt = []

    def train(sides, *args):
        learnt.append([set(side.flatten().tolist()) for side in sides])
        return sides

    def scores(sides, images):
        learnt[-1].append(set(images.flatten().tolist()))
        return np.zeros(len(images))

    monkeypatch.setattr(module, "_train", train)
    monkeypatch.setattr(module, "_scores", scores)
    trained_critic(images, groups, images + 100, groups, seeds=3)
    assert len(learnt) == 6
    for real, fake, real_judged, fake_judged in learnt:
        assert real | real_judged == set(range(10))
        assert fake | fake_judged == set(range(100, 110))
        assert not real & real_judged
        assert not fake & fake_judged


def test_it_repeats_bit_for_bit_and_leaves_other_random_numbers_alone():
    real, fake = noise_images(40, 120, 1), noise_images(40, 136, 2)
    state = torch.get_rng_state()
    one, again, other = (
        trained_critic(real, torch.arange(40), fake, seeds=1, steps=5, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(one.real_scores, again.real_scores)
    assert one.auc_interval == again.auc_interval
    assert not np.array_equal(one.real_scores, other.real_scores)
    assert torch.equal(state, torch.get_rng_state())


def test_of_the_larger_side_as_many_are_judged_as_the_smaller_has():
    real, fake = noise_images(90, 100, 1), noise_images(40, 160, 2)
    found = trained_critic(real, torch.arange(90), fake, seeds=1, steps=5)
    assert found.n == 40
    assert (~np.isnan(found.real_scores)).sum() == 40
    assert not np.isnan(found.fake_scores).any()


def test_an_image_is_scored_the_same_in_any_batch_and_at_any_size():
    for size in (8, 16, 64, 128):
        critic = TextureCritic(size)
        images = torch.randint(0, 256, (6, 1, size, size), generator=rng(), dtype=torch.uint8)
        alone = torch.cat([critic(image[None]) for image in images])
        assert torch.allclose(critic(images), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"real": noise_images(19, 128, 0), "groups_real": torch.arange(19)},
            "19 images on a side are too few",
        ),
        ({"groups_real": torch.arange(40) // 20}, "2 patients or groups on the real side; 4 are needed"),
        ({"groups_fake": torch.zeros(40)}, "1 patients or groups on the generated side"),
        ({"groups_real": torch.arange(39)}, r"40 real images have groups of shape \[39\]"),
        ({"fake": torch.zeros(40, 1, 32, 32, dtype=torch.uint8)}, r"sizes \[16, 16\] and \[32, 32\]"),
        ({"fake": torch.zeros(40, 1, 16, 16)}, "uint8 images"),
        ({"seeds": 0}, "0 seeds"),
    ],
)
def test_bad_input_is_named(change, message):
    images = noise_images(40, 128, 0)
    given = {"real": images, "groups_real": torch.arange(40), "fake": images} | change
    with pytest.raises(ValueError, match=message):
        trained_critic(**given)


def test_images_too_small_for_the_network_are_named():
    images = torch.zeros(40, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match="images of 4 pixels a side"):
        trained_critic(images, torch.arange(40), images)


def test_the_most_telling_slices_come_first_and_mistakes_are_bold(easy):
    real, fake = noise_images(60, 100, 1), noise_images(60, 160, 2)
    real_scores, fake_scores = easy.real_scores.copy(), easy.fake_scores.copy()
    real_scores[:2], fake_scores[:3] = (np.nan, 0.3), (0.01, 0.9, np.nan)
    fig = telling_figure(real, fake, real_scores, fake_scores, "Noise.", columns=3)
    titles = [axis.title for axis in fig.axes]
    assert [float(t.get_text()) for t in titles[:3]] == sorted(float(t.get_text()) for t in titles[:3])
    assert titles[3].get_text() == "0.90"
    assert titles[6].get_text() == "0.30"
    assert [t.get_fontweight() == "bold" for t in titles] == [k in (3, 6) for k in range(9)]
    assert np.array_equal(fig.axes[3].images[0].get_array(), fake[1, 0])


def test_one_slice_of_each_patient_is_shown(easy):
    real, fake, groups = noise_images(60, 100, 1), noise_images(60, 160, 2), torch.arange(60) // 30
    fig = telling_figure(real, fake, easy.real_scores, easy.fake_scores, "Noise.", groups, columns=4)
    shown = [axis.images[0].get_array() for axis in fig.axes[8:] if axis.images]
    lowest = sorted(
        (half[easy.real_scores[half].argmin()] for half in np.split(np.arange(60), 2)),
        key=lambda k: easy.real_scores[k],
    )
    assert np.array_equal(shown, real[lowest, 0])


def test_the_histogram_shows_all_that_was_judged(easy):
    fake_scores = np.append(easy.fake_scores, np.nan)
    fig = scores_figure(easy.real_scores, fake_scores, easy.measured, "Noise.")
    heights = [bar.get_height() for bar in fig.axes[0].patches]
    assert sum(heights[:20]) == pytest.approx(1)
    assert sum(heights[20:]) == pytest.approx(1)
    assert [t.get_text() for t in fig.axes[1].get_yticklabels()] == ["accuracy", "AUC"]

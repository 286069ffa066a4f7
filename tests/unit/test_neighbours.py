"""Measures by nearest neighbours against torch-fidelity, the definitions, and generators of known faults."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from ctgan_utils.metrics import (
    copied_share,
    data_copying_z,
    density_coverage,
    frechet_distance,
    memorisation_ratio,
    nearest_distances,
    nearest_neighbour_accuracy,
    precision_recall,
)


def rng():
    return np.random.default_rng(0)


def distance_matrix(x, y):
    return np.linalg.norm(x[:, None] - y[None], axis=2)


def held(real, fake, k):
    """bool [N, M]: whether each real row's k-neighbour ball holds each fake row."""
    radii = np.sort(distance_matrix(real, real), axis=1)[:, k]  # the first is the row itself
    return distance_matrix(real, fake) <= radii[:, None]


def alike(d=6, sizes=(400, 300)):
    generator = rng()
    return [generator.normal(size=(n, d)) for n in sizes]


@pytest.mark.parametrize("k", [1, 4])
def test_nearest_distances_are_those_of_the_whole_matrix(k):
    queries, references = rng().normal(size=(300, 9)), rng().normal(1, 2, (280, 9))
    matrix = distance_matrix(queries, references)
    distances, indices = nearest_distances(queries.astype(np.float32), references, k)
    assert np.array_equal(indices, matrix.argsort(1)[:, :k])
    assert np.allclose(distances, np.sort(matrix, 1)[:, :k], rtol=1e-5)


def test_no_row_is_its_own_neighbour():
    x = rng().normal(size=(600, 5))
    matrix = distance_matrix(x, x)
    np.fill_diagonal(matrix, np.inf)
    distances, indices = nearest_distances(x, x, same=True)
    assert np.array_equal(indices[:, 0], matrix.argmin(1))
    assert np.allclose(distances[:, 0], matrix.min(1), rtol=1e-12)


@pytest.mark.parametrize("noise", [1e-2, 1e-5, 0])
def test_near_copies_far_from_the_origin_are_found_exactly(noise):
    references = 1_000 + rng().normal(size=(500, 64))
    step = noise * rng().normal(size=(500, 64))
    distances, indices = nearest_distances(references + step, references, k=2)
    assert np.array_equal(indices[:, 0], np.arange(500))
    assert np.allclose(distances[:, 0], np.linalg.norm(step, axis=1), rtol=1e-6)
    assert distances[:, 1].min() > 1


@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (0.5, 1), (0, 0.5), (0.5, 2)])
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_torch_fidelitys(shift, scale, k):
    real, fake = alike()
    fake = shift + scale * fake
    theirs = prc_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=k, verbose=False
    )
    expected = theirs["precision"], theirs["recall"]
    assert precision_recall(real, fake, k) == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx((held(real, fake, k).any(0).mean(), held(fake, real, k).any(0).mean()))


@pytest.mark.parametrize("k", [1, 5])
def test_density_and_coverage_are_their_definitions(k):
    real, fake = alike()
    balls = held(real, 0.8 * fake, k)
    expected = balls.sum() / (k * len(fake)), balls.any(1).mean()
    assert density_coverage(real, 0.8 * fake, k) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "k"), [(200, 200, 5), (150, 60, 3)])
def test_density_and_coverage_of_one_distribution_are_the_closed_form(n, m, k):
    generator = rng()
    draws = [generator.normal(size=(n + m, 4)) for _ in range(100)]
    values = np.array([density_coverage(x[:n], x[n:], k) for x in draws])
    j = np.arange(1, k + 1)
    expected = 1, 1 - np.prod((n - j) / (m + n - j))
    error = values.std(0) / np.sqrt(len(values))
    assert (np.abs(values.mean(0) - expected) < 3 * error).all()


def test_a_ball_holds_its_edge():
    real = np.array([[0.0], [1.0], [3.0]])
    assert precision_recall(real, np.array([[-1.0], [-1.5]]), k=1)[0] == 0.5
    copies = rng().normal(size=(50, 7))
    assert density_coverage(copies, copies, k=4) == (5 / 4, 1)


def test_a_collapsed_generator_has_precision_without_recall_and_coverage():
    real, _ = alike()
    collapsed = 0.02 * rng().normal(size=(400, 6))
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1
    assert recall < 0.02
    assert density_coverage(real, collapsed)[1] < 0.3


@pytest.mark.parametrize("measure", [precision_recall, density_coverage, nearest_neighbour_accuracy])
def test_rotation_and_order_do_not_matter(measure):
    real, fake = alike(sizes=(300, 300))
    turn, _ = np.linalg.qr(rng().normal(size=(6, 6)))
    value = measure(real, 0.7 * fake)
    assert measure(real @ turn, 0.7 * fake @ turn) == pytest.approx(value)
    assert measure(rng().permutation(real), 0.7 * rng().permutation(fake)) == pytest.approx(value)


def test_the_nearest_neighbour_accuracy_tells_alike_from_far_from_copied():
    real, fake = alike(sizes=(1_000, 1_000))
    assert nearest_neighbour_accuracy(real, fake) == pytest.approx(0.5, abs=0.04)
    assert nearest_neighbour_accuracy(real, fake + 20) == 1
    assert nearest_neighbour_accuracy(real, real) == 0
    assert nearest_neighbour_accuracy(real, real + 1e-4 * fake) == 0
    assert nearest_neighbour_accuracy(real, fake[:500]) == pytest.approx(0.5, abs=0.06)


def test_equally_near_rows_are_half_a_guess():
    assert nearest_neighbour_accuracy(np.zeros((5, 2)), np.zeros((5, 2))) == 0.5
    doubled = np.repeat(rng().normal(size=(20, 3)), 2, axis=0)
    assert nearest_neighbour_accuracy(doubled, doubled) == 0.5


def three_sets(train=600, d=8):
    generator = rng()
    return [generator.normal(size=(n, d)) for n in (500, train, 300)]


def copies(train, n=500):
    generator = rng()
    return generator.choice(train, n) + 0.01 * generator.normal(size=(n, train.shape[1]))


@pytest.mark.parametrize("train", [100, 300, 600, 3_000])
def test_a_generator_that_has_learnt_is_not_called_a_copier(train):
    fake, train, held_out = three_sets(train)
    assert memorisation_ratio(fake, train, held_out) == pytest.approx(1, abs=0.06)
    assert copied_share(fake, train, held_out) < 0.04
    assert abs(data_copying_z(fake, train, held_out)) < 4


@pytest.mark.parametrize("train", [100, 300, 600, 3_000])
def test_a_copier_is_caught_whatever_the_number_of_training_rows(train):
    _, train, held_out = three_sets(train)
    assert memorisation_ratio(copies(train), train, held_out) < 0.05
    assert copied_share(copies(train), train, held_out) == 1
    assert data_copying_z(copies(train), train, held_out) < -20


def test_the_frechet_distance_does_not_see_copies():
    fake, train, held_out = rng().normal(size=(3, 3_000, 8))
    copied = copies(train, 3_000)
    assert frechet_distance(copied, held_out) < 2 * frechet_distance(fake, held_out) < 0.05
    assert memorisation_ratio(copied, train, held_out) < 0.05


def test_one_copy_in_ten_shows_in_the_share():
    fake, train, held_out = three_sets()
    fake[:50] = copies(train, 50)
    assert copied_share(fake, train, held_out) == pytest.approx(0.1, abs=0.03)


def test_poor_images_are_no_copies_by_the_ratio():
    fake, train, held_out = three_sets()
    assert memorisation_ratio(fake + 4, train, held_out) == pytest.approx(1, abs=0.15)
    assert copied_share(fake + 4, train, held_out) == 0
    assert data_copying_z(fake + 4, train, held_out) > 20


@pytest.mark.filterwarnings("error")
def test_rows_that_equal_a_held_out_row_are_no_copies():
    _, train, held_out = three_sets()
    assert memorisation_ratio(held_out, train, held_out) == np.inf
    both = np.concatenate([held_out[:10], train])
    assert memorisation_ratio(held_out[:10], both, held_out) == pytest.approx(1, abs=0.15)


def test_smooth_images_are_no_copies_by_the_ratio():
    fake, train, held_out = three_sets()
    assert data_copying_z(0.5 * fake, train, held_out) < -10
    assert memorisation_ratio(0.5 * fake, train, held_out) == pytest.approx(1, abs=0.1)


def test_the_shares_expectation_is_the_quantile():
    generator = rng()
    draws = [generator.normal(size=(300, 3)) for _ in range(200)]
    values = [copied_share(x[:100], x[100:200], x[200:], 0.05) for x in draws]
    assert abs(np.mean(values) - 0.05) < 3 * np.std(values) / np.sqrt(len(values))


def test_the_z_is_standard_normal_for_independent_rows():
    generator = rng()
    draws = [generator.normal(size=(2_200, 3)) for _ in range(100)]
    values = [data_copying_z(x[:100], x[200:], x[100:200]) for x in draws]
    assert abs(np.mean(values)) < 0.3
    assert 0.8 < np.std(values) < 1.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: nearest_distances(x, x, 11), "11 nearest neighbours can't be found among 10"),
        (lambda x: nearest_distances(x, x, 0), "0 nearest neighbours"),
        (lambda x: precision_recall(x, x, 10), "10 nearest neighbours can't be found among 9"),
        (lambda x: precision_recall(x, x[:, :2]), "3 and 2 dimensions"),
        (lambda x: density_coverage(x[:1], x), "two or more rows"),
        (lambda x: nearest_neighbour_accuracy(x, np.full_like(x, np.nan)), "not finite"),
        (lambda x: memorisation_ratio(x, x, x), "half of the held-out rows"),
        (lambda x: copied_share(x, x, x, 0.01), "quantile 0.01 can't be found from 10"),
        (lambda x: data_copying_z(x, x, x[0]), "two or more rows"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(rng().normal(size=(10, 3)))

"""Parts of medical tasks against known answers, closed forms and trusted libraries."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.metrics import f1_score
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from ctgan_utils.losses import semi_supervised
from ctgan_utils.metrics import dice
from ctgan_utils.networks.critics import ConvCritic
from ctgan_utils.networks.dense import SmallUNet
from ctgan_utils.phantom import TISSUES
from ctgan_utils.phantom.acquisition import project, reconstruct
from ctgan_utils.runtime import UserError
from ctgan_utils.tasks import learning, reconstruction, registration, segmentation
from ctgan_utils.tasks.classification import Classifier

# networks


def test_a_small_u_net_moves_its_answer_with_the_image():
    net = SmallUNet(1, 3, 2).eval()
    image = torch.zeros(1, 1, 160, 160)
    image[..., 72:88, 72:88] = torch.randn(16, 16)
    with torch.no_grad():
        first, second = net(image), net(image.roll((8, 16), (2, 3)))
    assert first.shape == (1, 3, 160, 160)
    inner = slice(64, 96)
    assert_close(first[..., inner, inner], second[..., 72:104, 80:112])
    assert first[..., inner, inner].std() > 0


def test_each_stage_on_the_way_up_is_shown_what_was_there_at_its_size():
    net, seen = SmallUNet(2, 1, 3), []
    for up in net.ups:
        up.register_forward_pre_hook(lambda module, given: seen.append(tuple(given[0].shape[1:])))
    net(torch.randn(2, 2, 32, 32))
    assert seen == [(12 + 12, 8, 8), (12 + 6, 16, 16), (6 + 3, 32, 32)]


def test_a_classifier_is_the_critic_of_dcgan_with_more_outputs():
    torch.manual_seed(0)
    net = Classifier(32, 4, 2)
    torch.manual_seed(0)
    critic = ConvCritic(32, 2, norm="layer")
    images = torch.randn(3, 1, 32, 32)
    features = critic.layers(images).mean((2, 3))
    assert_close(net.features(images), features)
    assert_close(net(images), features @ net.last.weight.T + net.last.bias)
    assert_close(net(images)[:1], net(images[:1]))  # no image depends on the others of its batch


def test_a_line_is_learnt_and_two_players_learn_in_turn():
    x = torch.linspace(-1, 1, 16)[:, None]
    line, other, turns = nn.Linear(1, 1), nn.Linear(1, 1), []

    def loss(i):
        turns.append("line")
        assert len(i) == learning.BATCH
        return (line(x[i]) - (2 * x[i] - 1)).square().mean()

    def loss_of_other(i):
        turns.append("other")
        return (other(x[i]) - line(x[i])).square().mean()

    learning.learn([(line, loss, 0.1), (other, loss_of_other, 0.1)], 16, 1_600)
    assert turns == ["line", "other"] * 400
    for network in (line, other):  # the second followed the first, without moving it
        assert_close(network(x), 2 * x - 1, atol=0.01, rtol=0)


# segmentation


def test_every_organ_is_made_of_tissues_of_its_own():
    parts = [tissue for tissues in segmentation.ORGANS.values() for tissue in tissues]
    assert len(parts) == len(set(parts))
    assert set(parts) <= set(TISSUES)


def test_the_map_of_organs_by_hand():
    names = [["air", "liver"], ["liver vessel", "stone"]]
    tissues = torch.tensor([[[[TISSUES.index(name) for name in row] for row in names]]], dtype=torch.uint8)
    assert segmentation.organs_of(tissues).tolist() == [[[0, 1], [1, 7]]]


def test_rare_organs_weigh_more_by_the_root_of_how_rare_they_are():
    organs = torch.zeros(1, 10, 10, dtype=torch.int64)
    organs[0, 0, :4], organs[0, 1, :1] = 1, 2
    weights = segmentation.organ_weights(organs)
    assert_close(weights[2] / weights[1], torch.tensor(2.0))
    assert_close(weights[2] / weights[0], torch.tensor(95.0).sqrt())
    assert_close(weights.mean(), torch.tensor(1.0))
    assert weights[3] == weights[2]  # none counts as one pixel


def test_dice_by_hand_and_against_scikit_learn():
    assert dice([1, 1, 0, 0], [0, 1, 1, 1]) == pytest.approx(2 / 5)
    assert dice([0, 0], [0, 1]) == 0
    assert np.isnan(dice([0, 0], [0, 0]))
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 5, 16, 16)) < 0.3
    assert dice(a, b) == pytest.approx(f1_score(b.ravel(), a.ravel()))
    with pytest.raises(ValueError, match="one shape"):
        dice(a, b[0])


# reconstruction


def test_all_views_are_all_there_is():
    sinogram = np.random.default_rng(0).random((2, 128, 182), dtype=np.float32)
    assert np.array_equal(reconstruction.few_views(sinogram, 128), sinogram)


def test_few_views_of_a_disc_give_its_middle_as_all_views_do():
    """In the middle of a disc every view sees the same, so that it doesn't matter how many there are."""
    y, x = np.mgrid[:64, :64] - 31.5
    disc = (0.02 * np.clip(24 - np.hypot(x, y), 0, 1)).astype(np.float32)  # a soft edge: it has no corners
    sinogram = project(disc, 6.0)
    middle = slice(31, 33), slice(31, 33)
    whole = reconstruct(sinogram, 64, 6.0)
    few = reconstruct(reconstruction.few_views(sinogram, 16), 64, 6.0)
    assert few[middle] == pytest.approx(whole[middle], rel=0.01)
    assert few[middle] == pytest.approx(0.02, rel=0.02)
    assert abs(few - disc).mean() > 2 * abs(whole - disc).mean()  # elsewhere there are streaks


def test_views_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="views=3"):
        reconstruction.few_views(np.zeros((128, 182)), 3)


def test_a_scan_of_water_with_many_photons_is_water():
    y, x = np.mgrid[:64, :64] - 31.5
    hu = np.where(np.hypot(x, y) < 24, 0.0, -1000.0)
    found = reconstruction.scan(hu[None], 128, 1e9, np.random.default_rng(0))[0]
    assert abs(found[np.hypot(x, y) < 18]).mean() < 10


def spot():
    """A lesion of 100 HU in tissue of 40, with a border that belongs to neither, and its mask."""
    true, lesion = np.full((16, 16), 40.0), np.zeros((16, 16), bool)
    lesion[6:9, 6:9] = True
    true[5:10, 5:10] = 70
    true[lesion] = 100
    return true, lesion


def test_the_contrast_of_a_lesion_by_hand():
    true, lesion = spot()
    true[5, 5:10] = -500  # the border may be anything
    assert reconstruction.lesion_contrast(true, lesion) == 60


def test_how_much_of_a_lesion_is_kept():
    true, lesion = spot()
    healthy = np.full((16, 16), 40.0)
    assert reconstruction.kept_share(true, true, lesion) == 1
    assert reconstruction.kept_share(healthy, true, lesion) == 0
    assert reconstruction.kept_share((true + healthy) / 2, true, lesion) == pytest.approx(0.5)
    assert reconstruction.kept_share(2 * healthy - true, true, lesion) == -1
    assert np.isnan(reconstruction.kept_share(true, 40 + (true - 40) / 3, lesion))  # 20 HU can't be judged
    assert np.isnan(reconstruction.kept_share(true, true, lesion & (np.arange(16) < 7)))  # three pixels


def test_the_largest_spot_by_hand():
    true, inside = np.zeros((16, 16)), np.ones((16, 16), bool)
    made = true.copy()
    made[4, 4], made[8:11, 8:11] = 90, -50
    assert reconstruction.largest_spot(made, true, inside) == pytest.approx(50)
    inside[7:12, 7:12] = False
    assert reconstruction.largest_spot(made, true, inside) == pytest.approx(10)  # a ninth of 90, once
    assert np.isnan(reconstruction.largest_spot(made, true, ~np.ones_like(inside)))


# registration


def test_no_displacement_changes_nothing_and_whole_pixels_shift():
    images = torch.randn(2, 1, 8, 8)
    u = torch.zeros(2, 2, 8, 8)
    assert_close(registration.warp(images, u), images)
    u[:, 0], u[:, 1] = 2, -1  # from two to the right, one above
    moved = registration.warp(images, u)
    assert_close(moved[..., 1:, :6], images[..., :7, 2:])
    assert_close(moved[..., 6:], moved[..., 5:6].expand(-1, -1, -1, 2))  # outside, the border goes on


def test_warping_agrees_with_scipy():
    rng = torch.Generator().manual_seed(0)
    image, u = torch.randn(16, 16, generator=rng), 2 * torch.randn(2, 16, 16, generator=rng)
    rows, columns = np.mgrid[:16, :16]
    expected = ndimage.map_coordinates(
        image.numpy(), [rows + u[1].numpy(), columns + u[0].numpy()], order=1, mode="nearest"
    )
    assert_close(registration.warp(image[None, None], u[None])[0, 0], torch.from_numpy(expected))


def test_the_roughness_of_a_ramp():
    u = torch.zeros(1, 2, 8, 8)
    u[:, 0] = 0.5 * torch.arange(8.0)  # grows along a row: 0.25 for one of two components
    assert_close(registration.roughness(u), torch.tensor(0.125))
    assert_close(registration.roughness(u + 3), torch.tensor(0.125))


def test_breathing_moves_the_front_and_leaves_the_back():
    u = registration.breathing(50, 64, torch.Generator().manual_seed(0))
    assert u.shape == (50, 2, 64, 64)
    assert u[:, :, -1].abs().max() < 1e-6
    front = u[:, 1, 0].mean(1)
    assert front.abs().max() < 64 / 16 + 64 * 0.03
    assert front.std() == pytest.approx(4 / 3**0.5, rel=0.2)  # of a uniform number in +- 4 pixels
    again = registration.breathing(50, 64, torch.Generator().manual_seed(0))
    assert torch.equal(u, again)
    # nothing is folded: a step of one pixel stays a step forward
    assert (1 + u[:, 1].diff(dim=1)).min() > 0
    assert (1 + u[:, 0].diff(dim=2)).min() > 0


def test_a_point_is_found_where_the_image_shows_it():
    u = torch.zeros(2, 16, 16)
    u[0], u[1] = 3, -2
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 7, 9] = 1
    row, column = registration.place_after((7, 9), u)
    assert (row, column) == (9, 6)
    assert registration.warp(image, u[None])[0, 0, row, column] == 1


def test_landmarks_are_the_middles_of_each_side():
    organs = torch.zeros(16, 16, dtype=torch.int64)
    organs[2:6, 0:4], organs[2:6, 12:16] = 3, 3
    organs[10, 4:6] = 1  # two pixels are too few
    assert registration.landmarks(organs) == [(3.5, 1.5), (3.5, 13.5)]
    assert registration.landmarks(torch.zeros(16, 16, dtype=torch.int64)) == []


# classification


def test_semi_supervised_is_cross_entropy_with_one_class_more():
    """Salimans 2016: K + 1 scores, of which that of the made-up class is 0."""
    rng = torch.Generator().manual_seed(0)
    scores, unlabelled, fake = (torch.randn(n, 4, generator=rng) for n in (3, 5, 6))
    labels = torch.tensor([0, 2, 3])
    shares = [torch.cat([s, torch.zeros(len(s), 1)], 1).softmax(1) for s in (unlabelled, fake)]
    expected = cross_entropy(scores, labels) - shares[0][:, :4].sum(1).log().mean()
    expected -= shares[1][:, 4].log().mean()
    assert_close(semi_supervised(scores, labels, unlabelled, fake), expected)

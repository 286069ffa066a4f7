"""Faults do what they say, and FD-ct grows with each of them."""

from dataclasses import replace

import pytest
import torch

from ctgan_utils import data, metrics
from ctgan_utils.evaluation import features
from ctgan_utils.evaluation.faults import CONTROLS, FAULTS, MODES


@pytest.fixture(scope="module")
def halves():
    """Two sets of the phantom's slices without a patient in common."""
    return data.split(data.load_phantom(800, 64, seed=7), 0.5)


def apply(name, ct, strength):
    return FAULTS[name](ct, strength, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_no_strength_changes_nothing_and_keeps_the_shape(halves, name):
    ct, _ = halves
    faulty = apply(name, ct, 0.5)
    assert faulty.shape == ct.images.shape
    assert faulty.dtype == torch.uint8
    if name == "mode dropping":
        assert sorted(map(bytes, apply(name, ct, 0).numpy())) == sorted(map(bytes, ct.images.numpy()))
    else:
        assert torch.equal(apply(name, ct, 0), ct.images)


def test_noise_has_the_deviation_it_names(halves):
    grey = replace(halves[0], images=torch.full((50, 1, 64, 64), 128, dtype=torch.uint8))
    difference = FAULTS["noise"](grey, 0.5, torch.Generator().manual_seed(0)).float() - 128
    assert difference.std().item() == pytest.approx(16, rel=0.02)


def test_blur_widens_a_square_by_the_deviation_it_names(halves):
    square = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    square[..., 27:36, 27:36] = 255
    blurred = FAULTS["blur"](replace(halves[0], images=square), 1, None)[0, 0].float()
    offset = torch.arange(64) - 31.0
    variance = (blurred.sum(0) * offset**2).sum() / blurred.sum()
    assert variance.item() == pytest.approx((9**2 - 1) / 12 + 2**2, rel=0.02)


def test_a_swirl_turns_a_bar_about_its_middle():
    axis = torch.linspace(-1, 1, 65)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bar = (255 * torch.exp(-2000 * y**2) * (x.abs() < 0.2)).round().to(torch.uint8)[None, None]
    ct = data.CTImages(bar, torch.zeros(1), ("Normal",), torch.zeros(1), "patient", "a bar")
    turned = FAULTS["swirl"](ct, 1, None)[0, 0].float()
    assert turned[32, 32] == 255
    assert turned[26:39, 32].sum() > 3 * turned[32, 26:39].sum()


def test_missing_lesions_are_replaced_by_normal_slices(halves):
    ct, _ = halves
    normal = {image.tobytes() for image in ct.images[ct.labels == ct.classes.index("Normal")].numpy()}
    lost = [image.tobytes() in normal for image in apply("missing lesions", ct, 1).numpy()]
    assert all(lost)


def left(images, ct):
    """(how many different slices of a set images are, and of how many patients)."""
    of = {image.tobytes(): int(group) for image, group in zip(ct.images.numpy(), ct.groups)}
    slices = {image.tobytes() for image in images.numpy()}
    return len(slices), len({of[image] for image in slices})


def test_mode_dropping_leaves_slices_that_look_alike(halves):
    ct, _ = halves
    kept = apply("mode dropping", ct, 1)
    slices, _ = left(kept, ct)
    assert len(ct) / MODES / 3 < slices < 3 * len(ct) / MODES
    assert kept.float().std(0).mean() < 0.9 * ct.images.float().std(0).mean()


def test_the_control_of_mode_dropping_is_as_small_and_of_all_modes(halves):
    ct, _ = halves
    for strength in (0.4, 1):
        dropped = apply("mode dropping", ct, strength)
        control = CONTROLS["mode dropping"](ct, strength, torch.Generator().manual_seed(0))
        assert left(control, ct) == left(dropped, ct)
    assert control.float().std(0).mean() > dropped.float().std(0).mean()


def test_the_control_of_missing_lesions_replaces_as_many_slices_and_keeps_lesions(halves):
    ct, _ = halves
    control = CONTROLS["missing lesions"](ct, 1, torch.Generator().manual_seed(0))
    faulty = apply("missing lesions", ct, 1)
    normal = ct.labels == ct.classes.index("Normal")
    assert torch.equal(control[normal], ct.images[normal])
    assert torch.equal(faulty[normal], ct.images[normal])
    diseased = {image.tobytes() for image in ct.images[~normal].numpy()}
    assert all(image.tobytes() in diseased for image in control[~normal].numpy())
    assert left(control[~normal], ct)[1] <= len(ct.groups[normal].unique())


@pytest.mark.parametrize("name", FAULTS)
def test_fd_ct_grows_with_a_fault(halves, name):
    extractor, (ct, other) = features.load_extractor("ct"), halves
    real = features.extract(extractor, other.images)
    strengths = (0, 0.2, 0.4, 0.6, 0.8, 1)
    values = [
        metrics.frechet_distance(real, features.extract(extractor, apply(name, ct, s))) for s in strengths
    ]
    assert values == sorted(values)
    assert values[-1] > 1.5 * values[0]

"""The thesis' networks: shapes, counts, and the identities their reading rests on."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from ctgan_utils.config import EXPERIMENTS, get_experiment
from ctgan_utils.networks import build, count_parameters
from ctgan_utils.networks.blocks import InterpolatedAddition, Stem, UpBlock


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_images_are_of_the_size_and_range_asked_for(name, size):
    G, D = build(get_experiment(name, settings=[f"image_size={size}", "width=4"]))
    images = G(torch.randn(3, G.z_dim))
    assert images.shape == (3, 1, size, size)
    assert images.abs().max() <= 1
    assert D(images).shape == (3,)


def test_small_generator_has_the_layers_of_the_thesis():
    """A linear layer and four upsamplings, the "5 layers" of 3.2.1; parameters counted by hand."""
    G, _ = build(get_experiment("small"))
    assert G.stem(torch.randn(2, 128)).shape == (2, 1, 4, 4)
    assert len(G.blocks) == 4
    blocks = 0
    for a, b in ((1, 512), (512, 256), (256, 128)):
        blocks += a * b * 16 + 2 * b + (a * b + b)  # transposed convolution, batch norm, 1x1 convolution
    blocks += 128 * 16 + 1 + (128 + 1)
    assert count_parameters(G) == 128 * 16 + 16 + blocks


def test_the_kernel_adds_nine_parameters():
    small, kernel = (build(get_experiment(name))[0] for name in ("small", "small-kernel"))
    assert count_parameters(kernel) - count_parameters(small) == 9


@pytest.mark.parametrize(("channels", "rank"), [(1, 16), (8, 128)])
def test_the_rank_of_the_stem_is_its_width(channels, rank):
    stem = Stem(128, channels, kernel_size=0)
    maps = stem(torch.randn(300, 128)) - stem(torch.zeros(1, 128))
    assert torch.linalg.matrix_rank(maps.flatten(1)).item() == rank


def test_a_kernel_behind_a_linear_layer_is_one_linear_layer():
    stem = Stem(128, 1, kernel_size=3)
    a, b = torch.randn(2, 5, 128)
    zero = stem(torch.zeros(1, 128))
    assert_close(
        stem(2 * a - 3 * b) - zero, 2 * (stem(a) - zero) - 3 * (stem(b) - zero), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_projecting_first_equals_interpolating_first(mode):
    addition = InterpolatedAddition(6, 3, scale=2, mode=mode)
    x = torch.randn(2, 6, 5, 5)
    up = functional.interpolate(x, scale_factor=2, mode=mode)
    assert_close(addition(x), addition.project(up), rtol=1e-5, atol=1e-6)


def test_block_adds_convolution_and_interpolation():
    block = UpBlock(4, 2, "bilinear")
    x = torch.randn(3, 4, 8, 8)
    assert_close(block(x), torch.relu(block.F(x) + block.addition(x)))
    with torch.no_grad():
        block.F[1].weight.zero_()
    assert_close(block(x), torch.relu(block.addition(x)))


def test_scores_do_not_depend_on_the_rest_of_the_batch():
    _, D = build(get_experiment("small", "lesson"))
    images = torch.randn(4, 1, 64, 64)
    assert_close(D(images)[:1], D(images[:1]), rtol=1e-4, atol=1e-5)


def test_scores_stay_in_float32_under_autocast():
    _, D = build(get_experiment("small", "lesson"))
    with torch.autocast("cpu", torch.bfloat16):
        assert D(torch.randn(2, 1, 64, 64)).dtype == torch.float32

"""The thesis' networks: shapes, counts, and the identities their reading rests on."""

import numpy as np
import pytest
import pywt
import torch
from torch.nn import functional
from torch.testing import assert_close

from ctgan_utils.networks import count_operations, count_parameters
from ctgan_utils.networks.blocks import (
    FirstAddition,
    InterpolatedAddition,
    LinearStem,
    ResizeConvolution,
    UpBlock,
    adain,
    haar,
    inverse_haar,
)
from ctgan_utils.systems import EXPERIMENTS, get_experiment

THESIS = [name for name, preset in EXPERIMENTS.items() if preset.thesis]


def small_copy(name, *settings):
    """G and D of an experiment with four channels, and settings on top."""
    return get_experiment(name, settings=["width=4", *settings]).networks()


@pytest.mark.parametrize("name", THESIS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_images_are_of_the_size_and_range_asked_for(name, size):
    G, D = small_copy(name, f"image_size={size}")
    images = G(torch.randn(3, G.z_dim))
    assert images.shape == (3, 1, size, size)
    assert images.abs().max() <= 1
    assert D(images).shape == (3,)


@pytest.mark.parametrize("name", THESIS)
def test_every_weight_has_a_part_in_the_image(name):
    G, D = small_copy(name)
    D(G(torch.randn(4, G.z_dim))).sum().backward()
    for network in (G, D):
        for weight, parameter in network.named_parameters():
            assert parameter.grad.abs().max() > 0, weight


def counted(channels, *, projections=1, upwards=16):
    """Parameters of the blocks between these channels, by hand: F, batch normalisation, 1x1 convolutions."""
    total = 0
    for k, (a, b) in enumerate(zip(channels, channels[1:])):
        last = k == len(channels) - 2
        total += a * b * upwards + (b if last else 2 * b) + projections * (a * b + b)
    return total


def test_parameters_are_those_counted_by_hand():
    linear, conv, large = (1, 512, 256, 128, 1), (512, 256, 128, 64, 1), (1, 512, 256, 128, 64, 1)
    stem = 128 * 16 + 16
    earlier = sum(a * b + b for a, b in zip((1, *large[:-2]), large[1:]))  # 1x1 convolutions of V2
    expected = {
        "dcgan-b64": 100 * 512 * 16 + 2 * 512 + counted(conv, projections=0),
        "wgan-linear-conv": stem + counted(linear, projections=0),
        "small": stem + counted(linear),
        "small-kernel": stem + 9 + counted(linear),
        "large-v1": stem + 9 + counted(large, projections=2),
        "large-v2-z128": stem + 9 + 10 + counted(large) + earlier,
    }
    expected |= {"dcgan-b100": expected["dcgan-b64"], "wgan-conv": expected["dcgan-b64"]}
    expected["large-v2-z100"] = expected["large-v2-z128"] - 28 * 16
    assert {name: count_parameters(get_experiment(name).networks()[0]) for name in THESIS} == expected
    critic = 16 * (64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 128 + 256 + 512 + 1
    assert count_parameters(get_experiment("small").networks()[1]) == critic
    assert count_parameters(get_experiment("dcgan-b64").networks()[1]) == critic + 128 + 256 + 512


def test_operations_are_those_counted_by_hand():
    G, D = get_experiment("dcgan-b64").networks()
    sides = (32, 16, 8, 4)
    critic = sum(16 * a * b * s * s for a, b, s in zip((1, 64, 128, 256), (64, 128, 256, 512), sides))
    assert count_operations(D, torch.zeros(3, 1, 64, 64)) == critic + 16 * 512
    generator = sum(
        16 * a * b * s * s for a, b, s in zip((512, 256, 128, 64), (256, 128, 64, 1), sides[::-1])
    )
    assert count_operations(G, torch.zeros(3, 100)) == generator + 16 * 100 * 512


def shared_weights(source, target):
    """target, with every weight that source has under the same name."""
    own = target.state_dict()
    target.load_state_dict(own | {k: v for k, v in source.state_dict().items() if k in own})
    return target


def test_small_without_additions_is_the_plain_generator():
    plain, small = small_copy("wgan-linear-conv")[0], small_copy("small")[0]
    for block in shared_weights(plain, small).blocks:
        for parameter in block.additions.parameters():
            torch.nn.init.zeros_(parameter)
    z = torch.randn(3, 128)
    assert torch.equal(plain(z), small(z))


def test_v2_without_the_layer_before_is_small_at_128():
    small = small_copy("small", "image_size=128", "kernel_size=3")[0]
    v2 = shared_weights(small, small_copy("large-v2-z128")[0])
    for parameter in [*v2.first.F.parameters(), *(p for b in v2.blocks for p in b.earlier.parameters())]:
        torch.nn.init.zeros_(parameter)
    z = torch.randn(3, 128)
    assert_close(small(z), v2(z))


def test_v2_adds_the_layer_before_scaled_by_the_ratio_of_sizes():
    v2 = small_copy("large-v2-z128")[0].eval()
    z = torch.randn(2, 128)

    def up(x, scale):
        return functional.interpolate(x, scale_factor=scale, mode="bilinear")

    x = v2.stem(z)
    maps = [x, v2.first.kernel(v2.first.F(x) + x)]  # equation 3.3: x, x1
    for block, scale in zip(v2.blocks, (2, 4, 4, 4, 4)):
        before, last = maps[-2:]
        first, second = block.additions[0].project, block.earlier.project
        parts = [block.F(last), up(first(last), 2), up(second(before), scale)]
        maps.append(block.activation(sum(parts)))
    assert_close(v2(z), maps[-1], rtol=1e-4, atol=1e-6)


def test_the_readings_of_v1_differ_as_they_say():
    x = torch.randn(3, 4, 8, 8)
    blocks = {
        kind: UpBlock(4, 2, additions=kind, mode="bilinear", upsampling="transposed").eval()
        for kind in ("one", "doubled", "branches", "around")
    }
    one = blocks["one"]
    for block in blocks.values():
        block.F.load_state_dict(one.F.state_dict())
        for addition in block.additions:
            addition.load_state_dict(one.additions[0].state_dict())
    F, added = one.F(x), one.additions[0](x)
    assert_close(one(x), torch.relu(F + added))
    assert_close(blocks["doubled"](x), torch.relu(F + 2 * added))
    assert_close(blocks["branches"](x), blocks["doubled"](x))  # two branches can be one that is doubled
    assert_close(blocks["around"](x), torch.relu(F + added) + added)


def test_a_resize_convolution_doubles_the_resolution_without_a_checkerboard():
    """A constant map stays constant inside, which a random transposed convolution makes a checkerboard of."""
    x = torch.ones(1, 3, 8, 8)
    for kind, varies in (("resize", False), ("transposed", True)):
        block = UpBlock(3, 2, additions="none", mode="bilinear", upsampling=kind, last=True)
        inside = block.F(x)[0, 0, 3:-3, 3:-3]
        assert block.F(x).shape == (1, 1 * 2, 16, 16)
        assert (inside.std() > 1e-3) == varies


def test_a_resize_convolution_is_an_enlargement_and_a_convolution():
    torch.manual_seed(0)
    convolution, x = ResizeConvolution(5, 7, bias=True), torch.randn(2, 5, 6, 4)
    enlarged = functional.interpolate(x, scale_factor=2, mode="nearest")
    expected = functional.conv2d(enlarged, convolution.weight, convolution.bias, padding=1)
    assert_close(convolution(x), expected)


def test_haar_coefficients_are_those_of_pywavelets_and_give_the_image_back():
    images = torch.randn(3, 1, 8, 12, dtype=torch.float64)
    smooth, (down, across, both) = pywt.dwt2(images[:, 0].numpy(), "haar")
    expected = torch.from_numpy(np.stack([smooth, across, down, both], 1))
    assert_close(haar(images), expected)
    assert_close(inverse_haar(haar(images)), images)


@pytest.mark.parametrize("place", ["after", "before"])
def test_the_kernel_stands_after_or_before_the_first_addition(place):
    first = FirstAddition(1, True, 3, "normal", place)
    x = torch.randn(2, 1, 4, 4)
    expected = (
        first.kernel(first.F(x) + x) if place == "after" else first.F(first.kernel(x)) + first.kernel(x)
    )
    assert_close(first(x), expected)


def test_an_identity_kernel_changes_nothing_at_first():
    G, _ = small_copy("small-kernel", "kernel_init=identity")
    x = torch.randn(2, 1, 4, 4)
    assert_close(G.first(x), x)


@pytest.mark.parametrize(("channels", "rank"), [(1, 16), (8, 128)])
def test_the_rank_of_the_stem_is_its_width(channels, rank):
    stem = LinearStem(128, channels)
    maps = stem(torch.randn(300, 128)) - stem(torch.zeros(1, 128))
    assert torch.linalg.matrix_rank(maps.flatten(1)).item() == rank


def test_a_kernel_behind_a_linear_layer_is_one_linear_layer():
    G, _ = small_copy("small-kernel")

    def x1(z):
        return G.first(G.stem(z))

    a, b = torch.randn(2, 5, 128)
    zero = x1(torch.zeros(1, 128))
    assert_close(x1(2 * a - 3 * b) - zero, 2 * (x1(a) - zero) - 3 * (x1(b) - zero), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_projecting_first_equals_interpolating_first(mode):
    addition = InterpolatedAddition(6, 3, scale=2, mode=mode)
    x = torch.randn(2, 6, 5, 5)
    up = functional.interpolate(x, scale_factor=2, mode=mode)
    assert_close(addition(x), addition.project(up), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["none", "layer", "instance", "batch"])
def test_only_batch_normalisation_ties_the_scores_of_a_batch_together(norm):
    _, D = small_copy("small", f"critic_norm={norm}")
    images = torch.randn(4, 1, 64, 64)
    apart = (D(images)[:1] - D(torch.cat([images[:1], 2 * images[1:]]))[:1]).abs().item()
    assert (apart > 1e-4) == (norm == "batch")


def test_scores_stay_in_float32_under_autocast():
    _, D = get_experiment("small", "lesson").networks()
    with torch.autocast("cpu", torch.bfloat16):
        assert D(torch.randn(2, 1, 64, 64)).dtype == torch.float32


def test_adain_gives_the_content_the_styles_moments():
    x, y = torch.randn(2, 3, 8, 8), 5 + 2 * torch.randn(2, 3, 4, 4)
    out = adain(x, y)
    assert_close(out.mean((2, 3)), y.mean((2, 3)))
    assert_close(out.std((2, 3), correction=0), y.std((2, 3), correction=0), rtol=1e-4, atol=1e-4)
    scale, shift = (m[..., None, None] for m in (y.std((2, 3), correction=0), y.mean((2, 3))))
    assert_close(out, scale * functional.instance_norm(x) + shift)
    assert adain(torch.ones(1, 1, 4, 4), y[:1, :1]).isfinite().all()

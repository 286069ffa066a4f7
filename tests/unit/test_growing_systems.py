"""ProGAN and StyleGAN against identities of Karras 2018 and 2019."""

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, softplus
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.networks.progressive import (
    EqualisedConv2d,
    EqualisedLinear,
    ProgressiveCritic,
    ProgressiveGenerator,
    at_growth,
    doubled,
    pixel_norm,
    with_deviation,
)
from ctgan_utils.networks.style import Mapping, StyledLayer, StyleGenerator, blur, style_grain_dim
from ctgan_utils.runtime import UserError
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.runs import train_experiment

NEARLY = 1e-6  # of a doubling


def grown(network, to):
    network.grown.fill_(to)
    return network.eval()


def generators():
    z, grain = torch.randn(3, 8), torch.randn(3, style_grain_dim(32))
    progressive, style = ProgressiveGenerator(32, 8, 4), StyleGenerator(32, 8, 4).eval()
    for layer in style.layers:
        torch.nn.init.normal_(layer.grain.strength)
    return [
        (progressive, lambda: progressive(z)),
        (style, lambda: style(style.styles(z), grain)),
    ]


# growing


@torch.no_grad()
def test_a_size_that_begins_to_fade_in_changes_nothing_and_one_that_has_is_the_larger_network():
    for G, images in generators():
        grown(G, 1)
        smaller = images()
        grown(G, 2)
        larger = images()
        assert smaller.shape[-1] == 8
        assert larger.shape[-1] == 16
        grown(G, 1 + NEARLY)
        assert_close(images(), doubled(smaller), atol=1e-4, rtol=0)
        grown(G, 2 - NEARLY)
        assert_close(images(), larger, atol=1e-4, rtol=0)
        grown(G, 1.25)
        assert_close(images(), 0.75 * doubled(smaller) + 0.25 * larger)


@torch.no_grad()
def test_a_critic_fades_in_as_its_generator_does():
    D, images = ProgressiveCritic(32, 4), torch.randn(4, 1, 16, 16)
    smaller, larger = grown(D, 1)(avg_pool2d(images, 2)), grown(D, 2)(images)
    assert_close(grown(D, 1 + NEARLY)(images), smaller, atol=1e-4, rtol=1e-4)
    assert_close(grown(D, 2 - NEARLY)(images), larger, atol=1e-4, rtol=1e-4)


def test_real_images_are_averaged_to_the_size_and_mixed_while_it_fades_in():
    images = torch.randn(2, 1, 32, 32)
    assert_close(at_growth(images, 3.0), images)
    assert_close(at_growth(images, 1.0), avg_pool2d(images, 4))
    half, quarter = avg_pool2d(images, 2), avg_pool2d(images, 4)
    assert_close(at_growth(images, 1.25), 0.25 * half + 0.75 * doubled(quarter))


@pytest.mark.parametrize(
    ("phases", "expected"),
    [(0, 1), (0.9, 1), (1.25, 1.25), (2, 2), (2.9, 2), (3.5, 2.5), (4, 3), (5, 3), (50, 3)],
)
def test_a_size_is_faded_in_for_a_phase_and_trained_for_one(phases, expected):
    s = get_experiment("progressive", "smoke", ["image_size=32", "phase=800", "batch_size=8"])
    assert s.grown_at(round(phases * 100)) == pytest.approx(expected)


def test_only_the_layers_that_have_grown_are_trained():
    s = get_experiment("progressive", "smoke", ["image_size=32"])
    G, D = s.networks()
    for network in (G, D):
        grown(network, 1)
    D(s.made(G, s.noise(4, torch.Generator().manual_seed(0)))).sum().backward()
    trained = {name for name, p in [*G.named_parameters(), *D.named_parameters()] if p.grad is not None}
    assert {"blocks.0.0.weight", "to_image.1.weight", "from_image.1.weight", "stem.weight"} <= trained
    assert not any(
        name.startswith(("blocks.1", "to_image.2", "from_image.2", "to_image.0")) for name in trained
    )


# layers


def test_equalised_layers_begin_with_unit_weights_and_keep_the_scale_of_he():
    layer, x = EqualisedConv2d(64, 256, 3), torch.randn(8, 64, 16, 16)
    assert layer.weight.std().item() == pytest.approx(1, rel=0.02)
    y = layer(x)[:, :, 1:-1, 1:-1]
    assert y.var().item() == pytest.approx(2, rel=0.05)  # He's: sqrt(2 / fan-in) for each weight
    scale = (2 / (64 * 9)) ** 0.5
    assert_close(layer(x), conv2d(x, layer.weight * scale, layer.bias, padding=1))


def test_a_slower_rate_changes_how_a_layer_learns_and_not_what_it_is():
    layer, x = EqualisedLinear(64, 512, rate=0.01), torch.randn(256, 64)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    assert layer(x).var().item() == pytest.approx(2, rel=0.1)
    before = layer(x)
    with torch.no_grad():
        layer.weight += 1
        layer.bias += 1
    change = 0.01 * (x.sum(1, keepdim=True) * (2 / 64) ** 0.5 + 1)
    assert_close(layer(x) - before, change.expand(-1, 512), atol=1e-4, rtol=1e-4)


def test_pixel_norm_gives_every_pixel_unit_mean_square():
    x = 7 * torch.randn(2, 16, 3, 3)
    assert_close(pixel_norm(x).square().mean(1), torch.ones(2, 3, 3))
    assert_close(pixel_norm(x), pixel_norm(5 * x))


def test_the_deviation_of_a_group_is_one_number():
    alike = torch.ones(4, 2, 3, 3)
    assert_close(with_deviation(alike)[:, 2], torch.full((4, 3, 3), 1e-4))
    half = torch.tensor([1.0, 1.0, 3.0, 3.0]).view(4, 1, 1, 1) * alike  # deviation 1 everywhere
    assert_close(with_deviation(half)[:, 2], torch.ones(4, 3, 3))
    six = torch.randn(6, 2, 3, 3)  # in two groups of three: images 0, 2, 4 and 1, 3, 5
    by_hand = six[[1, 3, 5]].std(0, correction=0).mean()
    assert_close(with_deviation(six)[1, 2], by_hand.expand(3, 3), atol=1e-5, rtol=1e-5)


def test_the_loss_is_that_of_wgan_gp_and_a_pull_of_real_scores_to_zero():
    s = get_experiment("progressive", "smoke", ["image_size=32"])
    G, D = (grown(network, 2) for network in s.networks())
    rng = torch.Generator().manual_seed(1)
    batch = {"images": torch.randn(8, 1, 32, 32), **s.critic_noise(8, rng)}
    real, fake = avg_pool2d(batch["images"], 2), G(batch["z"]).detach()
    between = (batch["epsilon"] * real + (1 - batch["epsilon"]) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(D(between).sum(), between)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    a, b = D(real), D(fake)
    expected = b.mean() - a.mean() + 10 * penalty + 1e-3 * a.square().mean()
    assert_close(s.critic_loss(G, D, batch)[0], expected, atol=1e-4, rtol=1e-4)
    assert_close(s.generator_loss(G, D, batch)[0], -b.mean())


# style


def test_a_style_sets_mean_and_deviation_of_each_channel():
    layer = StyledLayer(5, 8)
    w, x = torch.randn(3, 8), 4 * torch.randn(3, 5, 16, 16) + 2
    y = layer(x, w, torch.randn(3, 1, 16, 16))
    scale, mean = layer.style(w).chunk(2, dim=1)
    assert_close(y.mean((2, 3)), mean, atol=1e-4, rtol=1e-4)
    assert_close(y.std((2, 3), correction=0), scale.abs(), atol=1e-3, rtol=1e-3)


def test_the_mapping_sees_the_direction_of_z_only():
    mapping, z = Mapping(16), torch.randn(4, 16)
    assert_close(mapping(z), mapping(3 * z), atol=1e-5, rtol=1e-4)


def test_later_styles_come_from_the_other_latent():
    G = StyleGenerator(32, 8, 4).eval()
    z, other = torch.randn(3, 8), torch.randn(3, 8)
    mixed = G.styles(z, other, torch.tensor([2, 8, 0]))
    plain, of_other = G.styles(z), G.styles(other)
    assert_close(mixed[0, :2], plain[0, :2])
    assert_close(mixed[0, 2:], of_other[0, 2:])
    assert_close(mixed[1], plain[1])
    assert_close(mixed[2], of_other[2])


def test_truncation_pulls_styles_to_their_running_mean():
    G = StyleGenerator(32, 8, 4).train()
    for _ in range(2_000):
        G.styles(torch.randn(64, 8))
    G.eval()
    styles = G.styles(torch.randn(4_000, 8))
    assert_close(G.w_mean, styles[:, 0].mean(0), atol=0.1, rtol=0)
    before = G.w_mean.clone()
    G.styles(torch.randn(64, 8))  # sampling does not move it
    assert torch.equal(G.w_mean, before)
    assert_close(G.truncated(styles, 1.0), styles)
    assert_close(G.truncated(styles, 0.0), G.w_mean.expand_as(styles))
    assert_close(G.truncated(styles, 0.7) - G.w_mean, 0.7 * (styles - G.w_mean))


def test_the_blur_keeps_the_sum_and_spreads_a_pixel():
    x = torch.zeros(1, 2, 5, 5)
    x[..., 2, 2] = 16
    y = blur(x)
    assert_close(y[0, 1, 1:4, 1:4], torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]))


def test_the_loss_of_style_is_non_saturating_with_r1():
    s = get_experiment("style", "smoke", ["image_size=32", "mixing=0"])
    G, D = (grown(network, 3) for network in s.networks())
    batch = {"images": torch.randn(8, 1, 32, 32), **s.noise(8, torch.Generator().manual_seed(1))}
    fake = s.made(G, batch).detach()
    real = batch["images"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(D(real).sum(), real)
    a, b = D(real), D(fake)
    expected = softplus(-a).mean() + softplus(b).mean() + 5 * slope.square().sum((1, 2, 3)).mean()
    assert_close(s.critic_loss(G, D, batch)[0], expected, atol=1e-4, rtol=1e-4)
    assert_close(s.generator_loss(G, D, batch)[0], softplus(-b).mean())


@pytest.mark.parametrize("size", [0, 0.5, 3])
def test_nine_tenths_of_the_images_mix_two_latents_at_every_size(size):
    s = get_experiment("style", "smoke", ["image_size=32", "mixing=0.9"])
    G, _ = s.networks()
    G.eval()
    same = torch.ones(2_000, s.z_dim)  # all images alike unless mixed
    grain = torch.zeros(2_000, style_grain_dim(32))
    grown(G, size)
    with torch.no_grad():
        images = s.mixed(G, {"z": same, "grain": grain})
        plain = s.made(G, {"z": same[:1], "grain": grain[:1]})
    changed = ((images - plain).abs().amax((1, 2, 3)) > 1e-5).float().mean().item()
    assert changed == pytest.approx(0.9, abs=0.03)


# runs


@pytest.mark.parametrize("name", ["progressive", "style"])
def test_a_run_grows_and_its_samples_have_the_full_size(name, tmp_path):
    ct = data.load_phantom(64, 32, seed=0)
    folder, history = train_experiment(name, "smoke", ct, tmp_path, 0, ["image_size=32", "phase=8"])
    G, system = load_generator(folder)
    assert history[-1]["step"] == 4
    assert float(G.grown) == system.grown_at(3)  # that of the last step
    images = sample(G, 5, seed=0)
    assert images.shape == (5, 1, 32, 32)
    assert torch.equal(images, sample(G, 5, seed=0))


def test_a_first_side_above_the_image_is_refused():
    with pytest.raises(UserError, match="first_side=64: it must be one of 4, 8, 16, 32"):
        get_experiment("progressive", "smoke", ["image_size=32", "first_side=64"])

"""The class-conditional system against closed forms of Miyato and Koyama 2018."""

import pytest
import torch
from torch.nn.functional import relu, softplus
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.networks.conditional import (
    ConditionalBatchNorm,
    ConditionalGenerator,
    ProjectionCritic,
    ProjectionWaveletCritic,
)
from ctgan_utils.networks.critics import WaveletCritic
from ctgan_utils.runtime import UserError
from ctgan_utils.sampling import load_generator, sample
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.runs import train_experiment
from ctgan_utils.training.trainer import Trainer


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(64, 32, seed=0)


def test_scores_of_two_classes_differ_by_the_projection_on_their_embeddings():
    D = ProjectionCritic(32, 4, 3).eval()
    x, zero, two = torch.randn(5, 1, 32, 32), torch.zeros(5, dtype=torch.int64), torch.full((5,), 2)
    with torch.no_grad():
        features = D.phi(x).sum((2, 3))
        assert_close(D(x, two) - D(x, zero), features @ (D.classes.weight[2] - D.classes.weight[0]))
        unconditional = D(x, zero) - features @ D.classes.weight[0]
        assert_close(unconditional, D.psi(features)[:, 0])


def test_every_weight_of_the_critic_has_spectral_norm_one():
    """By power iteration in training; compared with the largest singular value."""
    D = ProjectionCritic(32, 4, 3).train()
    with torch.no_grad():
        for _ in range(200):
            D(torch.randn(2, 1, 32, 32), torch.zeros(2, dtype=torch.int64))
    D.eval()
    for layer in [m for m in D.modules() if hasattr(m, "parametrizations")]:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert norm.item() == pytest.approx(1, abs=1e-2)


def test_each_class_has_its_own_gain_and_bias():
    layer = ConditionalBatchNorm(3, 2)
    x = 4 * torch.randn(64, 3, 5, 5) + 7
    labels = torch.arange(64) % 2
    torch.nn.init.constant_(layer.bias.weight[1], 9.0)
    with torch.no_grad():
        layer.gain.weight[1] = 2.0
    y = layer(x, labels)
    normalised = layer.norm(x)
    assert_close(y[labels == 0], normalised[labels == 0])
    assert_close(y[labels == 1], 2 * normalised[labels == 1] + 9)


def test_losses_are_the_hinge_of_both_kinds_of_images(ct):
    s = get_experiment("projection", "smoke", ["image_size=32"])
    G, D = (n.eval() for n in s.networks())
    rng = torch.Generator().manual_seed(1)
    batch = {"images": torch.randn(8, 1, 32, 32), "labels": torch.arange(8) % 4, **s.noise(8, rng)}
    with torch.no_grad():
        fake = G(batch["z"], batch["wanted"])
        expected = (
            relu(1 - D(batch["images"], batch["labels"])).mean() + relu(1 + D(fake, batch["wanted"])).mean()
        )
        loss, _ = s.critic_loss(G, D, batch)
        assert_close(loss, expected)
        assert_close(s.generator_loss(G, D, batch)[0], -D(fake, batch["wanted"]).mean())


def test_batches_carry_the_labels_of_their_images(ct):
    s = get_experiment("projection", "smoke", ["image_size=32"])
    t = Trainer(s, *s.networks(), ct.tensors(s.inputs))
    batch = t.batches[3]
    for image, label in zip(batch["images"], batch["labels"]):
        (same,) = ((ct.images.float() / 127.5 - 1 - image).abs().amax((1, 2, 3)) < 1e-6).nonzero().T
        assert label in ct.labels[same]


def test_more_classes_than_the_system_knows_are_refused(ct):
    s = get_experiment("projection", "smoke", ["image_size=32", "classes=2"])
    with pytest.raises(UserError, match="classes=2: the data have 4; pass --set classes=4"):
        Trainer(s, *s.networks(), ct.tensors(s.inputs))


def test_a_sample_can_be_asked_for_its_class(ct, tmp_path):
    folder, _ = train_experiment("projection", "smoke", ct, tmp_path, 0, ["image_size=32"])
    G, _ = load_generator(folder)
    torch.nn.init.constant_(G.norms[-1].bias.weight[2], 50.0)  # class 2 can be told by its grey level
    two = sample(G, 6, seed=0, given={"wanted": torch.full((6,), 2)})
    zero = sample(G, 6, seed=0, given={"wanted": torch.zeros(6, dtype=torch.int64)})
    assert (two.float().mean((1, 2, 3)) - zero.float().mean((1, 2, 3))).abs().min() > 20
    assert torch.equal(sample(G, 6, seed=0), sample(G, 6, seed=0))
    assert len({image.numpy().tobytes() for image in sample(G, 6, seed=0)}) == 6


def test_the_generator_makes_the_size_that_is_asked():
    for size in (32, 64, 128):
        labels = torch.zeros(2, dtype=torch.int64)
        assert ConditionalGenerator(size, 5, 2, 4)(torch.zeros(2, 5), labels).shape == (2, 1, size, size)


# ct-64, told a class


def test_the_wavelet_critic_scores_classes_by_the_projection_on_their_embeddings():
    D = ProjectionWaveletCritic(32, 4, 3)
    x, zero, two = torch.randn(5, 1, 32, 32), torch.zeros(5, dtype=torch.int64), torch.full((5,), 2)
    with torch.no_grad():
        assert_close(D(x, two), D(x, zero))  # embeddings begin at 0
        D.classes.weight.normal_()
        features = D.features(x).mean((2, 3))
        assert_close(D(x, two) - D(x, zero), features @ (D.classes.weight[2] - D.classes.weight[0]))
        assert_close(WaveletCritic.forward(D, x), D(x, zero) - features @ D.classes.weight[0])


def test_a_generated_slice_is_compared_with_a_real_one_of_its_class(ct):
    s = get_experiment("conditional", "smoke", ["image_size=32", "penalty_every=2", "augmentation=0"])
    G, D = s.networks()
    batch = {"images": ct.images[:8].float() / 127.5 - 1, "labels": ct.labels[:8], "step": 1}
    batch |= s.noise(8, torch.Generator().manual_seed(1))
    with torch.no_grad():
        D.classes.weight.normal_()
        z = torch.cat([batch["z"], torch.eye(4)[batch["labels"]]], dim=1)
        fake = G(z, batch["grain"])
        gap = D(batch["images"], batch["labels"]) - D(fake, batch["labels"])
        assert_close(s.critic_loss(G, D, batch)[0], softplus(-gap).mean())
        assert_close(s.generator_loss(G, D, batch)[0], softplus(gap).mean())
        wanted = {name: batch[name] for name in ("z", "grain", "wanted")}
        z = torch.cat([batch["z"], torch.eye(4)[batch["wanted"]]], dim=1)
        assert_close(s.generate(G, wanted), G(z, batch["grain"]))


def test_a_class_that_it_does_not_know_is_refused(ct):
    s = get_experiment("conditional", "smoke", ["image_size=32", "classes=2"])
    with pytest.raises(UserError, match="classes=2: the data have 4; pass --set classes=4"):
        Trainer(s, *s.networks(), ct.tensors(s.inputs))

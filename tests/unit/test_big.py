"""BigGAN against identities of Brock 2019, Zhang 2019 and Miyato 2018."""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, relu
from torch.testing import assert_close

from ctgan_utils.networks import big
from ctgan_utils.networks.big import (
    BigCritic,
    BigGenerator,
    SelfAttention,
    ToldBatchNorm,
    orthogonal_penalty,
)
from ctgan_utils.runtime import UserError
from ctgan_utils.systems import get_experiment


def test_every_weight_but_the_shared_embedding_has_spectral_norm_one():
    """By power iteration in training; compared with the largest singular value."""
    labels = torch.arange(4)
    G, D = BigGenerator(32, 40, 2, 4).train(), BigCritic(32, 4, 4).train()
    with torch.no_grad():
        for _ in range(300):
            D(G(torch.randn(4, 40), labels), labels)
    for network in (G.eval(), D.eval()):
        layers = [m for m in network.modules() if hasattr(m, "parametrizations")]
        plain = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and m not in layers]
        assert len(layers) > 10
        assert not plain
        for layer in layers:
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert norm.item() == pytest.approx(1, abs=2e-2)


def test_attention_begins_as_the_identity_and_mixes_by_softmax():
    layer, x = SelfAttention(16).eval(), torch.randn(2, 16, 4, 4)
    assert_close(layer(x), x)
    torch.nn.init.constant_(layer.gamma, 0.5)
    with torch.no_grad():
        q, k, v = layer.query(x), layer.key(x), layer.value(x)
        k, v = (t.unflatten(2, (2, 2)).unflatten(4, (2, 2)).amax((3, 5)) for t in (k, v))
        for pixel in ((0, 0), (3, 1)):
            scores = torch.einsum("c,chw->hw", q[1, :, pixel[0], pixel[1]], k[1])
            mixed = (scores.flatten().softmax(0) * v[1].flatten(1)).sum(1)
            expected = x[1, :, pixel[0], pixel[1]] + 0.5 * layer.out.weight[:, :, 0, 0] @ mixed
            assert_close(layer(x)[1, :, pixel[0], pixel[1]], expected, atol=1e-5, rtol=1e-4)


def test_a_condition_of_zero_leaves_plain_batch_normalisation():
    layer, x = ToldBatchNorm(3, 6), 4 * torch.randn(8, 3, 5, 5) + 1
    plain = batch_norm(x, None, None, training=True)
    assert_close(layer(x, torch.zeros(8, 6)), plain)
    c = torch.randn(8, 6)
    gain, bias = (c @ part.weight.T for part in (layer.eval().gain, layer.bias))
    layer.norm.train()
    assert_close(layer(x, c), (1 + gain)[:, :, None, None] * plain + bias[:, :, None, None])


def test_each_part_of_z_reaches_one_block_only():
    """The first goes into the stem; a later one changes maps from its block on."""
    G, labels = BigGenerator(32, 40, 2, 4).eval(), torch.zeros(1, dtype=torch.int64)
    seen = []
    for block in G.blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    z = torch.randn(1, 40)
    G(z, labels)
    for part in range(4):
        changed = z.clone()
        changed[:, 10 * part : 10 * part + 10] += 1
        G(changed, labels)
        maps, others = seen[:3], seen[-3:]
        same = [torch.equal(a, b) for a, b in zip(maps, others)]
        assert same == [k < part - 1 for k in range(3)]


def test_rows_that_are_orthogonal_cost_nothing_however_long():
    layer = nn.Linear(2, 2, bias=True)
    layer.weight.data = torch.tensor([[3.0, 0.0], [0.0, 0.1]])
    assert orthogonal_penalty(layer).item() == 0
    layer.weight.data = torch.ones(2, 2)  # both products of different rows are 2
    assert orthogonal_penalty(layer).item() == 8
    assert orthogonal_penalty(layer, spared=("weight",)).item() == 0


def test_the_generator_begins_with_orthogonal_weights():
    G = BigGenerator(32, 40, 4, 4)
    wide = [w for w in G.parameters() if w.ndim > 1 and w.shape[0] <= w[0].numel()]
    assert len(wide) > 5
    for weight in wide:
        products = weight.flatten(1) @ weight.flatten(1).T
        assert_close(products, torch.eye(len(weight)), atol=1e-4, rtol=0)


def test_losses_are_hinge_and_orthogonal_regularisation():
    s = get_experiment("big", "smoke", ["image_size=32", "orthogonality=0.5"])
    G, D = (n.eval() for n in s.networks())
    batch = {
        "images": torch.randn(8, 1, 32, 32),
        "labels": torch.arange(8) % 4,
        **s.noise(8, torch.Generator().manual_seed(0)),
    }
    with torch.no_grad():
        for weight in G.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
        real, fake = D(batch["images"], batch["labels"]), D(G(batch["z"], batch["wanted"]), batch["wanted"])
        assert_close(s.critic_loss(G, D, batch)[0], relu(1 - real).mean() + relu(1 + fake).mean())
        loss, terms = s.generator_loss(G, D, batch)
        assert terms["orthogonality"] > 0
        several = s.generator_loss(nn.DataParallel(G), D, batch)[1]  # as several processes wrap it
        assert_close(several["orthogonality"], terms["orthogonality"])
        assert_close(loss, -fake.mean() + 0.5 * orthogonal_penalty(G, spared=("embedding",)))


def test_every_weight_of_both_networks_learns():
    s = get_experiment("big", "smoke", ["image_size=32"])
    G, D = s.networks()
    for attention in (G.attention, D.attention):
        torch.nn.init.ones_(attention.gamma)  # at 0 its other weights get no gradient yet
    batch = s.noise(8, torch.Generator().manual_seed(0))
    D(s.generate(G, batch), batch["wanted"]).sum().backward()
    silent = [
        name
        for network in (G, D)
        for name, p in network.named_parameters()
        if p.grad is None or not p.grad.any()
    ]
    assert silent == []


def test_at_the_papers_size_the_networks_have_the_numbers_of_the_authors_code(monkeypatch):
    """70,433,988 and 87,982,370 parameters at 128x128 with 96 channels and 1,000 classes, in colour.

    The authors' embedding of the class has 128 numbers, ours as many as a part of z, 20.
    """
    for slow in ("orthogonal", "spectral_norm"):  # neither changes how many there are
        monkeypatch.setattr(big, slow, lambda module: module)
    G, D = BigGenerator(128, 120, 96, 1_000), BigCritic(128, 96, 1_000)
    norms = sum(layer.norm.num_features for layer in G.modules() if isinstance(layer, ToldBatchNorm))
    embedded = (128 - 20) * (1_000 + 2 * norms)
    colour = 2 * (96 * 9 + 1), 2 * (96 * 9 + 96)
    count_G, count_D = (sum(p.numel() for p in network.parameters()) for network in (G, D))
    assert count_G + embedded + colour[0] == 70_433_988
    assert count_D + colour[1] == 87_982_370
    assert (G.attended, D.attended) == (4, 1)  # maps of 64x64


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 256])
def test_images_and_scores_have_their_shapes_at_every_size(size):
    G, D = BigGenerator(size, 14, 1, 4), BigCritic(size, 2, 4)
    labels = torch.tensor([0, 3])
    with torch.no_grad():
        images = G(torch.randn(2, 14), labels)
        assert images.shape == (2, 1, size, size)
        assert D(images, labels).shape == (2,)


def test_a_latent_too_short_to_be_split_is_refused():
    with pytest.raises(UserError, match="z_dim=3: it must be at least 4"):
        get_experiment("big", "smoke", ["image_size=32", "z_dim=3"])

"""Translation from image to image against identities of Isola 2017, Zhu 2017, Nie 2018 and Yu 2019."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from ctgan_utils import data
from ctgan_utils.__main__ import main
from ctgan_utils.campaign.plan import Entry, Run
from ctgan_utils.campaign.table import folder_of
from ctgan_utils.filters import sobel, sobel_magnitude
from ctgan_utils.losses import gradient_difference
from ctgan_utils.networks.translation import (
    ImagePool,
    PatchCritic,
    ResidualTranslator,
    UNet,
    receptive_field,
)
from ctgan_utils.phantom import TISSUES
from ctgan_utils.runtime import UserError
from ctgan_utils.sampling import given_by, load_generator, sample
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.trainer import Trainer


@pytest.fixture(scope="module")
def ct():
    return data.load_phantom(64, 32, seed=0, truth=["tissues", "unenhanced", "arterial"])


# networks


@pytest.mark.parametrize(("halvings", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_depends_on_its_patch_and_on_all_of_it(halvings, patch):
    D, images = PatchCritic(1, 2, halvings, normalised=False), torch.randn(1, 1, 160, 160, requires_grad=True)
    scores = D(images)
    middle = scores.shape[-1] // 2
    scores[0, middle, middle].backward()
    touched = images.grad[0, 0].ne(0)
    rows, columns = touched.any(1).nonzero()[:, 0], touched.any(0).nonzero()[:, 0]
    assert D.patch == patch
    assert rows[-1] - rows[0] + 1 == columns[-1] - columns[0] + 1 == patch


def test_the_receptive_field_of_one_and_of_two_convolutions():
    assert receptive_field([3], [1]) == 3
    assert receptive_field([3, 3], [1, 1]) == 5
    assert receptive_field([4, 4], [2, 1]) == 10


def test_each_layer_of_a_u_net_is_joined_to_the_one_of_its_size():
    G, seen = UNet(32, 3, 2), []
    for up in G.ups:
        up.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[1:]))
    with torch.no_grad():
        assert G(torch.randn(2, 3, 32, 32)).shape == (2, 1, 32, 32)
    assert [shape[-1] for shape in seen] == [1, 2, 4, 8, 16]
    assert [shape[0] for shape in seen] == [16, 32, 16, 8, 4]  # doubled but for the innermost


def test_without_skips_all_goes_through_the_one_pixel():
    x = torch.randn(2, 1, 32, 32)
    for skips in (True, False):
        G = UNet(32, 1, 2, skips)
        nn.init.zeros_(G.downs[-1][-1].weight)  # nothing of the image is left there
        with torch.random.fork_rng():
            torch.manual_seed(0)
            first = G(x)
            torch.manual_seed(0)
            other = G(x + torch.randn(2, 1, 32, 32))
        assert torch.equal(first, other) is not skips


def test_the_noise_of_a_u_net_is_dropout_in_use_too():
    G = UNet(32, 1, 2).eval()
    x = torch.randn(1, 1, 32, 32)
    assert not torch.equal(G(x), G(x))


def test_a_residual_translator_keeps_the_size():
    assert ResidualTranslator(1, 2, 1)(torch.randn(2, 1, 32, 32)).shape == (2, 1, 32, 32)


# losses


def test_the_gradient_difference_sees_how_strong_edges_are_not_how_bright_or_which_way():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert gradient_difference(ramp, ramp + 5).item() == 0
    assert gradient_difference(ramp, -ramp).item() == 0  # as printed in the thesis it would be 4
    assert gradient_difference(ramp, torch.zeros_like(ramp)).item() == 1
    assert gradient_difference(ramp, 3 * ramp).item() == 4
    assert gradient_difference(ramp, ramp.transpose(2, 3)).item() == 2


def test_sobel_edges_are_those_of_the_filter_and_have_gradients_everywhere():
    images = torch.randn(3, 1, 16, 16)
    expected = sobel_magnitude(images.numpy())
    assert np.allclose(sobel(images).numpy(), expected, atol=2e-4)
    flat = torch.zeros(1, 1, 8, 8, requires_grad=True)
    sobel(flat).sum().backward()
    assert flat.grad.isfinite().all()


def batch_of(s, ct, n=4):
    tensors = {name: tensor[:n] for name, tensor in ct.tensors(s.inputs).items()}
    return data.slices.as_batch(tensors)


def seeded_again(function, *arguments):
    torch.manual_seed(3)
    return function(*arguments)


def test_pix2pix_judges_image_and_source_together_and_stays_near_the_partner(ct):
    s = get_experiment("pix2pix", "smoke", ["image_size=32", "edges=2", "gradient_difference=3"])
    G, D = s.networks()
    batch = batch_of(s, ct)
    with torch.no_grad():
        source = torch.stack([batch["tissues"][:, 0] == k for k in range(len(TISSUES))], dim=1).float()
        fake, real = seeded_again(G, source), batch["images"]
        a, b = (D(torch.cat([source, images], dim=1)) for images in (real, fake))
        loss, _ = seeded_again(s.critic_loss, G, D, batch)
        assert_close(loss, (softplus(-a).mean() + softplus(b).mean()) / 2)
        expected = softplus(-b).mean() + 100 * (fake - real).abs().mean()
        expected += 2 * (sobel(fake) - sobel(real)).abs().mean() + 3 * gradient_difference(fake, real)
        assert_close(seeded_again(s.generator_loss, G, D, batch)[0], expected)


def test_edges_are_judged_where_that_is_asked(ct):
    s = get_experiment("pix2pix", "smoke", ["image_size=32", "edges_judged=true", "source=unenhanced"])
    _, D = s.networks()
    batch = batch_of(s, ct)
    shown = torch.cat([batch["unenhanced"], batch["images"], sobel(batch["images"])], dim=1)
    assert_close(s.score(D, batch), D(shown))


def test_a_cycle_of_identities_costs_nothing_but_being_found_out(ct):
    s = get_experiment("cycle", "smoke", ["image_size=32", "identity=5"])
    _, D = s.networks()
    D.eval()
    G = nn.ModuleDict({"there": nn.Identity(), "back": nn.Identity()})
    batch = batch_of(s, ct)
    with torch.no_grad():
        loss, terms = s.generator_loss(G, D, batch)
        x, y = s.unpaired(batch)
        fooled = (D["there"](x) - 1).square().mean() + (D["back"](y) - 1).square().mean()
    assert terms["cycle"].item() == 0
    assert terms["identity"].item() == 0
    assert_close(loss, fooled)


def test_the_critics_of_a_cycle_are_least_squares(ct):
    s = get_experiment("cycle", "smoke", ["image_size=32"])
    G, D = s.networks()
    batch = batch_of(s, ct)
    x, y = s.unpaired(batch)
    with torch.no_grad():
        there, back = G["there"](x), G["back"](y)  # an empty pool shows what it is given
        terms = [((D[end](real) - 1).square().mean() + D[end](fake).square().mean()) / 2
                 for end, real, fake in (("there", y, there), ("back", x, back))]  # fmt: skip
        assert_close(s.critic_loss(G, D, batch)[0], terms[0] + terms[1])


def test_a_cycle_never_sees_an_image_beside_its_partner(ct):
    s = get_experiment("cycle", "smoke", ["image_size=32"])
    batch = batch_of(s, ct)
    x, y = s.unpaired(batch)
    assert torch.equal(x, batch["unenhanced"])
    for k in range(4):
        assert torch.equal(y[k], batch["arterial"][k - 1])
    with pytest.raises(UserError, match="batch_size=1"):
        get_experiment("cycle", "smoke", ["batch_size=1"])
    with pytest.raises(UserError, match="target=arterial: it must be another than source"):
        get_experiment("cycle", "smoke", ["source=arterial"])


def test_a_pool_shows_what_it_was_given_and_old_images_half_of_the_time():
    pool = ImagePool(1, size=50)
    numbers = torch.arange(1050.0).view(-1, 1, 1, 1)
    assert torch.equal(pool(numbers[:50]), numbers[:50])
    shown = torch.cat([pool(image[None]) for image in numbers[50:]]).flatten()
    old = shown != numbers[50:].flatten()
    assert old.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (shown <= numbers[50:].flatten()).all()
    assert len(shown.unique()) == 1000  # each at most once
    assert len(pool.kept.unique()) == 50


# runs


@pytest.mark.parametrize("name", ["pix2pix", "cycle"])
def test_every_weight_learns(name, ct):
    s = get_experiment(name, "smoke", ["image_size=32"])
    t = Trainer(s, *s.networks(), ct.tensors(s.inputs))
    before = [p.clone() for p in t.G.parameters()]
    for _ in range(2):
        t.train_step()
    still = [torch.equal(a, b) for a, b in zip(before, t.G.parameters())]
    assert not any(still)
    images = t.samples()
    assert images.shape == (64, 1, 32, 32)


def test_commands_translate_slices_that_are_named(tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "translated"
    words = ["--profile", "smoke", "--set", "image_size=32", "--set", "source=unenhanced"]
    assert main(["train", "pix2pix", *words, "--steps", "2", "--out", str(run)]) == 0
    assert f"sample {run} --n 64 --data phantom" in capsys.readouterr().out
    assert main(["sample", str(run), "--n", "6", "--data", "phantom", "--out", str(out)]) == 0
    assert len(list(out.glob("*.png"))) == 6
    assert main(["sample", str(run), "--n", "6", "--out", str(tmp_path / "sheet.png")]) == 2
    assert "pix2pix translates unenhanced: name slices with --data" in capsys.readouterr().err
    ct = data.load_phantom(6, 32, truth=["unenhanced"])
    G, system = load_generator(run)
    assert sample(G, 6, given=given_by(ct, system)).shape == (6, 1, 32, 32)
    with pytest.raises(UserError, match="unenhanced of its slices are not known"):
        given_by(data.load_phantom(6, 32), system)


def test_a_campaign_measures_translations_of_unseen_patients(tmp_path):
    plan, out = tmp_path / "plan.csv", tmp_path / "out"
    head = "experiment,settings,data,images,seeds\n"
    plan.write_text(head + "pix2pix,image_size=32 width=2,phantom,8,1\n")
    words = ["--profile", "smoke", "--n", "12", "--phantoms", "160", "--out", str(out)]
    assert main(["campaign", "--plan", str(plan), *words]) == 0
    folder = folder_of(out, Run(Entry("pix2pix", "image_size=32 width=2", "phantom", 8, 1), 0))
    assert '"outcome": "trained"' in (folder / "result.json").read_text()

"""What the figures say of themselves, and the stages that architectures are drawn from."""

import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image
from scipy import stats

from ctgan_utils.figures import FAKE, REAL, add_caption, alternative_text, new_figure, plain_log, small_png
from ctgan_utils.figures.architectures import architecture_figure, stages_of
from ctgan_utils.figures.comparison import changes_figure, samples_figure
from ctgan_utils.figures.conditions import asked_figure
from ctgan_utils.figures.embeddings import pca_figure
from ctgan_utils.systems import get_experiment


def test_alternative_text_has_the_caption_and_names_what_each_panel_shows():
    fig, (left, right) = new_figure(1, 2)
    left.plot([0, 1], label="real")
    left.set(title="loss", xlabel="step", ylabel="grey levels")
    left.legend()
    right.axis("off")
    add_caption(fig, "One run.")
    expected = "One run. Panel: loss; horizontal: step; vertical: grey levels; shown: real."
    assert alternative_text(fig) == expected
    picture, metadata = small_png(fig)
    assert metadata == {"alt": expected}
    with Image.open(io.BytesIO(picture)) as image:
        assert image.width > 700  # 6.4 inches at 120 dpi, less the margins


def networks(name):
    return get_experiment(name, "lesson").networks()


def test_maps_grow_in_the_generator_and_shrink_in_the_critic():
    G, D = networks("dcgan-b64")
    sides = [(100,), (128, 4, 4), (64, 8, 8), (32, 16, 16), (16, 32, 32), (1, 64, 64)]
    assert [stage.shape for stage in stages_of(G)] == sides
    back = [(1, 64, 64), (16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4), (1,)]
    assert [stage.shape for stage in stages_of(D)] == back


def test_layers_are_named_with_kernel_and_factor():
    G, D = networks("dcgan-b64")
    up = "transposed\nconv 4×4, ×2"
    assert [stage.layers for stage in stages_of(G)[2:]] == 3 * [(up, "batch norm", "ReLU")] + [(up, "tanh")]
    assert stages_of(D)[1].layers == ("conv 4×4, ÷2", "leaky ReLU")  # no normalisation where the image enters
    assert stages_of(D)[2].layers == ("conv 4×4, ÷2", "batch norm", "leaky ReLU")


@pytest.mark.parametrize(
    ("name", "additions"),
    [
        ("wgan-conv", 4 * [()]),
        ("small", 4 * [((1, "×2"),)]),
        ("large-v1", 5 * [((1, "×2"), (1, "×2"))]),
        ("large-v2-z128", [((1, "×2"), (2, "×2"))] + 4 * [((1, "×2"), (2, "×4"))]),  # F1 keeps the 4x4
    ],
)
def test_additions_enter_where_equation_3_3_has_them(name, additions):
    G, _ = networks(name)
    assert [stage.added for stage in stages_of(G)[-len(additions) :]] == additions
    assert f"{sum(p.numel() for p in G.parameters()):,}" in alternative_text(architecture_figure(G))


def test_a_discriminator_takes_apart_what_the_generator_builds_up():
    G, D = networks("dcgan-b64")
    maps = [stage.shape for stage in stages_of(G)[1:]]
    assert [stage.shape for stage in stages_of(D)] == [*reversed(maps), (1,)]
    fig = architecture_figure(G, D, names=("Generator", "Discriminator"))
    upper, lower = fig.axes
    assert upper.get_xlim() == lower.get_xlim()  # one scale, so that equal maps have equal boxes
    assert upper.get_aspect() == lower.get_aspect() == 1
    words = alternative_text(fig)
    for name, network in (("Generator", G), ("Discriminator", D)):
        assert f"{name} with {sum(p.numel() for p in network.parameters()):,} parameters" in words


def test_drawing_a_network_leaves_its_statistics_as_they_are():
    for network in networks("dcgan-b64"):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        stages_of(network)
        assert network.training
        assert all((before[name] == value).all() for name, value in network.state_dict().items())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_clouds_are_all_drawn_and_on_the_same_axes(dimensions):
    rng = np.random.default_rng(0)
    sets = rng.normal(0, 3, (40, 8)), rng.normal(1, 1, (30, 8))
    narrow = sets[0] / 10, sets[1] / 10
    first, last = pca_figure({"narrow": narrow, "wide": sets}, dimensions, "Clouds.").axes
    assert first.get_xlim() == last.get_xlim()
    assert first.get_ylim() == last.get_ylim()
    drawn = [(to_hex(points.get_facecolor()[0]), len(points.get_offsets())) for points in last.collections]
    counts = {colour: sum(n for each, n in drawn if each == colour) for colour, _ in drawn}
    assert counts == {REAL: 40, FAKE: 30}
    assert [colour for colour, _ in drawn] == [REAL, FAKE] * (len(drawn) // 2)  # by turns: neither hides


def test_the_bar_of_a_change_is_the_interval_of_its_mean():
    fig = changes_figure({"several": [1.0, 2.0, 4.0], "one": [3.0]}, "Seeds.", "FWD")
    lines = [np.asarray(line.get_xdata(), float) for line in fig.axes[0].lines]
    mean, error = 7 / 3, np.std([1, 2, 4], ddof=1) / np.sqrt(3)
    expected = stats.t.interval(0.95, 2, mean, error)
    np.testing.assert_allclose(lines[0], expected)
    np.testing.assert_allclose(np.concatenate(lines[1:]), [1, 2, 4, mean, 3, 3, 0, 0])  # one seed: no bar


def test_wishes_and_answers_are_all_drawn_and_in_a_row_on_the_same_axes():
    rng = np.random.default_rng(0)
    kinds = {kind: rng.normal(70, 10, (2, 40)) for kind in ("real", "generated")}
    fig = asked_figure({"width": kinds, "enhancement": kinds}, {"width": "%", "enhancement": "HU"}, "Points.")
    for row in np.array(fig.axes).reshape(2, 2):
        assert row[0].get_ylim() == row[1].get_ylim()
        for axis, (asked, said) in zip(row, kinds.values()):
            points = axis.collections[0].get_offsets()
            assert np.array_equal(points, np.stack([asked, said], axis=1))
            (line,) = axis.lines
            assert line.get_slope() == 1


def test_a_plain_logarithmic_axis_names_1_2_3_and_5_of_each_decade():
    _, axis = new_figure()
    axis.plot([0, 1], [0.4, 20])
    plain_log(axis.yaxis)
    low, high = axis.get_ylim()
    places = [place for place in axis.get_yticks() if low <= place <= high]
    names = axis.yaxis.get_major_formatter().format_ticks(places)
    assert names == ["0.5", "1", "2", "3", "5", "10", "20"]
    assert axis.yaxis.get_minor_formatter().format_ticks([4, 6]) == ["", ""]
    assert (axis.get_xscale(), axis.get_yscale()) == ("linear", "log")


def test_samples_stand_in_rows_below_real_slices_in_their_order():
    images = torch.arange(11, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    fig = samples_figure({"real": images[:3], "short": images[3:5], "long": images[5:]}, "Eleven.", columns=3)
    shown = [int(axis.images[0].get_array()[0, 0]) if axis.images else None for axis in fig.axes]
    assert shown == [0, 1, 2, 3, 4, None, 5, 6, 7, 8, 9, 10]
    labels = [(axis.get_ylabel(), axis.yaxis.label.get_color()) for axis in fig.axes[::3]]
    assert labels == [("real", REAL), ("short", FAKE), ("long", FAKE), ("", FAKE)]

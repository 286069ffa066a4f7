"""The Fréchet wavelet distance against pytorchfwd, PyWavelets and closed forms."""

import numpy as np
import pytest
import pywt
import torch

from ctgan_utils import data
from ctgan_utils.evaluation.faults import FAULTS
from ctgan_utils.figures.wavelets import packets_figure
from ctgan_utils.metrics import packet_distances, packet_gains, wavelet_distance, wavelet_packets

STRENGTHS = 0.2, 0.4, 0.6, 0.8, 1


def noise(n=300, size=(32, 32), high=256, seed=0):
    return np.random.default_rng(seed).integers(high, size=(n, *size), dtype=np.uint8)


@pytest.fixture(scope="module")
def phantom():
    return data.load_phantom(800, 64, seed=7)


@pytest.fixture(scope="module")
def halves(phantom):
    """Two sets of the phantom's slices without a patient in common."""
    return data.split(phantom, 0.5)


def apply(name, ct, strength):
    return FAULTS[name](ct, strength, torch.Generator().manual_seed(0))


def both(x, y, level=None):
    return wavelet_packets(x, level), wavelet_packets(y, level)


# pytorchfwd 1.0.1 with ptwt 0.1.8, PyWavelets 1.9.0, SciPy 1.11.1, NumPy 1.26.4 and PyTorch 2.15.0, images
# float64 [N, 1, H, W] in [0, 1]:
#   statistics = [compute_packet_statistics(images.split(128), "Haar", level, False) for images in (x, y)]
#   (mean_x, cov_x), (mean_y, cov_y) = statistics
#   print(_compute_avg_frechet_distance(mean_x, mean_y, cov_x, cov_y))
@pytest.mark.parametrize(
    ("size", "level", "theirs"),
    [
        ((32, 32), 1, 21.715157922022655),
        ((32, 32), 2, 4.106200002513087),
        ((32, 32), 3, 0.9466514509387445),
        ((36, 29), 1, 23.134658750427214),
        ((36, 29), 3, 1.1884385051883295),
    ],
)
def test_the_distance_of_noise_is_pytorchfwds(size, level, theirs):
    x, y = noise(300, size), noise(200, size, high=150, seed=1)
    assert wavelet_distance(x, y, level) == pytest.approx(theirs, rel=1e-6)


def blocks(n, seed):
    """Images of squares of three sizes, uint8 [n, 1, 64, 64]: neighbours are alike, and all is exact."""
    rng = np.random.default_rng(seed)
    sizes = ((8, 128), (4, 64), (2, 64))  # pixels a side, grey levels
    parts = [rng.integers(0, high, (n, 1, 64 // side, 64 // side)) for side, high in sizes]
    grown = (part.repeat(side, 2).repeat(side, 3) for part, (side, _) in zip(parts, sizes))
    return torch.from_numpy(sum(grown).astype(np.uint8))


@pytest.mark.parametrize(("level", "theirs"), [(2, 2.828285080195447), (3, 0.6051224030619621)])
def test_the_distance_of_images_with_structure_is_pytorchfwds(level, theirs):
    x, y = blocks(400, 0), blocks(400, 1) // 2 + 60
    assert wavelet_distance(x, y, level) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (48, 64)])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_packets_are_those_of_pywavelets_in_its_order_of_frequency(size, level):
    images = noise(3, size)
    for image, packets in zip(images, wavelet_packets(images, level)):
        tree = pywt.WaveletPacket2D(image / 255, "haar", mode="reflect", maxlevel=level)
        nodes = [node.data.ravel() for row in tree.get_level(level, order="freq") for node in row]
        assert np.allclose(packets, nodes, atol=1e-6)


def test_a_wave_stands_in_the_packet_of_its_frequencies():
    y, x = np.mgrid[:64, :64]
    for row in range(8):
        for column in range(8):
            wave = np.cos(np.pi * (row + 0.5) / 8 * y + 1) * np.cos(np.pi * (column + 0.5) / 8 * x + 1)
            images = np.rint(127.5 + 127 * np.stack([wave, -wave])).astype(np.uint8)
            power = wavelet_packets(images, 3).var(0).sum(1)
            assert divmod(int(power.argmax()), 8) == (row, column)


@pytest.mark.parametrize(("side", "packets"), [(8, 4), (16, 4), (64, 64), (96, 64), (128, 256), (256, 1024)])
def test_packets_have_eight_coefficients_a_side_or_more(side, packets):
    found = wavelet_packets(noise(2, (side, side)))
    assert found.shape == (2, packets, side**2 // packets)
    assert found.dtype == np.float32


def test_the_squares_of_the_coefficients_are_those_of_the_pixels():
    images = noise(100)
    pixels = ((images / 255) ** 2).sum((1, 2))
    assert np.square(wavelet_packets(images, 3)).sum((1, 2)) == pytest.approx(pixels, rel=1e-6)


def test_equal_sets_are_at_no_distance_and_have_equal_power():
    packets = wavelet_packets(noise())
    assert packet_distances(packets, packets[::-1]).max() < 1e-9
    assert np.abs(packet_gains(packets, packets[::-1])).max() < 1e-9
    black = np.zeros_like(packets)
    assert not packet_gains(black, black).any()


def test_the_distance_is_symmetric_and_the_mean_of_its_packets():
    x, y = noise(), noise(high=150, seed=1)
    packets = both(x, y)
    assert wavelet_distance(x, y) == pytest.approx(wavelet_distance(y, x), rel=1e-9)
    assert wavelet_distance(x, y) == packet_distances(*packets).mean()
    assert packet_gains(*packets) == pytest.approx(-packet_gains(*packets[::-1]))


def test_all_the_ways_to_hold_images_are_one():
    x, y = noise(), noise(high=150, seed=1)
    tensors = [torch.from_numpy(images)[:, None] for images in (x, y)]
    assert wavelet_distance(*tensors) == wavelet_distance(x, y)


def test_mirrored_images_are_as_far_apart_and_transposed_ones_swap_the_axes(halves):
    x, y = (half.images[:100, 0].numpy() for half in halves)
    assert wavelet_distance(x[..., ::-1], y[..., ::-1], 3) == pytest.approx(wavelet_distance(x, y, 3))
    turned = both(x.transpose(0, 2, 1), y.transpose(0, 2, 1), 3)
    for measure in (packet_distances, packet_gains):
        assert np.allclose(measure(*turned).T, measure(*both(x, y, 3)))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_constant_changes_the_lowest_packet_alone_by_its_square_at_every_pixel(level):
    x = noise(high=200)
    distances = packet_distances(*both(x, x + np.uint8(51), level))
    assert distances[0, 0] == pytest.approx(32**2 * (51 / 255) ** 2, rel=1e-5)
    assert distances.ravel()[1:].max() < 1e-9


def test_twice_the_contrast_is_four_times_the_power_and_a_distance_of_the_mean_square():
    x = noise(high=128)
    packets = both(x, 2 * x, 2)
    a = packets[0].astype(np.float64)
    mean_square = (a.mean(0) ** 2 + a.var(0, ddof=1)).sum(-1).reshape(4, 4)
    assert packet_distances(*packets) == pytest.approx(mean_square, rel=1e-6)
    assert packet_gains(*packets) == pytest.approx(np.full((4, 4), 10 * np.log10(4)), rel=1e-6)


@pytest.mark.parametrize("name", ["blur", "noise", "swirl"])
def test_the_distance_grows_with_a_fault(halves, name):
    ct, _ = halves
    values = [wavelet_distance(ct.images, apply(name, ct, s)) for s in STRENGTHS]
    assert values[0] > 0
    assert values == sorted(values)
    assert values[-1] > 3 * values[0]


def test_a_blur_takes_power_from_high_frequencies_and_noise_adds_it(halves):
    ct, _ = halves
    packets = wavelet_packets(ct.images, 3)
    for name, sign in (("blur", -1), ("noise", 1)):
        gains = packet_gains(packets, wavelet_packets(apply(name, ct, 0.5), 3))
        assert abs(gains[0, 0]) < 0.2
        assert (sign * gains[4:, 4:] > 1).all()


def test_bad_input_is_told_in_a_line():
    x = noise(5)
    for images, message in (
        (x.astype(np.float32), "uint8 images .* are needed, not float32"),
        (x[0], "uint8 images .* are needed, not uint8"),
        (x[:0], "no images"),
        (noise(5, (16, 16)), "sizes .32, 32. and .16, 16."),
        (x[:1], "two or more"),
    ):
        with pytest.raises(ValueError, match=message):
            wavelet_distance(x, images)
    for level in (0, 6):
        with pytest.raises(ValueError, match=f"no wavelet packets of level {level}"):
            wavelet_distance(x, x, level)
    with pytest.raises(ValueError, match="no wavelet packets of level 1"):
        wavelet_packets(noise(5, (1, 32)))
    with pytest.raises(ValueError, match="packets of shapes .4, 256. and .16, 64. can't be compared"):
        packet_distances(wavelet_packets(x, 1), wavelet_packets(x, 2))
    with pytest.raises(ValueError, match="N of two or more"):
        packet_gains(wavelet_packets(x, 1), wavelet_packets(x, 1)[0])


def test_the_figure_shows_each_set_on_common_scales(tmp_path):
    x, y, black = noise(20), noise(20, high=150, seed=1), np.zeros((20, 32, 32), np.uint8)
    packets = {"real": x, "generated": y, "black": black}
    packets = {name: both(x, images, 2) for name, images in packets.items()}
    sets = {name: (packet_distances(*pair), packet_gains(*pair)) for name, pair in packets.items()}
    fig = packets_figure(sets, "caption")
    fig.savefig(tmp_path / "figure.png")  # an infinite gain, that of no power, is no obstacle
    shown = [axis.images[0] for axis in fig.axes[:6]]
    for k, grids in enumerate(sets.values()):
        assert np.array_equal(shown[k].get_array(), grids[0])
        assert np.array_equal(shown[3 + k].get_array().filled(-np.inf), grids[1])
    for line in (shown[:3], shown[3:]):
        assert len({image.get_clim() for image in line}) == 1
    assert [axis.get_title() for axis in fig.axes[:3]] == list(sets)

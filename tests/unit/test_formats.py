"""Pictures and arrays: the right grey values, whatever way they are stored, or one line that says why not."""

import io
import logging
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from ctgan_utils import data
from ctgan_utils.data import image_files, inspection, scale
from ctgan_utils.data.formats.base import LeftOut, Reading
from ctgan_utils.grey import window
from ctgan_utils.runtime import UserError

RAMP = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (16, 1))
HU = np.linspace(-1000, 1500, 256).reshape(16, 16).round().astype(np.int16)


@pytest.fixture(autouse=True)
def no_foreign_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def grey_of(path, size=16, **options):
    """The images of a file or folder as integers [N, size, size]."""
    return data.load(path, size, **options).images[:, 0].numpy().astype(int)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "TIFF"])
def test_pictures_without_loss_keep_every_grey_level(tmp_path, suffix):
    Image.fromarray(RAMP).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(grey_of(tmp_path)[0], RAMP)


def test_the_pages_of_a_tiff_are_slices(tmp_path):
    pages = [Image.fromarray(RAMP // divisor) for divisor in (1, 2, 4)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(grey_of(tmp_path), [RAMP, RAMP // 2, RAMP // 4])


def test_pages_of_different_sizes_are_refused(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(RAMP[:8])])
    with pytest.raises(UserError, match=r"a\.tif: pages of different sizes"):
        data.load(tmp_path, 16)


def test_a_signed_tiff_holds_hounsfield_units(tmp_path):
    Image.fromarray(HU.astype(np.int32)).save(tmp_path / "a.tif")
    Image.fromarray(HU.astype(np.float32)).save(tmp_path / "b.tif")
    assert np.abs(grey_of(tmp_path) - window(HU)).max() <= 1


def test_a_tiff_whose_low_numbers_are_bright_is_inverted(tmp_path):
    stored = (65_535 - RAMP.astype(np.uint16) * 257).astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.tif", tiffinfo={262: 0})
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / "b.tif")
    first, second = grey_of(tmp_path)
    assert np.array_equal(first, second)


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    picture = np.zeros((16, 16), np.uint8)
    picture[:, :8] = 200
    turned = Image.fromarray(picture)
    exif = turned.getexif()
    exif[0x0112] = 6  # the left side is the top
    turned.save(tmp_path / "a.png", exif=exif)
    (seen,) = grey_of(tmp_path)
    assert (seen[:8] == 200).all()
    assert (seen[8:] == 0).all()


def test_colour_becomes_grey_and_is_said(tmp_path, caplog):
    Image.fromarray(np.stack([RAMP, 255 - RAMP, RAMP], -1)).save(tmp_path / "a.png")
    grey_of(tmp_path)
    assert "pictures in colour, turned to grey" in caplog.text
    caplog.clear()
    Image.fromarray(np.stack([RAMP] * 3, -1)).save(tmp_path / "a.png")
    grey_of(tmp_path)
    assert caplog.text == ""


def test_other_formats_under_a_picture_s_name_are_never_opened(tmp_path):
    """Pillow would run Ghostscript on this one."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\nshowpage\n")
    with pytest.raises(UserError, match=r"a\.png: not an image, whatever its name says"):
        data.load(tmp_path, 16)


def test_a_picture_too_large_is_refused_by_its_header(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4)).save(buffer, "png")
    content = bytearray(buffer.getvalue())
    content[16:24] = (30_000).to_bytes(4, "big") * 2  # width and height, of which no pixel follows
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: takes .* GB of memory to open; pass --max-gb \d+"):
        data.load(tmp_path, 16)


def test_the_limit_of_memory_is_the_user_s(tmp_path):
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(tmp_path / "a.png")
    assert len(data.load(tmp_path, 16)) == 1
    with pytest.raises(UserError, match="--max-gb"):
        data.load(tmp_path, 16, reading=Reading(limit=10**6))


AS_IT_IS = RAMP.astype(float)
STACKS = {  # how 16 grey levels are stored, and how many levels they may differ by
    "uint8": (RAMP, 0),
    "int64": (RAMP.astype(np.int64), 0),
    "big-endian": (RAMP.astype(">u2"), 0),
    "float to 255": (AS_IT_IS, 0),
    "float to 1": (AS_IT_IS / 255, 0),
    "float to 1, rounded up": (AS_IT_IS / 255 * (1 + 1e-6), 1),
    "float to 1, overshooting": (AS_IT_IS / 255 * 1.1 - 0.05, 14),
    "float from -1": (AS_IT_IS / 127.5 - 1, 0),
    "12 bits": (np.rint(AS_IT_IS / 255 * 4095).astype(np.uint16), 1),
    "16 bits": (RAMP.astype(np.uint16) * 257, 0),
    "HU + 32768": (
        np.rint(np.where(RAMP > 0, AS_IT_IS / 255 * 400 - 160, -1000) + 32768).astype(np.uint16),
        1,
    ),
    "HU": (np.rint(np.where(RAMP > 0, AS_IT_IS / 255 * 400 - 160, -1000)).astype(np.int16), 1),
}


@pytest.mark.parametrize("name", STACKS)
def test_arrays_of_every_scale_give_their_grey_levels(tmp_path, name, caplog):
    stored, tolerance = STACKS[name]
    np.save(tmp_path / "a.npy", stored)
    assert np.abs(grey_of(tmp_path / "a.npy")[0] - RAMP).max() <= tolerance
    assert ("taken for" in caplog.text) == (name != "uint8")  # what was assumed is said


def test_16_bit_pictures_are_read_as_16_bit_arrays(tmp_path):
    for name in ("12 bits", "16 bits", "HU + 32768"):
        folder = tmp_path / name
        folder.mkdir()
        Image.fromarray(STACKS[name][0]).save(folder / "a.png")
        assert np.abs(grey_of(folder)[0] - RAMP).max() <= 1


def test_z_scores_are_refused_until_a_range_is_given(tmp_path):
    scores = (RAMP - RAMP.mean()) / RAMP.std()
    np.save(tmp_path / "a.npy", scores)
    with pytest.raises(
        UserError, match=r"numbers from -1\.\d+ to 1\.\d+ are neither grey levels nor HU; .*--range"
    ):
        data.load(tmp_path / "a.npy", 16)
    span = (float(scores.min()), float(scores.max()))
    assert np.abs(grey_of(tmp_path / "a.npy", reading=Reading(span=span))[0] - RAMP).max() <= 1


def test_a_range_decides_for_every_kind_of_number_but_no_assumption_is_told(tmp_path, caplog):
    np.save(tmp_path / "a.npy", RAMP // 255)  # a mask in 8 bits
    Image.fromarray(np.full((16, 16), 1, np.uint16)).save(tmp_path / "b.png")
    seen = grey_of(tmp_path, reading=Reading(span=(0, 1)))
    assert np.array_equal(seen[0], np.where(RAMP == 255, 255, 0))
    assert (seen[1] == 255).all()
    assert "taken for" not in caplog.text


def test_a_set_that_uses_few_grey_levels_is_told(tmp_path, caplog):
    np.save(tmp_path / "a.npy", RAMP // 255)
    grey_of(tmp_path / "a.npy")
    assert "only the grey levels 0 to 1 are used: pass --range" in caplog.text


def test_the_scale_is_that_of_the_numbers_stored_and_not_of_their_averages(tmp_path):
    checkers = np.indices((64, 64)).sum(0) % 2 * np.uint16(65_535)
    Image.fromarray(checkers.astype(np.uint16)).save(tmp_path / "a.png")
    assert np.abs(grey_of(tmp_path, 16) - 127.5).max() < 2  # half black, half white


def test_slices_of_one_set_share_one_scale():
    dark, bright = np.full((1, 2, 2), 1000, np.uint16), np.full((1, 2, 2), 60_000, np.uint16)
    stacks, extents = (
        [dark, bright, np.full((1, 2, 2), 9, np.uint8)],
        [(1000, 1000), (60_000, 60_000), (9, 9)],
    )
    grey, _ = scale.to_grey(stacks, [True, True, False], extents)
    assert grey[:, 0, 0].tolist() == [4, 233, 9]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_the_order_in_memory_does_not_matter(tmp_path, order, suffix):
    stack = np.arange(3 * 16 * 16, dtype=np.uint16).reshape(3, 16, 16)
    (np.save if suffix == "npy" else np.savez)(tmp_path / f"a.{suffix}", np.asarray(stack, order=order))
    assert np.array_equal(grey_of(tmp_path / f"a.{suffix}"), np.rint(stack * (255 / 4095)))


@pytest.mark.parametrize(
    "shape", [(16, 16, 3), (16, 16, 4), (16, 16, 9), (2, 3, 16, 16), (2, 16, 16, 3), (5,)]
)
def test_axes_that_are_no_stack_of_slices_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=r"a\.npy: shape \[.*slices are numbers \[N, H, W\]"):
        data.load(tmp_path / "a.npy", 16)


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"labels": np.eye(3)}, r"labels has shape \[3, 3\], images 3 slices; one class for each.*argmax"),
        ({"labels": np.arange(5)}, r"labels has shape \[5\], images 3 slices; one class"),
        ({"patients": np.arange(2)}, r"patients has shape \[2\], images 3 slices; one patient"),
        ({"labels": np.array([{}, {}, {}])}, "holds Python objects, not numbers"),
    ],
)
def test_what_stands_beside_the_slices_is_counted(tmp_path, beside, message):
    np.savez(tmp_path / "a.npz", images=np.stack([RAMP] * 3), **beside)
    with pytest.raises(UserError, match=message):
        data.load(tmp_path / "a.npz", 16)


def test_labels_of_some_parts_only_are_refused_and_other_arrays_are_told(tmp_path, caplog):
    parts = {"train_images": RAMP[None], "val_images": RAMP[None], "train_labels": [1]}
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(UserError, match="val_images has no val_labels like the others"):
        data.load(tmp_path / "a.npz", 16)
    np.savez(tmp_path / "a.npz", images=RAMP[None], masks=RAMP[None], affine=np.eye(4))
    data.load(tmp_path / "a.npz", 16)
    assert "arrays affine, masks are not read" in caplog.text


def test_an_array_that_promises_more_than_the_file_holds_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (10**6, 10**3, 10**3), "fortran_order": False, "descr": "<f8"}
    )
    (tmp_path / "a.npy").write_bytes(header.getvalue() + b"x" * 100)
    with pytest.raises(UserError, match=r"a\.npy: damaged: the file ends too early"):
        data.load(tmp_path / "a.npy", 16)


def test_a_bomb_of_zeros_is_refused_by_its_header(tmp_path):
    stored = {"shape": (50, 1000, 1000), "fortran_order": False, "descr": "|u1"}
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, stored)
        for _ in range(50):
            member.write(bytes(10**6))
    with pytest.raises(UserError, match=r"a\.npz: takes 0\.1 GB of memory to open; pass --max-gb 1"):
        data.load(tmp_path / "a.npz", 16, reading=Reading(limit=10**7))


def mutants(content, rng, count):
    """Copies of a file with bytes cut off, replaced or put in."""
    for _ in range(count):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 6)):
            damaged[place : place + rng.integers(0, 3)] = rng.bytes(rng.integers(0, 4))
        yield bytes(damaged[: rng.integers(1, len(content))] if rng.random() < 0.3 else damaged)


def originals():
    pages = [Image.fromarray(RAMP), Image.fromarray(RAMP)]
    for suffix, options in (("png", {}), ("jpg", {}), ("bmp", {}), ("tif", {"save_all": True})):
        buffer = io.BytesIO()
        appended = {"append_images": pages[1:]} if options else {}
        pages[0].save(buffer, {"tif": "tiff", "jpg": "jpeg"}.get(suffix, suffix), **options, **appended)
        yield suffix, buffer.getvalue()
    for save, suffix in ((np.save, "npy"), (np.savez, "npz"), (np.savez_compressed, "npz")):
        buffer = io.BytesIO()
        save(buffer, np.stack([RAMP, RAMP]))
        yield suffix, buffer.getvalue()


def test_reading_ends_in_slices_or_in_one_line_whatever_the_bytes(tmp_path):
    rng, outcomes, lines = np.random.default_rng(0), {True: 0, False: 0}, set()
    for suffix, content in originals():
        for damaged in mutants(content, rng, 60):
            path = tmp_path / f"a.{suffix}"
            path.write_bytes(damaged)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numbers that overflow in Lanczos' weights
                try:
                    read = image_files.read_slices(path, 16)
                    outcomes[True] += 1
                    assert read.pixels.shape[1:] == (16, 16)
                except (UserError, LeftOut) as error:
                    outcomes[False] += 1
                    lines.add(str(error))
    assert min(outcomes.values()) > 20
    assert all(line.isprintable() for line in lines)


def test_a_check_tells_what_is_left_out_and_assumed(tmp_path):
    np.save(tmp_path / "a.npy", RAMP.astype(float))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".DS_Store").write_text("x")
    report = inspection.inspect_folder(tmp_path)
    assert report["left_out"] == {"hidden": 1, ".txt": 1}
    assert report["assumed"][0].startswith("numbers from 0 to 255 taken for grey levels")
    assert report["sizes"] == {"16x16": 1}


def test_a_check_of_numbers_on_no_known_scale_says_so_and_counts_all_the_same(tmp_path):
    first, second = np.random.default_rng(0).normal(size=(2, 64, 64))  # z-scores
    np.save(tmp_path / "a.npy", np.stack([first, first, second]))
    report = inspection.inspect_folder(tmp_path)
    assert "neither grey levels nor HU" in " ".join(report["assumed"])
    assert report["images"] == 3
    assert report["exact_duplicates"] == report["near_duplicates"] == [["a.npy[0]", "a.npy[1]"]]
    assert report["stacks"] == 2
    assert report["orientations"] == {}


def test_the_log_is_one_line(tmp_path, caplog):
    np.save(tmp_path / "a.npy", RAMP.astype(float))
    (tmp_path / "notes.txt").write_text("x")
    with caplog.at_level(logging.WARNING):
        data.load(tmp_path, 16)
        data.load(tmp_path, 16)  # from the cache
    assert len(caplog.messages) == 2
    assert caplog.messages[0] == caplog.messages[1]
    assert caplog.messages[0].startswith(f"{tmp_path}: left out: 1 .txt; numbers from 0 to 255")
    (tmp_path / "more.txt").write_text("x")
    data.load(tmp_path, 16)
    assert "left out: 2 .txt" in caplog.messages[2]  # what was kept is no longer what is there


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8), (2, 1, 8, 8), (2, 8, 8, 1)])
def test_the_axes_of_a_stack_may_be_written_in_four_ways(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.full(shape, 77, np.uint8))
    ct = data.load(tmp_path / "a.npy", 8)
    assert (ct.images == 77).all()
    assert len(ct) == (1 if len(shape) == 2 else 2)
    assert ct.classes == (tmp_path.name,)


def test_16_bit_arrays_share_one_scale_with_16_bit_pictures(tmp_path):
    np.save(tmp_path / "a.npy", np.full((1, 8, 8), 4095, np.uint16))
    Image.fromarray(np.full((8, 8), 819, np.uint16)).save(tmp_path / "b.png")
    assert data.load_folder(tmp_path, 8).images[:, 0, 0, 0].tolist() == [255, 51]


def test_a_stack_may_name_its_classes_and_patients(tmp_path):
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    split = {"train_images": images[:4], "train_labels": [[1], [0], [1], [1]]}  # as in MedMNIST
    np.savez(tmp_path / "organs.npz", **split, test_images=images[4:], test_labels=[[0], [1]])
    ct = data.load(tmp_path / "organs.npz", 8)
    assert ct.images[:, 0, 0, 0].tolist() == list(range(6))
    assert ct.counts() == {"0": 2, "1": 4}
    assert ct.grouped_by == "similarity"
    np.savez(tmp_path / "organs.npz", images=images, patients=[7, 7, 3, 3, 3, 7])
    assert data.load(tmp_path / "organs.npz", 8).groups.tolist() == [1, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 3, 8, 8), np.uint8)}, r"shape \[2, 3, 8, 8\] of uint8"),
        ({"images": np.array([{}])}, "Python objects"),
        ({"images": np.full((1, 8, 8), np.nan)}, "NaN"),
        ({"x": np.zeros((1, 8, 8)), "y": np.zeros(1)}, "holds x, y; call the array of slices 'images'"),
        ({"a_images": np.zeros((1, 8, 8)), "b_images": np.zeros((1, 4, 4))}, "differ in size"),
    ],
)
def test_arrays_that_are_no_slices_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=rf"bad\.npz: .*{message}"):
        data.load_folder(tmp_path, 8)

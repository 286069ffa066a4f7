"""Hashes, groups, near-duplicates and orientation on images made to measure."""

import numpy as np
import pytest
import torch
from PIL import Image

from ctgan_utils import data, phantom
from ctgan_utils.data import image_files, similarity
from ctgan_utils.data.inspection import inspect_folder, orientation


def hashes_at(*bits):
    """Hashes with the first so many bits set: two differ by the difference of these numbers."""
    return np.arange(similarity.BITS)[None] < np.array(bits)[:, None]


def test_chains_are_one_group_and_numbered_by_first_appearance():
    hashes = hashes_at(100, 0, 8, 100, 16, 200)
    assert similarity.group(hashes, 8).tolist() == [0, 1, 1, 0, 1, 2]
    assert similarity.group(hashes, 7).tolist() == [0, 1, 2, 0, 3, 4]
    assert similarity.group(hashes, 0).tolist() == [0, 1, 2, 0, 3, 4]


def test_groups_agree_with_the_full_distance_matrix_across_blocks():
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(0)
    centres = rng.random((400, similarity.BITS)) < 0.5
    hashes = centres[rng.integers(0, 400, 1500)] ^ (rng.random((1500, similarity.BITS)) < 0.03)
    distances = (hashes[:, None] != hashes[None]).sum(-1)
    expected = connected_components(distances <= 12)[1]
    found = similarity.group(hashes, 12)
    assert len(set(zip(expected, found))) == len(set(expected)) == len(set(found)) > 400


def test_the_hash_ignores_size_and_brightness_and_sees_another_slice():
    drawn = phantom.generate(60, 128, seed=2).images
    small = np.stack([image_files.resize(slice_, 64) for slice_ in drawn])
    dim = (small * 0.8).astype(np.uint8)
    a, b, c = (similarity.perceptual_hash(torch.from_numpy(x)[:, None]) for x in (drawn, small, dim))
    assert (a != b).sum(1).max() <= similarity.NEAR_DUPLICATE
    assert (b != c).sum(1).max() <= similarity.NEAR_DUPLICATE
    assert (a[0] != a[-1]).sum() > similarity.SAME_STACK


def test_nearest_is_the_root_mean_square_distance():
    test, train = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    test[0], test[1] = 10, 90
    train[1], train[2] = 100, 200
    assert torch.allclose(similarity.nearest(test, train), torch.tensor([10.0, 10.0]), atol=1e-3)


def test_a_report_counts_what_is_there(tmp_path):
    drawn = phantom.generate(40, 64, seed=0)
    image_files.write_images(tmp_path / "a", drawn.images[:2], ["0.png", "1.png"])
    image_files.write_images(tmp_path / "A", drawn.images[[0, -1]], ["0.png", "1.png"])
    picture = Image.open(tmp_path / "a" / "0.png")
    picture.save(tmp_path / "a" / "0.jpg", quality=70)
    (tmp_path / "a" / "cut.png").write_bytes((tmp_path / "a" / "0.png").read_bytes()[:300])
    np.save(tmp_path / "a" / "stack.npy", drawn.images[-2:])
    report = inspect_folder(tmp_path)
    assert (report["files"], report["images"]) == (7, 7)
    assert report["classes"] == {"a": 5, "A": 2}
    assert report["sizes"] == {"64x64": 7}
    assert report["modes"] == {"L": 5, "uint8": 2}
    assert report["orientations"] == {"axial": 7}
    assert sorted(report["exact_duplicates"][0]) == ["A/0.png", "a/0.png"]
    assert sorted(report["exact_duplicates"][1]) == ["A/1.png", "a/stack.npy[1]"]
    near = next(same for same in report["near_duplicates"] if "a/0.png" in same)
    assert {"A/0.png", "a/0.jpg"} <= set(near)
    assert report["stacks"] == 2
    assert report["same_class_in_different_case"] == [["A", "a"]]
    assert set(report["unreadable"]) == {"a/cut.png"}


def test_orientation_follows_from_the_borders():
    body = np.zeros((64, 64), np.uint8)
    body[10:54, 5:59] = 120
    coronal = np.zeros((64, 64), np.uint8)
    coronal[:, 12:52] = 120
    assert orientation(body) == "axial"
    assert orientation(coronal) == "coronal"
    assert orientation(np.full((64, 64), 120, np.uint8)) == "unclear"
    assert orientation(np.zeros((64, 64), np.uint8)) == "unclear"
    assert {orientation(slice_) for slice_ in phantom.generate(100, 64).images} == {"axial"}


@pytest.mark.real_data
def test_the_real_slices_are_stacks_of_near_duplicates(real_folder):
    report = inspect_folder(real_folder)
    assert report["unreadable"] == {}
    assert report["orientations"] == {"axial": 3956}
    assert 60 <= report["stacks"] <= 100
    ct = data.load_folder(real_folder, 64)
    assert ct.grouped_by == "similarity"
    train, test = data.split(ct, 0.2)
    assert similarity.nearest(test.images, train.images).median() > 15

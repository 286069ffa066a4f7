"""NIfTI: slices against the volume that was put into a file, in every orientation; what is refused."""

import gzip
import itertools
import sys
import tracemalloc

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff, ornt_transform

from ctgan_utils.data.formats import nifti
from ctgan_utils.data.formats.base import LeftOut, Reading
from ctgan_utils.runtime import UserError

SHAPE = 4, 5, 3  # to the right, the front, up
RAS = np.arange(60, dtype=np.int16).reshape(SHAPE) - 30
ORIENTATIONS = [
    np.column_stack([axes, flips])
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def save(path, volume=RAS, affine=None, kind=nibabel.Nifti1Image, **header):
    image = kind(volume, np.diag([0.5, 0.5, 2, 1]) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def read(path, **reading):
    """(slices [k, H, W], the ImageFile) of a file."""
    file = nifti.read(path, Reading(**reading))
    slices = np.stack(list(file.slices))
    assert slices.shape == (file.count, *file.size[::-1])
    assert slices.dtype == np.float32
    assert (file.mode, file.patients, file.classes) == (nifti.MODE, None, None)
    return slices, file


def shown(volume):
    """What a radiologist sees of a volume whose axes run to the right, the front, up."""
    return np.stack([volume[::-1, ::-1, k].T for k in range(volume.shape[2])])


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda o: str(o.ravel().tolist()))
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_slices_look_the_same_however_the_axes_run(tmp_path, orientation, name):
    """A marker at the patient's left, in front and below, is on the image's right, at its top, in slice 0."""
    marked = np.zeros(SHAPE, np.int16)
    marked[0, -1, 0] = 1000  # least to the right, most to the front, lowest
    turn = ornt_transform([[0, 1], [1, 1], [2, 1]], orientation)
    affine = np.diag([0.5, 0.5, 2, 1]) @ inv_ornt_aff(turn, SHAPE)
    slices, file = read(save(tmp_path / name, apply_orientation(marked, turn), affine))
    assert (file.count, file.size, file.notes) == (3, (4, 5), ())
    assert np.argwhere(slices == 1000).tolist() == [[0, 0, 3]]
    slices, _ = read(save(tmp_path / name, apply_orientation(RAS, turn), affine))
    assert np.array_equal(slices, shown(RAS))


def test_nibabel_agrees_on_the_orientation(tmp_path):
    turn = np.array([[2, -1], [0, 1], [1, -1]])
    tilted = np.eye(4)
    tilted[1:3, 1:3] = [[0.95, -0.3], [0.3, 0.95]]
    save(tmp_path / "a.nii", apply_orientation(RAS, turn), tilted @ inv_ornt_aff(turn, SHAPE))
    canonical = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii"))
    assert np.array_equal(read(tmp_path / "a.nii")[0], shown(canonical.get_fdata()))


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "u2", "i4", "f4", ">f8"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_numbers_keep_their_unit(tmp_path, dtype, kind):
    volume = (RAS + 30).astype(dtype)
    for name in ("a.nii", "a.nii.gz"):
        slices, file = read(save(tmp_path / name, volume, kind=kind))
        assert np.array_equal(slices, shown(RAS + 30))
        assert file.count == 3


def test_slope_and_intercept_are_applied(tmp_path):
    image = nibabel.Nifti1Image(RAS, np.eye(4))
    image.header.set_slope_inter(0.25, -1000)  # nibabel then stores RAS as it is
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(image, tmp_path / name)
        slices, _ = read(tmp_path / name)
        assert np.array_equal(slices, shown(RAS * 0.25 - 1000))
        assert np.array_equal(slices, shown(nibabel.load(tmp_path / name).get_fdata()))


def test_a_last_axis_of_one_and_a_single_slice_are_a_volume(tmp_path):
    assert np.array_equal(read(save(tmp_path / "a.nii", RAS[..., None, None]))[0], shown(RAS))
    for one in (RAS[:, :, :1], RAS[:, :, 0]):
        assert np.array_equal(read(save(tmp_path / "a.nii", one))[0], shown(RAS[:, :, :1]))


@pytest.mark.parametrize("affine", [None, np.zeros((3, 4)), np.full((3, 4), np.nan), np.ones((3, 4))])
def test_a_file_without_orientation_is_taken_as_left_anterior_superior(tmp_path, affine):
    path = tmp_path / "a.nii"
    save(path)
    header = nibabel.load(path).header.copy()
    header["sform_code"], header["qform_code"] = (0, 0) if affine is None else (1, 0)
    if affine is not None:
        header["srow_x"], header["srow_y"], header["srow_z"] = affine
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    slices, file = read(path)
    assert np.array_equal(slices, shown(RAS[::-1]))
    assert file.notes == (nifti.NO_ORIENTATION,)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    volume = RAS.astype(np.float32)
    volume[1, 1, 1] = np.nan
    slices = iter(nifti.read(save(tmp_path / "a.nii", volume), Reading()).slices)
    next(slices)
    with pytest.raises(UserError, match="holds NaN or infinite values"):
        next(slices)


def test_voxels_are_read_slice_by_slice(tmp_path):
    """20 MB of them; a packed file is read whole, unless that takes more than the limit."""
    volume = np.zeros((256, 256, 160), np.int16)
    path = save(tmp_path / "a.nii", volume)
    tracemalloc.start()
    for slice_ in nifti.read(path, Reading(limit=10**7)).slices:
        assert slice_.shape == (256, 256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    with pytest.raises(UserError, match=r"takes 0\.0 GB of memory to open; pass --max-gb 1"):
        read(save(tmp_path / "a.nii.gz", volume), limit=10**7)


def test_an_absurd_size_is_refused_before_it_is_read(tmp_path):
    for name, message in (("a.nii", "damaged: the file ends too early"), ("a.nii.gz", "pass --max-gb 7037")):
        path = save(tmp_path / name)
        content = path.read_bytes()
        content = gzip.decompress(content) if name.endswith("gz") else content
        header = nibabel.Nifti1Header(content[:348])
        header["dim"][1:5] = 32767, 32767, 3277, 1
        content = header.binaryblock + content[348:]
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with pytest.raises(UserError, match=message):
            read(path)


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "NIfTI in colour"),
        (np.zeros((4, 4, 4), np.complex64), "NIfTI of complex numbers"),
        (np.zeros(7, np.int16), "NIfTI of a single dimension"),
        (np.zeros((4, 1, 4), np.int16), "NIfTI of a slice that is not axial"),
    ],
)
def test_what_is_no_volume_of_slices_is_left_out(tmp_path, volume, reason):
    with pytest.raises(LeftOut) as left_out:
        read(save(tmp_path / "a.nii", volume))
    assert str(left_out.value) == reason


def test_several_volumes_are_to_be_split(tmp_path):
    with pytest.raises(UserError, match="holds 6 volumes; save each as a file"):
        read(save(tmp_path / "a.nii", np.zeros((4, 4, 4, 3, 2), np.int16)))


def test_half_of_a_pair_is_told(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(RAS, np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.hdr").read_bytes())
    with pytest.raises(UserError, match="only the header of a pair of files"):
        read(tmp_path / "a.nii")


def test_a_packed_file_may_lack_the_suffix(tmp_path):
    save(tmp_path / "a.nii.gz").rename(tmp_path / "a.nii")
    assert np.array_equal(read(tmp_path / "a.nii")[0], shown(RAS))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii", b"", "an empty file"),
        ("a.nii", b"<!DOCTYPE html><html>404</html>" * 30, "not a NIfTI file, whatever its name says"),
        ("a.nii.gz", b"<!DOCTYPE html><html>404</html>" * 30, "not a gzip file, whatever its name says"),
        ("a.nii.gz", gzip.compress(b"<html>" * 200, mtime=0), "not a NIfTI file, whatever its name says"),
        ("a.nii.gz", gzip.compress(b"", mtime=0), "not a NIfTI file, whatever its name says"),
    ],
)
def test_other_files_under_the_name_are_told(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read(tmp_path / name)
    assert str(error.value) == message


def test_damage_is_told(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        path = save(tmp_path / name)
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(UserError, match="damaged: the file ends too early"):
            read(path)
    content = bytearray(save(path).read_bytes())
    content[-8] ^= 1  # of the checksum
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged: it can't be unpacked"):
        read(path)
    with pytest.raises(UserError, match=r"can't be read \(.+\)"):
        read(tmp_path / "missing.nii")


def test_without_nibabel_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(UserError, match="NIfTI needs nibabel: run 'pip install nibabel' and try again"):
        nifti.read(tmp_path / "a.nii", Reading())


def outcome(path):
    """ "read", or the reason in one line why not; anything else that is raised fails the test."""
    try:
        read(path, limit=10**8)
    except (LeftOut, UserError) as reason:
        text = str(reason)
        assert text.isprintable()
        return text
    return "read"


def test_whatever_bytes_a_file_holds_the_outcome_is_a_line(tmp_path):
    whole = [
        save(tmp_path / "1.nii").read_bytes(),
        save(tmp_path / "2.nii", kind=nibabel.Nifti2Image).read_bytes(),
    ]
    random = np.random.default_rng(3)
    outcomes = set()
    for trial in range(300):
        content = bytearray(whole[trial % 2])
        for at in random.integers(0, len(content) if trial % 3 else 130, random.integers(1, 12)):
            content[at] = random.integers(256)
        if trial % 5 == 0:
            del content[random.integers(len(content)) :]
        packed = bytearray(gzip.compress(content))
        if trial % 4 == 0:
            packed[random.integers(len(packed))] = random.integers(256)
        for name, data in (("mutant.nii", content), ("mutant.nii.gz", packed)):
            (tmp_path / name).write_bytes(data)
            outcomes.add(outcome(tmp_path / name))
    assert "read" in outcomes
    assert len(outcomes) > 5

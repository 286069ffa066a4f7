"""Formats: DICOM and arrays against what was put into them."""

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from ctgan_utils import data
from ctgan_utils.data import image_files, inspection
from ctgan_utils.grey import window
from ctgan_utils.runtime import UserError

HU = np.linspace(-1024, 1500, 32 * 32).reshape(32, 32).round().astype(np.int16)


def save_dicom(path, hu=HU, intercept=-1024, slope=2, **tags):
    """A CT file that stores (hu - intercept) / slope, as 16-bit numbers."""
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = CTImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid()
    file.Modality, file.PatientID = "CT", "Anna"
    file.RescaleIntercept, file.RescaleSlope = intercept, slope
    file.PhotometricInterpretation, file.SamplesPerPixel = "MONOCHROME2", 1
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
    if hu is not None:
        if hu.ndim == 3:
            file.NumberOfFrames = len(hu)
        file.Rows, file.Columns = hu.shape[-2:]
        file.PixelData = np.rint((hu - intercept) / slope).astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)


def test_dicom_is_rescaled_and_windowed(tmp_path):
    save_dicom(tmp_path / "default.dcm")
    save_dicom(tmp_path / "own.dcm", WindowCenter=[50, 400], WindowWidth=[300, 1800])
    stored = np.rint((HU + 1024) / 2) * 2 - 1024  # a slope of 2 keeps even numbers
    for name, expected in (("default", window(stored)), ("own", window(stored, 50, 300))):
        (grey,) = image_files.read(tmp_path / f"{name}.dcm").pixels
        assert np.abs(grey.astype(int) - expected).max() <= 1


def test_dicom_whose_low_values_are_bright_is_inverted(tmp_path):
    save_dicom(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1")
    save_dicom(tmp_path / "b.dcm")
    a, b = (image_files.read(tmp_path / name).pixels for name in ("a.dcm", "b.dcm"))
    assert np.array_equal(a, 255 - b)


def test_dicom_patients_are_the_groups_and_frames_are_slices(tmp_path):
    save_dicom(tmp_path / "Tumor" / "IM0001")  # as on a clinical disc: no suffix
    save_dicom(tmp_path / "Tumor" / "stack.dcm", np.stack([HU, HU, HU]), PatientID="Bo")
    (tmp_path / "Tumor" / "README").write_text("no slice")
    ct = data.load_folder(tmp_path, 32)
    assert ct.grouped_by == "patient"
    assert ct.groups.tolist() == [0, 1, 1, 1]
    assert ct.counts() == {"Tumor": 4}


def test_dicom_without_pixels_is_named(tmp_path):
    save_dicom(tmp_path / "report.dcm", hu=None)
    with pytest.raises(UserError, match=r"report\.dcm: a DICOM file without pixel data; remove"):
        data.load_folder(tmp_path, 32)
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "report.dcm").read_bytes()[:200])
    report = inspection.inspect_folder(tmp_path)
    assert set(report["unreadable"]) == {"cut.dcm", "report.dcm"}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((2, 8, 8), 77, np.uint8), 77),
        (np.full((8, 8), 40, np.int16), 128),  # Hounsfield units
        (np.full((2, 1, 8, 8), 140.0), 191),
        (np.full((2, 8, 8, 1), 0.2), 51),
        (np.stack([np.full((8, 8), -1.0), np.full((8, 8), 0.0)]).astype(np.float32), 0),
    ],
)
def test_arrays_become_grey_levels(tmp_path, array, expected):
    np.save(tmp_path / "a.npy", array)
    ct = data.load(tmp_path / "a.npy", 8)
    assert ct.images[0, 0, 0, 0] == expected
    assert len(ct) == (1 if array.ndim == 2 else 2)
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
        ({"images": np.array([{}])}, "unreadable"),
        ({"images": np.full((1, 8, 8), np.nan)}, "NaN"),
        ({"x": np.zeros((1, 8, 8)), "y": np.zeros(1)}, "holds x, y; call the array of slices 'images'"),
        ({"a_images": np.zeros((1, 8, 8)), "b_images": np.zeros((1, 4, 4))}, "differ in size"),
    ],
)
def test_arrays_that_are_no_slices_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=rf"bad\.npz: .*{message}"):
        data.load_folder(tmp_path, 8)

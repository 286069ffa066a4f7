"""DICOM: grey levels against what was put into a file, and against pydicom; what is left out or refused."""

import re
import struct
import sys
import tracemalloc
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.pixels.common import CoderBase
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from ctgan_utils import data
from ctgan_utils.data.formats import dicom, dicom_grey
from ctgan_utils.data.formats.base import CUT, LeftOut, Reading
from ctgan_utils.grey import window
from ctgan_utils.runtime import UserError

HU = np.linspace(-1024, 1500, 32 * 32).reshape(32, 32).round().astype(np.int16)
STORED_HU = np.rint((HU + 1024) / 2) * 2 - 1024  # what is left of them at a slope of 2
pytestmark = pytest.mark.filterwarnings("ignore::Warning:pydicom")  # as in dicom, but pytest has its own
SHIPPED = Path(pydicom.__path__[0]) / "data" / "test_files"


def save_dicom(path, hu=HU, intercept=-1024, slope=2, syntax=ExplicitVRLittleEndian, stored="<u2", **tags):
    """A CT file that stores (hu - intercept) / slope. A tag of value None is not written."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.file_meta.MediaStorageSOPClassUID = tags.get("SOPClassUID") or CTImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid()
    file.SOPClassUID, file.Modality, file.PatientID = CTImageStorage, "CT", "Anna"
    file.RescaleIntercept, file.RescaleSlope = intercept, slope
    file.PhotometricInterpretation, file.SamplesPerPixel = "MONOCHROME2", 1
    dtype = np.dtype(stored)
    bits = 8 * dtype.itemsize
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(dtype.kind == "i")
    if hu is not None:
        if hu.ndim == 3:
            file.NumberOfFrames = len(hu)
        file.Rows, file.Columns = hu.shape[-2:]
        file.PixelData = np.rint((hu - intercept) / slope).astype(stored).tobytes()
        file["PixelData"].VR = "OB" if bits == 8 else "OW"
    for name, value in tags.items():
        if value is None:
            file.pop(name, None)
        else:
            setattr(file, name, value)
    if syntax == RLELossless:
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.compress(RLELossless, generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


def item(**tags):
    dataset = Dataset()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return Sequence([dataset])


def read(path, **reading):
    """(grey levels [k, H, W], the ImageFile) of a file."""
    file = dicom.read(path, Reading(**reading))
    grey = np.stack(list(file.slices))
    assert grey.shape == (file.count, *file.size[::-1])
    assert grey.dtype == np.uint8
    assert file.mode == dicom.MODE
    return grey, file


def assert_close(grey, expected):
    assert np.abs(grey.astype(int) - np.asarray(expected).astype(int)).max() <= 1


def test_values_are_rescaled_and_shown_in_the_first_window(tmp_path):
    grey, file = read(save_dicom(tmp_path / "own.dcm", WindowCenter=[50, 400], WindowWidth=[300, 1800]))
    assert_close(grey[0], window(STORED_HU, 50, 300))
    assert (file.count, file.size, file.patients, file.notes) == (1, (32, 32), ["Anna"], ())


def test_without_a_window_soft_tissue_is_shown_and_said(tmp_path):
    grey, file = read(save_dicom(tmp_path / "default.dcm"))
    assert_close(grey[0], window(STORED_HU))
    assert file.notes == (dicom_grey.NO_WINDOW,)
    assert "--range LOW:HIGH" in dicom_grey.NO_WINDOW


def test_without_a_rescale_stored_values_are_taken_for_hu(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", HU, 0, 1, stored="<i2", RescaleSlope=None, RescaleIntercept=None)
    grey, file = read(path)
    assert np.array_equal(grey[0], window(HU))
    assert file.notes == (dicom_grey.NO_WINDOW, dicom_grey.NO_RESCALE)


def test_only_a_slope_or_an_intercept_counts(tmp_path):
    grey, _ = read(save_dicom(tmp_path / "a.dcm", HU, -1024, 1, RescaleSlope=None))
    assert np.array_equal(grey[0], window(HU))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(40, 400), (2000, 4096), (40, 2), (-500, 1)])
def test_windows_are_those_of_the_standard(tmp_path, function, center, width):
    tags = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}
    grey, _ = read(save_dicom(tmp_path / "a.dcm", **tags))
    assert_close(grey[0], by_pydicom(tmp_path / "a.dcm"))


def test_a_window_of_width_one_is_a_threshold(tmp_path):
    hu = np.array([[-1, 0, 39, 40, 41, 1000]])
    grey, _ = read(save_dicom(tmp_path / "a.dcm", hu, -1024, 1, WindowCenter=40, WindowWidth=1))
    assert grey[0, 0].tolist() == [0, 0, 0, 255, 255, 255]


def test_the_range_asked_for_counts_most(tmp_path):
    grey, file = read(save_dicom(tmp_path / "a.dcm", WindowCenter=50, WindowWidth=300), span=(-1000, 500))
    assert_close(grey[0], window(STORED_HU, -250, 1500))
    assert file.notes == ()


@pytest.mark.parametrize("width", [0, -20])
def test_a_window_without_width_is_none(tmp_path, width):
    grey, file = read(save_dicom(tmp_path / "a.dcm", WindowCenter=0, WindowWidth=width))
    assert_close(grey[0], window(STORED_HU))
    assert file.notes == (dicom_grey.NO_WINDOW,)


def test_low_values_may_be_bright(tmp_path):
    a, _ = read(save_dicom(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    b, _ = read(save_dicom(tmp_path / "b.dcm"))
    assert np.array_equal(a, 255 - b)


def test_a_modality_lookup_table_gives_hu(tmp_path):
    table = (np.arange(600) * 2).astype(np.uint16)  # HU of the stored values 100 to 699
    lut = item(LUTDescriptor=[600, 100, 16], LUTData=table.tobytes(), ModalityLUTType="HU")
    lut[0]["LUTData"].VR = "OW"
    stored = np.array([[0, 100, 101, 150, 200, 699, 5000]])
    tags = {"RescaleSlope": None, "RescaleIntercept": None, "ModalityLUTSequence": lut}
    grey, file = read(save_dicom(tmp_path / "a.dcm", stored, 0, 1, **tags))
    assert np.array_equal(grey[0], window(np.array([[0, 0, 2, 100, 200, 1198, 1198]])))
    assert file.notes == (dicom_grey.NO_WINDOW,)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_lookup_table_gives_grey_levels(tmp_path, syntax):
    """Its first value is -100 HU, written as the unsigned number of 16 bits that files hold."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    table = np.linspace(4095, 0, 201).astype(order + "u2")
    lut = item(LUTDescriptor=[201, 65436, 12], LUTData=table.tobytes())
    lut[0]["LUTData"].VR = "OW"
    hu = np.array([[-1000, -100, 0, 100, 900]])
    path = tmp_path / "a.dcm"
    save_dicom(path, hu, -1024, 1, syntax, stored=order + "u2", VOILUTSequence=lut)
    grey, file = read(path)
    assert_close(grey[0], [[255, 255, 127, 0, 0]])
    assert file.notes == ()


@pytest.mark.parametrize("padding", [-2000, 63536])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_whatever_the_sign_it_is_written_with(tmp_path, padding, photometric):
    stored = np.array([[-2000, -1999, 40, 300]])
    path = tmp_path / "a.dcm"
    save_dicom(path, stored, 0, 1, stored="<i2", PhotometricInterpretation=photometric)
    file = pydicom.dcmread(path)
    file.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    file.save_as(path)
    expected = window(stored)[0]
    if photometric == "MONOCHROME1":
        expected = 255 - expected
        expected[0] = 0
    assert read(path)[0][0, 0].tolist() == expected.tolist()


def test_padding_may_be_a_range(tmp_path):
    stored = np.array([[0, 9, 10, 15, 20, 21, 3000]])
    tags = {"PixelPaddingValue": 20, "PixelPaddingRangeLimit": 10, "PhotometricInterpretation": "MONOCHROME1"}
    grey, _ = read(save_dicom(tmp_path / "a.dcm", stored, 0, 1, **tags))
    assert (grey[0, 0] == 0).tolist() == [False, False, True, True, True, False, True]


def test_enhanced_files_describe_each_frame(tmp_path):
    """Rescale and window come from a frame's own group, else from the shared one."""
    own = item(
        PixelValueTransformationSequence=item(RescaleSlope=1, RescaleIntercept=-1000),
        FrameVOILUTSequence=item(WindowCenter=[0, 7], WindowWidth=[1000, 7], VOILUTFunction="LINEAR_EXACT"),
    )[0]
    shared = item(
        PixelValueTransformationSequence=item(RescaleSlope=2, RescaleIntercept=-1024),
        FrameVOILUTSequence=item(WindowCenter=40, WindowWidth=400, VOILUTFunction=""),
    )
    stored = np.stack([np.arange(0, 2048, 2).reshape(32, 32)] * 3)
    path = save_dicom(
        tmp_path / "a.dcm", stored, 0, 1, SOPClassUID=EnhancedCTImageStorage, RescaleSlope=None,
        RescaleIntercept=None, PerFrameFunctionalGroupsSequence=Sequence([Dataset(), own, Dataset()]),
        SharedFunctionalGroupsSequence=shared,
    )  # fmt: skip
    grey, file = read(path)
    for frame in (0, 2):
        assert_close(grey[frame], window(stored[0] * 2 - 1024, 40, 400))
    assert_close(grey[1], window(stored[0] - 1000, 0, 1000))
    assert file.patients == ["Anna"] * 3
    assert file.notes == ()


def test_fewer_groups_than_frames_are_damage(tmp_path):
    stored = np.zeros((2, 4, 4))
    groups = {"PerFrameFunctionalGroupsSequence": Sequence([Dataset()])}
    with pytest.raises(UserError, match="damaged"):
        read(save_dicom(tmp_path / "a.dcm", stored, 0, 1, **groups))


def test_screen_shots_of_8_bits_are_grey_as_they_are(tmp_path):
    stored = np.arange(256).reshape(16, 16)
    tags = {"SOPClassUID": SecondaryCaptureImageStorage, "RescaleSlope": None, "RescaleIntercept": None}
    for modality in ("OT", "SC", "CT", None):
        path = save_dicom(tmp_path / "a.dcm", stored, 0, 1, stored="u1", Modality=modality, **tags)
        grey, file = read(path)
        assert np.array_equal(grey[0], stored)
        assert file.notes == (dicom_grey.ARE_GREY,)
    grey, _ = read(save_dicom(path, stored, 0, 1, stored="u1", WindowCenter=50.5, WindowWidth=101, **tags))
    assert grey.ravel()[[0, 50, 100, 255]].tolist() == [0, 128, 255, 255]


@pytest.mark.parametrize(
    ("stored", "syntax"),
    [
        ("<u2", ImplicitVRLittleEndian),
        ("<i2", ExplicitVRLittleEndian),
        (">u2", ExplicitVRBigEndian),
        (">i2", ExplicitVRBigEndian),
        ("<u2", RLELossless),
        ("<u2", DeflatedExplicitVRLittleEndian),
        ("<i4", ExplicitVRLittleEndian),
        ("<u4", ExplicitVRLittleEndian),
    ],
)
def test_every_encoding_gives_the_same_grey_levels(tmp_path, stored, syntax):
    grey, _ = read(save_dicom(tmp_path / "a.dcm", stored=stored, syntax=syntax))
    assert_close(grey[0], window(STORED_HU))


@pytest.mark.parametrize(("signed", "expected"), [(0, 2000), (1, -500)])
def test_bits_that_store_nothing_are_ignored(tmp_path, signed, expected):
    """12 of 16 bits hold a value; the others hold anything, such as an overlay."""
    hu = np.full((4, 4), expected)
    path = save_dicom(tmp_path / "a.dcm", hu, 0, 1, stored="<i2", BitsStored=12, HighBit=11)
    file = pydicom.dcmread(path)
    file.PixelRepresentation = signed
    pixels = np.frombuffer(file.PixelData, "<u2") & 0x0FFF | 0xA000
    file.PixelData = pixels.astype("<u2").tobytes()
    file.save_as(path)
    grey, image = read(path, span=(expected - 100, expected + 155))
    assert np.array_equal(grey[0], np.full((4, 4), 100))
    assert image.notes == ()
    file.HighBit = 15
    file.save_as(path)
    assert any("HighBit" in note for note in read(path)[1].notes)


@pytest.mark.parametrize(
    ("syntax", "order"),
    [(ExplicitVRLittleEndian, "<"), (ImplicitVRLittleEndian, "<"), (ExplicitVRBigEndian, ">")],
)
def test_files_of_old_scanners_have_no_beginning(tmp_path, syntax, order):
    path = save_dicom(tmp_path / "a.dcm", stored=order + "u2", syntax=syntax)
    file = pydicom.dcmread(path)
    start = file.file_meta.FileMetaInformationGroupLength + 144
    path.write_bytes(path.read_bytes()[start:])
    assert_close(read(path)[0][0], window(STORED_HU))


def test_frames_are_slices(tmp_path):
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        path = save_dicom(tmp_path / "a.dcm", np.stack([HU, HU[::-1], HU.T]), syntax=syntax)
        grey, file = read(path)
        assert file.count == 3
        for one, hu in zip(grey, (STORED_HU, STORED_HU[::-1], STORED_HU.T)):
            assert_close(one, window(hu))


def test_a_damaged_frame_is_told_when_its_turn_comes(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", np.stack([HU, HU]), syntax=RLELossless)
    file = pydicom.dcmread(path)
    frames = list(pydicom.encaps.generate_frames(file.PixelData, number_of_frames=2))
    file.PixelData = encapsulate([frames[0], b"\0" * 64])
    file.save_as(path)
    slices = iter(dicom.read(path, Reading()).slices)
    next(slices)
    with pytest.raises(UserError, match="damaged: its pixels can't be decoded"):
        next(slices)


def test_patients(tmp_path):
    series = {"SeriesInstanceUID": "1.2.3"}
    file = read(save_dicom(tmp_path / "a.dcm", PatientID=" 17 ", WindowCenter=0, WindowWidth=9, **series))[1]
    assert (file.patients, file.notes) == (["17"], ())
    for absent in (None, "", " "):
        path = save_dicom(tmp_path / "a.dcm", PatientID=absent, WindowCenter=0, WindowWidth=9, **series)
        file = read(path)[1]
        assert (file.patients, file.notes) == (["1.2.3"], (dicom.NO_PATIENT,))
    assert read(save_dicom(tmp_path / "a.dcm", PatientID=None))[1].patients is None


def test_empty_elements_are_absent_ones(tmp_path):
    file = pydicom.dcmread(save_dicom(tmp_path / "full.dcm"))
    names = (
        "WindowCenter WindowWidth VOILUTFunction Modality PatientID PhotometricInterpretation "
        "SamplesPerPixel NumberOfFrames ImageType BitsStored PixelRepresentation SOPClassUID "
        "SharedFunctionalGroupsSequence"
    )
    for name in names.split():
        setattr(file, name, [] if name.endswith("Sequence") else None)
    for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        file.add_new(name, "US", None)
    path = tmp_path / "a.dcm"
    file.save_as(path)
    grey, image = read(path)
    assert_close(grey[0], window(STORED_HU))
    assert image.patients is None
    for name in ("BitsStored", "PixelRepresentation", "PhotometricInterpretation"):
        assert any(f"no {name} in the file" in note for note in image.notes)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "MR"}, "DICOM of modality MR"),
        ({"Modality": "seg "}, "DICOM of modality SEG"),
        ({"Modality": "OT"}, "DICOM of modality OT"),
        ({"Modality": None, "SOPClassUID": MRImageStorage}, "DICOM of class MR Image Storage"),
        ({"Modality": "CT", "SOPClassUID": MRImageStorage}, "DICOM of class MR Image Storage"),
        ({"SOPClassUID": UID("1.2.840.10008.1.3.10")}, "DICOM directory"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "DICOM in colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "DICOM in colour"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "DICOM localizer (scout view)"),
        ({"hu": None}, "DICOM without an image"),
        ({"PixelData": None, "FloatPixelData": bytes(4096)}, "DICOM of floating-point pixels"),
    ],
)
def test_what_is_no_ct_slice_is_left_out_by_its_header(tmp_path, tags, reason):
    if "hu" not in tags and "PixelData" not in tags:
        tags = tags | {"PixelData": b"no"}
    with pytest.raises(LeftOut) as left_out:
        read(save_dicom(tmp_path / "a.dcm", **tags))
    assert str(left_out.value) == reason


def test_a_makers_own_class_of_ct_images_is_read(tmp_path):
    assert read(save_dicom(tmp_path / "a.dcm", SOPClassUID=UID("1.3.12.2.1107.5.9.1")))[1].count == 1


@pytest.mark.parametrize(
    ("name", "vr", "value", "message"),
    [
        ("Rows", "US", 0, "damaged: its Rows is 0"),
        ("BitsAllocated", "US", 12, "12 bits for each pixel; save it with 16 bits"),
        ("BitsStored", "US", 17, "damaged: its BitsStored is 17"),
        ("PixelRepresentation", "US", 2, "damaged: its PixelRepresentation is 2"),
        ("Rows", "US", 64, "damaged: the file ends too early"),
        ("WindowWidth", "LO", "wide", "damaged: its WindowWidth is no number"),
        ("RescaleSlope", "DS", "nan", "damaged: its RescaleSlope is no number"),
        ("RescaleSlope", "DS", "0", "damaged: its RescaleSlope is 0"),
        ("NumberOfFrames", "LO", "many", "damaged: its NumberOfFrames is no number"),
        ("NumberOfFrames", "IS", "-1", "damaged: its NumberOfFrames is -1"),
        ("PhotometricInterpretation", "CS", "GREY", "damaged: its PhotometricInterpretation is GREY"),
        ("VOILUTFunction", "CS", "CURVED", "its VOILUTFunction CURVED is unknown; pass --range LOW:HIGH"),
        ("Modality", "LO", "C\x01T", "damaged: its Modality can't be read"),
        ("SOPClassUID", "LO", "1.2?", "damaged: its SOPClassUID can't be read"),
        ("Columns", "LO", "", "damaged: it doesn't say how large its image is"),
    ],
)
def test_nonsense_is_told_in_a_line(tmp_path, name, vr, value, message):
    path = save_dicom(tmp_path / "a.dcm", WindowCenter=40, WindowWidth=400)
    file = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        file.add_new(name, vr, value if vr != "DS" else "1")
        if vr == "DS":
            file[name]._value = value
        file.save_as(path)
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (
            b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 9,
            "not a DICOM file, whatever its name",
        ),
        (b"x", "not a DICOM file"),
        (bytes(4000), "not a DICOM file"),
    ],
)
def test_other_files_under_the_name_are_told(tmp_path, content, message):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(path)


def test_files_that_were_cut_off_are_told(tmp_path):
    for syntax in (ExplicitVRLittleEndian, RLELossless, DeflatedExplicitVRLittleEndian):
        whole = save_dicom(tmp_path / "a.dcm", syntax=syntax).read_bytes()
        (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) - 200])
        with pytest.raises(UserError, match="damaged: the file ends too early"):
            read(tmp_path / "cut.dcm")


def test_a_file_that_may_not_be_opened_is_told(tmp_path):
    with pytest.raises(UserError, match=r"can't be read \(.+\)"):
        dicom.read(tmp_path / "missing.dcm", Reading())


def test_too_large_images_are_refused_before_they_are_decoded(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", Rows=65535, Columns=65535, PixelData=b"no")
    with pytest.raises(UserError, match=r"takes 176\.\d GB of memory to open; pass --max-gb 177"):
        read(path)
    path = save_dicom(tmp_path / "a.dcm", NumberOfFrames=2_000_000_000)
    with pytest.raises(UserError, match="pass --max-gb"):
        read(path)
    path = save_dicom(tmp_path / "a.dcm")
    assert read(path, limit=100_000)[1].count == 1
    with pytest.raises(UserError, match="pass --max-gb"):
        read(path, limit=40_000)


def test_a_deflated_bomb_stops_at_the_limit(tmp_path):
    path = save_dicom(tmp_path / "a.dcm", syntax=DeflatedExplicitVRLittleEndian)
    file = pydicom.dcmread(path)
    start = file.file_meta.FileMetaInformationGroupLength + 144
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(300)) + pack.flush()
    path.write_bytes(path.read_bytes()[:start] + bomb)
    with pytest.raises(UserError, match="pass --max-gb"):
        read(path, limit=10**7)


@pytest.mark.parametrize("element", [b"\xe0\x7f\x10\x00OW", b"\x09\x00\x10\x00OB"])
def test_an_absurd_length_asks_for_no_memory(tmp_path, element):
    """An element that claims 4 GB: no more is asked of the file than it has."""
    path = save_dicom(tmp_path / "a.dcm")
    content = path.read_bytes()
    at = content.find(element) + 8
    if at < 8:  # before the header's group 10
        at = content.index(b"\x10\x00\x20\x00LO") + 8
        content = content[: at - 8] + element + bytes(6) + content[at - 8 :]
    path.write_bytes(content[:at] + struct.pack("<I", 0xFFFFFFF0) + content[at + 4 :])
    tracemalloc.start()
    text = outcome(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert text == ("read" if element.endswith(b"OW") else CUT)  # the rest of the file is its value
    assert peak < 10**7


@pytest.mark.parametrize(
    ("syntax", "bits", "message"),
    [
        (JPEGLosslessSV1, 16, "compressed as JPEG Lossless: run 'pip install python-gdcm' and try again"),
        (HTJ2K, 16, "compressed as High-Throughput JPEG 2000 Image Compression: run 'pip install pylibjpeg "
         "pylibjpeg-openjpeg' and try again"),
        (UID("1.2.840.10008.1.2.4.100"), 16, "compressed as MPEG2 Main Profile / Main Level, which can't be "
         "read; save it uncompressed"),
    ],
)  # fmt: skip
def test_missing_decoders_are_named(tmp_path, monkeypatch, syntax, bits, message):
    pixels = encapsulate([b"\xff\xd8"])
    path = save_dicom(tmp_path / "a.dcm", PixelData=pixels, syntax=syntax, BitsStored=bits)
    monkeypatch.setattr(CoderBase, "is_available", property(lambda self: False))
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value) == message


def test_12_bits_of_jpeg_extended_need_another_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr(CoderBase, "available_plugins", property(lambda self: ("gdcm", "pillow")))
    pixels = encapsulate([b"\xff\xd8"])
    path = save_dicom(tmp_path / "a.dcm", PixelData=pixels, syntax=JPEGExtended12Bit, BitsStored=12)
    with pytest.raises(UserError, match="run 'pip install pylibjpeg pylibjpeg-libjpeg' and try again"):
        read(path)


def test_undecodable_pixels_are_told_in_a_line(tmp_path):
    path = save_dicom(
        tmp_path / "a.dcm",
        PixelData=encapsulate([b"\xff\xd8 no JPEG"]),
        syntax=JPEGBaseline8Bit,
        BitsStored=8,
    )
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value) == "damaged: its pixels can't be decoded"


def test_without_pydicom_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match="DICOM needs pydicom: run 'pip install pydicom' and try again"):
        dicom.read(tmp_path / "a.dcm", Reading())


def outcome(path):
    """ "read", or the reason in one line why not; anything else that is raised fails the test."""
    try:
        read(path, limit=10**8)
    except (LeftOut, UserError) as reason:
        text = str(reason)
        assert text
        assert text.isprintable()
        assert "force=" not in text
        return text
    return "read"


def test_whatever_bytes_a_file_holds_the_outcome_is_a_line(tmp_path):
    group = item(
        PixelValueTransformationSequence=item(RescaleSlope=2, RescaleIntercept=-1024),
        FrameVOILUTSequence=item(WindowCenter=40, WindowWidth=400),
    )[0]
    enhanced = {
        "SOPClassUID": EnhancedCTImageStorage,
        "PerFrameFunctionalGroupsSequence": Sequence([group, group]),
    }
    small = HU[:8, :8]
    whole = [
        save_dicom(tmp_path / "0.dcm", small, WindowCenter=40, WindowWidth=400, PixelPaddingValue=0),
        save_dicom(tmp_path / "1.dcm", small, syntax=ImplicitVRLittleEndian),
        save_dicom(tmp_path / "2.dcm", small, syntax=RLELossless),
        save_dicom(tmp_path / "3.dcm", small, syntax=DeflatedExplicitVRLittleEndian),
        save_dicom(tmp_path / "4.dcm", np.stack([small, small]), **enhanced),
    ]
    tags = [struct.pack("<HH", 0x28, element) for element in (2, 4, 8, 0x10, 0x100, 0x101, 0x1050, 0x3010)]
    random = np.random.default_rng(3)
    outcomes = set()
    for trial in range(300):
        content = bytearray(whole[trial % len(whole)].read_bytes())
        kind = trial // len(whole) % 4
        if kind == 0:
            del content[random.integers(len(content)) :]
        elif kind == 1:
            for at in random.integers(128, len(content), random.integers(1, 20)):
                content[at] = random.integers(256)
        elif kind == 2:  # a random element amid the others
            tag = tags[random.integers(len(tags))]
            vr = (b"US\2\0", b"DS\4\0", b"SQ\0\0", b"LO\xff\xff")[random.integers(4)]
            at = random.integers(132, len(content))
            content[at:at] = tag + vr + random.bytes(random.integers(12))
        else:  # a run of bytes twice
            start, end = sorted(random.integers(128, len(content), 2))
            content[end:end] = content[start:end]
        (tmp_path / "mutant.dcm").write_bytes(content)
        outcomes.add(outcome(tmp_path / "mutant.dcm"))
    assert "read" in outcomes
    assert len(outcomes) > 10


def by_pydicom(path):
    """Grey levels 0 to 255 of a file's first window, as pydicom computes them."""
    file = pydicom.dcmread(path)
    stored = file.pixel_array
    shown = apply_voi_lut(apply_modality_lut(stored, file), file, prefer_lut=False)
    bits, signed = file.BitsStored, file.PixelRepresentation
    ends = np.array([-(1 << bits - 1), (1 << bits - 1) - 1] if signed else [0, (1 << bits) - 1], np.float64)
    low, high = np.sort(ends * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0)))
    grey = np.clip((shown - low) / (high - low), 0, 1) * 255
    if "PixelPaddingValue" in file:
        grey[stored == file.PixelPaddingValue] = 0
    return np.rint(grey)


@pytest.mark.parametrize(
    "name", ["693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "dicomdirtests/77654033/CT2/17106"]
)
def test_grey_levels_are_those_of_pydicom(name):
    grey, file = read(SHIPPED / name)
    assert file.notes == ()
    assert len(np.unique(grey)) > 20
    assert_close(grey[0], by_pydicom(SHIPPED / name))


def test_grey_levels_without_a_window_are_those_of_pydicom():
    file = pydicom.dcmread(SHIPPED / "CT_small.dcm")
    hu = apply_modality_lut(file.pixel_array, file)
    assert np.array_equal(read(SHIPPED / "CT_small.dcm")[0][0], window(hu))
    stored = pydicom.dcmread(SHIPPED / "image_dfl.dcm").pixel_array
    assert np.array_equal(read(SHIPPED / "image_dfl.dcm")[0][0], stored)


def test_every_file_that_pydicom_ships_is_read_left_out_or_named():
    paths = [path for path in sorted(SHIPPED.rglob("*")) if path.is_file()]
    outcomes = {path.relative_to(SHIPPED).as_posix(): outcome(path) for path in paths}
    has_gdcm = find_spec("gdcm") is not None  # it is optional
    for name in ("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"):
        text = outcomes.pop(name)
        assert (
            text == "read" if has_gdcm else re.fullmatch("compressed as JPEG-LS.*: run 'pip install .*", text)
        )
    assert sorted(name.rpartition("/")[2] for name, text in outcomes.items() if text == "read") == [
        "17106", "17136", "17166", "17196", "2062", "2392", "2693", "3023", "3353", "693_J2KI.dcm",
        "CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "image_dfl.dcm",
    ]  # fmt: skip
    no_dicom = {name for name, text in outcomes.items() if text == "not a DICOM file, whatever its name says"}
    assert no_dicom == {
        "README.txt", "crayons.icc", "dicomdirtests/README.txt", "dicomdirtests/TINY_ALPHA/README",
        "no_meta.dcm", "rtplan.dump", "rtstruct.dump", "test1.json", "test_PN.json", "zipMR.gz",
    }  # fmt: skip
    expected = {
        "MR_small.dcm": "DICOM of modality MR",
        "MR_truncated.dcm": "DICOM of modality MR",
        "rtdose.dcm": "DICOM of modality RTDOSE",
        "rtstruct.dcm": "DICOM of modality RTSTRUCT",
        "liver_1frame.dcm": "DICOM of modality SEG",
        "test-SR.dcm": "DICOM of modality SR",
        "ExplVR_LitEndNoMeta.dcm": "DICOM of modality RTPLAN",
        "ExplVR_BigEndNoMeta.dcm": "DICOM of modality RTPLAN",
        "GDCMJ2K_TextGBR.dcm": "DICOM in colour",
        "dicomdirtests/DICOMDIR": "DICOM directory",
        "dicomdirtests/98892001/CT2N/6293": "DICOM localizer (scout view)",
        "dicomdirtests/TINY_ALPHA/PT000000/ST000000/SE000000/IM000000": "DICOM without an image",
        "nested_priv_SQ.dcm": "damaged: it doesn't say how large its image is",
    }
    assert {name: outcomes[name] for name in expected} == expected
    assert all(text == "DICOM in colour" for name, text in outcomes.items() if name.startswith("SC_"))


def test_patients_are_the_groups_of_a_folder_and_frames_its_slices(tmp_path):
    save_dicom(tmp_path / "Tumor" / "IM0001")  # as on a clinical disc: no suffix
    save_dicom(tmp_path / "Tumor" / "stack.dcm", np.stack([HU, HU, HU]), PatientID="Bo")
    (tmp_path / "Tumor" / "README").write_text("no slice")
    ct = data.load_folder(tmp_path, 32)
    assert ct.grouped_by == "patient"
    assert ct.groups.tolist() == [0, 1, 1, 1]
    assert ct.counts() == {"Tumor": 4}


def test_an_index_names_the_patients_of_files_that_name_none(tmp_path):
    for k in range(3):
        save_dicom(tmp_path / f"{k}.dcm", PatientID="", SeriesInstanceUID=f"1.{k}")
    (tmp_path / "index.csv").write_text("file,patient\n0.dcm,A\n1.dcm,B\n2.dcm,A\n")
    assert data.load_folder(tmp_path, 32).groups.tolist() == [0, 1, 0]

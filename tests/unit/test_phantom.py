"""Known answers for the synthetic CT: reproducibility, anatomy, attenuation and display window."""

import numpy as np
import pytest
from scipy import ndimage

from ctgan_utils.data.image_files import resize
from ctgan_utils.grey import window
from ctgan_utils.phantom import CLASS_COUNTS, CLASSES, TISSUES, anatomy, generate, patients, scale_down

KIDNEY = [TISSUES.index(k) for k in ("kidney cortex", "kidney medulla", "renal sinus", "renal pelvis")]
LESION = {"Cyst": "cyst", "Stone": "stone", "Tumor": "tumour"}


@pytest.fixture(scope="module")
def many():
    return generate(320, size=64, seed=7)


@pytest.fixture(scope="module")
def fine():
    return generate(130, size=128, seed=7)


def tissue_hu(phantoms, name):
    """HU of the pixels well inside a tissue: those whose neighbours are all of it."""
    same = phantoms.labels == TISSUES.index(name)
    return phantoms.hu[ndimage.binary_erosion(same, np.ones((1, 3, 3)))]


def test_fields_have_the_stated_shapes_and_types(many):
    types = {"images": np.uint8, "hu": np.int16, "labels": np.uint8, "masks": bool}
    for name, dtype in types.items():
        assert getattr(many, name).shape == (320, 64, 64)
        assert getattr(many, name).dtype == dtype
    assert many.classes.dtype == many.patients.dtype == np.int64
    assert many.z.dtype == np.float32
    assert many.classes.shape == many.patients.shape == many.z.shape == (320,)
    assert many.windows.shape == (320, 2)
    assert many.labels.max() < len(TISSUES)


def test_same_arguments_give_the_same_slices_and_fewer_give_a_prefix(many):
    part = generate(37, size=64, seed=7)
    for name in ("images", "hu", "labels", "masks", "classes", "patients", "z", "windows"):
        assert np.array_equal(getattr(part, name), getattr(many, name)[:37]), name
    assert not np.array_equal(part.images, generate(37, size=64, seed=8).images)


def test_another_size_shows_the_same_anatomy(many, fine):
    coarse = np.stack([resize(image, 64) for image in fine.images])
    correlation = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(coarse, many.images)]
    assert min(correlation) > 0.99
    other = [np.corrcoef(coarse[-1 - k].ravel(), many.images[k].ravel())[0, 1] for k in range(50)]
    assert max(other) < 0.9
    same = fine.labels.reshape(130, 64, 2, 64, 2).transpose(0, 1, 3, 2, 4).reshape(130, 64, 64, 4)
    agree = (same == many.labels[:130, ..., None]).any(-1)
    assert agree.mean() > 0.95
    for name in ("classes", "patients", "z", "windows"):
        assert np.array_equal(getattr(fine, name), getattr(many, name)[:130])


def test_patients_are_whole_stacks_of_one_class_in_order(many):
    assert many.patients[0] == 0
    assert set(np.diff(many.patients)) == {0, 1}
    for patient in range(many.patients[-1]):
        own = many.patients == patient
        assert 8 <= own.sum() <= 20
        assert len(set(many.classes[own])) == 1
        steps = np.diff(many.z[own])
        assert np.all(steps > 0)
        assert np.allclose(steps, steps[0], atol=1e-3)


def test_classes_come_in_the_proportions_of_the_data_set():
    classes = [patients.draw_patient(3, k).cls for k in range(3000)]
    share = np.bincount(classes, minlength=4) / 3000
    expected = np.array(CLASS_COUNTS) / sum(CLASS_COUNTS)
    assert np.abs(share - expected).max() < 0.03  # over three standard errors


def test_masks_are_empty_exactly_for_normal_and_mark_the_lesion(many):
    assert np.array_equal(many.masks.any((1, 2)), many.classes != CLASSES.index("Normal"))
    for name, tissue in LESION.items():
        own = many.classes == CLASSES.index(name)
        assert own.any()
        assert np.array_equal(many.masks[own], many.labels[own] == TISSUES.index(tissue))


def test_even_a_coarse_matrix_keeps_every_lesion():
    drawn = [patients.draw_patient(11, k) for k in range(60)]
    for cls in (0, 2, 3):
        for patient in [p for p in drawn if p.cls == cls][:4]:
            _, labels, masks = anatomy.draw_anatomy(patient, 32)
            assert masks.any((1, 2)).all()
            assert set(labels[masks]) == {TISSUES.index(LESION[CLASSES[cls]])}


def test_lesions_lie_in_or_on_a_kidney(fine):
    near = ndimage.binary_dilation(np.isin(fine.labels, KIDNEY), np.ones((1, 3, 3)), iterations=2)
    sick = fine.masks.any((1, 2))
    assert (near & fine.masks)[sick].any((1, 2)).all()


@pytest.mark.parametrize(
    ("tissue", "low", "high"),
    [
        ("air", -1001, -997),
        ("subcutaneous fat", -120, -85),
        ("visceral fat", -115, -75),
        ("muscle", 40, 80),
        ("liver", 50, 120),
        ("spleen", 40, 130),
        ("aorta", 30, 340),
        ("vertebra", 120, 500),
        ("bowel gas", -950, -600),
        ("cyst", -5, 25),
        ("tumour", 20, 130),
    ],
)
def test_mean_attenuation_of_tissues(fine, many, tissue, low, high):
    values = np.concatenate([tissue_hu(fine, tissue), tissue_hu(many, tissue)])
    assert len(values) > 20
    assert low < values.mean() < high


def test_contrast_agent_brightens_cortex_before_medulla():
    by_phase = {0: [], 1: [], 2: []}
    for k in range(60):
        patient = patients.draw_patient(5, k)
        if patient.cls == 1 and len(by_phase[patient.phase]) < 3:
            hu, labels, _ = anatomy.draw_anatomy(patient, 64)
            cortex, medulla = (hu[labels == TISSUES.index(f"kidney {k}")] for k in ("cortex", "medulla"))
            if len(cortex) and len(medulla):
                by_phase[patient.phase].append((cortex.mean(), medulla.mean()))
    plain, early, late = (np.mean(by_phase[k], 0) for k in range(3))
    assert max(plain) < 60  # no contrast agent: about as soft tissue
    assert early[0] > early[1] + 20  # corticomedullary
    assert late[1] > plain[1] + 80  # nephrographic
    assert late[0] - late[1] < early[0] - early[1]


def test_stones_are_denser_than_any_soft_tissue(fine):
    sick = np.flatnonzero(fine.classes == CLASSES.index("Stone"))
    assert len(sick)
    assert all(fine.hu[k][fine.masks[k]].max() > 150 for k in sick)


def test_window_closed_form():
    assert np.array_equal(window([-161, -160, 240, 3000, -1000]), [0, 0, 255, 255, 0])
    assert window(40.0) in (127, 128)
    assert window(0, center=100, width=255) == 28  # 0 - (100 - 127.5), rounded
    ramp = window(np.arange(-1000, 1000))
    assert ramp.dtype == np.uint8
    assert np.all(np.diff(ramp.astype(int)) >= 0)
    with pytest.raises(ValueError, match="width"):
        window(0, width=0)


def test_images_are_the_windowed_hounsfield_units(many):
    for k in range(0, 320, 40):
        assert np.array_equal(many.images[k], window(many.hu[k], *many.windows[k]))
    assert (many.images[many.labels == 0] == 0).mean() > 0.95  # air is black but for the rim of the body


def test_scaling_down_keeps_units_and_shows_what_is_brighter_than_air():
    flat = np.full((1, 8, 8), 50, np.float32)
    assert np.allclose(scale_down(flat, 4, -160), 50, atol=0.01)
    assert scale_down(flat, 8, -160) is flat
    air = np.full((1, 8, 8), -1000, np.float32)
    assert (scale_down(air, 4, -160) == -1000).all()  # not raised to black
    air[0, 2:4, 2] = 40  # half a pixel of skin: its mean with air would be as black as air
    assert scale_down(air, 4, -160)[0, 1, 1] > -100


def test_half_the_matrix_keeps_the_most_frequent_label_and_the_smallest_lesion():
    labels = np.array([[[1, 1, 2, 3], [1, 2, 3, 3], [0, 0, 4, 4], [0, 0, 4, 0]]], np.uint8)
    lesion = np.zeros((1, 4, 4))
    coarse, masks = anatomy.halve(labels, lesion, None)
    assert coarse.tolist() == [[[1, 3], [0, 4]]]
    assert not masks.any()
    lesion[0, 3, 3] = 0.4  # a stone that covers a tenth of its pixel
    coarse, masks = anatomy.halve(labels, lesion, "stone")
    assert masks.tolist() == [[[False, False], [False, True]]]
    assert coarse[0, 1, 1] == TISSUES.index("stone")


def test_neighbouring_slices_are_more_alike_than_patients(many):
    images = many.images.astype(float)
    step = np.abs(np.diff(images, axis=0)).mean((1, 2))
    within = np.diff(many.patients) == 0
    assert step[within].mean() < 0.4 * step[~within].mean()


def test_progress_is_reported_to_the_end():
    calls = []
    generate(30, size=32, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (30, 30)
    assert len(calls) > 1
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0},
        {"n": 5, "size": 28},
        {"n": 5, "size": 66},
        {"n": 5, "size": 260},
        {"n": 5, "seed": -1},
        {"n": 5, "workers": 0},
    ],
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="multiple of 4"):
        generate(**arguments)

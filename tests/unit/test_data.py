"""Folders, the phantom, groups, splits and batches."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_dilation

from ctgan_utils import data, grey, phantom
from ctgan_utils.data import image_files, similarity
from ctgan_utils.data.slices import TRUTH, blank
from ctgan_utils.runtime import UserError


def save(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array, mode).save(path)


def flat(value, shape=(32, 32)):
    return np.full(shape, value, np.uint8)


def test_classes_are_folders_in_natural_order(tmp_path):
    for number in (10, 2, 1):
        save(tmp_path / "Cyst" / f"Cyst- ({number}).png", flat(number))
    save(tmp_path / "Normal" / "a.jpg", flat(200))
    ct = data.load_folder(tmp_path, 32)
    assert ct.classes == ("Cyst", "Normal")
    assert ct.labels.tolist() == [0, 0, 0, 1]
    assert ct.images[:3, 0, 0, 0].tolist() == [1, 2, 10]
    assert ct.counts() == {"Cyst": 3, "Normal": 1}


def test_a_flat_folder_is_one_class_and_hidden_files_are_no_slices(tmp_path):
    save(tmp_path / "a.png", flat(7))
    (tmp_path / "._a.png").write_bytes(b"left by macOS")
    ct = data.load_folder(tmp_path, 32)
    assert ct.classes == (tmp_path.name,)
    assert len(ct) == 1


def test_every_kind_of_image_becomes_its_grey_levels(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    save(tmp_path / "0-grey.png", ramp)
    save(tmp_path / "1-rgb.png", np.stack([ramp] * 3, -1))
    save(tmp_path / "2-rgba.png", np.dstack([ramp, ramp, ramp, flat(255)]))
    Image.fromarray(ramp).convert("P").save(tmp_path / "3-palette.png")
    save(tmp_path / "4-16-bit.png", ramp.astype(np.uint16) * 257)
    ct = data.load_folder(tmp_path, 32)
    assert len(ct) == 5
    for image in ct.images[:, 0]:
        assert np.abs(image.numpy().astype(int) - ramp).max() <= 1


def test_transparent_pixels_are_black(tmp_path):
    rgba = np.dstack([flat(200), flat(200), flat(200), flat(255)])
    rgba[:, :16, 3] = 0
    save(tmp_path / "a.png", rgba)
    image = data.load_folder(tmp_path, 32).images[0, 0]
    assert image[:, :16].max() == 0
    assert image[:, 16:].min() == 200


@pytest.mark.parametrize(("full", "expected"), [(4095, 255), (65535, 255)])
def test_16_bit_files_share_one_scale_by_their_depth(tmp_path, full, expected):
    save(tmp_path / "bright.png", np.full((32, 32), full, np.uint16))
    save(tmp_path / "dim.png", np.full((32, 32), full // 5, np.uint16))
    values = data.load_folder(tmp_path, 32).images[:, 0, 0, 0].tolist()
    assert values == [expected, 51]


def test_sizes_are_mixed_and_resizing_averages(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (100, 50))
    save(tmp_path / "stripes.png", stripes)
    save(tmp_path / "wide.png", flat(90, (40, 120)))
    save(tmp_path / "small.png", flat(30, (10, 10)))
    ct = data.load_folder(tmp_path, 25)
    assert ct.images.shape == (3, 1, 25, 25)
    small, striped, wide = ct.images[:, 0, 5:-5, 5:-5].float()
    assert (small == 30).all()
    assert (wide == 90).all()
    assert striped.sub(127.5).abs().max() < 8


def test_the_cache_returns_the_same_and_sees_every_change(tmp_path, monkeypatch):
    save(tmp_path / "a.png", flat(1))
    first = data.load_folder(tmp_path, 32)
    monkeypatch.setattr(image_files, "read_all", lambda *_: pytest.fail("decoded again"))
    again = data.load_folder(tmp_path, 32)
    assert torch.equal(first.images, again.images)
    assert first.fingerprint == again.fingerprint
    monkeypatch.undo()
    save(tmp_path / "a.png", flat(2))
    changed = data.load_folder(tmp_path, 32)
    assert changed.images.max() == 2
    assert changed.fingerprint != first.fingerprint


def test_a_broken_or_unwritable_cache_is_no_error(tmp_path, monkeypatch):
    save(tmp_path / "set" / "a.png", flat(1))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CTGAN_CACHE", str(tmp_path / "file" / "cache"))
    assert len(data.load_folder(tmp_path / "set", 32)) == 1
    monkeypatch.setenv("CTGAN_CACHE", str(tmp_path / "cache"))
    data.load_folder(tmp_path / "set", 32)
    (cached,) = (tmp_path / "cache").iterdir()
    whole = cached.read_bytes()
    for broken in (
        b"",
        b"broken",
        whole[:-5],
        whole.replace(b'"images"', b'"imagez"'),
        whole.replace(b"notes", b"nodes"),
    ):
        cached.write_bytes(broken)
        assert data.load_folder(tmp_path / "set", 32).images.max() == 1
        assert cached.read_bytes() == whole  # made again


def broken_folder(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    for name in ("a", "b", "c"):
        save(tmp_path / f"{name}.jpg", noise)
    whole = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "d.png").write_text("a text file")
    return tmp_path


def test_unreadable_files_are_named_and_can_be_skipped(tmp_path, caplog):
    folder = broken_folder(tmp_path)
    with pytest.raises(
        UserError, match=r"b\.jpg \(and 1 more\): damaged: the file ends too early.*--skip-unreadable"
    ):
        data.load_folder(folder, 32)
    kept = data.load_folder(folder, 32, skip_unreadable=True)
    assert len(kept) == 2
    assert "left out: 2 unreadable" in caplog.text


def test_missing_and_empty_folders_say_what_to_name(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        data.load_folder(tmp_path / "nowhere", 32)
    with pytest.raises(UserError, match="no images in it"):
        data.load_folder(tmp_path, 32)


def test_writing_images_refuses_a_folder_with_images(tmp_path):
    image_files.write_images(tmp_path / "out", np.stack([flat(1)]), ["a.png"])
    with pytest.raises(UserError, match="holds images already"):
        image_files.write_images(tmp_path / "out", np.stack([flat(2)]), ["a.png"])
    assert np.asarray(Image.open(tmp_path / "out" / "a.png")).max() == 1


def test_a_grid_holds_the_images_with_a_pixel_between():
    images = torch.arange(1, 4, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    import io

    sheet = np.asarray(Image.open(io.BytesIO(image_files.grid_png(images, columns=2))))
    assert sheet.tolist() == [[1, 1, 0, 2, 2], [1, 1, 0, 2, 2], [0] * 5, [3, 3, 0, 0, 0], [3, 3, 0, 0, 0]]


def test_the_phantom_is_loaded_with_its_patients():
    ct, drawn = data.load("phantom", 64, phantoms=30, seed=3), phantom.generate(30, 64, 3)
    assert np.array_equal(ct.images[:, 0].numpy(), drawn.images)
    assert np.array_equal(ct.groups.numpy(), drawn.patients)
    assert np.array_equal(ct.labels.numpy(), drawn.classes)


def toy(n=40, per_patient=5):
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)
    groups = torch.arange(n) // per_patient
    return data.CTImages(images, torch.zeros(n, dtype=torch.int64), ("x",), groups, "patient", "toy")


def test_a_split_never_divides_a_patient():
    train, test = data.split(toy(), 0.25, seed=1)
    assert set(train.groups.tolist()).isdisjoint(test.groups.tolist())
    assert (len(train), len(test)) == (30, 10)
    assert sorted(torch.cat([train.images, test.images]).flatten().tolist()) == list(range(40))


def test_a_split_holds_out_a_share_of_every_class():
    labels = torch.arange(200) // 100
    groups = torch.arange(200) // 5
    two = data.CTImages(torch.zeros(200, 1, 1, 1), labels, ("a", "b"), groups, "patient", "toy")
    for seed in range(5):
        _, test = data.split(two, 0.2, seed)
        assert test.counts() == {"a": 20, "b": 20}


def test_a_split_leaves_something_on_both_sides_or_says_what_is_possible():
    with pytest.raises(UserError, match="all of one patient; slices of two are needed"):
        data.split(toy(5), 0.2)
    with pytest.raises(
        UserError, match=r"there are 8 patients, and a share of 0\.99 leaves none.*0\.88 at most"
    ):
        data.split(toy(), 0.99)
    train, test = data.split(toy(), 0.001)
    assert (len(train), len(test)) == (35, 5)


def test_phantom_patients_are_found_again_by_similarity():
    ct = data.load_phantom(300, 64, seed=1)
    found = similarity.group(similarity.perceptual_hash(ct.images), similarity.SAME_STACK)
    patients = ct.groups.numpy()
    for number in np.unique(found):
        assert len(np.unique(patients[found == number])) == 1  # no two patients are taken for one
    parts = [len(np.unique(found[patients == patient])) for patient in np.unique(patients)]
    assert np.mean(parts) < 1.2


def test_an_index_names_the_patients(tmp_path):
    for k in range(4):
        save(tmp_path / "Cyst" / f"{k}.png", flat(10 * k))
    assert data.load_folder(tmp_path, 32).grouped_by == "similarity"
    rows = ["file,patient", *(f"Cyst/{k}.png,{name}" for k, name in enumerate("BABA"))]
    (tmp_path / "index.csv").write_text("\n".join(rows))
    ct = data.load_folder(tmp_path, 32)
    assert ct.grouped_by == "patient"
    assert ct.groups.tolist() == [1, 0, 1, 0]


def test_class_folders_in_different_case_are_refused(tmp_path):
    save(tmp_path / "Cyst" / "a.png", flat(1))
    save(tmp_path / "cyst" / "b.png", flat(2))
    with pytest.raises(UserError, match="'Cyst' and 'cyst' look like one class"):
        data.load_folder(tmp_path, 32)


def test_spaces_and_letters_of_any_language_are_fine(tmp_path):
    folder = tmp_path / "Żółć и почки 腎臓" / "Große Zyste"
    save(folder / "Schnitt (1) ü.png", flat(5))
    ct = data.load_folder(folder.parent, 32)
    assert ct.classes == ("Große Zyste",)
    assert ct.source == "folder Żółć и почки 腎臓, 1 slices"


def test_auto_takes_the_first_rung_of_the_ladder_and_fetches_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(data.sources, "CT_KIDNEY", tmp_path / "ct_kidney")
    monkeypatch.setattr(data.sources, "MEDNIST", tmp_path / "mednist")
    monkeypatch.setattr(data.mednist, "SLICES", 1)
    for source in (data.kaggle, data.mednist):
        monkeypatch.setattr(source, "download", lambda out: pytest.fail("fetched unasked"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", "x")
    assert data.load("auto", 64, phantoms=8).source.startswith("built-in phantom")
    save(tmp_path / "mednist" / "AbdomenCT" / "a.jpeg", flat(3))
    assert data.load("auto", 64).source == "folder mednist, 1 slices"
    save(tmp_path / "ct_kidney" / "Cyst" / "a.png", flat(3))
    assert data.load("auto", 64).source == "folder ct_kidney, 1 slices"


@pytest.mark.parametrize("name", ["kaggle", "mednist"])
def test_what_is_asked_for_by_name_is_fetched(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    monkeypatch.setattr(data.sources, {"kaggle": "CT_KIDNEY", "mednist": "MEDNIST"}[name], folder)
    monkeypatch.setattr(getattr(data, name), "download", lambda out: save(out / "Cyst" / "a.png", flat(3)))
    assert data.load(name, 64).source == f"folder {name}, 1 slices"


def test_a_set_is_known_by_its_pixels_and_labels_alone(tmp_path):
    for folder, values in (("one", (1, 2)), ("two", (1, 2)), ("three", (1, 3))):
        for name, value in zip("ab", values):
            save(tmp_path / folder / name / "x.png", flat(value))
    keys = [data.load(tmp_path / name, 32).fingerprint for name in ("one", "two", "three")]
    assert keys[0] == keys[1] != keys[2]
    save(tmp_path / "flat" / "a.png", flat(1))
    save(tmp_path / "flat" / "b.png", flat(2))
    assert data.load(tmp_path / "flat", 32).fingerprint != keys[0]  # the same pixels, other labels


@pytest.mark.parametrize("batch_size", [4, 7, 30])
def test_each_pass_shows_every_slice_once(batch_size):
    batches = data.Batches(toy(30).tensors(), batch_size, seed=0)
    shown = torch.cat([grey.to_uint8(batches[k]["images"]).flatten() for k in range(-(-60 // batch_size))])
    assert sorted(shown[:30].tolist()) == list(range(30))
    assert sorted(shown[30:60].tolist()) == list(range(30))
    assert shown[:30].tolist() != shown[30:60].tolist()


def test_a_batch_follows_from_seed_and_number_alone():
    images = toy(30).images
    forwards = [data.Batches({"images": images}, 7, seed=5)[k]["images"] for k in range(12)]
    backwards = data.Batches({"images": images}, 7, seed=5)
    assert all(torch.equal(forwards[k], backwards[k]["images"]) for k in reversed(range(12)))
    assert not torch.equal(forwards[0], data.Batches({"images": images}, 7, seed=6)[0]["images"])


def test_grey_levels_survive_the_way_to_float_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    x = grey.to_float(levels)
    assert (x.min().item(), x.max().item()) == (-1.0, 1.0)
    assert torch.equal(grey.to_uint8(x), levels)
    assert torch.equal(grey.to_uint8(torch.tensor([-3.0, 3.0])), torch.tensor([0, 255], dtype=torch.uint8))


@pytest.mark.real_data
def test_the_real_slices_are_read_as_they_are(real_folder):
    ct = data.load_folder(real_folder, 64)
    on_disk = {path.name: len(list(path.iterdir())) for path in real_folder.iterdir()}
    assert ct.counts() == on_disk
    first = image_files.image_files(real_folder)[0]
    with Image.open(first) as image:
        expected = np.asarray(image.convert("L").resize((64, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(ct.images[0, 0].numpy(), expected)
    share_black = (ct.images < 10).float().mean().item()
    assert 0.5 < share_black < 0.8


def test_the_phantom_tells_what_it_knows_to_whoever_asks():
    ct = data.load("phantom", 64, phantoms=40, truth=TRUTH)
    drawn = phantom.generate(40, 64, seed=0)
    assert torch.equal(ct.truth["tissues"][:, 0], torch.from_numpy(drawn.labels))
    assert torch.equal(ct.truth["lesions"][:, 0], torch.from_numpy(drawn.masks))
    assert torch.equal(ct.truth["hu"][:, 0], torch.from_numpy(drawn.hu))
    has_lesion = ct.truth["lesions"].flatten(1).any(1)
    assert torch.equal(has_lesion, ct.labels != ct.classes.index("Normal"))
    part = ct[torch.tensor([3, 17])]
    assert torch.equal(part.tensors(["tissues"])["tissues"], ct.truth["tissues"][[3, 17]])
    train, test = data.split(ct, 0.3)
    assert len(train.truth["hu"]) + len(test.truth["hu"]) == 40
    plain = data.load("phantom", 64, phantoms=40)
    assert plain.truth == {}
    assert torch.equal(plain.images, ct.images)
    assert plain.fingerprint == ct.fingerprint


def test_a_sheet_of_images_is_read_back(tmp_path):
    images = torch.randint(0, 256, (6, 1, 16, 16), dtype=torch.uint8)
    (tmp_path / "sheet.png").write_bytes(image_files.grid_png(images, columns=3))
    read = image_files.read_grid(tmp_path / "sheet.png", 16)
    assert read.shape == (2, 3, 1, 16, 16)
    assert np.array_equal(read.reshape(6, 1, 16, 16), images.numpy())


def test_a_partner_is_another_scan_of_the_same_slices():
    ct = data.load("phantom", 64, phantoms=40, truth=["tissues", "low_dose", "unenhanced"])
    assert set(ct.truth) == {"tissues", "low_dose", "unenhanced"}
    full, low = (
        torch.from_numpy(phantom.generate(40, 64, seed=0, partner=partner).hu).float()
        for partner in (None, "low_dose")
    )
    again = phantom.generate(40, 64, seed=0, partner="low_dose")
    assert torch.equal(ct.truth["low_dose"][:, 0], torch.from_numpy(again.images))
    assert torch.equal(ct.truth["tissues"][:, 0], torch.from_numpy(again.labels))
    liver = ct.truth["tissues"][:, 0] == phantom.TISSUES.index("liver")
    slices = [k for k in range(40) if liver[k].sum() > 100]
    assert len(slices) > 5
    gap = torch.stack([(low - full)[k][liver[k]].mean() for k in slices])
    assert gap.abs().max() < 10  # the same tissue
    before = torch.from_numpy(phantom.generate(40, 64, seed=0, partner="unenhanced").hu).float()
    without = [k for k in slices if (before - full)[k].mean().abs() < 1]  # never given any contrast agent
    noise = [
        torch.stack([(scan - full)[k][liver[k]].std() for k in without]).mean() for scan in (low, before)
    ]
    assert len(without) > 1
    assert (noise[0] / noise[1]).item() == pytest.approx((101 / 2) ** 0.5, rel=0.1)  # 100 + 1, 1 + 1
    kidney = ct.truth["tissues"][:, 0] == phantom.TISSUES.index("kidney cortex")
    taken_up = [(full - before)[k][kidney[k]].mean().item() for k in range(40) if kidney[k].sum() > 20]
    assert max(taken_up) > 60  # an enhanced kidney is bright
    assert min(taken_up) > -10  # and none grows darker


def test_the_healthy_partner_differs_where_the_lesion_is_and_nowhere_else():
    sick, healthy = (phantom.generate(80, 64, seed=7, partner=partner) for partner in (None, "healthy"))
    lesions = [phantom.TISSUES.index(name) for name in ("cyst", "stone", "tumour")]
    lesion = np.isin(sick.labels, lesions)
    assert lesion.any()
    assert not np.isin(healthy.labels, lesions).any()
    near = lesion | binary_dilation(sick.masks, np.ones((1, 3, 3)))
    assert np.array_equal(healthy.labels[~near], sick.labels[~near])
    noise = np.abs(healthy.hu - sick.hu.astype(float))[~binary_dilation(near, np.ones((1, 7, 7)))].mean()
    assert np.abs(healthy.hu - sick.hu.astype(float))[sick.masks].mean() > 5 * noise


def test_a_partner_that_is_not_known_is_refused():
    with pytest.raises(UserError, match="bad partner: lowdose; did you mean low_dose"):
        phantom.generate(4, 64, partner="lowdose")


def test_what_nobody_knows_of_a_slice_is_refused_in_one_line(tmp_path):
    save(tmp_path / "a.png", flat(7))
    with pytest.raises(UserError, match="1 slices: tissues of its slices are not known; the phantom's are"):
        data.load(tmp_path, 64).tensors(["images", "tissues"])


def test_a_batch_carries_all_that_belongs_to_its_images():
    ct = toy(30)
    tensors = ct.tensors(["images", "labels"]) | {"labels": torch.arange(30)}
    batch = data.Batches(tensors, 7, seed=0)[2]
    assert torch.equal(grey.to_uint8(batch["images"])[:, 0, 0, 0], ct.images[batch["labels"], 0, 0, 0])


def test_a_blank_batch_has_all_that_a_set_with_truth_has():
    ct = data.load("phantom", 64, phantoms=40, truth=TRUTH)
    names = ["images", "labels", *TRUTH]
    blank_batch, batch = blank(names, 2, 64), data.Batches(ct.tensors(names), 2, seed=0)[0]
    for name in names:
        assert blank_batch[name].shape == batch[name].shape
        assert blank_batch[name].dtype == batch[name].dtype

"""What is found below a folder: everything is a slice or is counted as left out."""

import os

import numpy as np
import pytest
from PIL import Image

from ctgan_utils import data
from ctgan_utils.data import discovery
from ctgan_utils.runtime import UserError


def picture(path, value=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path, "png")


def test_every_entry_is_a_slice_or_counted(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / ".hidden.png")
    picture(tmp_path / ".folder" / "b.png")
    for name in ("Thumbs.db", "notes.txt", "more.TXT", "README", "1.2.840.113619"):
        (tmp_path / name).write_text("x")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = discovery.find(tmp_path)
    assert [path.name for path in found.paths] == ["a.png"]
    assert found.left_out == {
        "hidden": 2,
        ".db": 1,
        ".txt": 2,
        "without a known suffix": 1,
        ".113619": 1,
        "broken link": 1,
        "no regular file": 1,
    }


def test_linked_folders_are_followed_once_and_loops_end(tmp_path):
    picture(tmp_path / "elsewhere" / "a.png")
    picture(tmp_path / "set" / "Normal" / "b.png")
    (tmp_path / "set" / "Tumor").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "A copy").symlink_to(tmp_path / "set" / "Normal")
    (tmp_path / "set" / "Normal" / "loop").symlink_to(tmp_path / "set")
    found = discovery.find(tmp_path / "set")
    assert [path.relative_to(tmp_path / "set").as_posix() for path in found.paths] == [
        "Normal/b.png",
        "Tumor/a.png",
    ]
    assert found.left_out == {"linked folder that is read already": 2}
    assert data.load(tmp_path / "set", 8).counts() == {"Normal": 1, "Tumor": 1}


def test_what_is_left_out_is_told_most_frequent_first():
    reasons = discovery.Counter({".txt": 3, "hidden": 1000, **{f".{k}": 1 for k in "abcdefgh"}})
    assert discovery.in_words(reasons).startswith("1,000 hidden, 3 .txt, 1 .a")
    assert discovery.in_words(reasons).endswith("2 others")


@pytest.mark.parametrize("name", ["", "  ", "a\0b"])
def test_an_empty_name_is_not_the_current_folder(name, tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="empty name"):
        data.load_folder(name, 8) if name else data.load("", 8)


def test_a_class_spelt_in_two_forms_of_unicode_is_one(tmp_path):
    picture(tmp_path / "Zyste gr\u00f6\u00dfe" / "a.png")
    picture(tmp_path / "Zyste gro\u0308\u00dfe" / "b.png")
    assert data.load(tmp_path, 8).counts() == {"Zyste gr\u00f6\u00dfe": 2}


def test_names_that_are_no_text_are_read_and_shown_on_one_line(tmp_path):
    folder = tmp_path / os.fsdecode(b"cl\xe9ss\nb")
    picture(folder / os.fsdecode(b"\xff.png"))
    assert data.load(tmp_path, 8).classes == ("cl\\udce9ss\\nb",)


ROWS = [("T/a.png", "Ann"), ("T/b.png", "Bo"), ("T/c.png", "Ann")]


def indexed(folder, text, encoding="utf-8"):
    for k, (name, _) in enumerate(ROWS):
        picture(folder / name, 50 * k)
    (folder / "index.csv").write_bytes(text.encode(encoding))
    return data.load(folder, 8)


def table(head=("file", "patient"), separator=",", rows=ROWS):
    return "\n".join(separator.join(row) for row in [head, *rows])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (table(), "utf-8"),
        (table(), "utf-8-sig"),
        (table(), "utf-16"),
        (table(separator=";"), "utf-8"),
        (table(separator="\t"), "utf-8"),
        (table(head=(" File", "PATIENT ")), "utf-8"),
        (table(rows=[(name.replace("/", "\\"), who) for name, who in ROWS]), "utf-8"),
        (table(rows=[("./" + name, who) for name, who in ROWS]), "utf-8"),
        (table(rows=[(name, who + "\u00eb") for name, who in ROWS]), "cp1252"),
        (table() + "\n\n", "utf-8"),
    ],
)
def test_an_index_is_read_as_spreadsheets_write_it(tmp_path, text, encoding):
    ct = indexed(tmp_path, text, encoding)
    assert ct.grouped_by == "patient"
    assert ct.groups.tolist() == [0, 1, 0]


def test_an_index_that_lacks_a_slice_or_its_columns_is_told(tmp_path, caplog):
    ct = indexed(tmp_path, table(rows=ROWS[:-1]))
    assert ct.grouped_by == "similarity"
    assert "a patient is named for 2 of 3 slices (not for c.png)" in caplog.text
    indexed(tmp_path, "name,who\nx,y")
    assert "index.csv has no columns file and patient, and is not used" in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, ("T/a.png", "Cy")], "two patients, Ann and Cy, for T/a.png"),
        ([*ROWS, ("T/a.png",)], "row 5 has 1 columns"),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(tmp_path, rows, message):
    with pytest.raises(UserError, match=rf"index\.csv: {message}"):
        indexed(tmp_path, table(rows=rows))

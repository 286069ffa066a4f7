"""MedNIST's download against a server of its own, with small archives, whole, damaged and hostile."""

import hashlib
import io
import os
import ssl
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import numpy as np
import pytest

from ctgan_utils.data import mednist
from ctgan_utils.data.image_files import class_of, image_files
from ctgan_utils.runtime import UserError

GOOD = {f"MedNIST/AbdomenCT/{k:06d}.jpeg": np.random.default_rng(k).bytes(3_000) for k in range(40)}
OTHERS = {"MedNIST/Hand/000000.jpeg": b"a hand", "MedNIST/README.md": b"about it"}


def archive(files, *entries):
    """The bytes of a .tar.gz of files {name: bytes} and of entries (TarInfo)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in entries:
            tar.addfile(info)
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


class Server(ThreadingHTTPServer):
    """Serves one file; breaks the connection after `breaks_after` bytes, once; notes the ranges asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.breaks_after, self.ranges = b"", None, []
        self.knows_ranges, self.tells_length, self.answers = True, True, threading.Event()
        self.answers.set()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, span = self.server, self.headers.get("Range")
        server.ranges.append(span)
        server.answers.wait()
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span and server.knows_ranges else 0
        if start >= len(server.body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        body = server.body[start:]
        if server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end, server.breaks_after = server.breaks_after, None
        self.wfile.write(body[:end])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("CTGAN_MEDNIST", raising=False)
    monkeypatch.setattr(mednist, "URL", f"http://127.0.0.1:{server.server_port}/MedNIST.tar.gz")
    monkeypatch.setattr(mednist, "SLICES", len(GOOD))
    yield server
    server.answers.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def serve(server, monkeypatch):
    """Puts an archive on the server, as the right one."""

    def serve(body):
        server.body = body
        monkeypatch.setattr(mednist, "MD5", hashlib.md5(body).hexdigest())
        return body

    return serve


@pytest.fixture
def whole(serve):
    return serve(archive(GOOD | OTHERS))


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def assert_complete(folder):
    assert mednist.present(folder)
    assert files_below(folder) - {"MedNIST.tar.gz"} == {name.removeprefix("MedNIST/") for name in GOOD}
    assert all((folder / name.removeprefix("MedNIST/")).read_bytes() == data for name, data in GOOD.items())
    assert not (folder / ".partial").exists()


def the_error(folder):
    with pytest.raises(UserError) as caught:
        mednist.download(folder)
    assert "\n" not in str(caught.value)
    assert not mednist.present(folder)
    return str(caught.value)


def test_the_slices_are_fetched_once_and_nothing_else(server, whole, tmp_path):
    assert not mednist.present(tmp_path / "out")
    assert mednist.download(tmp_path / "out") == {"AbdomenCT": len(GOOD)}
    assert_complete(tmp_path / "out")
    mednist.download(tmp_path / "out")
    assert server.ranges == [None]


def test_an_interrupted_download_goes_on_where_it_stopped(server, whole, tmp_path):
    server.breaks_after = 70_000
    assert "run it again: it goes on where it stopped" in the_error(tmp_path)
    assert (tmp_path / ".partial" / "MedNIST.tar.gz").read_bytes() == whole[:70_000]
    mednist.download(tmp_path)
    assert server.ranges == [None, "bytes=70000-"]
    assert_complete(tmp_path)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(server, whole, tmp_path):
    server.breaks_after, server.knows_ranges = 70_000, False
    the_error(tmp_path)
    mednist.download(tmp_path)
    assert server.ranges == [None, "bytes=70000-"]
    assert_complete(tmp_path)


def test_a_partial_file_that_is_too_long_is_fetched_anew(server, whole, tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "MedNIST.tar.gz").write_bytes(whole + b"more")
    mednist.download(tmp_path)
    assert server.ranges == [f"bytes={len(whole) + 4}-", None]
    assert_complete(tmp_path)


def test_a_server_need_not_tell_the_length(server, whole, tmp_path):
    server.tells_length = False
    mednist.download(tmp_path)
    assert_complete(tmp_path)


@pytest.mark.parametrize(("tells_length", "total"), [(True, 3), (False, 0)])
def test_progress_starts_from_what_is_there(server, serve, tmp_path, monkeypatch, tells_length, total):
    bars, progress = [], mednist.progress
    monkeypatch.setattr(mednist, "progress", lambda *options: bars.append(options) or progress(*options))
    body, server.tells_length = serve(bytes(3_500_000)), tells_length
    partial = tmp_path / "MedNIST.tar.gz"
    partial.write_bytes(body[:2_000_000])
    mednist._fetch(partial)
    assert bars == [(total, "fetching MedNIST", "MB", 2)]
    assert partial.read_bytes() == body


def test_a_damaged_archive_is_deleted_and_can_be_fetched_again(server, whole, tmp_path):
    server.body = whole[:50_000] + b"?" + whole[50_001:]
    assert "is damaged (wrong MD5), so it is deleted; run it again" in the_error(tmp_path)
    assert files_below(tmp_path) == set()
    server.body = whole
    mednist.download(tmp_path)
    assert server.ranges == [None, None]
    assert_complete(tmp_path)


HOSTILE = {
    "a path that climbs": ({"MedNIST/AbdomenCT/../../../evil.jpeg": b"!"},),
    "a path that climbs at once": ({"../evil.jpeg": b"!"},),
    "an absolute path": ({"/tmp/evil-of-mednist.jpeg": b"!"},),
    "a backslash": ({"MedNIST/AbdomenCT/..\\..\\evil.jpeg": b"!"},),
    "a hidden name": ({"MedNIST/AbdomenCT/.evil.jpeg": b"!"},),
    "a folder below": ({"MedNIST/AbdomenCT/more/evil.jpeg": b"!"},),
    "another folder": ({"Other/AbdomenCT/evil.jpeg": b"!"},),
    "another kind of file": ({"MedNIST/AbdomenCT/evil.py": b"!"},),
    "a huge file": ({"MedNIST/AbdomenCT/evil.jpeg": bytes(1_000_001)},),
    "a symbolic link": ({}, special("MedNIST/AbdomenCT/evil.jpeg", tarfile.SYMTYPE, "/etc/passwd")),
    "a link for a folder": ({}, special("MedNIST/AbdomenCT", tarfile.SYMTYPE, "/tmp")),
    "a hard link": (
        {},
        special("MedNIST/AbdomenCT/evil.jpeg", tarfile.LNKTYPE, "MedNIST/AbdomenCT/000000.jpeg"),
    ),
    "a device": ({}, special("MedNIST/AbdomenCT/evil.jpeg", tarfile.CHRTYPE)),
    "a pipe": ({}, special("MedNIST/AbdomenCT/evil.jpeg", tarfile.FIFOTYPE)),
}


@pytest.mark.parametrize(("files", "entries"), [(f, e) for f, *e in HOSTILE.values()], ids=list(HOSTILE))
def test_a_hostile_entry_is_never_written(serve, tmp_path, files, entries):
    out = tmp_path / "a" / "b" / "out"
    serve(archive(GOOD | files, *entries))
    mednist.download(out)
    assert_complete(out)
    assert all(path.startswith("a/b/out/") for path in files_below(tmp_path))
    assert not os.path.exists("/tmp/evil-of-mednist.jpeg")


@pytest.mark.parametrize(("files", "entries"), [(f, e) for f, *e in HOSTILE.values()], ids=list(HOSTILE))
def test_a_hostile_entry_stands_for_no_slice(serve, tmp_path, files, entries):
    serve(archive(dict(list(GOOD.items())[1:]) | files, *entries))
    assert "39 slices in it, expected 40" in the_error(tmp_path)


def test_what_is_no_archive_is_told(serve, tmp_path):
    serve(b"<html>")
    assert "unreadable" in the_error(tmp_path)


def test_an_interrupted_unpacking_is_repeated_without_the_network(server, whole, tmp_path, monkeypatch):
    def interrupted(total, description, *_):
        bar = progress(total, description)
        if "unpacking" in description:
            bar.update = lambda: raises(KeyboardInterrupt) if bar.n >= 20 else type(bar).update(bar)
        return bar

    def raises(error):
        raise error

    progress = mednist.progress
    with monkeypatch.context() as patch:
        patch.setattr(mednist, "progress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mednist.download(tmp_path)
    assert len(files_below(tmp_path / ".partial" / "AbdomenCT")) == 21
    assert not mednist.present(tmp_path)
    assert not (tmp_path / "AbdomenCT").exists()
    mednist.download(tmp_path)
    assert server.ranges == [None]
    assert_complete(tmp_path)


def test_a_copy_in_the_folder_is_used_and_kept(server, whole, tmp_path):
    (tmp_path / "MedNIST.tar.gz").write_bytes(whole)
    mednist.download(tmp_path)
    assert server.ranges == []
    assert_complete(tmp_path)
    assert (tmp_path / "MedNIST.tar.gz").read_bytes() == whole


@pytest.mark.parametrize("named", ["copy/MedNIST.tar.gz", "copy"])
def test_a_copy_that_the_environment_names_is_used_and_kept(server, whole, tmp_path, monkeypatch, named):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "MedNIST.tar.gz").write_bytes(whole)
    monkeypatch.setenv("CTGAN_MEDNIST", str(tmp_path / named))
    mednist.download(tmp_path / "out")
    assert server.ranges == []
    assert_complete(tmp_path / "out")
    assert (tmp_path / "copy" / "MedNIST.tar.gz").read_bytes() == whole


def test_a_damaged_copy_is_told_and_kept(server, whole, tmp_path):
    (tmp_path / "MedNIST.tar.gz").write_bytes(whole[:-1])
    assert str(tmp_path / "MedNIST.tar.gz") in the_error(tmp_path)
    assert (tmp_path / "MedNIST.tar.gz").read_bytes() == whole[:-1]
    assert server.ranges == []


def test_a_copy_that_is_not_there_is_told(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("CTGAN_MEDNIST", str(tmp_path))
    assert f"CTGAN_MEDNIST: {tmp_path / 'MedNIST.tar.gz'} is no file" in the_error(tmp_path / "out")


def test_a_part_of_the_slices_is_neither_accepted_nor_deleted(server, whole, tmp_path):
    mednist.download(tmp_path)
    (tmp_path / "AbdomenCT" / "000000.jpeg").unlink()
    assert "39 slices, expected 40; delete it and try again" in the_error(tmp_path)
    assert len(files_below(tmp_path)) == 39
    assert server.ranges == [None]


def test_no_network_is_one_line_with_the_mend(server, tmp_path):
    server.server_close()
    error = the_error(tmp_path)
    assert error.startswith(mednist.URL)
    assert "check the network and run it again" in error
    assert "set CTGAN_MEDNIST" in error


def test_a_server_that_says_nothing_is_not_waited_for(server, whole, tmp_path, monkeypatch):
    server.answers.clear()
    monkeypatch.setattr(mednist, "TIMEOUT", 0.2)
    assert "timed out" in the_error(tmp_path)


def test_a_page_that_is_missing_is_told(server, tmp_path):
    assert "HTTP Error 416" in the_error(tmp_path)


def test_a_certificate_that_fails_is_one_line(server, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise URLError(ssl.SSLCertVerificationError("certificate verify failed"))

    monkeypatch.setattr(mednist, "urlopen", refused)
    assert "certificate verify failed" in the_error(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
def test_a_full_disk_names_the_file_and_the_mend(whole, tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "MedNIST.tar.gz").symlink_to("/dev/full")
    error = the_error(tmp_path)
    assert error.startswith(str(tmp_path / ".partial" / "MedNIST.tar.gz"))
    assert "No space left on device; free some space" in error


def test_the_slices_can_be_loaded_below_their_folder(whole, tmp_path):
    """What lies beside them, such as the user's own archive, is no image."""
    (tmp_path / "MedNIST.tar.gz").write_bytes(whole)
    mednist.download(tmp_path)
    paths = image_files(tmp_path)
    assert len(paths) == len(GOOD)
    assert {class_of(path, tmp_path) for path in paths} == {"AbdomenCT"}

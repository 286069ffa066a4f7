"""MedNIST's abdominal CT slices, 64 x 64 pixels: real data that need no account."""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ctgan_utils.runtime import UserError, progress

NAME = "MedNIST.tar.gz"
URL = f"https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/{NAME}"
MD5 = "0bc7306e7427e00ad1c5526a6677552d"
FOLDER = "AbdomenCT"  # the one of its six folders that is unpacked
SLICES = 10_000
ATTRIBUTION = (
    "MedNIST, made available by Dr. Bradley J. Erickson, Department of Radiology, Mayo Clinic, "
    "under CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/)"
)
OWN_COPY = "CTGAN_MEDNIST"  # the environment variable that names the archive, or the folder that holds it

SLICE = re.compile(r"[0-9A-Za-z_-]+\.jpe?g")
LARGEST = 1_000_000  # bytes; a JPEG of 64 x 64 pixels has a few thousand
TIMEOUT = 30  # seconds without a byte
BLOCK = 1 << 16


def present(folder: Path | str) -> bool:
    """True if all slices are there, in the folder AbdomenCT below this one. They are counted, not opened."""
    return _count(Path(folder) / FOLDER) == SLICES


def download(out: Path | str) -> dict[str, int]:
    """Fetch the slices into out/AbdomenCT, unless they are there; returns their number, as {folder: number}.

    An interrupted download goes on where it stopped. No network is needed where out/MedNIST.tar.gz exists, or
    where CTGAN_MEDNIST names such a file or the folder that holds it; a copy of the user's own is never
    changed. Raises UserError when the network fails, when the archive is damaged or lacks slices, when the
    disk is full, or when a part of the slices is there already.
    """
    out = Path(out)
    partial, slices = out / ".partial", out / FOLDER
    if not present(out):
        if slices.exists():
            raise UserError(
                f"{slices}: {_count(slices):,} slices, expected {SLICES:,}; delete it and try again"
            )
        with _disk(partial):
            partial.mkdir(parents=True, exist_ok=True)
        archive = _own_copy(out) or _fetched(partial / NAME)
        _unpack(archive, partial / FOLDER)
        with _disk(slices):
            os.replace(partial / FOLDER, slices)
    shutil.rmtree(partial, ignore_errors=True)
    return {FOLDER: SLICES}


def _count(folder: Path) -> int:
    return sum(bool(SLICE.fullmatch(name)) for name in os.listdir(folder)) if folder.is_dir() else 0


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        md5 = hashlib.md5(usedforsecurity=False)
        while block := file.read(BLOCK):
            md5.update(block)
    return md5.hexdigest()


def _own_copy(out: Path) -> Path | None:
    """The archive that the user put there, checked, or None."""
    path = out / NAME
    if named := os.environ.get(OWN_COPY):
        path = Path(named).expanduser()
        path = path / NAME if path.is_dir() else path
        if not path.is_file():
            raise UserError(f"{OWN_COPY}: {path} is no file; name {NAME}, or the folder that holds it")
    elif not path.is_file():
        return None
    with _disk(path):
        found = _md5(path)
    if found != MD5:
        raise UserError(f"{path}: damaged, or another file (MD5 {found}, expected {MD5}); fetch {URL} again")
    return path


def _fetched(archive: Path) -> Path:
    """The archive from the network, checked; one that is whole since the last time is not fetched again."""
    with _disk(archive):
        if archive.is_file() and _md5(archive) == MD5:
            return archive
        _fetch(archive)
        if _md5(archive) != MD5:
            archive.unlink()
            raise UserError(f"{URL}: what came is damaged (wrong MD5), so it is deleted; run it again")
    return archive


def _fetch(archive: Path) -> None:
    """Write the archive, or what is missing at its end."""
    size = archive.stat().st_size if archive.is_file() else 0
    request = Request(URL, headers={"Range": f"bytes={size}-"} if size else {})
    with _network():
        try:
            response = urlopen(request, timeout=TIMEOUT)
        except HTTPError as error:
            if error.code != 416 or not size:
                raise
            response = urlopen(URL, timeout=TIMEOUT)  # nothing is missing at the end, yet it is damaged: anew
    size = size if response.status == 206 else 0  # a server that knows no ranges sends everything, with 200
    total = None if response.length is None else size + response.length
    megabytes = (total or 0) // 10**6, "fetching MedNIST", "MB", size // 10**6  # a bar of total 0 has no end
    with response, open(archive, "ab" if size else "wb") as file, progress(*megabytes) as bar:
        while size != total and (block := _read(response)):
            file.write(block)
            size += len(block)
            bar.update(size // 10**6 - bar.n)
    if total is not None and size < total:
        raise _failed(f"the connection closed after {size:,} of {total:,} bytes")


def _read(response: HTTPResponse) -> bytes:
    with _network():
        return response.read1(BLOCK)


@contextmanager
def _network() -> Iterator[None]:
    """Errors of the network, of certificates and of the server as one line."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise _failed(str(error).split("\n")[0] or type(error).__name__) from None


def _failed(reason: str) -> UserError:
    mend = "check the network and run it again: it goes on where it stopped"
    return UserError(
        f"{URL}: download failed ({reason}); {mend}; or fetch the file elsewhere and set {OWN_COPY} to it"
    )


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Errors of the disk as one line; a full one does not say by itself which file it was."""
    try:
        yield
    except OSError as error:
        reason, mend = error.strerror or error, "free some space or choose another place, and run it again"
        raise UserError(f"{error.filename or path}: {reason}; {mend}") from None


def _unpack(archive: Path, folder: Path) -> None:
    """Write the slices, and nothing else of the archive: links, other folders and large files are left out.

    Each name is a plain one, so that no path can leave the folder.
    """
    with _disk(folder):
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
        folder.mkdir()
        try:
            with tarfile.open(archive, "r|gz") as tar, progress(SLICES, "unpacking MedNIST", "slice") as bar:
                for member in tar:
                    parent, _, name = member.name.removeprefix("./").rpartition("/")
                    if parent != f"MedNIST/{FOLDER}" or not SLICE.fullmatch(name) or member.size > LARGEST:
                        continue
                    if member.isreg() and (file := tar.extractfile(member)):
                        (folder / name).write_bytes(file.read())
                        bar.update()
        except tarfile.TarError as error:
            raise UserError(f"{archive}: unreadable ({error}); delete it and try again") from None
        found = _count(folder)
    if found != SLICES:
        raise UserError(f"{archive}: {found:,} slices in it, expected {SLICES:,}; delete it and try again")

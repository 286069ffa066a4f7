"""The download with kagglehub's own code, against a server that stands in for Kaggle."""

import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from kagglesdk import kaggle_env

from ctgan_utils.data import kaggle
from ctgan_utils.data.image_files import png
from ctgan_utils.runtime import UserError

COUNTS = {"Cyst": 3, "Normal": 2, "Stone": 1, "Tumor": 2}


def archive(counts):
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, count in counts.items():
            for k in range(count):
                noise = rng.integers(0, 255, (512, 512), dtype=np.uint8)
                file.writestr(f"CT-KIDNEY/CT-KIDNEY/{name}/{name}- ({k}).png", png(noise))
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one data set; breaks the connection after `breaks_after` bytes, once; notes what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive, self.breaks_after, self.refuses, self.ranges = archive(COUNTS), None, False, []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuses:
            return self.send_json({"code": 401, "message": "Unauthorized"}, 401)
        if "DownloadDataset" in self.path:
            self.send_response(302)
            self.send_header("Location", "/archive.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self.send_json({"currentVersionNumber": 1})

    def do_GET(self):
        server, span = self.server, self.headers.get("Range")
        server.ranges.append(span)
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        body = server.archive[start:]
        self.send_response(206 if span else 200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        end, server.breaks_after = server.breaks_after, None
        self.wfile.write(body[:end])

    def send_json(self, values, status=200):
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "a-token")
    monkeypatch.setattr(kaggle, "EXPECTED", COUNTS)
    yield server
    server.shutdown()
    server.server_close()


def test_a_download_is_counted_and_not_repeated(server, tmp_path):
    assert kaggle.download(tmp_path / "ct") == COUNTS
    server.refuses = True
    assert kaggle.download(tmp_path / "ct") == COUNTS
    assert server.ranges == [None]
    assert not (tmp_path / "ct" / ".partial").exists()


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.breaks_after = 1_500_000
    with pytest.raises(UserError, match="run it again: it goes on where it stopped"):
        kaggle.download(tmp_path / "ct")
    assert kaggle.download(tmp_path / "ct") == COUNTS
    assert server.ranges[-1] == f"bytes={2**20}-"  # kagglehub keeps whole mebibytes


def test_a_refused_token_is_one_line_with_the_mend(server, tmp_path):
    server.refuses = True
    with pytest.raises(UserError) as error:
        kaggle.download(tmp_path / "ct")
    assert "Kaggle refuses the token" in str(error.value)
    assert "KAGGLE_API_TOKEN" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_class_that_is_not_complete_is_told(server, tmp_path):
    server.archive = archive({**COUNTS, "Stone": 0})
    with pytest.raises(UserError, match=r"'Stone': 1.*delete the folder"):
        kaggle.download(tmp_path / "ct")

"""The browser: Debian's `chromium`, or another Chromium or Chrome, on the path or named by $CHROME."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def browser():
    found = [os.environ.get("CHROME"), *map(shutil.which, BROWSERS)]
    executable = next(filter(None, found), None)
    assert executable, "no Chromium or Chrome here: install Debian's chromium, or set CHROME to its path"
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=executable, args=["--no-sandbox"])

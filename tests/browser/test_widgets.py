"""Every widget, in JupyterLab in headless Chromium: a slider moves, and the picture follows.

`make test-browser` runs this.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from playwright.sync_api import expect

from ctgan_utils.course.execute import notebook_paths

WIDGETS = [path for path in notebook_paths() if "ipywidgets" in path.read_text()]
SLIDERS = [path for path in WIDGETS if "Slider" in path.read_text()]
(QUIZ,) = [path for path in WIDGETS if path.stem == "20_visual_test"]
RUN_ALL = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
PICTURES = "box => [...box.querySelectorAll('img')].map(image => image.src).join()"


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A JupyterLab on a free port: its folder of notebooks, in the smoke profile, and its address."""
    folder = tmp_path_factory.mktemp("lab")
    for path in WIDGETS:
        notebook = nbformat.read(path, 4)
        (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
        cell.source += f'\nPROFILE, OUT = "smoke", {str(folder / "out")!r}'
        nbformat.write(notebook, folder / path.name)
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": "none"}))  # else only what is in view is drawn
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += ["--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1"]
    environment = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    for name in ("CTGAN_HEADLESS", "MPLBACKEND"):  # a reader has neither
        environment.pop(name, None)
    address = f"http://127.0.0.1:{port}"
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            _wait_for(address, server, folder / "lab.log")
            yield address
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(address, server, log):
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=5)
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def opened(path, lab, browser):
    """A page of JupyterLab that runs all cells of a notebook."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{lab}/lab/workspaces/{path.stem}/tree/{path.name}")  # else the last one opens too
    page.wait_for_selector(".jp-Notebook", timeout=60_000)
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel", timeout=60_000
    )
    page.evaluate(RUN_ALL)
    return page


def test_every_notebook_with_widgets_has_a_test():
    assert {*WIDGETS} == {*SLIDERS, QUIZ}


@pytest.mark.parametrize("path", SLIDERS, ids=lambda path: path.stem)
def test_pictures_follow_the_sliders(path, lab, browser):
    page = opened(path, lab, browser)
    complaints = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")
    assert not [text for text in complaints.all_inner_texts() if "Traceback" in text]
    boxes = page.locator(".jp-OutputArea-output:has(.noUi-handle)")
    expect(boxes).to_have_count(path.read_text().count("if not is_headless()"), timeout=30_000)
    page.bring_to_front()
    for box in boxes.all():
        box.scroll_into_view_if_needed()
        before = another_picture(page, box, "")
        box.locator(".noUi-handle").first.press("ArrowLeft")
        another_picture(page, box, before)
    page.close()


def test_the_quiz_counts_answers_and_ends(lab, browser):
    page = opened(QUIZ, lab, browser)
    box = page.locator(".jp-OutputArea-output:has(button.jupyter-button)")
    expect(box).to_have_count(1, timeout=60_000)
    real, generated = box.locator("button").all()
    pictures = another_picture(page, box, "")
    generated.click()
    another_picture(page, box, pictures)
    while real.is_enabled():
        real.click()
        page.wait_for_timeout(300)
    expect(box).to_contain_text(' right; ANSWERS = "gr')
    assert generated.is_disabled()
    page.close()


def another_picture(page, box, before):
    """Wait until the pictures in a widget's output are others than before; returns them."""
    for _ in range(150):  # the output may be drawn anew, so the box is looked up each time
        if (pictures := box.evaluate(PICTURES)) != before:
            return pictures
        page.wait_for_timeout(200)
    raise AssertionError("no other picture within 30 s")

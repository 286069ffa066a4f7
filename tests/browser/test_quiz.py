"""The quiz in a browser without a network, by keyboard and by mouse, up to the scored answers."""

import json

import pytest
import torch

from ctgan_utils.__main__ import main
from ctgan_utils.evaluation.quiz import quiz_page


@pytest.fixture
def opened(tmp_path, browser):
    real = torch.zeros(4, 1, 32, 32, dtype=torch.uint8)
    (tmp_path / "quiz.html").write_bytes(
        quiz_page(real, real + 200, "Black are real, <b>bright</b> ones not.")
    )
    context = browser.new_context(offline=True, accept_downloads=True, viewport={"width": 420, "height": 800})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((tmp_path / "quiz.html").as_uri())
    yield page
    assert not errors
    context.close()


BRIGHT = """() => {
    const image = document.getElementById("slice"), canvas = document.createElement("canvas")
    const context = canvas.getContext("2d")
    context.drawImage(image, 0, 0)
    return context.getImageData(3, 3, 1, 1).data[0] > 100
}"""


def shown(page, number):
    page.wait_for_function(f"document.getElementById('number').textContent === 'Slice {number} of 8'")
    page.wait_for_function("document.getElementById('slice').complete")
    return page.evaluate(BRIGHT)


def test_a_reader_with_a_keyboard_alone_gets_through_and_is_scored(opened, tmp_path, capsys):
    page = opened
    assert page.inner_text("#about") == "Black are real, <b>bright</b> ones not."
    page.focus("#reader")
    page.keyboard.type("Grace R.")  # the keys of the answers mean nothing here
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    for number in range(1, 9):
        is_bright = shown(page, number)
        if number == 3:  # a slip, taken back
            page.keyboard.press("r" if is_bright else "g")
            page.keyboard.press("Backspace")
            assert shown(page, 3) == is_bright
        wrong = number == 5
        page.keyboard.press("g" if is_bright != wrong else "r")
    assert page.inner_text("#right") == "7"
    assert page.locator("#wrong figure").count() == 1
    with page.expect_download() as download:
        page.keyboard.press("Enter")  # the button to save has the focus
    answers = tmp_path / download.value.suggested_filename
    download.value.save_as(answers)
    assert answers.name == "answers-Grace R..json"
    assert main(["quiz", "--score", str(answers), "--json"]) == 0
    (reader,) = json.loads(capsys.readouterr().out)["readers"]
    assert (reader["reader"], reader["right"]) == ("Grace R.", 7)


def test_a_reader_with_a_mouse_gets_through_on_a_narrow_screen(opened):
    page = opened
    page.click("#begin")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.is_disabled("#back")
    for number in range(1, 9):
        page.click("#generated" if shown(page, number) else "#real")
    assert page.inner_text("#right") == "8"
    assert page.inner_text("#fooled") == "0"
    assert page.is_visible("#save")

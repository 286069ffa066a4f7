"""The course's first page and its slides, in a browser without a network: search, ticks, colours, keys."""

import pytest

from ctgan_utils.course import execute, index, pages, slides

OVERFLOWING = """all => all.filter(body =>
    body.scrollHeight > body.clientHeight + 2 || body.scrollWidth > body.clientWidth + 2).length"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The course's folder as after a run of its first notebook and of another."""
    out = tmp_path_factory.mktemp("course")
    paths = execute.notebook_paths()
    ran = [path for path in paths if path.stem[:2] in ("00", "16")]
    for path in ran:
        pages.write_page(path, out)
        slides.write_deck(path, out / "slides")
    results = [{"path": path, "seconds": 1.0, "error": None, "figures": []} for path in ran]
    index.write_index(out, ran, results, {"DATA": "phantom", "PROFILE": "smoke", "SEED": 0})
    return out


@pytest.fixture(params=["light", "dark"])
def page(request, browser):
    context = browser.new_context(
        offline=True, color_scheme=request.param, viewport={"width": 1280, "height": 720}
    )
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(error))
    page.scheme = request.param
    yield page
    assert not errors
    context.close()


def brightness(page):
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(", "))) / 3


def test_the_search_leads_to_an_equation_in_its_notebook(page, course):
    page.goto((course / "index.html").as_uri())
    page.fill("#search", "Eq. (2.8)")
    assert page.locator("#found li").first.inner_text().startswith("Equation 2.8")
    page.fill("#search", "patchgan")
    assert page.locator("#found b").first.inner_text() == "PatchGAN"
    page.fill("#search", "no such words")
    assert page.inner_text("#found") == "nothing found"
    page.fill("#search", "equation 2.8")
    page.keyboard.press("Enter")
    page.wait_for_url("**/16_image_to_image.html#*")
    assert "two terms more" in page.evaluate("decodeURIComponent(location.hash).replaceAll('-', ' ')")


def test_the_button_turns_light_into_dark_and_back_on_every_page(page, course):
    for name in ("index.html", "html/16_image_to_image.html", "slides/16_image_to_image.html"):
        page.goto((course / name).as_uri())
        page.evaluate("localStorage.removeItem('theme')")
        page.reload()
        assert (brightness(page) > 128) == (page.scheme == "light")
        page.locator("button.theme").click()
        assert (brightness(page) > 128) == (page.scheme == "dark")
        page.reload()
        assert (brightness(page) > 128) == (page.scheme == "dark")


def test_ticks_are_remembered(page, course):
    page.goto((course / "index.html").as_uri())
    assert page.inner_text("#count") == "0"
    page.locator("article input").last.check()
    page.reload()
    assert page.inner_text("#count") == "1"
    assert page.locator("article input").last.is_checked()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("path", execute.notebook_paths(), ids=lambda path: path.stem)
def test_every_slide_fits(path, browser, tmp_path):
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 720})
    page, asked = context.new_page(), []
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(slides.write_deck(path, tmp_path).as_uri())
    page.wait_for_function("document.body.dataset.fitted")
    assert page.eval_on_selector_all(".body", OVERFLOWING) == 0
    assert [address for address in asked if not address.startswith("data:")] == [page.url]
    context.close()


def test_keys_turn_the_slides_and_show_the_notes(page, course):
    page.goto((course / "slides" / "16_image_to_image.html").as_uri())
    for key, shown in (("ArrowRight", 1), (" ", 2), ("ArrowLeft", 1), ("End", -1), ("Home", 0)):
        page.keyboard.press(key)
        last = page.locator(".slide").count() - 1
        page.wait_for_function(f"current() === {last if shown == -1 else shown}")
    assert not page.locator(".notes").first.is_visible()
    page.keyboard.press("n")
    assert page.locator(".notes").first.is_visible()
    page.click("#notes")
    assert not page.locator(".notes").first.is_visible()

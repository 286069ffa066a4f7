"""The pages of `make course`, in a browser without a network: equations are drawn, in the page's own font.

`make test-browser` runs this.
"""

import pytest

from ctgan_utils.course import pages
from ctgan_utils.course.execute import notebook_paths

NUMBERED = 'mtr:has(> mtd[style*="text-align: right"]:last-child)'
SIZES = "all => all.map(math => { const box = math.getBoundingClientRect(); return [box.width, box.height] })"
TEXT = """() => {
    document.querySelectorAll('pre, code').forEach(code => code.remove())
    return document.body.innerText
}"""
NUMBERS = """rows => rows.map(row => {
    const number = row.lastElementChild.firstElementChild.getBoundingClientRect()
    const paragraph = row.closest('p').getBoundingClientRect()
    return [paragraph.right - number.right, number.left - row.children[1].getBoundingClientRect().right]
})"""


@pytest.fixture(params=notebook_paths(), ids=lambda path: path.stem)
def opened(request, tmp_path, browser):
    """A notebook's page, opened offline with its solutions unfolded; with the addresses it asked for."""
    pages.write_page(request.param, tmp_path)
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    page, asked = context.new_page(), []
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto((tmp_path / "html" / f"{request.param.stem}.html").as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(folded => folded.open = true)")
    page.evaluate("document.fonts.ready")
    yield page, asked
    context.close()


def test_a_page_is_complete_without_a_network(opened):
    page, asked = opened
    assert [address for address in asked if not address.startswith("data:")] == [page.url]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert all(width > 2 and height > 2 for width, height in page.eval_on_selector_all("math", SIZES))
    assert fonts_of_equations(page) <= {"STIX Two Math"}
    for right, left in page.eval_on_selector_all(
        "math tr, math mtr:has(> mtd[style*=right]:last-child)", NUMBERS
    ):
        assert 0 <= right < 20 < left  # a number stands at the paragraph's right edge, away from its equation
    text = page.evaluate(TEXT)
    assert "$" not in text
    assert "\\" not in text


def fonts_of_equations(page):
    """The fonts, by their families' names, in which the browser has drawn the page's equations."""
    session = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        session.send(f"{domain}.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    leaves = session.send(
        "DOM.querySelectorAll", {"nodeId": root, "selector": "math :is(mi, mn, mo, mtext)"}
    )["nodeIds"]
    drawn = [session.send("CSS.getPlatformFontsForNode", {"nodeId": leaf})["fonts"] for leaf in leaves]
    return {font["familyName"] for fonts in drawn for font in fonts}

"""The search page in a real browser: desktop and phone, keyboard only, nothing from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Response,
    sync_playwright,
)

from tests.e2e.deployment import Deployment

pytestmark = pytest.mark.system

TEXT = "Join two paths <b>safely</b> & quickly."
SIZES = {"desktop": (1100, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    executable = shutil.which("chromium")
    assert executable, "install it: apt install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def it(text_deployment: Deployment) -> Deployment:
    """Return the deployment with one document for this page."""
    text_deployment.index({"id": "page/join", "text": TEXT, "tags": {"module": "os.path"}})
    return text_deployment


@pytest.fixture(params=SIZES)
def page(it: Deployment, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open the search page at one size; complaints and foreign requests fail the test."""
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if _is_complaint(m) else None)
    page.on("request", lambda r: None if r.url.startswith(it.url) else complaints.append(r.url))
    page.on("requestfailed", lambda r: complaints.append(r.url))
    page.on("response", lambda r: complaints.append(r.url) if _is_missing(r) else None)
    page.goto(it.url)
    yield page
    page.close()
    assert complaints == []


def _is_complaint(message: ConsoleMessage) -> bool:
    """Tell whether the browser found fault with the page itself, not with an answer."""
    return message.type == "error" and "Failed to load resource" not in message.text


def _is_missing(response: Response) -> bool:
    """Tell whether a file of the page was not there."""
    return response.request.method == "GET" and not response.ok


def test_a_search_by_keyboard_shows_the_document(page: Page) -> None:
    """Type and press Enter: the hit has its words marked, its tags, and the coverage is said."""
    page.keyboard.type("join two paths quickly")
    page.keyboard.press("Enter")

    hit = page.locator(".hit").first
    hit.wait_for()
    assert hit.locator("h2").inner_text() == "page/join"
    assert "join" in hit.locator("mark").first.inner_text().lower()
    assert "module: os.path" in hit.inner_text()
    assert "2 of 2 shards answered" in page.get_by_role("status").inner_text()


def test_what_a_document_holds_is_shown_as_text(page: Page) -> None:
    """Markup in a document is text on the page, never part of it."""
    page.keyboard.type("join two paths quickly")
    page.keyboard.press("Enter")

    chunk = page.locator(".hit").first.locator(".chunk").first
    chunk.wait_for()
    assert "<b>safely</b> &" in chunk.inner_text()
    assert chunk.locator("b").count() == 0


def test_a_score_is_explained_as_a_tree(page: Page) -> None:
    """Ticked and asked: the root is the hit's score, below it its chunks with their places."""
    page.get_by_label("Explain scores").check()
    page.get_by_role("searchbox").fill("join two paths quickly")
    page.get_by_role("searchbox").press("Enter")
    hit = page.locator(".hit").first
    hit.locator("summary", has_text="why this score").click()

    tree = hit.locator(".tree")
    shown = float(hit.locator(".score").inner_text().removeprefix("score "))
    assert float(tree.locator("b").first.inner_text()) == pytest.approx(shown, abs=1e-3)
    assert "the reduced score of the chunks times the document's weight" in tree.inner_text()
    assert tree.locator(".tag", has_text="position 0").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_page_fits_its_window(page: Page) -> None:
    """Nothing sticks out to the side, on a phone neither."""
    page.keyboard.type("join two paths")
    page.keyboard.press("Enter")
    page.locator(".hit").first.wait_for()

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_search_has_an_address_to_share_and_to_go_back_to(page: Page) -> None:
    """The address holds the question; opening it again, or going back, asks it again."""
    page.keyboard.type("join two paths")
    page.keyboard.press("Enter")
    page.locator(".hit").first.wait_for()
    address = page.url
    page.goto("about:blank")
    page.goto(address)

    page.locator(".hit").first.wait_for()
    assert page.get_by_role("searchbox").input_value() == "join two paths"


def test_a_failure_is_said_in_words(page: Page) -> None:
    """What the server refuses is shown as its problem says it."""
    page.get_by_role("searchbox").fill("x" * 20_001)
    page.evaluate("document.querySelector('form').requestSubmit()")

    status = page.locator("#status.warning")
    status.wait_for()
    assert "max_query_chars" in status.inner_text()

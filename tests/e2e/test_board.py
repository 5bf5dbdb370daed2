"""The Board in a real browser: desktop and phone, keyboard only, nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.deployment import ROOT, Deployment, deployed

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

SIZES = {"desktop": (1200, 1000), "phone": (390, 844)}
FLOW = """\
name: board
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 32}}
  - {name: Indexer, uses: exact, shards: 2}
"""
IMAGES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a light flow with two documents in it."""
    folder = tmp_path_factory.mktemp("board")
    path = folder / "flow.yml"
    path.write_text(FLOW)
    with deployed(folder, path) as made:
        made.index({"id": "a", "text": "red roses"}, {"id": "b", "text": "a train to the sea"})
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    executable = shutil.which("chromium")
    assert executable, "install it: apt install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(it: Deployment, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open the Board at one size; complaints and foreign requests fail the test."""
    width, height = SIZES[request.param]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if _is_complaint(m) else None)
    page.on("request", lambda r: None if _is_ours(r.url, it) else complaints.append(r.url))
    page.goto(f"{it.url}/board")
    expect(page.locator("#verdict")).to_contain_text("Valid", timeout=30_000)
    yield page
    context.close()
    assert complaints == []


def _is_ours(url: str, it: Deployment) -> bool:
    return url.startswith((it.url, f"blob:{it.url}"))


def _is_complaint(message: ConsoleMessage) -> bool:
    return message.type in {"error", "warning"}


def test_the_running_flow_is_drawn_with_its_numbers(page: Page) -> None:
    """Under each box stands what happens there: workers, and a shard's documents."""
    shown = page.locator("#running-graph .live")

    expect(page.locator("#running-status")).to_contain_text("workers on 7 queues")
    expect(shown.filter(has_text="docs")).to_have_count(2)
    documents = page.locator("#shards tbody tr td:nth-child(2)")
    expect(page.locator("#shards tbody tr")).to_have_count(2)
    expect(page.locator("[data-tile=documents]")).to_have_text("2")
    expect(page.locator("[data-tile=shards]")).to_have_text("2 / 2")
    expect(page.locator("[data-tile=busy]")).to_have_text("0 / 7")
    assert sum(int(text) for text in documents.all_inner_texts()) == 2


def test_a_worker_that_goes_is_seen_within_seconds(page: Page, it: Deployment) -> None:
    """The graph is refreshed: a queue that nobody works on is said, and that it is back."""
    it.run("scale", "build=0")
    expect(page.locator("#running-status")).to_contain_text("build", timeout=20_000)

    it.run("scale", "build=1")

    expect(page.locator("#running-status")).to_contain_text("workers on", timeout=40_000)


def test_a_flow_is_written_and_rendered_by_keyboard_alone(page: Page) -> None:
    """Tab to the editor, type, read the verdict, step through the tabs, copy."""
    page.get_by_label("Flow, in YAML").focus()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(FLOW.replace("board", "typed"))
    expect(page.locator("#verdict")).to_contain_text("collection typed")

    _tab_to(page, "tab-docker-compose")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#text")).to_contain_text("kind: StatefulSet")
    assert page.evaluate("document.activeElement.id") == "tab-kubernetes"
    _tab_to(page, "copy")
    page.keyboard.press("Enter")

    expect(page.locator("#done")).to_have_text("Copied")
    assert "kind: StatefulSet" in page.evaluate("navigator.clipboard.readText()")
    assert "StatefulSet" not in page.locator("#drawing").inner_html()


def test_a_fault_is_marked_where_it_is(page: Page) -> None:
    """The line is marked, the fault said with the nearest name, and one key goes there."""
    page.get_by_label("Flow, in YAML").fill(FLOW.replace("Hashing", "Hashin"))

    expect(page.locator("#faults li")).to_contain_text("did you mean 'Hashing'")
    expect(page.locator("#lines .faulty")).to_have_text("4")
    expect(page.locator("#paint .t-fault")).to_have_text("Hashin")
    expect(page.get_by_label("Flow, in YAML")).to_have_attribute("aria-invalid", "true")
    page.locator("#faults button").focus()
    page.keyboard.press("Enter")
    place = page.evaluate("document.activeElement.selectionStart")
    assert FLOW[place:].startswith("Hashing")


def test_shards_that_are_made_are_shown_and_then_drawn(page: Page, it: Deployment) -> None:
    """Their number changes while one looks: first in the table, then in the drawing."""
    it.run("scale", "build=0")  # so that the change lasts
    path = f"/v1/collections/{it.collection}"
    documents = [{"id": f"n{n}", "text": f"number {n}"} for n in range(1_000)]
    it.index(*documents)
    it.client.post(f"{path}/reshard", json={"shards": 3}).raise_for_status()

    expect(page.locator("#running-status")).to_contain_text("dealt out to 3", timeout=20_000)
    expect(page.locator("#shards tr.coming")).to_have_count(3)
    it.run("scale", "build=1")

    expect(page.locator("#running-graph .live").filter(has_text="docs")).to_have_count(
        3, timeout=60_000
    )
    expect(page.locator("#shards tbody tr")).to_have_count(3)
    back = it.client.post(f"{path}/reshard", json={"shards": 2}, params={"wait": "done"})
    assert back.json()["state"] == "completed", back.text
    it.client.post(f"{path}/documents/delete", json={"ids": [one["id"] for one in documents]})
    expect(page.locator("#shards tbody tr")).to_have_count(2, timeout=20_000)


def test_a_turned_phone_keeps_its_numbers(page: Page) -> None:
    """The drawing that fits the new width has its numbers at once, not with the next look."""
    drawing = page.locator("#running-graph svg")
    numbers = page.locator("#running-graph .live").filter(has_text="busy")
    expect(numbers).to_have_count(4)
    size, width = page.viewport_size, drawing.get_attribute("width")
    page.route("**/v1/**", lambda _: None)  # nothing more is heard from the server

    page.set_viewport_size({"width": 844 if size and size["width"] == 390 else 390, "height": 900})

    expect(drawing).not_to_have_attribute("width", width or "")
    expect(numbers).to_have_count(4)


def test_a_dark_page_has_dark_drawings(page: Page) -> None:
    """Boxes, lines and code follow the reader's choice; the letters on them stay readable."""
    fill = "e => getComputedStyle(e).fill"
    box = page.locator("#running-graph [data-kind=Encoder] rect")
    light = box.evaluate(fill)

    page.emulate_media(color_scheme="dark")

    assert box.evaluate(fill) != light
    text = page.locator("#running-graph [data-kind=Encoder] text").first.evaluate(fill)
    assert _contrast(text, box.evaluate(fill)) >= 4.5
    quiet = page.locator("#paint .t-key").first.evaluate("e => getComputedStyle(e).color")
    ground = page.locator(".editor").evaluate("e => getComputedStyle(e).backgroundColor")
    assert _contrast(quiet, ground) >= 4.5


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two colours: WCAG 2.2, 1.4.3; (L1 + 0.05) / (L2 + 0.05)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_rendering_can_be_downloaded(page: Page, tmp_path: Path) -> None:
    """Under the name that its tool expects."""
    page.get_by_role("tab", name="Procfile").click()
    expect(page.locator("#text")).to_contain_text("celery -A app worker")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()

    assert download.value.suggested_filename == "Procfile"
    download.value.save_as(tmp_path / "Procfile")
    assert "-Q encode" in (tmp_path / "Procfile").read_text()


def test_an_example_can_be_started_from(page: Page) -> None:
    """GNES's own way of writing is among them."""
    page.get_by_label("Start from").select_option("gnes")

    expect(page.locator("#verdict")).to_contain_text("collection gnes")
    assert "yaml_path" in page.get_by_label("Flow, in YAML").input_value()


def test_the_page_fits_its_window_and_is_labelled(page: Page) -> None:
    """Nothing sticks out to the side; whatever can be reached has a name to be read aloud."""
    page.locator("#running-graph [data-node=Encoder20]").wait_for()  # drawn once it was asked for
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    way = page.evaluate(
        "(() => { const [a, b] = ['Frontend00', 'Encoder20'].map((id) => document.querySelector("
        "`#running-graph [data-node=${id}]`).getBoundingClientRect());"
        " return a.left === b.left ? 'down' : 'right' })()"
    )
    assert way == ("down" if page.viewport_size == {"width": 390, "height": 844} else "right")
    nameless = page.evaluate(
        "[...document.querySelectorAll('a, button, input, select, textarea, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility() && !(e.innerText || e.labels?.length"
        " || e.ariaLabel || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)"
    )
    assert nameless == []
    if "GNES_SCREENSHOTS" in os.environ:
        page.wait_for_timeout(2_000)  # the numbers under the boxes
        name = "board-phone" if page.viewport_size == {"width": 390, "height": 844} else "board"
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
        with Image.open(IMAGES / f"{name}.png") as image:
            image.quantize(96).save(IMAGES / f"{name}.png", optimize=True)


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached by Tab")

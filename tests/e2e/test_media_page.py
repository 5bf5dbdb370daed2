"""The search page over media in a real browser: seen small, cropped, played, asked by files."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, sync_playwright

from tests.e2e.deployment import Deployment, deployed, wait_until
from tests.e2e.test_media_flows import medium
from tests.workers import media
from tests.workers.media import sound, tone
from tests.workers.pictures import encoded

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

KEY = "a key"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
FLOW = """\
name: seen
services:
  - name: Preprocessor
    text: WholeText
    image: {uses: ImageGrid, with: {rows: 2, columns: 2}}
    video: {uses: VideoShots, with: {threshold: 0.2, weights: ones}}
    audio: {uses: AudioWindows, with: {window_s: 1.0}}
  - - {name: Encoder, id: Words, text: {uses: Hashing, with: {dim: 128}}}
    - {name: Encoder, id: Looks, py_path: looks.py, image: Colours, video: Colours}
    - {name: Encoder, id: Sounds, audio: MFCC}
  - - {name: Indexer, id: ByWords, uses: exact}
    - {name: Indexer, id: ByLook, uses: exact}
    - {name: Indexer, id: BySound, uses: exact}
score: {reduce: max}
"""
PLUGIN = '''\
"""How a picture looks without a model."""
import numpy as np
from workers.component import Encoder
from workers.vectors import unit_rows


class Colours(Encoder):
    """The mean colour against grey."""

    inputs = ("image", "video")
    dim = 3

    def encode(self, chunks):
        """Return red, green and blue."""
        rows = [chunk.array.reshape(-1, 3).mean(axis=0) - 100 for chunk in chunks]
        return unit_rows(np.array(rows, np.float32).reshape(-1, 3))
'''
RED, GREEN, BLUE, GREY = (220, 20, 20), (20, 200, 20), (20, 20, 220), (128, 128, 128)


def plain(*colours: tuple[int, int, int], side: int = 64) -> Any:
    """Return a picture of one colour, or of four in its quarters."""
    cells = [np.full((side // 2, side // 2, 3), colour, np.uint8) for colour in colours * 4]
    return np.vstack([np.hstack(cells[0:2]), np.hstack(cells[2:4])])


def film(*, codec: str) -> bytes:
    """Return a film: two seconds of green, two of red, two of blue."""
    colours = {1: GREEN, 2: RED, 3: BLUE}

    def picture(width: int, height: int, *, seed: int) -> Any:
        return np.full((height, width, 3), colours[seed], np.uint8)

    return media.film([1, 2, 3], codec=codec, picture=picture)


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a flow of all kinds of media, behind a key."""
    folder = tmp_path_factory.mktemp("seen")
    (folder / "looks.py").write_text(PLUGIN)
    (folder / "flow.yml").write_text(FLOW)
    with deployed(folder, folder / "flow.yml", GNES_API_KEY=KEY) as it:
        it.client.headers["api-key"] = KEY
        it.index(
            {"id": "corner", **medium("image", encoded(plain(GREY, GREY, GREY, RED)))},
            {"id": "blue", **medium("image", encoded(plain(BLUE)))},
            {"id": "film", **medium("video", film(codec="libx264"))},
            {"id": "old film", **medium("video", film(codec="mpeg4"))},
            {
                "id": "tones",
                **medium("audio", sound(np.concatenate([tone(220, 1), tone(3000, 1)]))),
            },
            {"id": "words", "text": "what is red"},
        )
        yield it


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium; sounds may start without a click."""
    executable = shutil.which("chromium")
    assert executable, "install it: apt install chromium"
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(it: Deployment, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open the page at one size and give it the key; faults of the page fail the test."""
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if _is_ours(r, it.url) else complaints.append(r.url))
    page.goto(it.url)
    page.get_by_role("searchbox").fill("what is red")
    page.keyboard.press("Enter")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    page.locator(".hit").first.wait_for()
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()
    assert complaints == []


def _is_ours(request: Request, url: str) -> bool:
    return request.url.startswith((url, "blob:", "data:"))


def choose(page: Page, path: Path, data: bytes) -> None:
    """Choose a file to look for."""
    path.write_bytes(data)
    page.locator("input[type=file]").set_input_files(path)


def hit(page: Page, name: str) -> Locator:
    """Return a hit by its id, once it is there."""
    found = page.locator(".hit").filter(has=page.get_by_role("heading", name=name, exact=True))
    found.wait_for()
    return found


def is_loaded(image: Locator) -> bool:
    """Tell whether an image has been fetched and decoded."""
    return bool(image.evaluate("image => image.complete && image.naturalWidth > 0"))


def test_a_picture_finds_pictures_with_the_part_that_is_like_it(page: Page, tmp_path: Path) -> None:
    """Thumbnails load behind a key; where a part was found, that part is shown beside it."""
    choose(page, tmp_path / "red.png", encoded(plain(RED)))

    found = hit(page, "corner")
    whole, part = found.locator("img").nth(0), found.locator("figcaption img")
    wait_until(lambda: is_loaded(whole) and is_loaded(part))
    colours = part.evaluate(
        """image => { const c = document.createElement('canvas'); c.width = c.height = 1;
        const d = c.getContext('2d'); d.drawImage(image, 0, 0, 1, 1);
        return [...d.getImageData(0, 0, 1, 1).data]; }"""
    )
    assert colours[:3] == pytest.approx(RED, abs=12)


def test_a_film_is_played_from_the_moment_that_was_found(page: Page, tmp_path: Path) -> None:
    """A click on the moment plays from two seconds on, and stops at four."""
    choose(page, tmp_path / "red.png", encoded(plain(RED)))
    found = hit(page, "film")

    found.get_by_role("button", name="Play 0:02 to 0:04").click()

    video = found.locator("video")
    wait_until(lambda: video.evaluate("v => v.currentTime >= 2 && v.currentTime < 4.5"))
    wait_until(lambda: video.evaluate("v => v.paused && v.currentTime >= 3.9"))
    assert video.evaluate("v => v.currentTime") < 4.6
    assert is_loaded(found.locator(".moments img").first)


def test_what_the_browser_cannot_play_is_played_as_a_clip(page: Page, tmp_path: Path) -> None:
    """A film in a codec of old is encoded anew by the server, from the moment on."""
    choose(page, tmp_path / "red.png", encoded(plain(RED)))
    found = hit(page, "old film")

    found.get_by_role("button", name="Play 0:02 to 0:04").click()

    video = found.locator("video")
    wait_until(lambda: "/clip?from=2.0&to=4.0" in video.evaluate("v => v.src"))
    wait_until(lambda: video.evaluate("v => v.currentTime > 0.2"))


def test_a_sound_finds_sounds_and_plays_the_place(page: Page, tmp_path: Path) -> None:
    """The second of two tones is found; its button plays from there."""
    choose(page, tmp_path / "high.flac", sound(tone(3000, 0.8)))
    found = hit(page, "tones")

    found.get_by_role("button", name="Play 0:01 to 0:02").click()

    audio = found.locator("audio")
    wait_until(lambda: audio.evaluate("a => a.currentTime >= 1"))
    assert is_loaded(found.locator("img").first)


def test_words_and_a_file_are_asked_together_and_balanced(page: Page, tmp_path: Path) -> None:
    """The slider shows when there are both; the query carries both and their weights."""
    choose(page, tmp_path / "blue.png", encoded(plain(BLUE)))
    slider = page.get_by_role("slider")
    slider.wait_for()

    with page.expect_request("**/search") as asked:
        slider.fill("80")
        slider.dispatch_event("change")

    sent: Any = asked.value.post_data_json
    query = sent["query"]
    assert query["text"] == "what is red"
    assert set(query["image"]) == {"base64"}
    assert query["weights"] == pytest.approx({"text": 0.2, "image": 0.8})
    hit(page, "blue")


def test_a_file_can_be_dropped_and_taken_back(page: Page) -> None:
    """Dropped anywhere it is looked for; its cross takes it out of the query."""
    data = list(encoded(plain(BLUE)))
    page.evaluate(
        """data => { const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(data)], 'dropped.png', {type: 'image/png'}));
        for (const type of ['dragover', 'drop'])
          document.body.dispatchEvent(
            new DragEvent(type, {dataTransfer: files, bubbles: true, cancelable: true}));
        }""",
        data,
    )
    hit(page, "blue")
    assert page.locator(".chip").inner_text().startswith("dropped.png")

    page.get_by_role("button", name="Remove dropped.png").click()

    assert page.locator(".chip").count() == 0


def test_what_the_collection_does_not_take_is_said(page: Page, tmp_path: Path) -> None:
    """A document in another format is not sent at all."""
    choose(page, tmp_path / "paper.pdf", b"%PDF-1.7")

    status = page.locator("#status.warning")
    status.wait_for()
    assert "paper.pdf" in status.inner_text()
    assert "image, video, audio" in status.inner_text()


def test_more_like_a_hit_can_be_asked_for_and_shared(page: Page, tmp_path: Path) -> None:
    """One click; the address holds the question."""
    choose(page, tmp_path / "red.png", encoded(plain(RED)))

    hit(page, "film").get_by_role("button", name="More like film").click()

    wait_until(lambda: "like film in" in page.get_by_role("status").inner_text())
    assert "like=film" in page.url
    assert hit(page, "old film").is_visible()
    assert page.get_by_role("heading", name="film", exact=True).count() == 0


def test_a_film_that_was_made_here_has_the_colours_it_should() -> None:
    """The films of these tests are what the tests take them for."""
    with av.open(io.BytesIO(film(codec="libx264")), "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    assert len(frames) == 60
    assert frames[30].mean(axis=(0, 1)) == pytest.approx(RED, abs=8)

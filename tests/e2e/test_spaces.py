"""Several spaces in one flow: documents have a vector in each of theirs, queries ask what fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

pytest.importorskip("PIL")

from tests.e2e.deployment import Deployment, deployed
from tests.e2e.test_media_flows import medium
from tests.workers.pictures import encoded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FLOW = """\
name: spaces
services:
  - name: Preprocessor
    text: WholeText
    image: WholeImage
  - - {name: Encoder, id: Words, text: {uses: Hashing, with: {dim: 128}}}
    - {name: Encoder, id: Colours, image: Colours, py_path: looks.py}
    - {name: Encoder, id: Heights, image: Heights, py_path: looks.py}
  - - {name: Indexer, id: ByWords, uses: exact}
    - {name: Indexer, id: ByColour, uses: exact}
    - {name: Indexer, id: ByHeight, uses: exact}
"""
PLUGINS = '''\
"""Two ways to look at a picture that need no model."""
import numpy as np
from workers.component import Encoder
from workers.vectors import unit_rows


class Colours(Encoder):
    """The mean colour."""

    inputs = ("image",)
    dim = 3

    def encode(self, chunks):
        """Return red, green and blue."""
        rows = [chunk.array.reshape(-1, 3).mean(axis=0) + 1 for chunk in chunks]
        return unit_rows(np.array(rows, np.float32).reshape(-1, 3))


class Heights(Encoder):
    """Where it is bright, from top to bottom."""

    inputs = ("image",)
    dim = 8

    def encode(self, chunks):
        """Return the brightness of eight stripes."""
        rows = [
            [part.mean() + 1e-3 for part in np.array_split(chunk.array, 8)] for chunk in chunks
        ]
        return unit_rows(np.array(rows, np.float32).reshape(-1, 8))
'''
RED, BLUE = (250, 20, 20), (20, 20, 250)


def picture(colour: tuple[int, int, int], *, top: bool) -> dict[str, Any]:
    """Return a black picture with one half, the upper or the lower, of a colour."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[: 16 if top else None][-16:] = colour
    return medium("image", encoded(pixels))


DOCUMENTS: dict[str, dict[str, Any]] = {
    "red-top": picture(RED, top=True),
    "red-bottom": picture(RED, top=False),
    "blue-top": picture(BLUE, top=True),
    "blue-bottom": picture(BLUE, top=False),
    "poem": {"text": "roses are red"},
    "sea": {"text": "the sea is blue"},
}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the flow, filled."""
    folder = tmp_path_factory.mktemp("spaces")
    (folder / "looks.py").write_text(PLUGINS)
    (folder / "flow.yml").write_text(FLOW)
    with deployed(folder, folder / "flow.yml") as it:
        it.index(*({"id": name, **content} for name, content in DOCUMENTS.items()))
        yield it


def refused(response: httpx2.Response) -> str:
    """Return why a query was refused."""
    assert 400 <= response.status_code < 500, response.text
    return str(response.json()["detail"])


def test_a_text_asks_the_space_of_texts_alone(it: Deployment) -> None:
    """Its score is that space's own, and all shards that were asked answered."""
    answer = it.search("roses are red", limit=3)

    assert [hit["id"] for hit in answer["hits"]] == ["poem", "sea"]
    assert answer["hits"][0]["score"] == pytest.approx(1)
    assert answer["coverage"] == {"shards_total": 1, "shards_ok": 1, "degraded": False}


def test_a_picture_asks_both_of_its_spaces(it: Deployment) -> None:
    """What is like it in both comes first, what in neither last."""
    answer = it.search(query=picture(RED, top=True), limit=4)

    ids = [hit["id"] for hit in answer["hits"]]
    assert answer["coverage"]["shards_total"] == 2
    assert (ids[0], ids[-1]) == ("red-top", "blue-bottom")


@pytest.mark.parametrize(
    ("using", "alike"),
    [("bycolour", "red-bottom"), ("Colours", "red-bottom"), ("byheight", "blue-top")],
)
def test_one_space_can_be_named(it: Deployment, using: str, alike: str) -> None:
    """By its index or by its vector; then scores are its own."""
    hits = it.search(query=picture(RED, top=True), using=using, limit=2)["hits"]

    assert {hit["id"] for hit in hits} == {"red-top", alike}
    assert [hit["score"] for hit in hits] == pytest.approx([1, 1], abs=1e-4)


def test_like_a_document_is_asked_where_it_is(it: Deployment) -> None:
    """In the first space that holds it, or in the one that is named."""
    assert it.ids(query={"id": "poem"}, limit=1) == ["sea"]
    assert it.ids(query={"id": "red-top"}, limit=1) == ["red-bottom"]
    assert it.ids(query={"id": "red-top"}, using="byheight", limit=1) == ["blue-top"]


def test_a_vector_asks_the_spaces_of_its_length(it: Deployment) -> None:
    """Three numbers are a colour."""
    assert set(it.ids(query={"vector": [0.0, 0.0, 1.0]}, limit=2)) == {"blue-top", "blue-bottom"}


@pytest.mark.parametrize(
    ("weights", "first"),
    [({"text": 1, "image": 0.1}, "poem"), ({"text": 0.1, "image": 1}, "blue-bottom")],
)
def test_a_mixed_query_fuses_the_spaces_by_its_weights(
    it: Deployment, weights: dict[str, float], first: str
) -> None:
    """Words and a picture together: what counts more decides; all spaces are asked."""
    query = {"text": "roses are red", **picture(BLUE, top=False), "weights": weights}

    answer = it.search(query=query, limit=6, explain=True)

    assert answer["hits"][0]["id"] == first
    assert answer["coverage"]["shards_total"] == 3
    for hit in answer["hits"]:
        places = hit["explanation"]["operands"]
        assert {place["name"] for place in places} == {
            "place in bywords", "place in bycolour", "place in byheight",
        }  # fmt: skip
        assert sum(place["value"] for place in places) == pytest.approx(hit["score"])


def test_what_cannot_be_asked_is_said(it: Deployment) -> None:
    """No such index; one of another kind; vectors of a length that no index has."""
    image = picture(RED, top=True)

    assert "bycolour" in refused(it.ask(query=image, using="nope"))
    assert "holds vectors like this image's" in refused(it.ask(query=image, using="bywords"))
    assert "holds vectors of 3 or 8 or 128" in refused(it.ask(query={"vector": [1.0] * 5}))
    assert "audio" in refused(it.ask(query={"text": "x", **image, "weights": {"audio": 1}}))
    assert "all weights are 0" in refused(
        it.ask(query={"text": "x", **image, "weights": {"text": 0, "image": 0}})
    )

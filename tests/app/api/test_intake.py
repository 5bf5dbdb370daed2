"""Items of a write are judged one by one: what is wrong with one costs the others nothing."""

from typing import Any

import pytest

from app.api.intake import Context, Refusal, check
from app.settings import Limits

LIMITS = Limits(max_text_chars=20, max_id_chars=8, max_tags_bytes=1_000)


@pytest.mark.parametrize(
    ("item", "field", "says"),
    [
        (5, None, "expected an object"),
        ({}, None, "exactly one of"),
        ({"text": "a", "image": {"base64": "eA=="}}, None, "got text and image"),
        ({"text": ""}, "text", "at least 1"),
        ({"text": " \n"}, "text", "blank"),
        ({"text": "x" * 21}, "text", "max_text_chars (20)"),
        ({"text": 1}, "text", "expected a string"),
        ({"id": "", "text": "a"}, "id", "at least 1"),
        ({"id": "123456789", "text": "a"}, "id", "max_id_chars (8)"),
        ({"id": "a\nb", "text": "a"}, "id", "U+000A"),
        ({"id": 7, "text": "a"}, "id", "expected a string"),
        ({"text": "a", "tags": {"k": "v" * 1_000}}, "tags", "max_tags_bytes (1000)"),
        ({"text": "a", "tags": []}, "tags", "expected an object"),
        ({"text": "a", "weight": -1}, "weight", "greater than or equal to 0"),
        ({"text": "a", "vector": ["x"]}, "vector", "numbers only"),
        ({"text": "a", "tgas": {}}, "tgas", "did you mean tags?"),
    ],
)
def test_a_bad_item_is_refused_with_its_place_field_and_reason(
    item: Any, field: str | None, says: str
) -> None:
    """The bad item says what and where; the good ones around it are kept."""
    good, bad = check([{"id": "a", "text": "x"}, item, {"text": "y"}], Context(LIMITS, first=10))

    assert [d.content["text"] for d in good.values()] == ["x", "y"]
    assert list(good) == [10, 12]
    assert [(b.index, b.field) for b in bad] == [(11, field)]
    assert says in bad[0].reason


def test_an_id_twice_in_one_write_is_refused_the_second_time() -> None:
    """Which of the two was meant is for the sender to say."""
    good, bad = check([{"id": "a", "text": "1"}, {"id": "a", "text": "2"}], Context(LIMITS))

    assert [d.content["text"] for d in good.values()] == ["1"]
    assert bad == [Refusal(1, "a", "id", "the id stands twice in this request, first at item 0")]


def test_a_document_without_id_gets_one_of_its_own() -> None:
    """Ids that we give are ULIDs, all different."""
    good, _ = check([{"text": "a"}] * 3, Context(LIMITS))

    ids = {document.doc_id for document in good.values()}
    assert len(ids) == 3
    assert {len(doc_id) for doc_id in ids} == {26}


def test_a_repeated_write_gives_the_same_ids_to_documents_without() -> None:
    """An idempotency key covers ids too: a repeat is the same write."""
    items = [{"text": "a"}, {"text": "b"}]
    once, _ = check(items, Context(LIMITS, idempotency_key="k"))
    again, _ = check(items, Context(LIMITS, idempotency_key="k"))
    other, _ = check(items, Context(LIMITS, idempotency_key="l"))

    assert once == again
    assert len({d.doc_id for d in (*once.values(), *other.values())}) == 4


def test_a_modality_that_the_flow_lacks_is_refused_by_name() -> None:
    """A text flow says what it takes instead of failing later on an image."""
    item = {"id": "i", "image": {"base64": "eA=="}}

    good, bad = check([item], Context(LIMITS, modalities=("text",)))

    assert not good
    assert bad == [Refusal(0, "i", "image", "the flow takes in text only", is_readable=True)]

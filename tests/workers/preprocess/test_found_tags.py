"""What preprocessors found becomes tags of the document."""

import json
from typing import Any

import pytest

from workers.component import Chunk, Source
from workers.preprocess.found_tags import MOST_BYTES, found_tags
from workers.preprocess.markup import MarkupSections
from workers.preprocess.pipeline import PreprocessorPipeline
from workers.preprocess.sentences import SentenceSplitter

PAGE = "# Garden\n\nIntro.\n\n## Roses\n\nPrune them. Water them.\n\n## Tulips\n\nPlant them.\n"


def tagged(*tags: dict[str, Any]) -> list[Chunk]:
    """Return chunks with these tags."""
    return [Chunk(position, text="x", tags=one) for position, one in enumerate(tags)]


def test_headings_of_all_sections_are_joined() -> None:
    """Each once, in the order of the page, whatever a splitter behind made of the sections."""
    pipeline = PreprocessorPipeline(components=[MarkupSections(), SentenceSplitter()])

    tags = found_tags(pipeline.apply(Source("text", text=PAGE)))

    assert tags == {"headings": ["Garden", "Roses", "Tulips"]}


def test_the_other_fields_of_a_json_document_are_its_tags() -> None:
    """The same in all chunks stays as it is, lists and nested fields too."""
    poem = {"Content": "Roses are red. Violets are blue.", "Title": "poem", "by": {"year": 1784}}
    chunks = SentenceSplitter(is_json=True).apply(Source("text", text=json.dumps(poem)))

    assert len(chunks) == 2
    assert found_tags(chunks) == {"Title": "poem", "by": {"year": 1784}}


def test_what_differs_becomes_a_list() -> None:
    """Speakers of a dialogue, for one; a single list stays one."""
    chunks = tagged({"speaker": "A", "of": ["x"]}, {"speaker": "B"}, {"speaker": "A"}, {})

    assert found_tags(chunks) == {"speaker": ["A", "B"], "of": ["x"]}


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**70, {1: 2}, {"a": object()}, "x" * MOST_BYTES,
     json.loads("[" * 50 + "]" * 50)],
    ids=["nan", "inf", "huge", "key", "object", "large", "deep"],
)  # fmt: skip
def test_what_no_tag_can_hold_is_left_out(value: Any) -> None:
    """The others stay, and the document is indexed all the same."""
    assert found_tags(tagged({"bad": value, "good": [1, 2.5, None, True, "é"]})) == {
        "good": [1, 2.5, None, True, "é"]
    }


def test_nothing_found_is_no_tag() -> None:
    """Most documents have none."""
    assert found_tags(tagged({}, {})) == {}
    assert found_tags([]) == {}

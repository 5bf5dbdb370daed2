"""Markdown and HTML: plain text under its headings, places in the original kept."""

import hypothesis
import hypothesis.strategies as st
import pytest

from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError
from workers.preprocess.markup import MarkupSections
from workers.preprocess.pipeline import PreprocessorPipeline
from workers.preprocess.sentences import SentenceSplitter
from workers.testing import PreprocessorContract

MARKDOWN = """Intro *text* with a [link](http://x.y/z_1).

# Guide to `gnes`

## Install

Run **this** first:

```sh
# no heading
pip install x
```

- one item
- two <b>items</b>

Use it
------
| a | b |
|---|---|
| 1 | 2 |

# Other
![a cat](cat.png) snake_case stays \\*.
"""

PAGE = """<!doctype html><html><head><title>T</title><style>p {x}</style></head><body>
<p>Caf&eacute; &#9731; is <b>o</b>pen.<script>alert("no")</script></p>
<h1>Menu &amp; more</h1><ul><li>Tea<li>Cake</ul><h2>Prices</h2><p>5&nbsp;euro</p>
<h1>Bye</h1>unclosed <p>text"""


def sections(text: str) -> list[Chunk]:
    """Cut a document into its sections."""
    return MarkupSections().apply(Source("text", text=text))


class TestMarkupSections(PreprocessorContract):
    """Mark-up keeps the contract of preprocessors; plain text is Markdown as well."""

    @pytest.fixture
    def preprocessor(self) -> Preprocessor:
        """It looks at each document."""
        return MarkupSections()


def test_markdown_loses_its_marks_and_keeps_its_headings() -> None:
    """Marks go, words stay, each section knows the headings above it."""
    found = [(chunk.tags["headings"], chunk.text) for chunk in sections(MARKDOWN)]

    assert [headings for headings, _ in found] == [
        [],
        ["Guide to gnes"],
        ["Guide to gnes", "Install"],
        ["Guide to gnes", "Use it"],
        ["Other"],
    ]
    texts = [text or "" for _, text in found]
    assert texts[0] == "Intro text with a link."
    assert "Run this first:" in texts[2]
    assert "# no heading\npip install x" in texts[2]
    assert "- two items" in texts[2]
    assert texts[3].split() == ["Use", "it", "a", "b", "1", "2"]
    assert texts[4] == "Other\n\na cat snake_case stays *."


def test_html_shows_what_a_reader_sees() -> None:
    """Entities are resolved, scripts, styles and the head left out, bad nesting forgiven."""
    found = [
        (chunk.tags["headings"], " ".join((chunk.text or "").split())) for chunk in sections(PAGE)
    ]

    assert found == [
        ([], "Café ☃ is open."),
        (["Menu & more"], "Menu & more Tea Cake"),
        (["Menu & more", "Prices"], "Prices 5 euro"),
        (["Bye"], "Bye unclosed text"),
    ]


@pytest.mark.parametrize("document", [MARKDOWN, PAGE])
def test_sentences_of_sections_point_into_the_original(document: str) -> None:
    """In a pipeline with a splitter, spans are places in the document as it was sent."""
    pipeline = PreprocessorPipeline(components=[MarkupSections(), SentenceSplitter()])

    chunks = pipeline.apply(Source("text", text=document))

    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    assert sum(chunk.weight for chunk in chunks) <= 1.0 + 1e-9
    for chunk in chunks:
        start, end = (int(place) for place in chunk.span)
        words = (chunk.text or "").split()
        original = document[start:end]
        assert words[-1][-1] in original
        if words[0].isalpha() and words[0].isascii():
            assert original.startswith(words[0][:1])
        assert chunk.tags["headings"] is not None


@pytest.mark.parametrize("text", ["<p> </p>", "```\n```", "<script>x</script><p></p>"])
def test_a_document_that_shows_nothing_is_refused(text: str) -> None:
    """Mark-up without text fails alone."""
    with pytest.raises(ContentError):
        sections(text)


def test_too_many_sections_are_refused() -> None:
    """The number of sections is bounded."""
    with pytest.raises(ContentError, match="3 sections; the limit is 2"):
        MarkupSections(max_chunks=2).apply(Source("text", text="# a\n# b\n# c"))


@hypothesis.given(st.text(alphabet="#*_[]()`~<>/&;=-|\\ \nab1!\"'", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Any text is either cut or refused, and every span lies in it."""
    try:
        chunks = sections(text)
    except ContentError:
        return
    for chunk in chunks:
        assert 0 <= chunk.span[0] < chunk.span[1] <= len(text)


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "*" * 20_000, "<" * 20_000, "![](" * 5_000, "`" * 20_000]
)
def test_hostile_marks_take_no_longer(text: str) -> None:
    """Runs of marks are no way to keep a worker busy; the time-out of the test is the proof."""
    try:
        sections(text)
    except ContentError:
        return

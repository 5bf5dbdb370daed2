"""Windows of tokens, whole texts and JSON documents."""

import json
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from workers.component import Preprocessor, Source
from workers.encode.transformer import MiniLM
from workers.errors import ContentError, OptionError
from workers.preprocess.json_documents import JsonDocument
from workers.preprocess.markup import MarkupSections
from workers.preprocess.pipeline import PreprocessorPipeline
from workers.preprocess.sentences import SentenceSplitter
from workers.preprocess.texts import is_blank
from workers.preprocess.token_windows import TokenWindows
from workers.preprocess.unary import WholeText
from workers.registry import create
from workers.testing import PreprocessorContract, ready

POEM = {"Content": "Roses are red. Violets are blue.", "Title": "poem"}


class TestTokenWindows(PreprocessorContract):
    """Windows keep the contract of preprocessors."""

    @pytest.fixture
    def preprocessor(self) -> Preprocessor:
        """Windows of words."""
        return ready(TokenWindows())


class TestModelTokenWindows(PreprocessorContract):
    """Windows of a model's tokens keep it as well."""

    @pytest.fixture
    def preprocessor(self) -> Preprocessor:
        """Windows of the default model's tokens."""
        folder = str(MiniLM().folder())
        return ready(create("TokenWindows", {"model_dir": folder}, kind=Preprocessor))


class TestWholeText(PreprocessorContract):
    """The whole text keeps the contract of preprocessors."""

    @pytest.fixture
    def preprocessor(self) -> Preprocessor:
        """One chunk."""
        return WholeText()


def test_windows_overlap_and_the_last_holds_the_rest() -> None:
    """Four words a window, one of them from the window before."""
    text = "one two three four five six seven eight"

    chunks = TokenWindows(size=4, overlap=1).apply(Source("text", text=text))

    assert [chunk.text for chunk in chunks] == [
        "one two three four",
        "four five six seven",
        "seven eight",
    ]
    assert [text[int(c.span[0]) : int(c.span[1])] for c in chunks] == [c.text for c in chunks]
    assert sum(chunk.weight for chunk in chunks) <= 1.0


@pytest.mark.parametrize(
    "cutter",
    [
        SentenceSplitter(weights="equal"),
        TokenWindows(size=2, overlap=0, weights="equal"),
        PreprocessorPipeline(
            components=[MarkupSections(weights="equal"), SentenceSplitter(weights="equal")]
        ),
    ],
)
def test_chunks_may_weigh_the_same(cutter: Preprocessor) -> None:
    """For an index that scores by the best chunk, a short one counts as much as a long one."""
    chunks = cutter.apply(Source("text", text="# One\n\nShort one. A sentence that is longer."))

    assert len(chunks) > 1
    assert {chunk.weight for chunk in chunks} == {1.0}


def test_characters_count_where_a_script_has_no_spaces() -> None:
    """A window of five is five Chinese characters."""
    chunks = TokenWindows(size=5, overlap=0).apply(Source("text", text="床前明月光疑是地上霜"))

    assert [chunk.text for chunk in chunks] == ["床前明月光", "疑是地上霜"]


def test_windows_of_model_tokens_fit_the_model() -> None:
    """No window has more tokens than asked for, and none of the text is lost."""
    windows = ready(TokenWindows(size=12, overlap=2, model_dir=str(MiniLM().folder())))
    text = "Incomprehensibilities of internationalization bewilder\x00 electroencephalographs."

    chunks = windows.apply(Source("text", text=text))

    assert len(chunks) > 1
    assert all(
        len(windows._tokenizer.encode(c.text, add_special_tokens=False)) <= 12 for c in chunks
    )
    assert int(chunks[-1].span[1]) == len(text)


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 4, "overlap": 4}])
def test_windows_that_never_end_are_refused(options: dict[str, int]) -> None:
    """An overlap as long as the window would go on for ever."""
    with pytest.raises(OptionError):
        create("TokenWindows", options, kind=Preprocessor)


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    """The error names what is missing."""
    with pytest.raises(OptionError, match=r"tokenizer\.json"):
        TokenWindows(model_dir=str(tmp_path)).setup()


@hypothesis.given(st.text(max_size=200), st.integers(1, 9), st.integers(0, 8))
def test_windows_lose_nothing(text: str, size: int, overlap: int) -> None:
    """Whatever the text: windows rise, and between them is only white space."""
    if is_blank(text) or overlap >= size:
        return
    chunks = TokenWindows(size=size, overlap=overlap).apply(Source("text", text=text))

    end = 0
    for chunk in chunks:
        assert is_blank(text[end : int(chunk.span[0])])
        end = max(end, int(chunk.span[1]))
    assert is_blank(text[end:])


def test_the_whole_text_is_one_chunk() -> None:
    """One chunk of weight 1 at position 0 (14.6), white space at its ends left out."""
    (chunk,) = WholeText().apply(Source("text", text="  Hello. World. "))

    assert (chunk.text, chunk.weight, chunk.position) == ("Hello. World.", 1.0, 0)
    assert chunk.span == (2, 15)


def test_a_json_documents_fields_become_tags() -> None:
    """Content is cut, the other fields are kept (14.6)."""
    splitter = SentenceSplitter(is_json=True)

    chunks = splitter.apply(Source("text", text=json.dumps(POEM), tags={"lang": "en"}))

    assert [chunk.text for chunk in chunks] == ["Roses are red.", "Violets are blue."]
    assert [chunk.weight for chunk in chunks] == pytest.approx([0.4375, 0.53125])
    assert chunks[0].tags == {"lang": "en", "Title": "poem"}


def test_spans_point_into_the_json() -> None:
    """A highlight falls on the words within the JSON, escapes and all."""
    text = '{"Title": "x", "Content": "Caf\\u00e9 \\"noir\\" \\ud83d\\ude00. Two\\nlines."}'

    chunks = SentenceSplitter(is_json=True).apply(Source("text", text=text))

    cuts = [text[int(chunk.span[0]) : int(chunk.span[1])] for chunk in chunks]
    assert [chunk.text for chunk in chunks] == ['Café "noir" 😀.', "Two lines."]
    assert cuts == ['Caf\\u00e9 \\"noir\\" \\ud83d\\ude00.', "Two\\nlines."]


def test_the_field_may_be_named_and_nested() -> None:
    """A dot leads into inner objects; the chunk is whole, for a splitter behind it."""
    text = json.dumps({"article": {"body": "One. Two."}, "n": 3})

    (chunk,) = JsonDocument(content="article.body").apply(Source("text", text=text))

    assert (chunk.text, chunk.tags["n"]) == ("One. Two.", 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{oops", "no valid JSON"),
        ("[1]", "a list, not an object"),
        ('{"Title": "x"}', "no text in 'Content'"),
        ('{"Content": 3}', "no text in 'Content'"),
        ('{"Content": " "}', "empty or blank"),
        ("[" * 100_000, "no valid JSON"),
    ],
)
def test_bad_json_fails_its_document_alone(text: str, reason: str) -> None:
    """Invalid JSON is an error of the content (14.6), with what is wrong."""
    with pytest.raises(ContentError, match=reason):
        SentenceSplitter(is_json=True).apply(Source("text", text=text))

"""Sentences: cut in all scripts, long ones again, none of the text lost."""
# ruff: noqa: RUF001  (texts of many scripts are the subject)

import itertools
import string

import hypothesis
import hypothesis.strategies as st
import pytest

from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError, OptionError
from workers.preprocess.sentences import SentenceSplitter
from workers.preprocess.texts import is_blank
from workers.registry import create
from workers.testing import PreprocessorContract

SONNET = "When forty winters shall besiege thy brow. And dig deep trenches in thy beautys field."


def cut(text: str, **options: object) -> list[Chunk]:
    """Cut a text by a splitter with these options."""
    return SentenceSplitter(**options).apply(Source("text", text=text))  # type: ignore[arg-type]


def texts(text: str, **options: object) -> list[str | None]:
    """Cut a text and return only the chunks' texts."""
    return [chunk.text for chunk in cut(text, **options)]


class TestSentenceSplitter(PreprocessorContract):
    """The splitter keeps the contract of preprocessors."""

    @pytest.fixture
    def preprocessor(self) -> Preprocessor:
        """The splitter as YAML without options makes it."""
        return SentenceSplitter()


def test_a_sentence_keeps_its_terminator_span_and_share_of_the_text() -> None:
    """Weights are shares of the text, spans point into it (GNES case 14.6)."""
    first, second = cut(SONNET)

    assert (first.text, second.text) == (SONNET[:42], SONNET[43:])
    assert (first.span, second.span) == ((0, 42), (43, 86))
    assert (first.weight, second.weight) == pytest.approx((0.4884, 0.5), abs=1e-4)


def test_the_tail_without_a_terminator_is_kept() -> None:
    """What stands behind the last terminator is a chunk too (GNES lost it)."""
    assert texts("Hello world! How are you? I am fine") == [
        "Hello world!",
        "How are you?",
        "I am fine",
    ]


def test_a_text_without_terminator_is_one_chunk_of_weight_one() -> None:
    """No terminator: the whole text (GNES case 14.6)."""
    (chunk,) = cut("no terminator here")

    assert (chunk.weight, chunk.span) == (1.0, (0, 18))


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("矫矫珍木巅，得无金丸惧。床前明月光。", ["矫矫珍木巅，得无金丸惧。", "床前明月光。"]),
        ("これは文です。次の文！", ["これは文です。", "次の文！"]),
        ("यह एक वाक्य है। यह दूसरा है।", ["यह एक वाक्य है।", "यह दूसरा है।"]),
        ("كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
        ("Это первое. Это второе.", ["Это первое.", "Это второе."]),
        ("이것은 문장입니다. 두 번째.", ["이것은 문장입니다.", "두 번째."]),
        ("ሰላም ለዓለም። እንዴት ነህ።", ["ሰላም ለዓለም።", "እንዴት ነህ።"]),
    ],
    ids=["Chinese", "Japanese", "Hindi", "Arabic", "Russian", "Korean", "Amharic"],
)
def test_every_script_has_its_terminators(text: str, sentences: list[str]) -> None:
    """Sentences are found in scripts with and without spaces, with their own full stops."""
    assert texts(text) == sentences


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid $3.14 (approx. 3 euro) to J. R. Tolkien, e.g. at www.x.com today.",
        "The U.S. Army has v. 2.0 of it.",
        "“Really?” he asked.",
        "See Fig. 3 and Eqs. 4-5.",
    ],
)
def test_abbreviations_initials_and_numbers_end_no_sentence(text: str) -> None:
    """A dot inside of a number, an initial, an abbreviation or a quotation goes on."""
    assert texts(text) == [text]


def test_closing_quotes_stay_with_their_sentence() -> None:
    """The quotation mark behind a full stop belongs to what it closes."""
    assert texts('He said "no." She left.') == ['He said "no."', "She left."]


def test_lower_case_texts_are_cut_as_well() -> None:
    """In a text without capitals a small letter may begin a sentence."""
    assert texts("the flow is laminar . it is thin.") == ["the flow is laminar .", "it is thin."]


def test_blank_lines_and_list_items_end_sentences() -> None:
    """Headings and lists need no full stop; a line break inside of a sentence is a space."""
    assert texts("A title\n\nBody goes\nover lines\n- one item\n- another") == [
        "A title",
        "Body goes over lines",
        "- one item",
        "- another",
    ]


def test_long_sentences_are_cut_at_word_borders_and_nothing_is_lost() -> None:
    """A sentence over max_length becomes several chunks of whole words."""
    text = " ".join(itertools.islice(itertools.cycle(["alpha", "beta", "gamma"]), 60))

    parts = texts(text, max_length=50)

    assert all(part and len(part) <= 50 for part in parts)
    assert " ".join(part or "" for part in parts) == text


def test_a_word_longer_than_max_length_is_cut_between_visible_characters() -> None:
    """Without any border the cut keeps a letter and its accent together."""
    parts = texts("e\u0301" * 30, max_length=7)

    assert "".join(part or "" for part in parts) == "e\u0301" * 30
    assert all(part and part.startswith("e") and len(part) <= 7 for part in parts)


def test_short_sentences_join_their_neighbour() -> None:
    """A number of a list is no sentence of its own."""
    assert texts("1. First thing\n2. Second thing") == ["1. First thing", "2. Second thing"]


def test_min_and_max_length_together_lose_nothing() -> None:
    """GNES cut 'def.' to 'de' here; ours cuts at the words (14.6, mended)."""
    assert texts("abc def. ghi jkl.", min_length=5, max_length=6) == ["abc", "def.", "ghi", "jkl."]


def test_windows_of_sentences_overlap() -> None:
    """Several sentences a chunk, the last of one the first of the next; weights still sum to 1."""
    chunks = cut("One is. Two is. Three is. Four is.", sentences=2, overlap=1)

    assert [chunk.text for chunk in chunks] == [
        "One is. Two is.",
        "Two is. Three is.",
        "Three is. Four is.",
    ]
    assert sum(chunk.weight for chunk in chunks) <= 1.0 + 1e-9


def test_own_terminators_replace_those_of_the_scripts() -> None:
    """GNES's deliminator works, as a list of characters and as the pattern its docs showed."""
    assert texts("a;b; c. d", terminators=";", min_length=0) == ["a;", "b;", "c. d"]
    assert texts("One!Two? x", terminators="[.!?]+", min_length=0) == ["One!", "Two?", "x"]


@pytest.mark.parametrize("text", ["", "  \n\t ", "\u200b\u200b", "\x00"])
def test_a_blank_text_is_refused_for_that_document_alone(text: str) -> None:
    """Nothing visible: a ContentError that says so."""
    with pytest.raises(ContentError, match="empty or blank"):
        cut(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    """Bytes are read as UTF-8; others are told where they fail."""
    assert SentenceSplitter().apply(Source("text", data="\ufeffné.".encode()))[0].text == "né."
    with pytest.raises(ContentError, match="byte 1"):
        SentenceSplitter().apply(Source("text", data=b"a\xff"))


def test_too_many_chunks_are_refused() -> None:
    """The number of chunks is bounded, with the limit in the error."""
    with pytest.raises(ContentError, match="20 chunks, the limit is 19"):
        cut("One is. " * 20, max_chunks=19)


def test_gnes_names_of_options_are_understood() -> None:
    """A GNES flow's parameters mean what they meant; those without a use are left out."""
    options = {"max_sent_len": 20, "start_doc_id": 0, "random_doc_id": True}

    splitter = create("TextPreprocessor", options, kind=Preprocessor)

    assert splitter.options["max_length"] == 20


@pytest.mark.parametrize(
    "options", [{"min_length": 9, "max_length": 3}, {"overlap": 1}, {"terminators": ""}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    """Limits that contradict each other are told before anything runs."""
    with pytest.raises(OptionError):
        create("SentenceSplitter", options, kind=Preprocessor)


@hypothesis.given(
    st.text(alphabet=string.printable + "。！é中文\u0301\u200d’”", max_size=300),
    st.integers(1, 40),
)
def test_every_visible_character_lies_in_a_chunk(text: str, max_length: int) -> None:
    """Whatever the text: spans rise, none is too long, and between them is only white space."""
    if is_blank(text):
        return
    chunks = cut(text, max_length=max_length, min_length=1)

    end = 0
    for chunk in chunks:
        start, stop = int(chunk.span[0]), int(chunk.span[1])
        assert is_blank(text[end:start])
        assert stop - start <= max_length
        assert " ".join(text[start:stop].split()) == " ".join((chunk.text or "").split())
        end = stop
    assert is_blank(text[end:])
    assert sum(chunk.weight for chunk in chunks) <= 1.0 + 1e-9


def test_a_megabyte_takes_linear_time() -> None:
    """No text makes the splitter slow; a quadratic one would run into the time-out."""
    text = "Dr. X said: hello world, this is it! " * 30_000

    assert len(cut(text, max_chunks=1_000_000)) == 30_000

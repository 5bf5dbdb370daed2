"""Scripts without spaces: what is found by pairs is marked by pairs."""

import pytest

from indexstore.unspaced import pairs, singles, spans


def test_runs_are_cut_to_pairs_and_characters() -> None:
    """Letters of spaced scripts are none of its business; a lone character is a pair of itself."""
    assert list(pairs("go 新幹線 and 京")) == ["新幹", "幹線", "京"]
    assert list(singles("新幹線 京")) == ["新", "幹", "線"]


@pytest.mark.parametrize(
    ("query", "marked"),
    [("新幹線", ["新幹線"]), ("東京", ["東京", "東京"]), ("京", ["京", "京"]), ("大阪", [])],
)
def test_what_meets_is_marked_as_one(query: str, marked: list[str]) -> None:
    """Overlapping pairs make one span, others stand apart."""
    text = "東京から新幹線で東京へ"

    assert [text[a:b] for a, b in spans(text, set(pairs(query)))] == marked


def test_words_are_marked_in_their_order() -> None:
    """Spans of words and of pairs come as they stand in the text, none twice."""
    text = "Rose 玫瑰 rose"

    assert list(spans(text, {"玫瑰"}, [(0, 4), (5, 7), (8, 12)])) == [(0, 4), (5, 7), (8, 12)]

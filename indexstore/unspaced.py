"""Scripts that are written without spaces: known by pairs of neighbours instead of words."""

import re
from collections.abc import Container, Iterable, Iterator
from heapq import merge

Span = tuple[int, int]  # of characters, the last excluded

#: Han, kana, hangul, Thai, Lao, Khmer and Burmese: no space tells where a word ends.
_RUN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)


def pairs(text: str) -> Iterable[str]:
    """Yield the pairs of neighbours in every run of unspaced script; a single one as it is."""
    for run in _RUN.findall(text):
        yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))


def singles(text: str) -> Iterable[str]:
    """Yield every character of unspaced script, for queries of one."""
    for run in _RUN.findall(text):
        if len(run) > 1:
            yield from run


def spans(text: str, wanted: Container[str], words: Iterable[Span] = ()) -> Iterator[Span]:
    """Yield where wanted pairs and single characters stand, and these words, in their order.

    Those that meet are one span.
    """
    first = last = -1
    for begin, end in merge(words, _wanted(text, wanted)):
        if begin > last:
            if last >= 0:
                yield first, last
            first = begin
        last = max(last, end)
    if last >= 0:
        yield first, last


def _wanted(text: str, wanted: Container[str]) -> Iterator[Span]:
    for run in _RUN.finditer(text):
        for at in range(*run.span()):
            for size in (1, 2):
                if text[at : at + size] in wanted:
                    yield at, at + size

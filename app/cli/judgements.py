"""Judged queries from files: BEIR's JSON lines and tables, TREC's qrels, plain tables."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import orjson

from app.cli.common import UsageFaultError

Judgements = dict[str, dict[str, int]]
_QREL_FIELDS = (3, 4)  # query, document, grade; TREC has a constant after the query


def queries_of(path: Path) -> dict[str, str]:
    """Return the texts of queries by id: ``{"_id", "text"}`` a line, or ``id<TAB>text``.

    Raises: UsageFaultError: the file cannot be read as either.
    """
    found: dict[str, str] = {}
    for number, line in _lines(path):
        if line.startswith("{"):
            entry = _entry(path, number, line)
            found[str(entry.get("_id", entry.get("id")))] = str(entry.get("text", ""))
        else:
            query, tab, text = line.partition("\t")
            if not tab:
                raise UsageFaultError(f"{path}:{number}: write a query as id<TAB>text, or as JSON")
            found[query] = text
    return found


def judgements_of(path: Path) -> Judgements:
    """Return grades by query and document: TREC's ``q 0 doc grade`` or BEIR's table with a head.

    Raises: UsageFaultError: a line is neither.
    """
    found: Judgements = defaultdict(dict)
    for number, line in _lines(path):
        fields = next(csv.reader([line], delimiter="\t")) if "\t" in line else line.split()
        if number == 1 and fields[0] in ("query-id", "query_id", "qid"):
            continue
        if len(fields) not in _QREL_FIELDS or not fields[-1].lstrip("-").isdecimal():
            expected = "query, document and grade, as in `q1 0 doc7 2`"
            raise UsageFaultError(f"{path}:{number}: no judgement: write {expected}")
        found[fields[0]][fields[-2]] = int(fields[-1])
    return dict(found)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFaultError(f"{path} cannot be read: {error}") from error


def _entry(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UsageFaultError(f"{path}:{number}: not valid JSON: {error}") from error
    if not isinstance(entry, dict) or not entry.keys() & {"_id", "id"}:
        raise UsageFaultError(f"{path}:{number}: a query is an object with _id and text")
    return entry

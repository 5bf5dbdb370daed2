"""Documents come out of the files people have, and faults are said with file and line."""

import io
import json
from pathlib import Path

import pytest

from app.cli.common import UsageFaultError
from app.cli.sources import documents_in, documents_of
from app.local_files import LocalFile


def test_a_text_file_holds_a_document_a_line(tmp_path: Path) -> None:
    """Blank lines are none; ids say file and line, so that feeding twice changes nothing."""
    path = tmp_path / "lines.txt"
    path.write_text("first\n\n  second  \n")

    found = list(documents_of(path))

    assert [d["id"] for d in found] == ["lines.txt:1", "lines.txt:3"]
    assert [d["text"] for d in found] == ["first", "second"]


@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl"])
def test_lines_of_json_are_documents_as_they_are(tmp_path: Path, name: str) -> None:
    """An object a line goes through unchanged."""
    document = {"id": "x", "text": "hello", "tags": {"year": 2019}}
    (tmp_path / name).write_text(json.dumps(document) + "\n")

    assert list(documents_of(tmp_path / name)) == [document]


def test_a_json_file_is_one_document_a_list_or_texts(tmp_path: Path) -> None:
    """A list may mix documents and plain texts."""
    path = tmp_path / "a.json"
    path.write_text('[{"id": "x", "text": "hello"}, "just a text"]')

    assert list(documents_of(path)) == [{"id": "x", "text": "hello"}, {"text": "just a text"}]


def test_a_folder_gives_all_files_that_can_be_read_in_order(tmp_path: Path) -> None:
    """Sub-folders are entered, hidden and unknown files passed over, media stay files."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("# Title")
    (tmp_path / "a.txt").write_text("line")
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "program.exe").write_text("no")

    found = list(documents_of(tmp_path))

    assert [d["id"] for d in found] == ["a.txt:1", "p.png", "sub/b.md"]
    assert found[1]["image"] == LocalFile(tmp_path / "p.png")


def test_standard_input_takes_json_and_plain_lines_alike() -> None:
    """A line that begins with a brace is a document, any other is its text."""
    stream = io.BytesIO(b'{"id": "x", "text": "t"}\nplain words\n\n')

    assert list(documents_in(stream)) == [{"id": "x", "text": "t"}, {"text": "plain words"}]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.ndjson", b'{"text": "x"}\n{"text"\n', r"a\.ndjson:2: not valid JSON"),
        ("a.ndjson", b"[1]\n", r"a\.ndjson:1: a document is a JSON object"),
        ("a.txt", b"caf\xe9\n", r"a\.txt:1: not UTF-8"),
        ("a.json", b"{", r"a\.json: not valid JSON"),
        ("a.json", b"[3]", r"entry 1 is neither"),
        ("a.exe", b"", r"no known kind of file; known are .*\.txt"),
    ],
)
def test_a_fault_is_said_with_its_place(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    """Whoever has a broken file learns which, where, and what was expected."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(UsageFaultError, match=says):
        list(documents_of(path))


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A typing error in a path is no empty ingest."""
    with pytest.raises(UsageFaultError, match="there is no such file"):
        list(documents_of(tmp_path / "none.txt"))

"""Long media travel in pieces, in turns, through one process or several; nothing is left behind."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")

from compose.load import load_flow
from compose.planning import plan_of
from compose.wire import codec
from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.derived import ScratchGoneError
from tests.workers.media import film
from workers import carrying
from workers.component import Chunk, Cursor, Source, Streaming
from workers.preprocess import streaming
from workers.preprocess.films import VideoFrames
from workers.preprocess.shots import VideoShots
from workers.runtime import Runtime
from workers.testing import ready

FLOW = """
name: flow
services:
  - {name: Preprocessor, uses: WholeText}
  - {name: Indexer, uses: bm25}
"""
FILM = film([1, 2, 3, 4], length=10)
SOURCE = Source("video", opener=partial(io.BytesIO, FILM))


@pytest.fixture
def state(tmp_path: Path) -> Runtime:
    """Give the runtime of a worker with an empty store."""
    settings = {"blob_url": f"file://{tmp_path}/blobs"}
    plan = plan_of(load_flow(FLOW)).to_dict()
    return Runtime({"settings": settings, "plan": plan}, ("preprocess",))


def left(state: Runtime) -> int:
    """Return how many files lie in the scratch."""
    folder = Path(str(state.settings["blob_url"]).removeprefix("file://")) / "scratch"
    return len(list(folder.iterdir())) if folder.exists() else 0


def sent(item: DocumentItem) -> DocumentItem:
    """Return an item as another process gets it."""
    return DocumentItem.from_wire(codec.loads(codec.dumps(item.to_wire())))


def item_of_film() -> DocumentItem:
    """Return a film of which nothing is cut yet."""
    return DocumentItem("film", 1, "video", {"video": {"blob": "sha256:" + "0" * 64}})


def batch_of(arrays: Sequence[tuple[Any, ...]]) -> DocumentBatch:
    """Return a batch of pictures with these arrays each."""
    items = [DocumentItem(str(at), 1, "image", {}, chunk_arrays=of) for at, of in enumerate(arrays)]
    wire = tuple(item.to_wire() for item in items)
    return DocumentBatch("batch", "c", 1, "group", 0, 1, 1, wire)


def arrays_of(state: Runtime, item: DocumentItem) -> list[Any]:
    """Return the arrays of an item's chunks, from its pieces or from inside."""
    arrays = [array for piece in item.pieces for array in carrying.unload(state, piece)]
    arrays += item.chunk_arrays
    kept = np.ones(len(arrays), bool) if item.kept is None else item.kept
    return [array for array, is_kept in zip(arrays, kept, strict=True) if is_kept]


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(
    "component",
    [
        VideoFrames(frame_rate=5, duplicate_rm=False),
        VideoFrames(frame_rate=5, duplicate_rm=False, max_frames=7),
        VideoShots(threshold=0.1, max_shot_num=3),
    ],
    ids=["frames", "too many frames", "shots"],
)
def test_a_film_is_cut_turn_by_turn(
    state: Runtime, monkeypatch: pytest.MonkeyPatch, component: Any, elsewhere: bool
) -> None:
    """However often it is handed on, and to whom, its chunks are those of a film cut at once."""
    monkeypatch.setattr(streaming, "TURN_S", 0.0)
    monkeypatch.setattr(streaming, "_open", streaming._Open())
    whole = ready(component).apply(SOURCE)

    item, turns = item_of_film(), 0
    while not item.is_cut:
        item = sent(streaming.advance(state, component, item, SOURCE, np.float32))
        turns += 1
        if elsewhere:  # where no decoder is open
            monkeypatch.setattr(streaming, "_open", streaming._Open())

    assert turns > len(whole)
    assert item.positions is not None
    assert item.weights is not None
    assert item.spans is not None
    assert item.positions.tolist() == list(range(len(whole)))
    assert item.weights == pytest.approx([chunk.weight for chunk in whole])
    assert item.spans.tolist() == [pytest.approx(chunk.span) for chunk in whole]
    for array, chunk in zip(arrays_of(state, item), whole, strict=True):
        np.testing.assert_array_equal(array, chunk.array)


class Subtitles(Streaming):
    """What is said in a film, line by line, some of it by nobody; each line says who speaks."""

    LINES = (("", ""), ("Ann", "Good morning."), ("Bob", "Is it?"), ("Ann", "Good night."))

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield a line and a pause."""
        del source
        for at in range(cursor.setdefault("at", 0), len(self.LINES)):
            who, text = self.LINES[at]
            cursor["at"] = at + 1
            tags = {"lang": "en", "speaker": who} if who else {}
            yield Chunk(at, weight=0.25, span=(at, at + 1), text=text, tags=tags)
            yield None


def test_a_stream_of_texts_keeps_them_and_its_tags(
    state: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever turn they came in: each chunk has its text, and the document what was found."""
    monkeypatch.setattr(streaming, "TURN_S", 0.0)
    monkeypatch.setattr(streaming, "_open", streaming._Open())

    item, turns = replace(item_of_film(), accepted_at=7.0), 0
    while not item.is_cut:
        item = sent(streaming.advance(state, Subtitles(), item, SOURCE, np.float32))
        turns += 1

    assert turns > len(Subtitles.LINES)
    assert list(item.chunk_texts) == [text for _, text in Subtitles.LINES]
    assert item.tags == {"lang": "en", "speaker": ["Ann", "Bob"]}
    assert item.accepted_at == 7.0


def test_pieces_are_encoded_one_by_one_and_leave_nothing(state: Runtime) -> None:
    """Chunks in pieces, their rows in pieces, all rows in one place; then the scratch is empty."""
    chunks = [Chunk(position, array=np.full(600_000, position, np.uint8)) for position in range(20)]
    item = carrying.load(state, item_of_film(), chunks)
    sizes = [sum(array.nbytes for array in carrying.unload(state, piece)) for piece in item.pieces]

    pieces = []
    for piece in item.pieces:
        rows = np.array([[array[0], 1.0] for array in carrying.unload(state, piece)], np.float32)
        pieces.append(carrying.with_rows(state, piece, "looks", rows))
    encoded = DocumentItem(**{**_fields(item), "pieces": tuple(pieces)})
    done = carrying.emptied(state, encoded)

    assert len(sizes) > 1
    assert max(sizes) <= carrying.PIECE_BYTES
    assert not item.has_rows("looks")
    assert encoded.has_rows("looks")
    assert done.embeddings["looks"][:, 0].tolist() == list(range(20))
    assert done.pieces == ()
    assert left(state) == 0


def test_what_is_left_out_in_the_end_has_no_row(state: Runtime) -> None:
    """Chunks of weight 0 were encoded with the others, and are dropped with their rows."""
    piece = carrying.piece_of(state, [Chunk(array=np.zeros(1)) for _ in range(4)])
    piece = carrying.with_rows(state, piece, "", np.eye(4, dtype=np.float32))
    kept = np.array([True, False, True, False])
    item = DocumentItem(**{**_fields(item_of_film()), "pieces": (piece,), "kept": kept})

    done = carrying.emptied(state, item)

    np.testing.assert_array_equal(done.embeddings[""], np.eye(4)[[0, 2]])


def test_many_embeddings_wait_aside(state: Runtime) -> None:
    """Too many for a message, they are read by whoever writes them; a few travel inside."""
    few = {"": np.zeros((10, 8), np.float32)}
    many = {"": np.zeros((3000, 512), np.float32)}

    inside, aside = (
        carrying.lightened(
            state, DocumentItem(**{**_fields(item_of_film()), "embeddings": embeddings})
        )
        for embeddings in (few, many)
    )

    assert inside.aside is None
    assert aside.embeddings == {}
    assert len(codec.dumps(aside.to_wire())) < 10_000
    assert carrying.whole(state, aside).embeddings[""].shape == (3000, 512)
    carrying.drop(state, aside)
    with pytest.raises(ScratchGoneError):
        carrying.whole(state, aside)


def test_the_pictures_of_a_batch_wait_aside_in_one_file(state: Runtime) -> None:
    """Each document gets its own again, and the file is gone then; a few bytes travel inside."""
    pixels = [np.full((64, 64, 3), number, np.uint8) for number in range(8)]
    pictures = batch_of([(array, array) for array in pixels])
    icons = batch_of([(np.zeros((8, 8, 3), np.uint8),)])

    packed = DocumentBatch.from_wire(
        codec.loads(codec.dumps(carrying.packed(state, pictures).to_wire()))
    )
    files = left(state)
    again = carrying.unpacked(state, packed)
    carrying.drop_packed(state, packed)

    assert carrying.packed(state, icons) is icons
    assert files == 1
    assert len(codec.dumps(packed.to_wire())) < 10_000
    for item, array in zip(again.documents(), pixels, strict=True):
        np.testing.assert_array_equal(item.chunk_arrays, [array, array])
    assert left(state) == 0
    with pytest.raises(ScratchGoneError):
        carrying.unpacked(state, packed)


def test_a_large_cursor_waits_aside(state: Runtime) -> None:
    """What a stream must know to go on may be large; it is taken once."""
    cursor = {"held": np.zeros(carrying.INSIDE_BYTES, np.float32)}

    kept = carrying.keep_cursor(state, cursor)

    assert isinstance(kept, str)
    np.testing.assert_array_equal(carrying.take_cursor(state, kept)["held"], cursor["held"])
    assert left(state) == 0
    assert carrying.keep_cursor(state, {"at": 3}) == {"at": 3}


def _fields(item: DocumentItem) -> dict[str, Any]:
    wire = item.to_wire()
    del wire["v"]
    return wire

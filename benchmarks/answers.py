"""How well does a flow answer a newcomer? The demo's corpus, and questions with known answers.

Run: python -m benchmarks.answers

The docstrings that `make demo` indexes (Python's standard library first), through splitter, MiniLM
and an HNSW shard, in this process. A question is answered by any of the names beside it; they were
written down before anything was measured, and nothing was tuned on them. *hit@1* and *hit@3* are
the shares of questions with an answer among the first hits, *MRR* is the mean of 1 / rank of the
first answer among ten. p is of a paired randomisation test against the first row.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demo.corpus import corpus
from benchmarks.cranfield import component, part_of, significance, table_of
from benchmarks.store import BenchStore
from indexstore.model import Document, IndexConfig
from indexstore.query import ShardQuery
from workers.component import Chunk, Encoder, Preprocessor, Source
from workers.reduce.merge import rank

LIMIT = 10
#: Questions, and the names of what answers them.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "how do I join two paths": ("os.path.join", "pathlib.PurePath.joinpath", "ntpath.join"),
    "compress bytes": ("zlib.compress", "gzip.compress", "bz2.compress", "lzma.compress"),
    "run a shell command and get its output": (
        *("subprocess.getoutput", "subprocess.check_output"),
        *("subprocess.run", "subprocess.getstatusoutput"),
    ),
    "parse command line arguments": (
        *("argparse", "argparse.ArgumentParser", "getopt.getopt", "optparse.OptionParser"),
        *("argparse.ArgumentParser.parse_args", "getopt", "optparse"),
    ),
    "remove a folder and everything in it": ("shutil.rmtree", "distutils.dir_util.remove_tree"),
    "words that are spelled almost alike": ("difflib.get_close_matches",),
    "keep the results of a function so that it is not computed twice": (
        *("functools.lru_cache", "functools.cache", "functools.cached_property"),
    ),
    "wait until several threads have come to the same point": (
        *("threading.Barrier", "threading.Barrier.wait", "asyncio.Barrier"),
    ),
    "turn an object into JSON text": ("json.dumps", "json.encoder.JSONEncoder.encode", "json.dump"),
    "make a temporary file that is deleted by itself": (
        *("tempfile.NamedTemporaryFile", "tempfile.TemporaryFile", "tempfile.SpooledTemporaryFile"),
    ),
    "check whether two floating point numbers are nearly equal": ("math.isclose", "cmath.isclose"),
    "find the most common elements of a list": (
        *("collections.Counter.most_common", "statistics.mode", "statistics.multimode"),
    ),
    "copy a file with its permissions": ("shutil.copy", "shutil.copy2"),
    "send an e-mail over SMTP": ("smtplib", "smtplib.SMTP", "smtplib.SMTP.sendmail"),
    "read a CSV file row by row": ("csv.reader", "csv.DictReader", "csv"),
    "pick random elements without repetition": ("random.Random.sample", "random.sample"),
    "shuffle a list": ("random.Random.shuffle", "random.shuffle"),
    "how many seconds has the program been running": (
        *("time.perf_counter", "time.process_time", "time.monotonic"),
    ),
    "sleep for some seconds": ("time.sleep", "asyncio.tasks.sleep"),
    "the median of some numbers": ("statistics.median", "statistics.median_low"),
    "split a string into a list of words": ("str.split", "str.rsplit", "bytes.split"),
    "does a text begin with some characters": ("str.startswith", "bytes.startswith"),
    "sort a list": ("sorted", "list.sort"),
    "the largest of some values": ("max",),
    "insert into a sorted list": ("bisect.insort", "bisect.insort_right", "bisect.insort_left"),
    "list the files in a directory": ("os.listdir", "os.scandir", "pathlib.Path.iterdir"),
    "make a directory with all its parents": ("os.makedirs", "pathlib.Path.mkdir"),
    "escape HTML special characters": ("html.escape", "xml.sax.saxutils.escape"),
    "parse a URL into its parts": ("urllib.parse.urlparse", "urllib.parse.urlsplit"),
    "all combinations of elements": ("itertools.combinations", "itertools.product"),
    "wrap a long text into lines": ("textwrap.wrap", "textwrap.fill", "textwrap.TextWrapper.wrap"),
    "make a deep copy of an object": ("copy.deepcopy", "copy"),
    "hash a password": ("hashlib.scrypt", "hashlib.pbkdf2_hmac", "crypt.crypt"),
    "unpack a zip archive": (
        *("zipfile.ZipFile.extractall", "shutil.unpack_archive", "zipfile.ZipFile.extract"),
    ),
    "the greatest common divisor": ("math.gcd",),
    "the difference between two texts line by line": (
        *("difflib.unified_diff", "difflib.ndiff", "difflib.context_diff", "difflib.Differ"),
        "difflib.Differ.compare",
    ),
}
#: Splitter, its options, and how the chunks' scores become a document's.
WAYS: Sequence[tuple[str, Mapping[str, Any], str]] = (
    ("SentenceSplitter", {}, "sum"),
    ("SentenceSplitter", {"weights": "equal"}, "max"),
    ("SentenceSplitter", {"weights": "equal"}, "avg"),
    ("SentenceSplitter", {}, "max"),
    ("WholeText", {}, "sum"),
)


def main() -> None:
    """Index the corpus in each way, ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=5000)
    documents = corpus(parser.parse_args().documents)
    known = {document["id"] for document in documents}
    asked = {question: set(names) & known for question, names in ANSWERS.items()}
    asked = {question: names for question, names in asked.items() if names}
    encoder = Memory(component("MiniLM", Encoder))
    print(f"{len(documents)} docstrings, {len(asked)} questions that one of them answers\n")
    print("| splitter | score | hit@1 | hit@3 | MRR | p of MRR |\n|---|---|--:|--:|--:|--:|")
    first: NDArray[np.float64] | None = None
    for uses, options, score in WAYS:
        cutter = component(uses, Preprocessor, options)
        ranks = ranks_of(documents, asked, cutter, encoder, score)
        worth = np.where(ranks > 0, 1 / np.maximum(ranks, 1), 0.0)
        first = worth if first is None else first
        shares = [float(((ranks > 0) & (ranks <= depth)).mean()) for depth in (1, 3)]
        p = "" if worth is first else f"{significance(worth, first):.3f}"
        named = f"{uses}{' ' + str(dict(options)) if options else ''}"
        cells = f"{shares[0]:.2f} | {shares[1]:.2f} | {worth.mean():.3f} | {p}"
        print(f"| {named} | {score} | {cells} |", flush=True)


class Memory:
    """An encoder that encodes each text once: most ways to cut give the same sentences."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: dict[str | None, NDArray[Any]] = {}

    def encode(self, chunks: Sequence[Chunk]) -> NDArray[Any]:
        """Return one row a chunk."""
        fresh = list(
            {chunk.text: chunk for chunk in chunks if chunk.text not in self._rows}.values()
        )
        if fresh:
            texts = [chunk.text for chunk in fresh]
            self._rows |= dict(zip(texts, self._encoder.encode(fresh), strict=True))
        return np.stack([self._rows[chunk.text] for chunk in chunks])


def ranks_of(
    documents: Sequence[Mapping[str, Any]],
    asked: Mapping[str, set[str]],
    cutter: Preprocessor,
    encoder: Memory,
    score: str,
) -> NDArray[np.int64]:
    """Return the rank of the first answer to each question, 0 where it is not among ten."""
    config = IndexConfig("near", "vector", "hnsw", {"score": score}, "cosine")
    with tempfile.TemporaryDirectory() as folder:
        store = BenchStore(Path(folder))
        cut = [cutter.apply(Source("text", text=document["text"])) for document in documents]
        rows = encoder.encode([chunk for chunks in cut for chunk in chunks])
        split = np.split(rows, np.cumsum([len(chunks) for chunks in cut])[:-1])
        store.put(
            [Document(one["id"], "text", {"text": one["text"]}) for one in documents],
            [table_of(chunks, mine) for chunks, mine in zip(cut, split, strict=True)],
        )
        store.build(config)
        shard = store.open(config)
        queries = [chunk for text in asked for chunk in cutter.apply(Source("text", text=text))]
        found = shard.search(ShardQuery.of(encoder.encode(queries), limit=LIMIT))
        shard.close()
    rankings = rank([part_of(found)], len(asked))
    return np.array(
        [
            next((place for place, one in enumerate(ranking, 1) if one.doc_id in names), 0)
            for ranking, names in zip(rankings, asked.values(), strict=True)
        ]
    )


if __name__ == "__main__":
    main()

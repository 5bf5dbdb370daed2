"""How should the scores of a document's chunks become its own? Each way, on two corpora.

Run: python -m benchmarks.chunk_scores --data FOLDER

Through splitter, MiniLM and an HNSW shard, in this process. *Cranfield*: 1400 abstracts, 225 judged
questions, nDCG@10. *Docstrings*: what `make demo` indexes, and questions of newcomers; any of the
names beside a question answers it, and the measure is the mean of 1 / rank of the first answer
among ten (MRR). Questions and names were written down before anything was measured, and nothing was
tuned on either. p is of a paired randomisation test against the first row.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.demo.corpus import corpus
from app.evaluation import ndcg_at, significance
from benchmarks.cranfield import LAYOUT, component, part_of, read, table_of, topics_of
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


@dataclass(frozen=True, slots=True)
class Task:
    """A corpus, questions, and what a ranking is worth for each."""

    name: str
    documents: Mapping[str, str]  # text by id
    questions: Sequence[str]
    worth: Callable[[int, Sequence[str]], float]  # of a question's first ten ids


def main() -> None:
    """Measure every way on both corpora and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help=LAYOUT)
    parser.add_argument("--documents", type=int, default=5000, help="docstrings")
    chosen = parser.parse_args()
    for task in (cranfield(chosen.data), docstrings(chosen.documents)):
        encoder = Memory(component("MiniLM", Encoder))
        print(f"\n{task.name}: {len(task.documents)} documents, {len(task.questions)} questions\n")
        print("| splitter | score | mean | full marks | p |\n|---|---|--:|--:|--:|")
        default: NDArray[np.float64] | None = None
        for uses, options, score in WAYS:
            mine = measured(task, component(uses, Preprocessor, options), encoder, score)
            default = mine if default is None else default
            p = "" if mine is default else f"{significance(mine, default):.4f}"
            named = ", ".join((uses, *(f"{key}: {value}" for key, value in options.items())))
            cells = f"{mine.mean():.4f} | {(mine == 1).mean():.2f} | {p}"
            print(f"| {named} | {score} | {cells} |", flush=True)


def cranfield(data: Path) -> Task:
    """Return the judged abstracts."""
    topics = topics_of(data)
    texts = {
        one["_id"]: f"{one['title']}\n{one['text']}".strip() for one in read(data / "corpus.jsonl")
    }
    return Task(
        "Cranfield, nDCG@10",
        {doc_id: text for doc_id, text in texts.items() if text},
        topics.texts,
        lambda question, ids: ndcg_at(LIMIT, ids, topics.judged[topics.ids[question]]),
    )


def docstrings(limit: int) -> Task:
    """Return the demo's corpus, and the questions that some document of it answers."""
    texts = {one["id"]: one["text"] for one in corpus(limit)}
    asked = {question: names for question, names in ANSWERS.items() if texts.keys() & set(names)}
    answers = list(asked.values())

    def worth(question: int, ids: Sequence[str]) -> float:
        found = (1 / place for place, doc_id in enumerate(ids, 1) if doc_id in answers[question])
        return next(found, 0.0)

    return Task("Docstrings, MRR", texts, list(asked), worth)


class Memory:
    """An encoder that encodes each text once: most ways to cut give the same sentences."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows: dict[str | None, NDArray[Any]] = {}

    def encode(self, chunks: Sequence[Chunk]) -> NDArray[Any]:
        """Return one row a chunk."""
        fresh = list({one.text: one for one in chunks if one.text not in self._rows}.values())
        if fresh:
            texts = [chunk.text for chunk in fresh]
            self._rows |= dict(zip(texts, self._encoder.encode(fresh), strict=True))
        return np.stack([self._rows[chunk.text] for chunk in chunks])


def measured(task: Task, cutter: Preprocessor, encoder: Memory, score: str) -> NDArray[np.float64]:
    """Return what the answers to each question are worth."""
    config = IndexConfig("near", "vector", "hnsw", {"score": score}, "cosine")
    with tempfile.TemporaryDirectory() as folder:
        store = BenchStore(Path(folder))
        cut = [cutter.apply(Source("text", text=text)) for text in task.documents.values()]
        rows = encoder.encode([chunk for chunks in cut for chunk in chunks])
        split = np.split(rows, np.cumsum([len(chunks) for chunks in cut])[:-1])
        store.put(
            [Document(doc_id, "text", {"text": text}) for doc_id, text in task.documents.items()],
            [table_of(chunks, mine) for chunks, mine in zip(cut, split, strict=True)],
        )
        store.build(config)
        shard = store.open(config)
        found = shard.search(asked(task, cutter, encoder))
        shard.close()
    rankings = rank([part_of(found)], len(task.questions))
    return np.array(
        [
            task.worth(question, [one.doc_id for one in ranking[:LIMIT]])
            for question, ranking in enumerate(rankings)
        ]
    )


def asked(task: Task, cutter: Preprocessor, encoder: Memory) -> ShardQuery:
    """Return the questions, cut and encoded as documents are."""
    cut = [cutter.apply(Source("text", text=text)) for text in task.questions]
    owners = np.repeat(np.arange(len(cut)), [len(chunks) for chunks in cut])
    flat = [chunk for chunks in cut for chunk in chunks]
    weights = np.array([chunk.weight for chunk in flat], np.float32)
    return ShardQuery(encoder.encode(flat), owners.astype(np.int32), weights, len(cut), limit=LIMIT)


if __name__ == "__main__":
    main()

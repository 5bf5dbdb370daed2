"""A BERT-family model folder on ONNX Runtime: texts in, pooled vectors out."""

from collections.abc import Sequence

import numpy as np

from workers.component import Floats, Tally
from workers.models.batches import length_sorted, padded
from workers.models.bert_graph import Shape, build_graph
from workers.models.model_folder import ModelFolder, Pooling
from workers.models.onnx_session import open_session
from workers.models.pooling import pool
from workers.models.tokens import Tokenizer
from workers.models.weights import read_weights


class OnnxTextModel:
    """One session and its tokenizer, shared by the threads of a process."""

    def __init__(self, folder: ModelFolder, *, max_tokens: int, tally: Tally) -> None:
        shape = Shape.of(folder.config)
        self.hidden = shape.hidden
        self._pad = shape.pad
        self._graph = build_graph(folder.config, read_weights(folder.path))
        self._session = open_session(self._graph.model, weights=self._graph.weights)
        self._tokenizer = Tokenizer(folder.tokenizer_file, max_tokens=max_tokens, tally=tally)

    def embed(self, texts: Sequence[str], *, pooling: Pooling, budget: int) -> Floats:
        """Return one pooled vector a text, in the order given.

        Args:
            texts: any number.
            pooling: how tokens become one vector.
            budget: padded tokens a batch; bounds the memory.
        """
        ids = self._tokenizer.ids(texts)
        width = self.hidden * (2 if pooling == "mean-max" else 1)
        rows = np.zeros((len(texts), width), np.float32)
        for batch in length_sorted([len(sequence) for sequence in ids], budget=budget):
            rows[batch] = self._pooled([ids[row] for row in batch], pooling)
        return rows

    def _pooled(self, ids: Sequence[Sequence[int]], pooling: Pooling) -> Floats:
        tokens, mask = padded(ids, pad=self._pad)
        output = "mean" if pooling == "mean" else "hidden"
        values = self._session.run([output], {"input_ids": tokens, "attention_mask": mask})[0]
        pooled = values if pooling == "mean" else pool(values, mask, how=pooling)
        return np.asarray(pooled, np.float32)

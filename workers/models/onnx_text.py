"""A BERT-family model folder on ONNX Runtime, without torch."""

import numpy as np

from workers.component import Floats, Tally
from workers.models.batches import Ints
from workers.models.bert_graph import Shape, build_graph
from workers.models.model_folder import ModelFolder
from workers.models.onnx_session import open_session
from workers.models.text_model import Hidden, TextModel
from workers.models.weights import read_weights


class OnnxTextModel(TextModel):
    """The graph of a folder's model in one session, which threads may share."""

    def __init__(self, folder: ModelFolder, *, max_tokens: int, tally: Tally) -> None:
        super().__init__(folder, max_tokens=max_tokens, tally=tally)
        shape = Shape.of(folder.config)
        self.hidden, self.pad = shape.hidden, shape.pad
        self._graph = build_graph(folder.config, read_weights(folder.path))
        self._session = open_session(self._graph.model, weights=self._graph.weights)

    def hidden_states(self, tokens: Ints, mask: Ints) -> Hidden:
        """Return the last layer."""
        return self._run("hidden", tokens, mask)

    def means(self, tokens: Ints, mask: Ints) -> Floats:
        """Return the mean over the tokens, computed within the graph."""
        return self._run("mean", tokens, mask)

    def _run(self, output: str, tokens: Ints, mask: Ints) -> Floats:
        values = self._session.run([output], {"input_ids": tokens, "attention_mask": mask})[0]
        return np.asarray(values, np.float32)

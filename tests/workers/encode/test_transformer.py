"""Transformer folders: ONNX gives what torch gives, for every family and pooling."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from workers.component import Chunk, Encoder
from workers.encode.transformer import MiniLM, TransformerEncoder
from workers.errors import OptionError
from workers.registry import create
from workers.testing import EncoderContract, ready

torch = pytest.importorskip("torch", reason="torch is optional; pip install torch transformers")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.optional

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "red", "rose", "blooms", "in", "the", "green", "garden"]
WORDS += ["of", "a", "car"]
TEXTS = ["red rose blooms", "a car", "the green garden of a red car in the garden", "unknown"]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MORE = {"intermediate_size": 48, "vocab_size": len(WORDS), "max_position_embeddings": 40}

FAMILIES: dict[str, Any] = {
    "bert": lambda: transformers.BertConfig(**SIZES, **MORE, pad_token_id=0),
    "bert-relu": lambda: transformers.BertConfig(
        **SIZES, **MORE, pad_token_id=0, hidden_act="relu"
    ),
    "roberta": lambda: transformers.RobertaConfig(**SIZES, **MORE, pad_token_id=0),
    "electra": lambda: transformers.ElectraConfig(**SIZES, **MORE, embedding_size=32),
    "gpt2": lambda: transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=40, vocab_size=len(WORDS)
    ),
    "distilbert": lambda: transformers.DistilBertConfig(
        dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=len(WORDS)
    ),
}
ON_ONNX = ("bert", "bert-relu", "roberta", "electra")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a tiny random model of every family."""
    root = tmp_path_factory.mktemp("models")
    return {name: save(root / name, name) for name in FAMILIES}


def save(folder: Path, family: str) -> Path:
    """Write a tiny model and a tokenizer of whole words."""
    torch.manual_seed(11)
    model = transformers.AutoModel.from_config(FAMILIES[family]())
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    model.save_pretrained(folder)
    places = {word: place for place, word in enumerate(WORDS)}
    tokenizer = tokenizers.Tokenizer(WordLevel(places, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def chunks(*texts: str) -> list[Chunk]:
    """Return a chunk a text."""
    return [Chunk(place, text=text) for place, text in enumerate(texts)]


def opened(folder: Path, **options: Any) -> Encoder:
    """Return a loaded encoder of a folder."""
    return ready(create("Transformer", {"model_dir": str(folder), **options}, kind=Encoder))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
class TestTransformerEncoder(EncoderContract):
    """Both engines keep the contract of encoders."""

    @pytest.fixture
    def encoder(self, folders: dict[str, Path], family: str) -> Encoder:
        """A tiny model."""
        return opened(folders[family], max_tokens=30)


@pytest.mark.parametrize("family", ON_ONNX)
@pytest.mark.parametrize("pooling", ["mean", "max", "mean-max", "cls"])
def test_onnx_gives_what_torch_gives(folders: dict[str, Path], family: str, pooling: str) -> None:
    """The graph that we build is the model, to the precision of float32."""
    options = {"pooling": pooling, "normalize": False}

    ours = opened(folders[family], engine="onnx", **options)
    theirs = opened(folders[family], engine="torch", **options)

    assert ours.dim == theirs.dim == (64 if pooling == "mean-max" else 32)
    np.testing.assert_allclose(
        ours.encode(chunks(*TEXTS)), theirs.encode(chunks(*TEXTS)), atol=2e-5
    )


def test_the_real_minilm_on_onnx_is_the_one_of_torch() -> None:
    """The default encoder gives what transformers makes of the same files."""
    ours = ready(MiniLM())
    theirs = opened(ours.folder(), engine="torch")
    texts = chunks("How do I reset my password?", "stocks fell sharply", "a guitar " * 90)

    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "distilbert"])
def test_other_families_run_on_torch(folders: dict[str, Path], family: str) -> None:
    """What ONNX is not built for is taken by torch, and the graph refuses it by name."""
    rows = opened(folders[family]).encode(chunks(*TEXTS))

    assert rows.shape == (4, 32)
    with pytest.raises(OptionError, match=f"model_type '{family}' is none of bert"):
        opened(folders[family], engine="onnx")


def test_a_sentence_transformers_folder_says_how_to_pool(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Pooling, length and dense layer are read from its files."""
    folder = tmp_path / "st"
    shutil.copytree(folders["bert"], folder)
    weight = np.random.default_rng(3).normal(size=(5, 32)).astype(np.float32)
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        {"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    dense = {"activation_function": "torch.nn.modules.activation.Tanh"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(dense))
    from safetensors.numpy import save_file  # noqa: PLC0415  (only this test needs it)

    save_file({"linear.weight": weight}, folder / "2_Dense" / "model.safetensors")

    encoder = opened(folder)
    rows = encoder.encode(chunks(*TEXTS))

    plain = opened(folders["bert"], pooling="cls", max_tokens=6, normalize=False)
    expected = np.tanh(plain.encode(chunks(*TEXTS)) @ weight.T)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert encoder.dim == 5
    assert encoder.tally.counts() == {"texts_cut": 1}


def test_an_unknown_module_or_pooling_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """A folder that would be read wrongly is not read at all."""
    folder = tmp_path / "st"
    shutil.copytree(folders["bert"], folder)
    modules = [{"path": "", "type": "a.Transformer"}, {"path": "x", "type": "a.CNN"}]
    (folder / "modules.json").write_text(json.dumps(modules))

    with pytest.raises(OptionError, match="modules of type CNN are not supported"):
        opened(folder)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_incomplete_folder_says_what_is_missing(
    folders: dict[str, Path], tmp_path: Path, missing: str
) -> None:
    """The error names the file."""
    folder = tmp_path / "half"
    shutil.copytree(folders["bert"], folder)
    (folder / missing).unlink()

    with pytest.raises(OptionError, match=missing.replace("model.", r"\*\.")):
        opened(folder)


def test_a_missing_library_names_the_cure(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without torch, a GPT-2 folder says which pip install helps."""
    import sys  # noqa: PLC0415  (only this test plays with modules)

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "workers.models.torch_text", raising=False)

    with pytest.raises(Exception, match="pip install torch transformers"):
        opened(folders["gpt2"])


def test_tokens_can_be_pooled_by_a_component_behind(folders: dict[str, Path]) -> None:
    """A chain of transformer and PoolingEncoder, as in GNES, is a transformer that pools."""
    inner = opened(folders["bert"], pooling="none")
    pooling = create("PoolingEncoder", {"pooling_strategy": "REDUCE_MAX"}, kind=Encoder)
    chain = ready(create("PipelineEncoder", {"components": [inner, pooling]}, kind=Encoder))

    direct = opened(folders["bert"], pooling="max", normalize=False)

    np.testing.assert_allclose(
        chain.encode(chunks(*TEXTS)), direct.encode(chunks(*TEXTS)), atol=1e-6
    )


def test_the_fingerprint_follows_the_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    """The same files elsewhere are the same encoder; other weights are another."""
    folder = tmp_path / "copy"
    shutil.copytree(folders["bert"], folder)
    print_of = {
        name: TransformerEncoder(model_dir=str(path)).fingerprint()
        for name, path in {**folders, "copy": folder}.items()
    }

    assert print_of["copy"] == print_of["bert"]
    assert print_of["bert-relu"] != print_of["bert"]

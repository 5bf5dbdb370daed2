"""CLIP in all its forms, on small models that the tests make and the real code loads."""

import functools
import hashlib
import json
import threading
import warnings
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from tests.workers.pictures import drawn
from workers.component import Chunk, Encoder
from workers.encode.clip import CLIP
from workers.errors import OptionError
from workers.models.clip_tokens import part
from workers.models.clip_towers import MEAN, SPREAD, Published, published
from workers.testing import EncoderContract, ready

torch = pytest.importorskip("torch", reason="torch is optional; pip install torch==2.13.0")
transformers = pytest.importorskip("transformers", reason="pip install transformers==5.23.0")
pytest.importorskip("PIL")
pytest.importorskip("ftfy", reason="pip install ftfy==6.3.1")
pytest.importorskip("onnx")
pytestmark = pytest.mark.optional

FORMS = ("checkpoint", "archive", "folder", "siglip", "onnx")
DIM = 16
END = "<|endoftext|>"


def network() -> Any:
    """Return a CLIP of clip-anytorch, of one layer each, with the real vocabulary."""
    torch.manual_seed(0)
    return part("model").CLIP(DIM, 32, 1, 64, 16, 77, 49408, 64, 1, 1).eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state dict on disk."""
    try:
        model = network()
    except ModuleNotFoundError:
        pytest.skip("clip-anytorch is not installed: pip install --no-deps clip-anytorch==2.6.0")
    path = tmp_path_factory.mktemp("clip") / "tiny.pt"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def models(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a model of every form that CLIP takes."""
    root = tmp_path_factory.mktemp("models")
    return {
        "checkpoint": checkpoint,
        "archive": archived(root / "archive.pt"),
        "folder": saved(root / "folder", "clip"),
        "siglip": saved(root / "siglip", "siglip"),
        "onnx": exported(root / "onnx"),
    }


def archived(path: Path) -> Path:
    """Write what OpenAI published: a program of TorchScript, whose weights count."""

    class Shell(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]  # torch is optional
        def __init__(self) -> None:
            super().__init__()
            for name, child in network().named_children():
                self.add_module(name, child)
            for name, value in network().named_parameters(recurse=False):
                self.register_parameter(name, value)

        def forward(self, x: Any) -> Any:
            return x

    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.trace(Shell(), torch.zeros(1)).save(str(path))
    return path


def saved(folder: Path, kind: str) -> Path:
    """Write a folder of transformers: CLIP, which crops, or SigLIP, which squeezes."""
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 48,
    }  # fmt: skip
    text = {**sizes, "vocab_size": 300, "max_position_embeddings": 20}
    vision = {**sizes, "image_size": 32, "patch_size": 16}
    if kind == "clip":
        text |= {"eos_token_id": 257, "bos_token_id": 256, "pad_token_id": 257}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIM)
    else:
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer = tokenizer_of_bytes()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END
    ).save_pretrained(folder)
    told = {"do_center_crop": kind == "clip", "size": {"shortest_edge": 32}}
    told |= {"image_mean": list(MEAN), "image_std": list(SPREAD)}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def tokenizer_of_bytes() -> Any:
    """Return a tokenizer with a token a byte, a start and an end."""
    pieces = {
        byte: at for at, byte in enumerate(sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    }
    pieces |= {"<|startoftext|>": 256, "<|endoftext|>": 257}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(pieces, []))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", 256), ("<|endoftext|>", 257)],
    )
    return made


def exported(folder: Path) -> Path:
    """Write the towers of the checkpoint's network as two ONNX models, as clip-as-service does."""
    folder.mkdir()
    pixels, tokens = torch.zeros(2, 3, 32, 32), torch.zeros(2, 77, dtype=torch.int32)
    tokens[:, 1] = 49407

    class Text(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]  # torch is optional
        def __init__(self) -> None:
            super().__init__()
            self.clip = network().float()

        def forward(self, tokens: Any) -> Any:
            return self.clip.encode_text(tokens)

    towers = (("visual", network().float().visual, pixels), ("textual", Text(), tokens))
    for name, tower, given in towers:
        with warnings.catch_warnings():  # of the exporter, and of what clip-anytorch asserts
            warnings.simplefilter("ignore")
            torch.onnx.export(
                tower, (given,), str(folder / f"{name}.onnx"), dynamo=False, opset_version=17,
                input_names=["input"], output_names=["output"],
                dynamic_axes={"input": {0: "n"}, "output": {0: "n"}},
            )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def loaded(models: dict[str, Path]) -> dict[str, Encoder]:
    """Return the encoder of each form."""
    return {form: ready(CLIP(model=str(path))) for form, path in models.items()}


@pytest.mark.parametrize("form", FORMS)
class TestCLIPTexts(EncoderContract):
    """The text tower: any text, of any length."""

    tolerance = 1e-4

    @pytest.fixture
    def encoder(self, form: str, loaded: dict[str, Encoder]) -> Encoder:
        """Return it."""
        return loaded[form]

    def test_long_texts_are_cut_and_counted(self, encoder: Encoder) -> None:
        """What goes beyond the tower's length is told."""
        before = encoder.tally.counts().get("texts_cut", 0)

        encoder.encode([Chunk(text="word " * 200), Chunk(text="short")])

        assert encoder.tally.counts()["texts_cut"] == before + 1


@pytest.mark.parametrize("form", FORMS)
class TestCLIPImages(EncoderContract):
    """The image tower."""

    tolerance = 1e-4

    @pytest.fixture
    def encoder(self, form: str, loaded: dict[str, Encoder]) -> Encoder:
        """Return it."""
        return loaded[form]

    @pytest.fixture
    def samples(self) -> list[Chunk]:
        """Return pictures of several shapes."""
        return [Chunk(array=drawn(w, h, seed=w)) for w, h in ((32, 32), (50, 20), (7, 9))]

    def test_texts_and_images_may_stand_in_one_batch(self, encoder: Encoder) -> None:
        """Each chunk goes to its tower and keeps its place."""
        chunks = [Chunk(text="a cat"), Chunk(array=drawn()), Chunk(text="a dog")]

        together = encoder.encode(chunks)

        for row, chunk in zip(together, chunks, strict=True):
            np.testing.assert_allclose(row, encoder.encode([chunk])[0], atol=1e-4)


@pytest.mark.parametrize("form", ["checkpoint", "archive", "onnx"])
def test_rows_are_those_of_the_packages_model(form: str, loaded: dict[str, Encoder]) -> None:
    """A picture and a text give what clip-anytorch's own model gives, up to its half floats."""
    picture = drawn(32, 32)
    scaled = (picture / 255 - np.array(MEAN)) / np.array(SPREAD)
    pixels = torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))
    pieces = part("simple_tokenizer").SimpleTokenizer()
    ids = [49406, *pieces.encode("a red rose"), 49407]
    tokens = torch.tensor([ids + [0] * (77 - len(ids))])

    shown, said = loaded[form].encode([Chunk(array=picture), Chunk(text="a red rose")])

    with torch.no_grad():
        model = network().float()
        images, texts = model.encode_image(pixels)[0], model.encode_text(tokens)[0]
    np.testing.assert_allclose(shown, (images / images.norm()).numpy(), atol=5e-4)
    np.testing.assert_allclose(said, (texts / texts.norm()).numpy(), atol=5e-4)


def test_a_folders_rows_are_those_of_transformers(
    models: dict[str, Path], loaded: dict[str, Encoder]
) -> None:
    """A folder of transformers gives what its own model and tokenizer give."""
    model = transformers.CLIPModel.from_pretrained(models["folder"]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models["folder"])
    picture = drawn(32, 32)
    scaled = (picture / 255 - np.array(MEAN)) / np.array(SPREAD)
    pixels = torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))

    shown, said = loaded["folder"].encode([Chunk(array=picture), Chunk(text="a red rose")])

    with torch.no_grad():
        output = model(**tokenizer(["a red rose"], return_tensors="pt"), pixel_values=pixels)
    np.testing.assert_allclose(shown, output.image_embeds[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(said, output.text_embeds[0].numpy(), atol=1e-4)


def test_clip_crops_where_siglip_squeezes(loaded: dict[str, Encoder]) -> None:
    """What lies beside the middle square is lost to the one and seen by the other."""
    wide = drawn(96, 32, seed=1)
    other = wide.copy()
    other[:, :30] = 0

    for form, is_same in (("folder", True), ("siglip", False)):
        one, two = loaded[form].encode([Chunk(array=wide), Chunk(array=other)])
        assert np.allclose(one, two, atol=1e-5) is is_same


def test_half_precision_is_near(checkpoint: Path) -> None:
    """In bfloat16 a text's row turns by less than a hundredth."""
    chunk = [Chunk(text="a cat"), Chunk(array=drawn())]
    full = ready(CLIP(model=str(checkpoint), device="cpu"))
    half = ready(CLIP(model=str(checkpoint), device="cpu", precision="bfloat16"))

    assert (full.encode(chunk) * half.encode(chunk)).sum(axis=1) == pytest.approx(1, abs=1e-2)
    assert full.fingerprint() == half.fingerprint()


def test_what_is_no_model_is_an_error_of_the_option(tmp_path: Path) -> None:
    """A missing file, words, weights of something else, folders without towers are told apart."""
    words, other, empty, bert = (tmp_path / name for name in ("words.pt", "other.pt", "e", "bert"))
    words.write_text("no weights")
    torch.save({"weight": torch.zeros(2)}, other)
    empty.mkdir()
    transformers.BertModel(
        transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    ).save_pretrained(bert)

    faults = (
        (tmp_path / "none.pt", "no file"),
        (words, "can be read"),
        (other, "no text_projection"),
        (empty, "holds no .onnx file with visual"),
        (bert, "has no two towers"),
    )
    for path, reason in faults:
        with pytest.raises(OptionError, match=reason):
            CLIP(model=str(path)).setup()


@pytest.fixture
def site(checkpoint: Path) -> Iterator[str]:
    """Serve the checkpoint's folder over HTTP."""
    handler = functools.partial(Quiet, directory=str(checkpoint.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """A server of files under /<hash>/<name>, as OpenAI's is."""

    def translate_path(self, path: str) -> str:
        """Leave the hash out."""
        return super().translate_path("/" + path.rsplit("/", 1)[-1])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_published_checkpoint_is_fetched_once(
    site: str, checkpoint: Path, tmp_path: Path
) -> None:
    """What came is checked by its hash, kept, and loads; the second time nobody is asked."""
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    first = Published(f"{site}/{digest}/tiny.pt").file(tmp_path / "cache")
    again = Published(f"http://127.0.0.1:9/{digest}/tiny.pt").file(tmp_path / "cache")

    assert first == again
    assert first.read_bytes() == checkpoint.read_bytes()
    assert ready(CLIP(model=str(first))).dim == DIM


def test_what_has_another_hash_is_refused(site: str, tmp_path: Path) -> None:
    """A changed or broken download is not kept."""
    with pytest.raises(ValueError, match="another hash"):
        Published(f"{site}/{'0' * 64}/tiny.pt").file(tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_name_is_downloaded_or_told_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no network the error says what to fetch and where to put it."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    known, unknown = published("ViT-B/32"), published("ViT-Z/99")

    assert known is not None
    assert unknown is None
    assert len(known.sha256) == 64
    with pytest.raises(OptionError, match=r"fetch https://.*ViT-B-32\.pt, put it into"):
        CLIP(model="ViT-B/32", download_root=str(tmp_path)).setup()
    with pytest.raises(OptionError, match="no published model of that name"):
        CLIP(model="ViT-Z/99", download_root=str(tmp_path)).setup()

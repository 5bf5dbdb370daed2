"""Any torch model of images: programs, folders, weights, plug-ins; and its layers by name."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.encode.picture_contract import PictureContract
from tests.workers.pictures import drawn
from workers.component import Chunk, Encoder
from workers.encode.torch_images import TorchImageEncoder
from workers.errors import MissingLibraryError, OptionError
from workers.registry import create
from workers.testing import ready

torch = pytest.importorskip("torch", reason="torch is optional; pip install torch==2.13.0")
transformers = pytest.importorskip("transformers", reason="pip install transformers==5.23.0")
pytest.importorskip("PIL")
pytestmark = pytest.mark.optional


def network() -> Any:
    """Return a network with the shape of torchvision's: features, then a classifier."""
    torch.manual_seed(3)
    parts = {
        "features": torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU()),
        "pool": torch.nn.AdaptiveAvgPool2d(1),
        "flat": torch.nn.Flatten(),
        "classifier": torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Linear(9, 4)),
    }
    model = torch.nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    return model.eval()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder with the network as a program of TorchScript."""
    folder = tmp_path_factory.mktemp("script")
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.script(network()).save(str(folder / "model.pt"))
    return str(folder)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder of transformers with a tiny vision transformer."""
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(5)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        image_size=32, patch_size=16,
    )  # fmt: skip
    transformers.ViTModel(config).save_pretrained(folder)
    told = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return str(folder)


class TestAProgram(PictureContract):
    """A folder with one program of TorchScript."""

    @pytest.fixture
    def encoder(self, script: str) -> Encoder:
        """Return its encoder."""
        return ready(TorchImageEncoder(model_dir=script, size=32))


class TestAFolderOfTransformers(PictureContract):
    """A folder with a vision transformer."""

    @pytest.fixture
    def encoder(self, pretrained: str) -> Encoder:
        """Return its encoder."""
        return ready(TorchImageEncoder(model_dir=pretrained))

    def test_its_rows_are_the_models(self, encoder: Encoder, pretrained: str) -> None:
        """Pixels are scaled as the folder says, and the model's own pooled output is taken."""
        picture = drawn(32, 32, seed=4)
        pixels = torch.from_numpy((picture / 255 - 0.5) / 0.25).float().permute(2, 0, 1)[None]

        (row,) = encoder.encode([Chunk(array=picture)])

        with torch.no_grad():
            model = transformers.ViTModel.from_pretrained(pretrained).eval()
            expected = model(pixels).pooler_output[0].numpy()
        near = 5e-3 if torch.cuda.is_available() else 1e-5  # a GPU multiplies in half precision
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=near)

    def test_what_was_not_trained_is_not_used(self, pretrained: str, tmp_path: Path) -> None:
        """Weights without a pooler: tokens are averaged, instead of a pooler drawn by lot."""
        model = transformers.ViTModel.from_pretrained(pretrained, add_pooling_layer=False)
        model.save_pretrained(tmp_path)

        first, second = (ready(TorchImageEncoder(model_dir=str(tmp_path))) for _ in range(2))
        chunk = [Chunk(array=drawn(32, 32))]

        np.testing.assert_array_equal(first.encode(chunk), second.encode(chunk))


def test_an_exported_program_gives_what_the_network_gives(tmp_path: Path) -> None:
    """torch.export's archive, with a batch of any size."""
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        network(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    encoder = ready(TorchImageEncoder(model_dir=str(tmp_path), size=32))
    pictures = [drawn(32, 32, seed=seed) for seed in range(3)]

    rows = encoder.rows(pictures)

    assert encoder.mean is not None
    assert encoder.spread is not None
    pixels = torch.from_numpy(encoder.scaled(pictures, (32, 32), encoder.mean, encoder.spread))
    with torch.no_grad():
        np.testing.assert_allclose(rows, network()(pixels).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "dim"),
    [
        (["features"], 6),
        (["features", "x.mean([2, 3])"], 6),
        (["features", "pool", "x.view(x.size(0), -1)", "classifier[0]"], 9),
        (["features", "F.adaptive_avg_pool2d(x, (1, 1))", "torch.flatten(x, 1)", "classifier"], 4),
        (["F.relu(m.features(x))", "x.reshape(x.shape[0], x.shape[1], -1)", "x.amax(2)"], 6),
    ],
)
def test_layers_are_walked_as_gnes_did(script: str, layers: list[str], dim: int) -> None:
    """Paths of modules and expressions on x, one after another, averaged to a row a picture."""
    options = {"model_dir": script, "layers": layers, "size": 32}
    encoder = ready(create("TorchvisionEncoder", options, kind=Encoder))

    rows = encoder.encode([Chunk(array=drawn(50, 20))])

    assert rows.shape == (1, dim)
    assert encoder.dim == dim
    if layers == ["features", "x.mean([2, 3])"]:
        plain = ready(TorchImageEncoder(model_dir=script, layers=["features"], size=32))
        np.testing.assert_allclose(rows, plain.encode([Chunk(array=drawn(50, 20))]), atol=1e-6)


PLUGIN = '''
"""A plug-in that brings a network of its own."""
import torch
from workers.encode.torch_images import TorchImageEncoder
from workers.models.torch_images import Network

class Mine(TorchImageEncoder):
    """A network of one's own."""

    def __init__(self, *, width: int = 5) -> None:
        super().__init__(model_dir="", size=16)
        self.width = width

    def network(self) -> Network:
        """Return it."""
        return Network(torch.nn.Conv2d(3, self.width, 3).eval(), mean=(0, 0, 0), spread=(1, 1, 1))
'''


def test_a_plug_in_brings_any_network(tmp_path: Path) -> None:
    """Overriding ``network`` is all it takes."""
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)

    encoder = ready(create("Mine", {"width": 7}, kind=Encoder, py_path=[str(file)]))

    assert encoder.encode([Chunk(array=drawn())]).shape == (1, 7)


def test_half_precision_is_near_and_not_the_same(pretrained: str) -> None:
    """Mixed precision multiplies in bfloat16: rows turn by less than a hundredth."""
    chunk = [Chunk(array=drawn(seed=seed)) for seed in range(4)]
    full = ready(TorchImageEncoder(model_dir=pretrained, device="cpu", precision="float32"))
    half = ready(TorchImageEncoder(model_dir=pretrained, device="cpu", precision="bfloat16"))

    one, other = full.encode(chunk), half.encode(chunk)

    assert not np.array_equal(one, other)
    assert (one * other).sum(axis=1) == pytest.approx(1, abs=1e-2)
    assert full.fingerprint() == half.fingerprint()


def test_a_gpu_that_is_not_there_is_told(script: str) -> None:
    """Who asks for CUDA gets it, or learns why not."""
    encoder = TorchImageEncoder(model_dir=script, device="cuda", size=32)

    if torch.cuda.is_available():
        assert ready(encoder).encode([Chunk(array=drawn())]).shape == (1, 4)
    else:
        with pytest.raises(OptionError, match="'cuda' cannot be used here"):
            encoder.setup()


def test_what_cannot_be_loaded_is_an_error_of_the_option(script: str, tmp_path: Path) -> None:
    """A missing folder, an empty one, weights without a name, a layer that is not there."""
    empty, weights = tmp_path / "empty", tmp_path / "weights"
    empty.mkdir()
    weights.mkdir()
    torch.save(network().state_dict(), weights / "net.pt")

    faults: tuple[tuple[dict[str, Any], str], ...] = (
        ({"model_dir": str(tmp_path / "none")}, "there is no"),
        ({"model_dir": str(empty)}, "must hold one program .* found nothing"),
        ({"model_dir": str(weights)}, "need model_name"),
        ({"model_dir": script, "layers": ["nowhere"]}, "the model has no part 'nowhere'"),
        ({"model_dir": script, "layers": ["classifier"]}, "does not pass through"),
    )
    for options, reason in faults:
        with pytest.raises(OptionError, match=reason):
            TorchImageEncoder(**options, size=32).setup()


def test_weights_alone_need_torchvision(tmp_path: Path) -> None:
    """With torchvision its architecture takes them; without, the error says what to install."""
    name = "resnet18"
    if importlib.util.find_spec("torchvision") is None:
        torch.save({}, tmp_path / f"{name}-1.pth")
        with pytest.raises(MissingLibraryError, match="pip install torchvision"):
            TorchImageEncoder(model_dir=str(tmp_path), model_name=name).setup()
        return
    models = importlib.import_module("torchvision.models")
    torch.save(models.get_model(name, weights=None).state_dict(), tmp_path / f"{name}-1.pth")
    layers = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]

    encoder = ready(TorchImageEncoder(model_dir=str(tmp_path), model_name=name, layers=layers))

    assert encoder.dim == 512

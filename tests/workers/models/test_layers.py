"""Layers by GNES's names: what is read, and what is refused; no torch is needed to read them."""

import pytest

from workers.models.layers import Layer

GNES = (
    "features",
    "classifier[0]",
    "layer4[1].conv2",
    "x.view(x.size(0), -1)",
    "x.mean([2, 3])",
    "x.reshape(x.shape[0], -1)",
    "torch.flatten(x, 1)",
    "F.max_pool2d(x, kernel_size=3, stride=2)",
    "torch.nn.functional.adaptive_avg_pool2d(x, (1, 1))",
    "F.relu(m.features(x))",
)
EVIL = (
    "__import__('os').system('id')",
    "x.__class__.__mro__",
    "torch.load('/tmp/x')",
    "x.apply_(print)",
    "open('/etc/passwd')",
    "(lambda: 0)()",
    "[y for y in x]",
    "x if x else m",
    "m.features(open('a'))",
    "x.view(*[1])",
    "x.view(**{})",
    "features(",
    "x.mean(" * 500 + ")" * 500,
)


@pytest.mark.parametrize("text", GNES)
def test_what_gnes_wrote_is_read(text: str) -> None:
    """Paths of modules, and the expressions of GNES's examples."""
    assert Layer(text).text == text


@pytest.mark.parametrize("text", EVIL)
def test_anything_else_is_refused_before_it_runs(text: str) -> None:
    """YAML brings no code: what is not a layer is an error that names it."""
    with pytest.raises(ValueError, match=r"layers: "):
        Layer(text)

"""GNES's example chain: transformer, PCALocal 32/8, PQ of 8 bytes; it trains and answers."""

import numpy as np
import pytest

from compose.plan import ComponentSpec
from workers.component import Chunk, Encoder
from workers.encode.pipeline import EncoderPipeline
from workers.registry import build

TOPICS = {
    "wing": "lift drag airfoil flap stall pressure chord camber slipstream propeller",
    "kitchen": "flour butter oven sugar whisk dough vanilla knead bake cinnamon",
    "network": "router packet switch latency protocol gateway firewall ethernet socket dns",
    "garden": "rose soil prune compost tulip hedge seed mulch shovel blossom",
}


def sentences() -> list[Chunk]:
    """Return 400 small texts, a hundred a topic."""
    random = np.random.default_rng(9)
    texts = [
        f"the {' and the '.join(random.choice(words.split(), 3, replace=False))} of the {topic}"
        for topic, words in TOPICS.items()
        for _ in range(100)
    ]
    return [Chunk(place, text=text) for place, text in enumerate(texts)]


@pytest.fixture(scope="module")
def chain() -> EncoderPipeline:
    """The example's chain, trained."""
    spec = ComponentSpec(
        "",
        pipeline=(
            ComponentSpec("MiniLM"),
            ComponentSpec("PCALocalEncoder", {"output_dim": 32, "num_locals": 8}),
            ComponentSpec("PQEncoder", {"num_bytes": 8, "cluster_per_byte": 32}),
        ),
    )
    encoder = build(spec, kind=Encoder)
    assert isinstance(encoder, EncoderPipeline)
    encoder.setup()
    encoder.train(sentences())
    return encoder


def test_eight_bytes_keep_the_neighbours(chain: EncoderPipeline) -> None:
    """By equal bytes (GNES's BIndexer), eight of ten neighbours are of the text's own topic."""
    chunks = sentences()

    codes = chain.encode(chunks)
    equal = (codes[:, None, :] == codes[None, :, :]).sum(axis=2).astype(np.float64)
    np.fill_diagonal(equal, -1)
    nearest = np.argsort(-equal, axis=1, kind="stable")[:, :10]

    topics = np.repeat(np.arange(4), 100)
    assert (codes.shape, codes.dtype.name) == ((400, 8), "uint8")
    assert (topics[nearest] == topics[:, None]).mean() > 0.8

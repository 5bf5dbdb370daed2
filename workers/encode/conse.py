"""ConSE: images and texts in one space, from a classifier of images and an encoder of texts."""

from collections.abc import Sequence
from functools import cache
from typing import ClassVar, Literal

import numpy as np

from workers.component import Chunk, Floats, Rows
from workers.encode.images import EfficientNetLite, Size
from workers.encode.pictures import Pixels, squared
from workers.encode.transformer import MiniLM
from workers.vectors import unit_rows

#: What is said about an image has this form more often than that of a bare name (CLIP's own
#: template: Radford et al., Learning transferable visual models, 2021).
_PROMPT = "a photo of a {}"


class ConSE(EfficientNetLite):
    """Images in the space of texts: pair it with ConSEText on the text branch; this is not CLIP.

    What a classifier of 1000 things takes an image for, as the mean of MiniLM's embeddings of
    their names (Norouzi et al., Zero-shot learning by convex combination of semantic embeddings,
    2014). Everyday things are found by words; what is none of ImageNet's classes, hardly.

    Args:
        size: the classifier; lite0 is the fastest, see EfficientNetLite and docs/quality.md.
        temperature: over 1, less likely classes count more.
        frames: of several frames of a shot: their mean or their max.
    """

    aliases: ClassVar[tuple[str, ...]] = ("ConSEImage",)
    version = 2
    dim = MiniLM.dim

    def __init__(
        self,
        *,
        size: Size = "lite1",
        temperature: float = 2.0,
        frames: Literal["mean", "max"] = "mean",
    ) -> None:
        super().__init__(size=size, frames=frames)
        if temperature <= 0:
            raise ValueError("temperature must be over 0")
        self.temperature = temperature

    def setup(self) -> None:
        """Build the network and embed the names of its classes."""
        super().setup()
        names = _embedded(_PROMPT)
        self._names = np.asarray(names - names.mean(axis=0), np.float32)

    def rows(self, pictures: Sequence[Pixels]) -> Floats:
        """Return the likely classes' names, as a vector."""
        logits = self.run([squared(p) for p in pictures], "logits") / self.temperature
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        return np.asarray(likely @ self._names, np.float32)


class ConSEText(MiniLM):
    """Texts in the space of ConSE's images: MiniLM without what all class names have in common.

    Args:
        max_tokens: cut texts here, when shorter than the model's 256.
        batch_tokens: padded tokens a batch; bounds memory and the time others wait.
    """

    aliases: ClassVar[tuple[str, ...]] = ()

    def setup(self) -> None:
        """Load MiniLM and embed the names of the classes."""
        super().setup()
        self._mean = _embedded("{}").mean(axis=0)

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk."""
        return unit_rows(super().encode(chunks) - self._mean)


@cache
def _embedded(prompt: str) -> Floats:
    """Return MiniLM's embeddings of ImageNet's class names, each put into a prompt.

    Once a process: a worker may hold the branches of texts, images and films.
    """
    from workers.models.class_names import imagenet_names  # noqa: PLC0415  (reads a package)

    model = MiniLM()
    model.setup()
    names = [prompt.format(name) for name in imagenet_names("ConSE")]
    return model.encode([Chunk(position, text=name) for position, name in enumerate(names)])

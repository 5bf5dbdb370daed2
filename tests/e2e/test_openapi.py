"""The API against its own description: schemathesis sends what OpenAPI allows, and what not."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import ROOT, Deployment, deployed

VERSION = "4.32.5"
#: Fewer requests than it could: every one of them that is accepted is encoded for real.
EXAMPLES = 20
#: What a description cannot say (the dimension of a vector) is refused as well, and filters may be
#: written in more ways than it says; a deadline of 2 ms is rightly answered by a 504, so 500s are
#: looked for in the metrics; a document may have the id "count": its path takes more methods then.
LEFT_OUT = (
    "positive_data_acceptance,negative_data_rejection,not_a_server_error,allow_header_conformance"
)


@pytest.fixture(scope="session")
def schemathesis() -> Path:
    """Return the program, in an environment of its own: its plug-in would join every test here."""
    folder = ROOT / ".venv-schemathesis"
    program = folder / "bin" / "schemathesis"
    if not program.exists():
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        wanted = f"schemathesis=={VERSION}"
        subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
    return program


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Deployment]:
    """Run the default flow for this test alone: among what is sent are other numbers of shards."""
    with deployed(tmp_path) as made:
        yield made


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_request_breaks_the_api_and_every_answer_is_as_described(
    it: Deployment, schemathesis: Path, tmp_path: Path
) -> None:
    """No 500, no status, type or body that the description does not have."""
    done = subprocess.run(
        [
            schemathesis, "run", f"{it.url}/openapi.json",
            "--max-examples", str(EXAMPLES), "--seed", "1", "--request-timeout", "90",
            "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=850,
    )  # fmt: skip

    sys.stderr.write(done.stdout[-20_000:])
    assert done.returncode == 0
    assert 'status="500"' not in it.client.get("/metrics").text

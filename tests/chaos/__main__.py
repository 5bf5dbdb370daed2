"""``python -m tests.chaos --seed N --kills 200``: the crash test-bed by one command."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.audit import RecoveryError
from tests.chaos.bed import ENVIRONMENT, LEARNING, ChaosError, run
from tests.e2e.deployment import ROOT, deployed


def main() -> int:
    """Run the bed; 0 when every promise held, 1 and how to replay it when not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of program and kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--flow", type=Path, default=LEARNING, help="flows/text.yml runs with MiniLM"
    )
    parser.add_argument("--folder", type=Path, help="keep data and logs here")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="gnes-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    _say(f"seed {given.seed}, {given.kills} kills, data and logs in {folder}")
    flow = given.flow if given.flow.exists() else ROOT / given.flow
    try:
        with deployed(folder, flow, **ENVIRONMENT) as it:
            tally = run(it, given.seed, given.kills, _say)
    except (ChaosError, RecoveryError) as error:
        _say(f"{type(error).__name__}: {error}")
        _say(f"replay it: python -m tests.chaos --seed {given.seed} --kills {given.kills}")
        return 1
    _say(f"killed {dict(tally.kills)}; nothing lost, nothing doubled, nothing back, nobody hung")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

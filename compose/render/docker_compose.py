"""A docker-compose file: broker, PostgreSQL, the API and one scalable service a queue."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from compose.flow import Flow
from compose.plan import Plan
from compose.render.deployment import (
    API_PORT,
    BROKER_COMMAND,
    BROKER_IMAGE,
    DATA_DIR,
    DATABASE_IMAGE,
    DATABASE_NAME,
    DATABASE_USER,
    DEFAULT_IMAGE,
    FLOW_DIR,
    ContainerService,
    api_probe,
    container_services,
    heading,
    settings,
    worker_probe,
)
from compose.render.yaml_text import Alias, Anchored, dump

#: Compose itself fills these in, and refuses to start without the password.
_PASSWORD = "${GNES_DB_PASSWORD:?give the database a password, for example in a file .env}"  # noqa: S105
_USAGE = """#
#   echo GNES_DB_PASSWORD=$(openssl rand -hex 16) >> .env
#   docker compose up --build
#   docker compose up --scale encode=3
#
# GNES_API_KEY and GNES_READ_ONLY_API_KEY are handed on when set; without them anyone who reaches
# the port may write. So is OTEL_EXPORTER_OTLP_ENDPOINT, with GNES_DOCKERFILE=Dockerfile.full: that
# image has what sends spans. Scaled services have no ports and no names of their own.
"""


def docker_compose(flow: Flow, plan: Plan, *, source: str = "flow.yml") -> str:
    """Return the docker-compose file of a flow; ``source`` is the flow file beside it."""
    services: dict[str, Any] = {
        "broker": _broker(),
        "database": _database(),
    }
    for service in container_services(flow, plan):
        services[service.name] = _service(service, plan)
    document = {
        "x-gnes": Anchored("gnes", _base(source)),
        "services": services,
        "volumes": {"broker": {}, "database": {}, "data": {}, **_named(flow.volumes)},
        **({"networks": _named(flow.networks)} if flow.networks else {}),
    }
    return heading(source, "docker-compose") + _USAGE + dump(document)


def _named(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if value is not None else {} for name, value in found.items()}


def _base(source: str) -> dict[str, Any]:
    """What all our containers share."""
    folder = PurePosixPath(source).parent.as_posix()
    database = f"postgresql+psycopg://{DATABASE_USER}:{_PASSWORD}@database:5432/{DATABASE_NAME}"
    return {
        "image": f"${{GNES_IMAGE:-{DEFAULT_IMAGE}}}",
        "build": {"context": ".", "dockerfile": "${GNES_DOCKERFILE:-Dockerfile}"},
        "restart": "unless-stopped",
        "init": True,
        "stop_grace_period": "60s",
        "environment": {
            **settings(source),
            "GNES_BROKER_URL": "redis://broker:6379/0",
            "GNES_DATABASE_URL": database,
            "GNES_API_KEY": None,
            "GNES_READ_ONLY_API_KEY": None,
            "OTEL_EXPORTER_OTLP_ENDPOINT": None,
        },
        "volumes": [
            f"{folder if folder.startswith(('.', '/')) else './' + folder}:{FLOW_DIR}:ro",
            f"data:{DATA_DIR}",
        ],
        "depends_on": {
            "broker": {"condition": "service_healthy"},
            "database": {"condition": "service_healthy"},
        },
    }


def _service(service: ContainerService, plan: Plan) -> dict[str, Any]:
    made: dict[str, Any] = {"<<": Alias("gnes")}
    if service.image:
        made["image"] = service.image
    made["command"] = list(service.command)
    if service.role == "api":
        made["ports"] = [f"${{GNES_PORT:-{plan.port}}}:{API_PORT}"]
        made["healthcheck"] = _check(["CMD", *api_probe("/livez")])
        return made
    made["healthcheck"] = _check(["CMD", *worker_probe(service)])
    made["deploy"] = {"replicas": service.replicas}
    return made


def _check(test: list[str], *, interval: str = "60s") -> dict[str, Any]:
    timing = {"interval": interval, "timeout": "15s", "retries": 3, "start_period": "60s"}
    return {"test": test, **timing}


def _broker() -> dict[str, Any]:
    return {
        "image": BROKER_IMAGE,
        "command": list(BROKER_COMMAND),
        "restart": "unless-stopped",
        "volumes": ["broker:/data"],
        "healthcheck": _check(["CMD", "valkey-cli", "ping"], interval="5s"),
    }


def _database() -> dict[str, Any]:
    return {
        "image": DATABASE_IMAGE,
        "restart": "unless-stopped",
        "environment": {
            "POSTGRES_USER": DATABASE_USER,
            "POSTGRES_DB": DATABASE_NAME,
            "POSTGRES_PASSWORD": _PASSWORD,
        },
        "volumes": ["database:/var/lib/postgresql/data"],
        "healthcheck": _check(["CMD", "pg_isready", "-U", DATABASE_USER], interval="5s"),
    }

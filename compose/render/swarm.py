"""A Docker Swarm stack: the services of a flow, its file as a config, passwords as secrets."""

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
    ContainerService,
    api_probe,
    container_services,
    heading,
    settings,
    worker_probe,
)
from compose.render.yaml_text import Alias, Anchored, dump

NETWORK = "gnes-net"
_FLOW_CONFIG = "flow"
_USAGE = """#
#   openssl rand -hex 16 | docker secret create gnes_database_password -
#   echo "postgresql+psycopg://gnes:THE-SAME@database:5432/gnes" \\
#     | docker secret create gnes_database_url -
#   openssl rand -hex 16 | docker secret create gnes_api_key -
#   docker stack deploy -c stack.yml gnes
#
# Shards find each other's segments in GNES_BLOB_URL: on more than one node set it to storage that
# all of them reach (s3://bucket/path), or mount a shared volume at /data.
"""


def swarm(flow: Flow, plan: Plan, *, source: str = "flow.yml") -> str:
    """Return the stack file of a flow; ``source`` is the flow file beside it."""
    services: dict[str, Any] = {"broker": _broker(), "database": _database()}
    for service in container_services(flow, plan):
        services[service.name] = _service(service, plan, networks=list(flow.networks))
    document = {
        "version": "3.8",
        "x-gnes": Anchored("gnes", _base(source)),
        "services": services,
        "networks": {
            NETWORK: {"driver": "overlay", "attachable": True},
            **{name: value or {} for name, value in flow.networks.items()},
        },
        "volumes": {
            **{name: {} for name in ("broker", "database", "data")},
            **{name: value or {} for name, value in flow.volumes.items()},
        },
        "configs": {_FLOW_CONFIG: {"file": _relative(source)}},
        "secrets": {
            name: {"external": True}
            for name in ("gnes_database_password", "gnes_database_url", "gnes_api_key")
        },
    }
    return heading(source, "swarm") + _USAGE + dump(document)


def _relative(source: str) -> str:
    return source if source.startswith(("/", ".")) else f"./{source}"


def _base(source: str) -> dict[str, Any]:
    environment = settings(source)
    return {
        "image": f"${{GNES_IMAGE:-{DEFAULT_IMAGE}}}",
        "stop_grace_period": "60s",
        "environment": {
            **environment,
            "GNES_BROKER_URL": "redis://broker:6379/0",
            "GNES_DATABASE_URL_FILE": "/run/secrets/gnes_database_url",
            "GNES_API_KEY_FILE": "/run/secrets/gnes_api_key",
            "GNES_BLOB_URL": "${GNES_BLOB_URL:-}",
        },
        "configs": [{"source": _FLOW_CONFIG, "target": environment["GNES_FLOW"]}],
        "secrets": ["gnes_database_url", "gnes_api_key"],
        "volumes": [f"data:{DATA_DIR}"],
    }


def _service(service: ContainerService, plan: Plan, *, networks: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"<<": Alias("gnes")}
    if service.image:
        made["image"] = service.image
    made["command"] = list(service.command)
    made["networks"] = [NETWORK, *networks]
    if service.role == "api":
        made["ports"] = [f"{plan.port}:{API_PORT}"]
        test = ["CMD", *api_probe("/livez")]
    else:
        test = ["CMD", *worker_probe(service)]
    made["healthcheck"] = {"test": test, "interval": "60s", "timeout": "15s", "retries": 3}
    made["deploy"] = _deploy(service.replicas)
    return made


def _deploy(replicas: int) -> dict[str, Any]:
    """Return GNES's rules: so many replicas, and three more tries for one that fails."""
    return {
        "replicas": replicas,
        "restart_policy": {"condition": "on-failure", "max_attempts": 3, "window": "120s"},
        "update_config": {"order": "start-first"},
    }


def _broker() -> dict[str, Any]:
    return {
        "image": BROKER_IMAGE,
        "command": list(BROKER_COMMAND),
        "networks": [NETWORK],
        "volumes": ["broker:/data"],
        "deploy": {"replicas": 1},
    }


def _database() -> dict[str, Any]:
    return {
        "image": DATABASE_IMAGE,
        "environment": {
            "POSTGRES_USER": DATABASE_USER,
            "POSTGRES_DB": DATABASE_NAME,
            "POSTGRES_PASSWORD_FILE": "/run/secrets/gnes_database_password",
        },
        "secrets": ["gnes_database_password"],
        "networks": [NETWORK],
        "volumes": ["database:/var/lib/postgresql/data"],
        "deploy": {"replicas": 1},
    }

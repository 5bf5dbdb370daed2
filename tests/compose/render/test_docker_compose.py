"""The docker-compose file: right by construction, with no secret in it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyOptions

from compose.flow import Flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.render.docker_compose import docker_compose
from compose.render.targets import render_file


@pytest.fixture
def rendered(wide: Flow, wide_plan: Plan) -> dict[str, Any]:
    """The wide flow's file, read as docker-compose reads it."""
    document: dict[str, Any] = yaml.safe_load(docker_compose(wide, wide_plan))
    return document


def _debian(text: str, folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask Debian's docker-compose what it makes of a file."""
    path = folder / "docker-compose.yml"
    path.write_text(text, encoding="utf-8")
    return subprocess.run(
        ["/usr/bin/docker-compose", "-f", str(path), "config"],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_queue_is_a_service_with_its_replicas(rendered: dict[str, Any]) -> None:
    """Broker, database, API, and one service a queue."""
    replicas = {
        name: service["deploy"]["replicas"]
        for name, service in rendered["services"].items()
        if "deploy" in service
    }

    assert replicas == {
        "preprocess": 2, "encode": 2, "index": 1, "search-wide-0": 2, "search-wide-1": 2,
        "search-wide-2": 2, "search-wide-my-words-0": 1, "search-wide-my-words-1": 1,
        "reduce": 1, "build": 1,
    }  # fmt: skip
    assert set(rendered["services"]) - set(replicas) == {"broker", "database", "api"}


def test_scaled_services_can_be_scaled(rendered: dict[str, Any]) -> None:
    """No fixed names and no ports: any number of containers fits on one machine.

    Celery's node name ends in the container's own hostname, so no two nodes share one.
    """
    for name, service in rendered["services"].items():
        assert "container_name" not in service
        assert "hostname" not in service
        if name != "api":
            assert "ports" not in service
        if "deploy" in service:
            assert service["command"][-2] == "-n"
            assert service["command"][-1].endswith("@%h")


def test_only_the_api_is_published(rendered: dict[str, Any]) -> None:
    """Broker and database are reached by our containers alone; the flow says the API's port."""
    published = {name for name, service in rendered["services"].items() if "ports" in service}

    assert published == {"api"}
    assert rendered["services"]["api"]["ports"] == ["${GNES_PORT:-9100}:8000"]


def test_every_service_has_a_health_check(rendered: dict[str, Any]) -> None:
    """Whether a container lives is not the same as whether it answers."""
    assert all("healthcheck" in service for service in rendered["services"].values())


def test_a_step_may_have_an_image_of_its_own(rendered: dict[str, Any]) -> None:
    """GNES's ``image`` is the image of that step's containers, and of no others."""
    images = {name: service.get("image") for name, service in rendered["services"].items()}

    assert images["preprocess"] == "registry.example/gnes:1"
    assert images["encode"] == "${GNES_IMAGE:-gnes-celery:slim}"


def test_volumes_and_networks_of_the_flow_are_kept_apart(rendered: dict[str, Any]) -> None:
    """GNES wrote its volumes over its networks; here both stand."""
    assert set(rendered["volumes"]) == {"broker", "database", "data", "more"}
    assert set(rendered["networks"]) == {"inner"}


def _interpolated(text: str) -> str:
    """Fill in the variables as Compose does before it looks at anything: all are unset here."""
    text = re.sub(r"\$\{\w+:\?[^}]*\}", "given", text)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("target", ["docker-compose", "swarm"])
@pytest.mark.parametrize("path", sorted(Path("flows").glob("*.yml")), ids=lambda path: path.name)
def test_it_is_what_the_compose_specification_says(path: Path, target: str) -> None:
    """Also as Docker Compose 2 reads it: every key and every value is of the specification."""
    text = _interpolated(render_file(path, target))

    read = PyOptions(apply_merge=True).from_yaml(text)

    assert set(read.services or ()) == set(yaml.safe_load(text)["services"])


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("stop_grace_period: 60s", "stop_grace_period: 60 seconds", "not a valid duration"),
        ("condition: service_healthy", "condition: healthy", "unknown variant `healthy`"),
        ("start_period", "start_perod", "start_perod"),
        ("ports:", "port:", "port"),
    ],
)
def test_the_specification_refuses_what_is_wrong(right: str, wrong: str, said: str) -> None:
    """The check above can fail."""
    text = _interpolated(render_file(Path("flows/text.yml"), "docker-compose"))
    text = text.replace('"60s"', "60s")
    assert right in text

    with pytest.raises(ValueError, match=re.escape(said)):
        PyOptions(apply_merge=True).from_yaml(text.replace(right, wrong))


@pytest.mark.system
def test_debian_s_docker_compose_reads_it(wide: Flow, wide_plan: Plan, tmp_path: Path) -> None:
    """docker-compose 1.29 accepts the file and sees the services, merged."""
    done = _debian(docker_compose(wide, wide_plan), tmp_path, {"GNES_DB_PASSWORD": "x"})

    assert done.returncode == 0, done.stderr
    seen = yaml.safe_load(done.stdout)
    assert seen["services"]["encode"]["environment"]["GNES_FLOW"] == "/flow/flow.yml"
    assert seen["services"]["encode"]["depends_on"]["database"] == {"condition": "service_healthy"}


@pytest.mark.system
def test_it_does_not_start_without_a_password(text: Flow, tmp_path: Path) -> None:
    """The password is the operator's to give; there is no default that all would share."""
    done = _debian(docker_compose(text, plan_of(text)), tmp_path, {})

    assert done.returncode != 0
    assert "give the database a password" in done.stderr

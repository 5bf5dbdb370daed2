"""Kubernetes manifests: valid, scalable, and without secrets."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml

from compose.flow import Flow
from compose.load import parse_flow
from compose.plan import Plan
from compose.render.kubernetes import kubernetes

KEDA = json.loads(Path("compose/render/keda.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def rendered(wide: Flow, wide_plan: Plan) -> list[dict[str, Any]]:
    """The wide flow's objects."""
    return list(yaml.safe_load_all(kubernetes(wide, wide_plan)))


def _of(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_every_object_is_valid(rendered: list[dict[str, Any]], version: str) -> None:
    """Kubernetes' own schemas, strictly: an unknown field is an error."""
    for found in rendered:
        if found["kind"] != "ScaledObject":
            kubernetes_validate.validate(found, version, strict=True)


def test_scaled_objects_are_valid(rendered: list[dict[str, Any]]) -> None:
    """KEDA's objects are in no schema of Kubernetes; ours covers the fields we write."""
    scaled = _of(rendered, "ScaledObject")

    assert set(scaled) == {"preprocess", "encode", "index"}
    for found in scaled.values():
        jsonschema.validate(found, KEDA)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(json.dumps(found).replace("listName", "listname")), KEDA)


def test_queries_and_bulk_work_both_call_for_workers(rendered: list[dict[str, Any]]) -> None:
    """Celery keeps bulk work of a queue in a list beside it; KEDA watches both."""
    triggers = _of(rendered, "ScaledObject")["encode"]["spec"]["triggers"]

    assert [trigger["metadata"]["listName"] for trigger in triggers] == ["encode", "encode:9"]
    assert {trigger["metadata"]["address"] for trigger in triggers} == {
        "broker.gnes.svc.cluster.local:6379"
    }


def test_shards_are_stateful_sets_and_stages_are_deployments(
    rendered: list[dict[str, Any]],
) -> None:
    """Each shard has its own set, with its replicas; everything else is interchangeable."""
    shards, stages = _of(rendered, "StatefulSet"), _of(rendered, "Deployment")

    assert {name: found["spec"]["replicas"] for name, found in shards.items()} == {
        "broker": 1, "database": 1, "search-wide-0": 2, "search-wide-1": 2, "search-wide-2": 2,
        "search-wide-my-words-0": 1, "search-wide-my-words-1": 1,
    }  # fmt: skip
    assert {name: found["spec"]["replicas"] for name, found in stages.items()} == {
        "api": 2, "preprocess": 2, "encode": 2, "index": 1, "reduce": 1, "build": 1,
    }  # fmt: skip


def test_every_selector_finds_its_pods(rendered: list[dict[str, Any]]) -> None:
    """Sets, services and budgets select exactly the labels that pods carry."""
    kinds = (*_of(rendered, "Deployment").values(), *_of(rendered, "StatefulSet").values())
    labels = [found["spec"]["template"]["metadata"]["labels"] for found in kinds]
    selectors = [found["spec"]["selector"]["matchLabels"] for found in kinds]
    selectors += [found["spec"]["selector"] for found in _of(rendered, "Service").values()]
    selectors += [
        found["spec"]["selector"]["matchLabels"]
        for found in _of(rendered, "PodDisruptionBudget").values()
    ]

    assert all(selector in labels for selector in selectors)


def test_every_pod_of_ours_has_probes_and_few_rights(rendered: list[dict[str, Any]]) -> None:
    """Not root, nothing writable but its volumes, and asked whether it still answers."""
    for name, found in (_of(rendered, "Deployment") | _of(rendered, "StatefulSet")).items():
        pod = found["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        if name in ("broker", "database"):
            assert "readinessProbe" in container
            continue
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"startupProbe", "livenessProbe"} <= set(container)


def test_the_flow_in_the_config_map_is_the_flow(wide: Flow, rendered: list[dict[str, Any]]) -> None:
    """What the pods mount reads back as the flow that was rendered."""
    text = _of(rendered, "ConfigMap")["flow"]["data"]["flow.yml"]

    assert parse_flow(text).steps == wide.steps


def test_passwords_come_from_a_secret_that_is_not_rendered(rendered: list[dict[str, Any]]) -> None:
    """The manifests name keys of a Secret; the Secret itself is made by whoever deploys."""
    container = _of(rendered, "Deployment")["api"]["spec"]["template"]["spec"]["containers"][0]
    env = {found["name"]: found for found in container["env"]}

    assert not _of(rendered, "Secret")
    assert env["DATABASE_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] == "database-password"
    assert "$(DATABASE_PASSWORD)" in env["GNES_DATABASE_URL"]["value"]

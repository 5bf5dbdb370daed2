"""Kubernetes manifests: Deployments, a StatefulSet a shard, Services, probes, budgets, KEDA."""

from collections.abc import Iterator, Mapping
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
    container_services,
    heading,
    settings,
    worker_probe,
)
from compose.render.dockerfile import UID
from compose.render.flow_yaml import flow_yaml
from compose.render.keda import scaled_objects
from compose.render.yaml_text import dump_all

NAMESPACE = "gnes"
SECRET = "gnes"  # noqa: S105 - the name of a Secret, not what is in it
BROKER_HOST = f"broker.{NAMESPACE}.svc.cluster.local"
#: Two of them, so that a node may be drained; each takes its share of the in-flight budget.
API_REPLICAS = 2
_FLOW_FILE = "flow.yml"
_USAGE = f"""#
#   kubectl create namespace {NAMESPACE}
#   kubectl -n {NAMESPACE} create secret generic {SECRET} \\
#     --from-literal=database-password=$(openssl rand -hex 16) \\
#     --from-literal=api-key=$(openssl rand -hex 16)
#   kubectl apply -f FILE
#
# Push the image somewhere the cluster reaches and name it here. The volume "data" holds segments
# and blobs and is mounted by many pods: it needs a storage class with ReadWriteMany. The
# ScaledObjects at the end need KEDA; without it leave them out.
"""
#: cpu and memory that a container asks for, by role.
_REQUESTS: Mapping[str, tuple[str, str]] = {
    "api": ("250m", "256Mi"),
    "stage": ("1", "1Gi"),
    "shard": ("1", "1Gi"),
    "index": ("250m", "512Mi"),
    "reduce": ("250m", "256Mi"),
    "build": ("1", "1Gi"),
}


def kubernetes(flow: Flow, plan: Plan, *, source: str = "flow.yml") -> str:
    """Return the manifests of a flow, in the order in which a cluster can take them."""
    return heading(source, "kubernetes") + _USAGE + dump_all(list(manifests(flow, plan)))


def manifests(flow: Flow, plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the objects one by one."""
    services = container_services(flow, plan)
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield _config_map("settings", _settings())
    yield _config_map("flow", {_FLOW_FILE: flow_yaml(flow)})
    yield _claim()
    yield from _backing("broker", 6379, "/data", _broker())
    yield from _backing("database", 5432, "/var/lib/postgresql/data", _database())
    yield _service("api", API_PORT)
    for service in services:
        if service.role == "shard":
            yield _service(service.name, None)
        yield _workload(service)
        yield _budget(service.name)
    yield from scaled_objects(services, namespace=NAMESPACE, broker=f"{BROKER_HOST}:6379")


def _meta(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "gnes", "app.kubernetes.io/component": name}
    return {"name": name, "namespace": NAMESPACE, "labels": labels}


def _selector(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "gnes", "app.kubernetes.io/component": name}


def _config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(name), "data": dict(data)}


def _settings() -> dict[str, str]:
    return {
        **settings(_FLOW_FILE),
        "GNES_BROKER_URL": f"redis://{BROKER_HOST}:6379/0",
        "GNES_API_PROCESSES": str(API_REPLICAS),
    }


def _claim() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta("data"),
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "20Gi"}},
        },
    }


def _service(name: str, port: int | None) -> dict[str, Any]:
    """Return a Service; without a port it is headless and only names a StatefulSet's pods."""
    ports = {"ports": [{"name": "main", "port": port, "targetPort": port}]} if port else {}
    head = {} if port else {"clusterIP": "None"}
    spec = {**head, "selector": _selector(name), **ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name), "spec": spec}


# -- our own containers


def _workload(service: ContainerService) -> dict[str, Any]:
    is_shard = service.role == "shard"
    replicas = API_REPLICAS if service.role == "api" else service.replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet" if is_shard else "Deployment",
        "metadata": _meta(service.name),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": _selector(service.name)},
            # Replicas of a shard own nothing, so they may start side by side.
            **(
                {"serviceName": service.name, "podManagementPolicy": "Parallel"} if is_shard else {}
            ),
            "template": {
                "metadata": {"labels": _selector(service.name)},
                "spec": _pod(service),
            },
        },
    }


def _pod(service: ContainerService) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(service)],
        "volumes": [
            {"name": "flow", "configMap": {"name": "flow"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _container(service: ContainerService) -> dict[str, Any]:
    cpu, memory = _REQUESTS[service.role]
    is_api = service.role == "api"
    return {
        "name": service.name,
        "image": service.image or DEFAULT_IMAGE,
        "args": list(service.command),
        **({"ports": [{"containerPort": API_PORT}]} if is_api else {}),
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "env": _environment(),
        "resources": {"requests": {"cpu": cpu, "memory": memory}},
        **(_api_probes() if is_api else _worker_probes(service)),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "flow", "mountPath": FLOW_DIR, "readOnly": True},
            {"name": "data", "mountPath": DATA_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }


def _environment() -> list[dict[str, Any]]:
    """Return what comes from the Secret; Kubernetes itself puts the password into the URL."""
    url = f"postgresql+psycopg://{DATABASE_USER}:$(DATABASE_PASSWORD)@database:5432/{DATABASE_NAME}"
    return [
        _secret("DATABASE_PASSWORD", "database-password"),
        {"name": "GNES_DATABASE_URL", "value": url},
        _secret("GNES_API_KEY", "api-key", optional=True),
        _secret("GNES_READ_ONLY_API_KEY", "read-only-api-key", optional=True),
    ]


def _secret(name: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": SECRET, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _api_probes() -> dict[str, Any]:
    def get(path: str, **timing: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": API_PORT}, **timing}

    return {
        "startupProbe": get("/livez", periodSeconds=2, failureThreshold=60),
        "readinessProbe": get("/readyz", periodSeconds=5),
        "livenessProbe": get("/livez", periodSeconds=20, timeoutSeconds=5),
    }


def _worker_probes(service: ContainerService) -> dict[str, Any]:
    command = list(worker_probe(service))

    def ping(**timing: int) -> dict[str, Any]:
        return {"exec": {"command": command}, "timeoutSeconds": 20, **timing}

    return {
        "startupProbe": ping(periodSeconds=10, failureThreshold=30),
        "livenessProbe": ping(periodSeconds=60, failureThreshold=3),
    }


def _budget(name: str) -> dict[str, Any]:
    """Return what keeps a drained cluster from stopping all of a service at once."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _selector(name)}},
    }


# -- broker and database


def _backing(
    name: str, port: int, path: str, container: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the Service, the StatefulSet and the fence of something that keeps state."""
    yield _service(name, port)
    yield {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _meta(name),
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "selector": {"matchLabels": _selector(name)},
            "template": {
                "metadata": {"labels": _selector(name)},
                "spec": {
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "name": name,
                            **container,
                            "ports": [{"containerPort": port}],
                            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 5},
                            "volumeMounts": [{"name": "data", "mountPath": path}],
                        }
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "10Gi"}},
                    },
                }
            ],
        },
    }
    yield _fence(name, port)


def _fence(name: str, port: int) -> dict[str, Any]:
    """Only our own pods, and KEDA, may speak to what keeps our state."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "gnes"}}}
    keda = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(name),
        "spec": {
            "podSelector": {"matchLabels": _selector(name)},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [ours, keda], "ports": [{"port": port}]}],
        },
    }


def _broker() -> dict[str, Any]:
    return {"image": BROKER_IMAGE, "args": list(BROKER_COMMAND)}


def _database() -> dict[str, Any]:
    return {
        "image": DATABASE_IMAGE,
        "env": [
            {"name": "POSTGRES_USER", "value": DATABASE_USER},
            {"name": "POSTGRES_DB", "value": DATABASE_NAME},
            # A fresh volume may hold lost+found, which PostgreSQL takes for data of another.
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
            _secret("POSTGRES_PASSWORD", "database-password"),
        ],
    }

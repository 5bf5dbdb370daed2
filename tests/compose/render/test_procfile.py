"""The Procfile and the processes behind it."""

from compose.plan import IndexPlan, Plan, StagePlan
from compose.render.processes import processes
from compose.render.procfile import procfile

PLAN = Plan(
    collection="a",
    port=8800,
    stages=(StagePlan(0, "encode", "Encoder0", "encode", 3, {}),),
    indexes=(IndexPlan("i", "vector", "hnsw", {}, "cosine", 4, "", 2, 2, "search.a"),),
    fingerprint="f",
)


def test_each_worker_process_has_a_line_and_a_name_of_its_own() -> None:
    """Replicas are numbered from the second on, shards by their queue."""
    lines = procfile(PLAN).splitlines()[1:]

    assert [line.partition(":")[0] for line in lines] == [
        "api", "encode", "encode-2", "encode-3", "index", "search-a-0", "search-a-0-2",
        "search-a-1", "search-a-1-2", "reduce", "build",
    ]  # fmt: skip
    assert lines[2] == "encode-2: celery -A app worker -Q encode -n encode-2@%h"
    assert lines[5] == "search-a-0: celery -A app worker -Q search.a.0 -n search-a-0-1@%h"


def test_the_api_takes_its_address_from_the_environment() -> None:
    """Host and port are not the flow's to fix; a supervisor replaces the names."""
    (api, *workers) = processes(PLAN)

    assert api.argv[:3] == ("uvicorn", "app.api.main:create", "--factory")
    assert api.argv[3:7] == ("--host", "$GNES_HOST", "--port", "$GNES_PORT")
    assert api.queue is None
    assert [worker.queue for worker in workers][:4] == ["encode", "encode", "encode", "index"]


def test_node_names_are_unique() -> None:
    """Celery refuses nothing when two nodes share a name, so none may."""
    nodes = [process.argv[-1] for process in processes(PLAN)[1:]]

    assert len(set(nodes)) == len(nodes)

"""The HTTP API through real processes: what it takes in, what it refuses, and how it says so."""

from __future__ import annotations

import http.client
import json
from typing import Any

import httpx2
import pytest

from tests.e2e.deployment import Deployment, wait_until

PROBLEM = "application/problem+json"
IMAGE = {"base64": "eA=="}


@pytest.fixture(scope="module")
def it(text_deployment: Deployment) -> Deployment:
    """Return the deployment with a few documents of this module's own in it."""
    text_deployment.index(
        {"id": "http/tea", "text": "Brew green tea with hot water.", "tags": {"kind": "drink"}},
        {"id": "http/ice", "text": "Freeze water to make ice cubes.", "tags": {"kind": "cold"}},
    )
    return text_deployment


def documents(it: Deployment, rest: str = "") -> str:
    """Return the path of the collection's documents."""
    return f"/v1/collections/{it.collection}/documents{rest}"


def test_items_are_judged_alone(it: Deployment) -> None:
    """A bad item says what is wrong with it; the good ones beside it are found."""
    written = it.index(
        {"id": "http/good", "text": "Salt the pasta water."},
        {"id": "http/bad", "text": ""},
        {"id": "http/odd", "text": "x", "wieght": 2},
    )

    statuses = [(item["id"], item["status"]) for item in written["items"]]
    assert statuses == [("http/good", "indexed"), ("http/bad", "refused"), ("http/odd", "refused")]
    assert "did you mean weight?" in written["items"][2]["error"]["reason"]
    assert it.ids("salting pasta", token=written["token"], limit=1) == ["http/good"]


def test_a_write_without_one_good_item_is_refused_whole(it: Deployment) -> None:
    """400 with the items, and no job."""
    response = it.client.post(documents(it), json=[{"text": ""}, {}])

    assert response.status_code == 400
    assert response.headers["content-type"] == PROBLEM
    assert response.json()["code"] == "all_refused"
    assert [item["status"] for item in response.json()["items"]] == ["refused", "refused"]


def test_lines_are_taken_in_one_by_one(it: Deployment) -> None:
    """NDJSON: a line that is no JSON costs itself; a later line of the same id wins."""
    lines = [
        json.dumps({"id": "http/line", "text": "first"}),
        "{not json",
        "",
        json.dumps({"id": "http/line", "text": "A lighthouse warns ships of rocks."}),
    ]
    response = it.client.post(
        documents(it, "?wait=searchable&timeout=60"),
        content="\n".join(lines),
        headers={"content-type": "application/x-ndjson"},
    )

    assert response.status_code == 200
    assert [item["status"] for item in response.json()["items"]] == [
        "indexed", "refused", "indexed",
    ]  # fmt: skip
    assert it.client.get(documents(it, "/http/line")).json()["text"].startswith("A lighthouse")


def test_a_repeated_write_with_its_key_is_done_once(it: Deployment) -> None:
    """The same key gives the same job and versions; for other documents it is refused."""
    headers = {"idempotency-key": "http-once"}
    body = [{"text": "A kettle whistles when the water boils."}]
    once = it.client.post(documents(it), json=body, headers=headers).json()
    again = it.client.post(documents(it), json=body, headers=headers).json()
    other = it.client.post(documents(it), json=[{"text": "Other."}], headers=headers)

    assert (once["job_id"], once["token"]) == (again["job_id"], again["token"])
    assert once["items"] == again["items"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_stale_etag_changes_nothing(it: Deployment) -> None:
    """If-Match guards patch and delete; the ETag of a read is what it wants."""
    path = documents(it, "/http/tea")
    etag = it.client.get(path).headers["etag"]
    patched = it.client.patch(path, json={"tags": {"hot": True}}, headers={"if-match": etag})
    stale = it.client.delete(path, headers={"if-match": etag})

    assert patched.status_code == 200
    assert (stale.status_code, stale.json()["code"]) == (409, "version_conflict")
    assert it.client.get(path).json()["tags"] == {"kind": "drink", "hot": True}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/nope", {}, 404, "route_not_found"),
        ("PUT", "/v1/info", {}, 405, "method_not_allowed"),
        ("GET", "/v1/collections/nope", {}, 404, "collection_not_found"),
        ("POST", "/v1/collections/nope/search", {"json": {}}, 404, "collection_not_found"),
        ("GET", "/v1/jobs/nope", {}, 404, "job_not_found"),
        ("GET", "/v1/jobs?limit=0", {}, 400, "invalid_request"),
        ("GET", "/v1/jobs?cursor=%F0", {}, 400, "invalid_cursor"),
        ("POST", "/query", {"data": {"x": "y"}}, 415, "unsupported_media_type"),
        ("POST", "/query", {"files": {"other": b"x"}}, 400, "invalid_request"),
        ("POST", "/query", {"files": {"query": b"\xff\xfe"}}, 422, "unprocessable"),
        (
            "POST",
            "/query",
            {"json": {"query": {"image": {"base64": "eA=="}}}},
            422,
            "unprocessable",
        ),
        ("POST", "/query", {"json": {"query": {"vector": [1.0]}}}, 422, "dimension"),
        ("POST", "/query", {"json": {"query": "x", "mode": "text"}}, 422, "unprocessable"),
        ("POST", "/query", {"json": {"query": "x", "limit": 1001}}, 400, "invalid_request"),
        ("POST", "/query", {"json": {"query": "x", "timeout_ms": 10**9}}, 400, "invalid_request"),
        ("POST", "/query", {"json": {"query": "x" * 20_001}}, 400, "invalid_request"),
        ("POST", "/query", {"content": b'{"query": NaN}'}, 400, "invalid_json"),
        ("POST", "/index?wait=maybe", {"json": {"text": "x"}}, 400, "invalid_request"),
        ("POST", "/index?timeout=nan", {"json": {"text": "x"}}, 400, "invalid_request"),
        ("POST", "/v1/encode", {"json": {"texts": [""]}}, 400, "invalid_request"),
    ],
)
def test_every_refusal_is_a_problem_document(
    it: Deployment, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    """Status, code, a sentence, the place, and the id to ask with: always the same shape."""
    response = it.client.request(method, path, **sent)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert response.headers["content-type"] == PROBLEM
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert it.client.get(problem["type"]).json()["code"] == code


def test_gnes_clients_find_their_routes(it: Deployment) -> None:
    """POST /index and /query take forms with files and answer in GNES's frame."""
    written = it.client.post(
        "/index?wait=searchable&timeout=60",
        files=[("docs", ("fog.txt", b"Fog rolls in from the sea."))],
    ).json()
    found = it.client.post("/query?top_k=1", files={"query": b"mist over the ocean"}).json()

    (hit,) = found["result"]["hits"]
    assert (written["meta"], found["meta"]) == (None, None)
    assert hit["id"] == written["result"]["items"][0]["id"]
    assert hit["tags"] == {"filename": "fog.txt"}


def test_several_searches_go_in_one_request(it: Deployment) -> None:
    """Results come in the order of the request; one that fails is a problem in its place."""
    searches = [
        {"query": {"text": "green tea"}, "limit": 1},
        {"query": {"id": "http/none"}},
        {"query": {"vector": [0.5]}},
        {"query": {"text": "ice cubes"}, "limit": 1},
    ]
    response = it.client.post(
        f"/v1/collections/{it.collection}/search/batch", json={"searches": searches}
    )

    tea, none, short, ice = response.json()["results"]
    assert [tea["hits"][0]["id"], ice["hits"][0]["id"]] == ["http/tea", "http/ice"]
    assert (none["code"], short["code"]) == ("document_not_found", "dimension")


def test_documents_are_found_by_likeness(it: Deployment) -> None:
    """A stored document is a query, without itself; what is unlike another comes first."""
    it.index(
        {"id": "like/cat", "text": "The cat sleeps on the sofa."},
        {"id": "like/kitten", "text": "A kitten naps on the couch."},
        {"id": "like/engine", "text": "The engine needs oil and petrol."},
    )
    similar = it.ids(query={"id": "like/cat"}, limit=1)
    response = it.client.post(
        f"/v1/collections/{it.collection}/recommend",
        json={"positive": ["like/cat"], "negative": ["like/engine"], "limit": 1},
    )

    assert similar == ["like/kitten"]
    assert [hit["id"] for hit in response.json()["hits"]] == ["like/kitten"]


def test_tags_are_counted_listed_and_deleted_by(it: Deployment) -> None:
    """Count, facet, scroll and delete take the same filter, and see what was just written."""
    colours = ["red", "red", "blue"]
    it.index(
        *(
            {"id": f"tag/{n}", "text": f"Paint number {n}.", "tags": {"colour": colour, "n": n}}
            for n, colour in enumerate(colours)
        )
    )
    red = {"must": [{"key": "colour", "match": {"value": "red"}}]}
    late = {"must": [{"key": "n", "range": {"gte": 1}}]}

    counted = it.client.post(documents(it, "/count"), json={"filter": red}).json()
    values = it.client.post(documents(it, "/facet"), json={"key": "colour"}).json()["values"]
    page = it.client.post(documents(it, "/scroll"), json={"filter": late, "limit": 1}).json()
    rest = {"filter": late, "limit": 5, "cursor": page["cursor"]}
    last = it.client.post(documents(it, "/scroll"), json=rest).json()
    deleted = it.client.post(documents(it, "/delete"), json={"filter": red}).json()
    left = it.client.post(documents(it, "/facet"), json={"key": "colour"}).json()["values"]

    assert counted == {"count": 2}
    assert values == [{"value": "red", "count": 2}, {"value": "blue", "count": 1}]
    assert [document["id"] for document in page["documents"]] == ["tag/1"]
    assert [document["id"] for document in last["documents"]] == ["tag/2"]
    assert (deleted["deleted"], last["cursor"]) == (["tag/0", "tag/1"], None)
    assert left == [{"value": "blue", "count": 1}]


def test_a_filtered_search_finds_what_passes_alone(it: Deployment) -> None:
    """The best hit is no hit when its tags do not pass."""
    condition = {"must": [{"key": "kind", "match": {"value": "cold"}}]}

    assert it.ids("brew green tea", filter=condition, limit=5) == ["http/ice"]


def test_a_job_is_followed_until_it_ends(it: Deployment) -> None:
    """Server-sent events tell every step; the last one is the end."""
    job_id = it.index({"text": "A ferry crosses the lake."}, wait="no")["job_id"]
    events: list[str] = []
    last: dict[str, Any] = {}
    with it.client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        for line in response.iter_lines():
            if line.startswith("event: "):
                events.append(line.removeprefix("event: "))
            elif line.startswith("data: "):
                last = json.loads(line.removeprefix("data: "))

    assert response.headers["content-type"].startswith("text/event-stream")
    assert (events[0], events[-1]) == ("progress", "end")
    assert (last["state"], last["progress"], last["eta_s"]) == ("completed", 1.0, None)


def test_pages_of_documents_meet_and_never_overlap(it: Deployment) -> None:
    """Scrolling with the cursor sees every stored document once."""
    total = it.client.post(documents(it, "/count"), json={}).json()["count"]
    seen: list[str] = []
    cursor = None
    while True:
        page = it.client.post(documents(it, "/scroll"), json={"limit": 3, "cursor": cursor}).json()
        seen += [document["id"] for document in page["documents"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == total
    assert seen == sorted(seen)


def test_the_encoder_serves_openais_clients(it: Deployment) -> None:
    """/v1/embeddings gives what /v1/encode gives, in the other shape."""
    ours = it.client.post("/v1/encode", json={"texts": ["tea", "ice"]}).json()
    theirs = it.client.post("/v1/embeddings", json={"input": ["tea", "ice"]}).json()

    assert ours["dim"] == len(ours["embeddings"][0]) == 384
    assert [row["index"] for row in theirs["data"]] == [0, 1]
    assert theirs["data"][0]["embedding"] == pytest.approx(ours["embeddings"][0], abs=1e-5)


def test_the_deployment_describes_itself(it: Deployment) -> None:
    """Workers, shards, flow, limits, health and metrics can be asked for."""
    workers = it.client.get("/v1/workers").json()["workers"]
    shards = it.client.get("/v1/shards").json()["shards"]
    flow = it.client.get("/v1/flow").json()
    ready = it.client.get("/readyz?verbose=1").json()
    metrics = it.client.get("/metrics").text

    queues = {queue for worker in workers for queue in worker["queues"]}
    assert queues >= set(flow["queues"])
    assert [len(shard["replicas"]) for shard in shards] == [1, 1]
    assert ready["ready"] is True
    assert all(ready["checks"]["shards_ready"].values())
    assert it.client.get("/v1/info").json()["limits"]["max_limit"] == 1000
    assert it.client.get(f"/v1/collections/{it.collection}").json()["status"] == "green"
    assert 'gnes_http_requests_total{method="GET",route="/v1/shards",status="200"}' in metrics
    assert "gnes_queue_depth" in metrics


def test_the_documentation_loads_nothing_from_elsewhere(it: Deployment) -> None:
    """The pages name local files only, those files are there, and the policy forbids others."""
    page = it.client.get("/docs")
    bundle = it.client.get("/static/swagger/swagger-ui-bundle.js")

    assert "//" not in page.text.replace("<!doctype html>", "")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert bundle.status_code == 200
    described = it.client.get("/openapi.json").json()
    search = described["paths"]["/v1/collections/{collection}/search"]["post"]
    assert search["requestBody"]["content"]["application/json"]["example"]
    assert "422" in search["responses"]


def test_a_client_that_goes_away_is_not_waited_for(it: Deployment) -> None:
    """A wait whose client has gone ends at once; what it wrote stays accepted."""
    many = [{"id": f"http/gone-{n}", "text": f"Clock number {n} ticks."} for n in range(400)]
    connection = http.client.HTTPConnection("127.0.0.1", it.port)
    connection.request(
        "POST",
        documents(it, "?wait=searchable&timeout=120"),
        body=json.dumps(many),
        headers={"content-type": "application/json"},
    )
    wait_until(
        lambda: it.client.get(documents(it, "/http/gone-399")).status_code == httpx2.codes.OK
    )
    connection.close()

    wait_until(lambda: 'status="499"' in it.client.get("/metrics").text)

"""Writes through real processes: nothing lost, nothing doubled, nothing back from the dead."""

from __future__ import annotations

import time
from typing import Any

from tests.e2e.deployment import Deployment, wait_until

SPACE = "The rocket left the launch pad and reached orbit around the moon."
BREAD = "Knead the dough, let it rise, and bake the bread in a hot oven."


def path(it: Deployment, doc_id: str) -> str:
    """Return the URL path of a document."""
    return f"/v1/collections/{it.collection}/documents/{doc_id}"


def test_accepted_means_kept_and_the_job_says_how_far_it_is(text_deployment: Deployment) -> None:
    """202 with a job; the job ends when every document is indexed or failed."""
    it = text_deployment
    response = it.client.post(
        f"/v1/collections/{it.collection}/documents",
        json=[{"id": f"job-{n}", "text": f"Note number {n} about bread."} for n in range(50)],
    )
    job_path = response.headers["location"]

    job = wait_until(lambda: _ended(it, job_path))

    assert response.status_code == 202
    assert job["state"] == "completed"
    assert job["counts"]["indexed"] == 50


def _ended(it: Deployment, job_path: str) -> dict[str, Any] | None:
    job = it.client.get(job_path).json()
    return job if job["state"] not in {"pending", "running"} else None


def test_an_update_replaces_the_document_and_its_old_text_is_not_found(
    text_deployment: Deployment,
) -> None:
    """One id, one document: searches show the new version only."""
    it = text_deployment
    it.index({"id": "changing", "text": SPACE})
    before = it.search("rocket in orbit", limit=1)["hits"][0]

    it.index({"id": "changing", "text": BREAD})
    hits = it.search("bake bread", limit=100)["hits"]

    assert before["id"] == "changing"
    (now,) = [hit for hit in hits if hit["id"] == "changing"]
    assert now["content"]["text"] == BREAD
    assert now["version"] > before["version"]


def test_a_delete_is_gone_from_every_answer_when_it_is_acknowledged(
    text_deployment: Deployment,
) -> None:
    """Whatever a replica still holds, no answer shows it."""
    it = text_deployment
    it.index(*({"id": f"gone-{n}", "text": f"{SPACE} Mission {n}."} for n in range(20)))

    for n in range(20):
        assert it.client.delete(path(it, f"gone-{n}")).status_code in {200, 204}
        found = it.ids("rocket launch to the moon", limit=50)
        assert f"gone-{n}" not in found
    assert it.client.get(path(it, "gone-3")).status_code == 404


def test_a_document_deleted_while_it_is_being_encoded_stays_deleted(
    text_deployment: Deployment,
) -> None:
    """Work still under way never resurrects what was deleted."""
    it = text_deployment
    ids = [f"zombie-{n}" for n in range(200)]
    documents = [{"id": doc_id, "text": f"{SPACE} {doc_id}."} for doc_id in ids]
    it.client.post(f"/v1/collections/{it.collection}/documents", json=documents)
    it.client.post(f"/v1/collections/{it.collection}/documents/delete", json={"ids": ids})

    it.index({"id": "after", "text": BREAD})  # everything accepted before is settled by now
    time.sleep(0.5)

    assert not [doc_id for doc_id in it.ids("rocket", limit=300) if doc_id.startswith("zombie")]


def test_a_token_reads_its_own_write_at_once(text_deployment: Deployment) -> None:
    """A search with the token of a write sees that write, without waiting for it first."""
    it = text_deployment
    for n in range(5):
        answer = it.index({"id": f"fresh-{n}", "text": f"Penguins of colony {n}."}, wait="no")
        hits = it.ids(f"penguins of colony {n}", limit=10, token=answer["token"],
                      consistency="session")  # fmt: skip
        assert f"fresh-{n}" in hits


def test_a_patch_changes_tags_without_encoding(text_deployment: Deployment) -> None:
    """Tags and weight change in place; If-Match guards against somebody else's change."""
    it = text_deployment
    it.index({"id": "tagged", "text": "A lighthouse on a cliff.", "tags": {"a": 1}})
    etag = it.client.get(path(it, "tagged")).headers["etag"]

    patched = it.client.patch(
        path(it, "tagged"), json={"tags": {"b": 2}}, headers={"if-match": etag}
    )
    stale = it.client.patch(path(it, "tagged"), json={"tags": {}}, headers={"if-match": etag})

    assert patched.status_code == 200
    assert stale.status_code in {409, 412}
    (hit,) = it.search("lighthouse", limit=1)["hits"]
    assert hit["tags"] == {"a": 1, "b": 2}


def test_one_bad_document_fails_alone(text_deployment: Deployment) -> None:
    """The good ones are stored; the bad one is told why, and where."""
    it = text_deployment

    answer = it.index(
        {"id": "good", "text": "A fine document about geese."}, {"id": "bad", "text": "   "}
    )
    states = {item["id"]: item for item in answer["items"]}

    assert states["good"]["status"] == "indexed"
    assert states["bad"]["status"] not in {"indexed", "queued"}
    assert states["bad"]["error"]
    assert "good" in it.ids("geese", limit=3)


def test_documents_are_dealt_over_all_shards(text_deployment: Deployment) -> None:
    """Each shard holds its part; their sum is the collection."""
    it = text_deployment
    it.index(*({"id": f"deal-{n}", "text": f"Card number {n}."} for n in range(40)))

    collection = it.client.get(f"/v1/collections/{it.collection}").json()

    def counts() -> list[int]:
        shards = it.client.get("/v1/shards").json()["shards"]
        return [shard["replicas"][0]["documents"] for shard in shards]

    # What /v1/shards shows is what the workers last announced.
    wait_until(lambda: sum(counts()) == collection["documents"]["indexed"])
    assert len(counts()) == 2
    assert all(counts())

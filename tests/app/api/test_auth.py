"""Keys: one that may do all, one that may only read, and pages that need none."""

import pytest
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from app.api.auth import Gate

FULL, READ = {"authorization": "Bearer full"}, {"api-key": "read"}
DOCUMENTS = "/v1/collections/c/documents"


def client(api_key: str | None, read_only: str | None) -> TestClient:
    """Give a client of a gate with these keys before an app that says yes to all."""
    keys = [SecretStr(key) if key else None for key in (api_key, read_only)]
    yes = PlainTextResponse("yes")
    return TestClient(Gate(yes, api_key=keys[0], read_only_api_key=keys[1]))


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_without_keys_everybody_may_do_all(method: str) -> None:
    """A deployment on one's own machine needs no key."""
    assert client(None, None).request(method, DOCUMENTS).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", DOCUMENTS + "/a", {}, 401),
        ("GET", DOCUMENTS + "/a", {"authorization": "Bearer wrong"}, 401),
        ("GET", DOCUMENTS + "/a", {"authorization": "Basic full"}, 401),
        ("GET", DOCUMENTS + "/a", READ, 200),
        ("GET", "/metrics", {}, 401),
        ("POST", "/v1/collections/c/search", READ, 200),
        ("POST", "/query", READ, 200),
        ("POST", DOCUMENTS, READ, 403),
        ("POST", DOCUMENTS + "/delete", READ, 403),
        ("POST", "/index", READ, 403),
        ("POST", "/a/route/made/tomorrow", READ, 403),
        ("PATCH", DOCUMENTS + "/search", READ, 403),
        ("DELETE", DOCUMENTS + "/search", READ, 403),
        ("POST", DOCUMENTS, FULL, 200),
        ("DELETE", DOCUMENTS + "/a", {"authorization": "bearer full"}, 200),
        ("DELETE", DOCUMENTS + "/a", {"api-key": "full"}, 200),
        ("GET", "/readyz", {}, 200),
        ("GET", "/docs", {}, 200),
        ("GET", "/static/swagger/swagger-ui.css", {}, 200),
    ],
)
def test_with_keys_each_may_do_what_it_may(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Reading takes either key, everything else the one that may write, health takes none."""
    answer = client("full", "read").request(method, path, headers=headers)

    assert answer.status_code == status


def test_a_missing_key_is_asked_for_by_name() -> None:
    """401 says how to send a key."""
    answer = client("full", None).get("/v1/info")

    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json()["detail"]


def test_a_read_only_key_alone_closes_all_writes() -> None:
    """With no key that may write, nobody may."""
    house = client(None, "read")

    assert house.post(DOCUMENTS).status_code == 401
    assert house.post(DOCUMENTS, headers=READ).status_code == 403


def test_a_page_of_another_site_cannot_write_through_its_readers_browser() -> None:
    """A deployment without keys on one's own machine is closed to the pages one visits."""
    strange = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}

    assert client(None, None).post(DOCUMENTS, headers=strange).status_code == 403
    assert client(None, None).post("/v1/collections/c/search", headers=strange).status_code == 200


def test_a_page_that_the_operator_named_may_write() -> None:
    """CORS origins open the door for the sites they name."""
    known = {"sec-fetch-site": "cross-site", "origin": "https://good.example"}
    gate = Gate(
        PlainTextResponse("yes"),
        api_key=None,
        read_only_api_key=None,
        origins=["https://good.example"],
    )

    assert TestClient(gate).post(DOCUMENTS, headers=known).status_code == 200

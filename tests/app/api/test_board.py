"""The Board over HTTP: GNES's contract, faults with their places, and flows from anybody."""

import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.main import create
from app.settings import REPOSITORY, Settings
from compose.render.targets import TARGETS
from tests.compose.test_hostile import HOSTILE

TEXT = (REPOSITORY / "flows" / "text.yml").read_text()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """Serve an API that has no broker and no workers: the Board needs neither."""
    config = Settings(data_dir=tmp_path_factory.mktemp("board"), api_key="secret")
    return TestClient(create(config), headers={"api-key": "secret"})


def validated(client: TestClient, text: str) -> dict[str, Any]:
    """Return what the Board says of a flow."""
    response = client.post("/board/validate", json={"yaml": text})
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.mark.parametrize("path", ["/board", "/board/"])
def test_the_page_is_for_everybody(client: TestClient, path: str) -> None:
    """It holds nothing secret; what it asks for needs the key."""
    assert client.get(path, headers={"api-key": ""}).status_code == 200
    assert client.get("/board/running", headers={"api-key": ""}).status_code == 401
    assert client.post("/generate", headers={"api-key": ""}).status_code == 401


def test_the_page_names_only_files_that_are_served(client: TestClient) -> None:
    """Nothing comes from elsewhere."""
    page = client.get("/board").text

    links = [part.split('"')[0] for key in ('src="', 'href="') for part in page.split(key)[1:]]
    for link in links:
        if link.startswith("/static/"):
            assert client.get(link).status_code == 200, link
        else:
            assert link.startswith(("/", "#")), link


def test_a_valid_flow_is_drawn(client: TestClient) -> None:
    """With the queues and workers it asks for."""
    answer = validated(client, TEXT)

    assert answer["valid"]
    assert answer["queues"]["search.text.1"] == 1
    assert 'data-node="Indexer' in answer["svg"]


def test_a_fault_has_its_place(client: TestClient) -> None:
    """Line and column, to put a marker there, and the nearest valid name."""
    answer = validated(client, TEXT.replace("MiniLM", "MinLM"))

    (fault,) = answer["faults"]
    assert not answer["valid"]
    assert TEXT.splitlines()[fault["line"] - 1].strip() == "uses: MiniLM"
    assert (fault["column"], fault["nearest"]) == (11, "MiniLM")


@pytest.mark.parametrize("target", TARGETS)
def test_a_flow_is_rendered_into_every_target(client: TestClient, target: str) -> None:
    """Each has a file name to download it by."""
    response = client.post("/board/render", json={"yaml": TEXT, "target": target})

    assert response.status_code == 200
    assert response.json()["file"]
    assert response.json()["text"]


def test_an_unknown_target_and_a_faulty_flow_are_refused_in_words(client: TestClient) -> None:
    """The one names the targets there are, the other the line."""
    target = client.post("/board/render", json={"yaml": TEXT, "target": "helm"})
    faulty = client.post("/board/render", json={"yaml": "services: 3"})

    assert (target.status_code, faulty.status_code) == (400, 400)
    assert "kubernetes" in target.json()["detail"]
    assert faulty.json()["errors"][0]["field"].startswith("yaml:1:")


def test_examples_can_be_drawn(client: TestClient) -> None:
    """Every flow to start from is valid here as well, where no file is read."""
    examples = client.get("/board/examples").json()["examples"]

    assert {"text", "gnes"} <= {example["name"] for example in examples}
    for example in examples:
        assert validated(client, example["yaml"])["valid"], example["name"]


def test_the_running_flow_is_drawn_with_its_queues(client: TestClient) -> None:
    """Each box of the drawing that stands for a queue is there."""
    answer = client.get("/board/running").json()

    queues = {queue for behind in answer["boxes"].values() for queue in behind}
    assert queues == {"preprocess", "encode", "search.text.0", "search.text.1"}
    for box in answer["boxes"]:
        assert f'data-node="{box}"' in answer["svg"]


@pytest.mark.parametrize("path", ["/generate", "/board/generate"])
@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({}, 406, "yaml-config"),
        ({"yaml-config": ""}, 400, "yaml-config"),
        ({"yaml-config": "services:\n- name: Nothing\n"}, 400, "Nothing"),
        ({"yaml-config": TEXT}, 200, "graph TD"),
        ({"yaml-config": TEXT, "mermaid_direction": "left-right"}, 200, "graph LR"),
        ({"yaml-config": TEXT, "mermaid_direction": "up"}, 400, "left-right"),
        ({"yaml-config": TEXT, "docker-image": "me/gnes:1"}, 200, "me/gnes:1"),
        ({"yaml-config": TEXT, "docker-image": "<script>"}, 400, "image"),
    ],
)
def test_gnes_s_form_answers_as_gnes_did(
    client: TestClient, path: str, form: dict[str, str], status: int, words: str
) -> None:
    """200 with the page, 406 without a flow, 400 for a faulty one."""
    response = client.post(path, data=form)

    assert response.status_code == status, response.text
    assert words in response.text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_flows_are_refused_soon(client: TestClient, name: str) -> None:
    """In less than a second of work, by both ways in, without a word of the server's files."""
    started = time.process_time()

    answer = validated(client, HOSTILE[name])
    form = client.post("/generate", data={"yaml-config": HOSTILE[name]})

    assert time.process_time() - started < 2
    assert not answer["valid"]
    assert form.status_code == 400
    assert "root:" not in form.text


@pytest.mark.parametrize("name", ["options without end", "much yaml in strings"])
def test_hostile_flows_take_no_memory_to_speak_of(client: TestClient, name: str) -> None:
    """What is refused is refused before it is built."""
    tracemalloc.start()

    answer = validated(client, HOSTILE[name])

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not answer["valid"]
    assert most < 50e6


def test_more_than_any_flow_is_not_even_read(client: TestClient) -> None:
    """A megabyte is refused as such, whatever it says."""
    for path, body in (("/board/validate", b'{"yaml":"'), ("/generate", b"yaml-config=")):
        kind = "application/json" if body[:1] == b"{" else "application/x-www-form-urlencoded"

        response = client.post(path, content=body + b"x" * 2**20, headers={"content-type": kind})

        assert response.status_code == 413


def test_a_flow_of_too_many_processes_is_not_drawn_here(client: TestClient) -> None:
    """The Board says so and names the command that does it."""
    answer = validated(client, "services:\n- {name: Preprocessor, replicas: 900}\n")

    assert "gnes compose" in answer["faults"][0]["text"]


@pytest.mark.parametrize(
    "flow",
    [
        "services:\n- {name: Encoder, uses: X, py_path: trap.py}\n",
        "services:\n- {name: Encoder, uses: trap.X}\n",
        "services:\n- {name: Encoder, uses: {uses: X, py_path: [trap.py]}}\n",
        "services:\n- {name: Encoder, yaml_path: '!X {py_path: trap.py}'}\n",
        "services:\n- {name: Indexer, uses: X, py_path: trap.py}\n",
        "services:\n- {name: Indexer, with: {score_fn: {uses: X, py_path: trap.py}}}\n",
        "services:\n- {name: Indexer}\nscore: {py_path: trap.py, chunk: X}\n",
        "services:\n- {name: Indexer}\nscore: {reduce: trap.X}\n",
    ],
)
def test_a_plug_in_is_never_imported(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flow: str
) -> None:
    """Not even one that is there, wherever a flow may name one: its code runs nowhere."""
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nclass X: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    answer = validated(client, flow)

    assert not answer["valid"]
    assert not (tmp_path / "sprung").exists()

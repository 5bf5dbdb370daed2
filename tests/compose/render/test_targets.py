"""Every flow of the house as everything it can become."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from compose.load import load_flow, parse_flow
from compose.render.dockerfile import dockerfile, file_name
from compose.render.targets import TARGETS, UnknownTargetError, render, render_file

FLOWS = sorted(Path("flows").glob("*.yml"))
VALUE = "not-to-be-seen"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_every_flow_renders_as_everything(path: Path, target: str) -> None:
    """No example is left out of any renderer, and rendering twice gives the same text."""
    assert render_file(path, target) == render_file(path, target) != ""


@pytest.mark.parametrize("target", TARGETS)
def test_no_output_holds_what_a_variable_holds(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow may take a key from the environment; no renderer writes it down."""
    monkeypatch.setenv("MY_KEY", VALUE)
    path = tmp_path / "flow.yml"
    path.write_text(
        "services:\n- {name: Encoder, uses: a.plugin.Encoder, with: {key: $MY_KEY}}\n"
        "- name: Indexer\n"
    )

    assert VALUE in str(load_flow(path).steps)
    assert VALUE not in render_file(path, target)


def _leaves(data: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Yield every scalar of a document with the key it stands under."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, str(name))
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, key)
    else:
        yield key, data


@pytest.mark.parametrize("target", ["docker-compose", "swarm", "kubernetes"])
def test_no_output_holds_a_password(target: str) -> None:
    """What is called a password or a key is always the name of one, never its value."""
    documents = list(yaml.safe_load_all(render_file(Path("flows/text.yml"), target)))

    leaves = [leaf for document in documents for leaf in _leaves(document)]
    for key, value in leaves:
        if re.search("(?i)password|_key|secret", key) and isinstance(value, str):
            assert value.startswith(("$", "/run/secrets/", "gnes_")), (key, value)
        if found := re.search(r"://[^/@:]+:([^@]+)@", str(value)):
            assert found.group(1).startswith("$"), value


def test_a_wrong_target_names_the_right_ones() -> None:
    """A typing error is met with the nearest name."""
    with pytest.raises(UnknownTargetError, match="did you mean 'kubernetes'"):
        render(load_flow("flows/text.yml"), "kubernets")


@pytest.mark.parametrize("variant", ["slim", "full"])
def test_dockerfiles_build_in_stages_and_do_not_run_as_root(variant: str) -> None:
    """The compiler's stage is left behind, a number says who runs it, and it knows its health."""
    text = Path(file_name(variant)).read_text(encoding="utf-8")  # type: ignore[arg-type]
    last = text[text.rindex("\nFROM ") :]

    assert text.count("\nFROM ") == 2
    assert "USER 10001" in last
    assert "HEALTHCHECK" in last
    assert "pip install" not in last


def test_dockerfiles_copy_only_what_is_there() -> None:
    """Each file and folder that is copied exists, and the builder is sent it."""
    ignored = Path(".dockerignore").read_text(encoding="utf-8").split()
    for variant in ("slim", "full"):
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(variant), re.MULTILINE):
            for name in line.split()[:-1]:
                assert Path(name).exists(), name
                pattern = "!requirements*.txt" if name.startswith("requirements") else f"!{name}"
                assert pattern in ignored


def test_the_files_in_the_image_are_enough_to_start(tmp_path: Path) -> None:
    """What the Dockerfile copies, and nothing else of this repository, imports whole."""
    copied = re.findall(r"^COPY (\S+) \S+$", dockerfile("slim").split("\nFROM ")[2], re.MULTILINE)
    for name in copied:
        copy = shutil.copytree if Path(name).is_dir() else shutil.copyfile
        copy(name, tmp_path / name)
    modules = "app.api.main, app.celery, app.cli.main, workers.runtime, compose.planning"

    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import {modules}; print(app.__file__)"],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def test_the_shell_script_is_a_script(tmp_path: Path) -> None:
    """Bash reads it, and it starts one process for each line of the Procfile."""
    script = tmp_path / "run.sh"
    script.write_text(render_file(Path("flows/text.yml"), "shell"), encoding="utf-8")

    subprocess.run(["bash", "-n", str(script)], check=True)
    started = [line for line in script.read_text().splitlines() if line.endswith(" &")]
    lines = Path("Procfile").read_text(encoding="utf-8").splitlines()[1:]
    assert len(started) == len(lines)


def _tool(name: str) -> str:
    """Return a program that was installed beside Python."""
    return str(Path(sys.executable).with_name(name))


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_the_shell_script(path: Path, tmp_path: Path) -> None:
    """Neither a mistake nor a bad habit."""
    script = tmp_path / "run.sh"
    script.write_text(render_file(path, "shell"), encoding="utf-8")

    done = subprocess.run(
        [_tool("shellcheck"), script], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")
    script.write_text(script.read_text().replace('"$running"', "$running"), encoding="utf-8")
    assert subprocess.run([_tool("shellcheck"), script], stdout=-3, check=False).returncode == 1


@pytest.mark.parametrize("variant", ["slim", "full"])
def test_hadolint_finds_nothing_in_the_dockerfiles(variant: str, tmp_path: Path) -> None:
    """Neither a mistake nor a bad habit."""
    file = tmp_path / "Dockerfile"
    file.write_text(dockerfile(variant), encoding="utf-8")  # type: ignore[arg-type]

    done = subprocess.run([_tool("hadolint"), file], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")
    file.write_text(file.read_text().replace("WORKDIR /build", "RUN cd /build"), encoding="utf-8")
    assert subprocess.run([_tool("hadolint"), file], stdout=-3, check=False).returncode == 1


def test_names_cannot_break_out_of_a_script() -> None:
    """Whatever a path holds, the shell reads it as a path."""
    text = render(load_flow("flows/text.yml"), "shell", source='a"; $(touch x) `y`.yml')

    assert 'GNES_FLOW:-a\\"; \\$(touch x) \\`y\\`.yml}' in text


def test_the_stack_has_gnes_s_rules() -> None:
    """Replicas, three more tries on failure, an attachable network, secrets by reference."""
    stack = yaml.safe_load(render_file(Path("flows/text.yml"), "swarm"))

    deploy = stack["services"]["encode"]["deploy"]
    assert deploy["restart_policy"]["condition"] == "on-failure"
    assert deploy["restart_policy"]["max_attempts"] == 3
    assert stack["networks"]["gnes-net"] == {"driver": "overlay", "attachable": True}
    assert all(secret == {"external": True} for secret in stack["secrets"].values())


class _Links(HTMLParser):
    """Collects what a page would fetch, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note tags, and attributes that make a browser fetch something."""
        self.tags.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_page_stands_alone() -> None:
    """Nothing is fetched, and the drawings and all texts are in it."""
    page = _Links(render_file(Path("flows/text.yml"), "html"))

    assert page.fetched == []
    assert page.tags.count("svg") == 2  # one across, one down
    assert page.tags.count("pre") == 7


@pytest.mark.parametrize("target", ["html", "svg", "mermaid"])
def test_names_cannot_break_out_of_a_drawing(target: str) -> None:
    """A component called like a tag is shown, not obeyed."""
    flow = parse_flow(
        "name: <script>alert(1)</script> x\nservices:\n"
        "- {name: Encoder, yaml_path: '\"]<img src=x onerror=alert(2)>.yml'}\n- name: Indexer\n"
    )

    text = render(flow, target)

    assert "<img" not in text
    assert "<script>alert" not in text


def test_the_drawing_is_well_formed_and_shows_every_step() -> None:
    """An SVG parser reads it; each step has its box."""
    root = ET.fromstring(render_file(Path("flows/text.yml"), "svg"))  # noqa: S314 - ours

    boxes = [node.get("data-node") for node in root.iter("{http://www.w3.org/2000/svg}g")]
    assert boxes == ["Frontend00", "Preprocessor10", "Encoder20", "Indexer30_0", "Indexer30_1"]


def test_the_page_holds_a_drawing_for_each_width() -> None:
    """One across and one down; each has arrow heads of its own, for only one is displayed."""
    page = render_file(Path("flows/text.yml"), "html")

    for tip in ("gnes-tip", "gnes-tip-down"):
        assert page.count(f'id="{tip}"') == 1
        assert f"url(#{tip})" in page

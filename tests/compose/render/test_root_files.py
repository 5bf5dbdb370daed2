"""Rendered files of the repository are what the renderers say."""

from pathlib import Path

import pytest

from compose.render.root_files import root_files, write_root_files


@pytest.mark.parametrize("name", root_files())
def test_rendered_files_are_in_step(name: str) -> None:
    """Never edited: ``python -m compose.render`` writes them again."""
    assert Path(name).read_text(encoding="utf-8") == root_files()[name]


def test_all_of_them_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One command writes every one, wherever it is run."""
    wanted = root_files()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "text.yml").write_bytes(Path("flows/text.yml").read_bytes())
    monkeypatch.chdir(tmp_path)

    write_root_files()

    assert {name: Path(name).read_text(encoding="utf-8") for name in wanted} == dict(wanted)

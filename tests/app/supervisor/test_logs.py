"""Logs are bounded, followed across their turning over, and shown line by line."""

import io
from pathlib import Path
from threading import Timer

from app.supervisor.logs import RotatingLog, Screen, follow, tail


def test_a_log_keeps_its_last_bytes_in_a_bounded_number_of_files(tmp_path: Path) -> None:
    """However much is written, one file and its few predecessors are all there is."""
    log = RotatingLog(tmp_path / "a.log", max_bytes=100, kept=2)

    for number in range(100):
        log.write(f"line {number:04}\n".encode())
    log.close()

    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 300
    assert tail(tmp_path / "a.log", 1) == ["line 0099"]


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    """A restart does not lose what was said before."""
    for word in (b"one\n", b"two\n"):
        log = RotatingLog(tmp_path / "a.log")
        log.write(word)
        log.close()

    assert tail(tmp_path / "a.log", 9) == ["one", "two"]


def test_following_sees_new_lines_across_a_turning_over(tmp_path: Path) -> None:
    """Whoever follows misses no line when the file is turned over."""
    log = RotatingLog(tmp_path / "a.log", max_bytes=20, kept=2)
    log.write(b"before\n")
    lines = follow({"a": tmp_path / "a.log"})
    later = Timer(0.3, log.write, [b"second, which is longer\n"])
    later.start()

    assert next(lines) == ("a", "second, which is longer")
    later.join()
    lines.close()
    log.close()


def test_tail_of_no_file_is_empty(tmp_path: Path) -> None:
    """A process that has said nothing yet has no lines."""
    assert tail(tmp_path / "none.log", 5) == []


def test_the_screen_puts_a_coloured_name_before_each_line() -> None:
    """Lines of several processes can be told apart; bytes that are no UTF-8 do no harm."""
    plain, coloured = io.StringIO(), io.StringIO()

    Screen(plain).show("api", b"h\xffi")
    Screen(coloured, colour=True).show("api", b"hi")

    assert plain.getvalue() == "api      | h�i\n"
    assert coloured.getvalue() == "\x1b[36mapi      | \x1b[0mhi\n"

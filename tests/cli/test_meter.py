"""Test how progress is shown: a bar in a terminal, a few lines elsewhere."""

import io
import re

import pytest

from polyrnn.cli.terminal import console
from polyrnn.cli.watching import Meter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def a_plain_surrounding(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


def shown(file: io.StringIO, total: int, failing: int = 0) -> str:
    meter = Meter(console(file), "numpy")
    meter.show()
    meter.start(total)
    for position in range(total):
        meter.advance(failed=position < failing)
    meter.stop()
    return file.getvalue()


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    written = shown(Terminal(), 20, failing=2)
    assert "20/20" in written
    assert "2 failed" in written
    erase_line = "\x1b[2K"
    assert written.rstrip("\r\n").endswith(erase_line)


def test_a_narrow_terminal_gets_a_bar_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    monkeypatch.setenv("NO_COLOR", "1")
    moves = re.compile(r"\x1b\[[?0-9]*[A-Za-z]|\r")
    frames = [moves.sub("", frame) for frame in re.split(r"[\r\n]+", shown(Terminal(), 20))]
    assert any("numpy" in frame and "20/20 0 failed" in frame for frame in frames)
    assert all(len(frame) <= 44 for frame in frames)


def test_elsewhere_ten_lines_are_printed() -> None:
    lines = shown(io.StringIO(), 200, failing=30).splitlines()
    assert lines[0] == "numpy: 20 of 200 done, 20 failed"
    assert lines[-1] == "numpy: 200 of 200 done, 30 failed"
    assert len(lines) == 10


def test_few_cases_have_a_line_each() -> None:
    assert shown(io.StringIO(), 3).splitlines() == [
        "numpy: 1 of 3 done, 0 failed",
        "numpy: 2 of 3 done, 0 failed",
        "numpy: 3 of 3 done, 0 failed",
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert len(shown(Terminal(), 10).splitlines()) == 10


def test_nothing_to_do_shows_nothing() -> None:
    assert shown(io.StringIO(), 0) == ""

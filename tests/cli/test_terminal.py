"""Test the output with and without colours, in a pipe, and in a narrow terminal."""

import io

import pytest

from polyrnn.cli.terminal import console, print_items, print_table

HEADER = ["backend", "state", "version"]
ROWS = [["numpy", "installed", "2.4.6"], ["[torch]", "missing", ""]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def a_plain_surrounding(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")


def printed(file: io.StringIO) -> str:
    print_table(console(file), HEADER, ROWS)
    return file.getvalue()


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


TABLE = ["backend  state      version", "numpy    installed  2.4.6", "[torch]  missing"]


def test_a_pipe_gets_text_only() -> None:
    assert lines(printed(io.StringIO())) == TABLE


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[1m" in printed(Terminal())


def test_no_color_means_text_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert lines(printed(Terminal())) == TABLE


def test_lines_are_not_wrapped_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert lines(printed(io.StringIO())) == TABLE


def test_a_narrow_terminal_gets_records_that_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    assert lines(printed(Terminal())) == [
        "numpy",
        "  state: installed",
        "  version: 2.4.6",
        "",
        "[torch]",
        "  state: missing",
    ]


def test_numbers_are_aligned_to_the_right() -> None:
    file = io.StringIO()
    print_table(console(file), ["rule", "cases"], [["6", "12"], ["7", "9"]], numbers=1)
    assert lines(file.getvalue()) == ["rule  cases", "6        12", "7         9"]


def test_items_are_printed_unchanged() -> None:
    file = io.StringIO()
    print_items(console(file), ['pip install "polyrnn[torch]"', "a :smile: " + "long " * 50])
    assert lines(file.getvalue()) == [
        '  pip install "polyrnn[torch]"',
        ("  a :smile: " + "long " * 50).rstrip(),
    ]


def test_items_in_a_narrow_terminal_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    file = Terminal()
    print_items(console(file), ["abcdefghijklmnopqrstuvwxyz"])
    assert "".join(file.getvalue().split()) == "abcdefghijklmnopqrstuvwxyz"
    assert all(len(line) <= 12 for line in lines(file.getvalue()))

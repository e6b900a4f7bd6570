"""Test that the README's table about tf_keras and Keras 3 is true."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import peers
import pytest

from polyrnn_conformance.cases import TABLE

README = Path(__file__).parents[2] / "README.md"
ROWS = {row.name: row for row in TABLE}


def lines() -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield the lines of the table: title, results of tf_keras and of Keras 3, and cases."""
    for line in README.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[3].startswith("`"):
            yield cells[0], cells[1], cells[2], re.findall(r"`([^`]+)`", cells[3])


TABLE_LINES = list(lines())


@cache
def peer(backend: str, reference: str) -> peers.Peer:
    return peers.load(backend, reference)


def passes_all(backend: str, reference: str, cases: list[str]) -> bool:
    return all(peers.holds(peer(backend, reference), ROWS[case]) for case in cases)


def test_there_is_a_table() -> None:
    assert len(TABLE_LINES) >= 10


@pytest.mark.parametrize(("title", "said", "_", "cases"), TABLE_LINES)
def test_tf_keras(title: str, said: str, _: str, cases: list[str]) -> None:
    assert said == ("yes" if passes_all("tensorflow", peers.TF_KERAS, cases) else "no")


@pytest.mark.parametrize(("title", "_", "said", "cases"), TABLE_LINES)
def test_keras(title: str, _: str, said: str, cases: list[str]) -> None:
    holding = [name for name, where in peers.KERAS.items() if passes_all(name, where, cases)]
    everywhere = len(holding) == len(peers.KERAS)
    assert said == ("yes" if everywhere else ", ".join(holding) or "no")

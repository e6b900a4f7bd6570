"""Fixtures for the tests of the front end."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from shelf import Shelf

from polyrnn import registry, selection

pytest.register_assert_rewrite("refusal")


@pytest.fixture(autouse=True)
def no_backend_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(selection.ENVIRONMENT_VARIABLE, raising=False)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Give a folder for fake distributions; polyrnn sees what is in it at its first call."""
    shelf = Shelf(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "installed", cache(shelf.registry))
    yield shelf
    shelf.forget()

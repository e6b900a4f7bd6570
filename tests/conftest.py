"""Fixtures for the tests of the front end."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from fake_distributions import FakeDistributions

from polyrnn import registry, selection

pytest.register_assert_rewrite("refusal")


@pytest.fixture(autouse=True)
def no_backend_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(selection.ENVIRONMENT_VARIABLE, raising=False)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDistributions]:
    """Yield an empty folder for fake distributions; polyrnn lists them at its first call."""
    fakes = FakeDistributions(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "installed", cache(fakes.registry))
    yield fakes
    fakes.forget()

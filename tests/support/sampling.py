"""Leave slow tests of one kind to the nightly run, `pytest -m ""`, but for a sample."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_of(count: int, values: Iterable[Any], ids: Iterable[str] | None = None) -> list[Any]:
    """Return parameters of a test, of which only one in so many runs by default.

    Args:
        count: How many parameters there are for each one that runs by default.
        values: The values of the parameters, tuples where a test has several.
        ids: Their names.
    """
    values = list(values)
    names = [None] * len(values) if ids is None else list(ids)
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            id=name,
            marks=pytest.mark.nightly if number % count else (),
        )
        for number, (value, name) in enumerate(zip(values, names, strict=True))
    ]

"""Keeps torch.compile from compiling functions of polyrnn separately."""

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from polyrnn_torch.internals import skip

PACKAGES = ("polyrnn", "polyrnn_torch", "optree")
"""The packages whose direct modules define the functions of a call; subpackages do not count."""


def keep_in_one_piece() -> None:
    """Make torch.compile trace polyrnn as part of a function of the user, or not at all.

    Without this, torch.compile would compile each function of polyrnn separately where a step
    cannot be compiled, and so mix traced with untraced functions of polyrnn. With it, polyrnn runs
    eagerly in that case, and each call of the step is compiled as far as possible.
    """
    skip(
        [
            code
            for name, module in list(sys.modules.items())
            if name.rpartition(".")[0] in PACKAGES
            for value in list(vars(module).values())
            for code in _code_of(value, name)
        ]
    )


def _code_of(value: Any, module: str) -> Iterator[CodeType]:
    """Yield the code objects of a value that a module defines, and of definitions within it."""
    if isinstance(value, property):
        value = value.fget
    parts: Any = ()
    if isinstance(value, CodeType):
        yield value
        parts = value.co_consts
    elif getattr(value, "__module__", None) == module:
        if isinstance(value, FunctionType):
            parts = (value.__code__,)
        elif isinstance(value, type):
            parts = vars(value).values()
    for part in parts:
        yield from _code_of(part, module)

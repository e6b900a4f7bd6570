"""Keeps torch.compile from compiling parts of polyrnn by themselves."""

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from polyrnn_torch.internals import skip

PACKAGES = ("polyrnn", "polyrnn_torch", "optree")
"""Whose modules, but not those of packages within them, a call goes through."""


def keep_in_one_piece() -> None:
    """Have torch.compile trace polyrnn as part of a function of the user, or not at all.

    Where a step cannot be compiled, it would go on and compile each function of polyrnn for
    itself, so that what was traced would meet what was not. Now polyrnn then runs as it is,
    and each call of the step is compiled as far as it can be.
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
    """List the code of what a module defines, and of what is defined within that."""
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

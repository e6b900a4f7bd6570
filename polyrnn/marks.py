"""Decorators that exclude functions of polyrnn from compilers that rewrite Python code.

AutoGraph and Dynamo, the tracer of torch.compile, both look for an attribute of a function, so
these decorators need to import neither TensorFlow nor torch.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def left_alone(function: Function) -> Function:
    """Mark a function so that AutoGraph does not convert it.

    AutoGraph converts all functions that a ``tf.function`` calls, directly or indirectly. In
    polyrnn it would find nothing to convert and print many warnings. A step that is defined
    within the ``tf.function`` is converted all the same.

    Args:
        function: A function that users call.

    Returns:
        The same function.
    """
    function.autograph_info__ = {}  # type: ignore[attr-defined]
    return function


def constant_in_traces(function: Function) -> Function:
    """Mark a function that torch.compile calls while it traces, keeping the result as a constant.

    It serves for functions that import modules or read context variables or the environment,
    none of which can be traced.

    Args:
        function: A function whose arguments and result are constants to the tracer.

    Returns:
        The same function.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


before_calls: list[Callable[[], None]] = []
"""Functions of backends that are called at the start of each call, before its arguments are read.

They run as plain Python even while torch.compile traces the call.
"""

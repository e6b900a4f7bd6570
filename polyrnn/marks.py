"""How compilers that read Python code are told to leave functions of polyrnn alone.

AutoGraph and Dynamo, the tracer of torch.compile, both look for an attribute of a function, so
that a mark is set without importing TensorFlow or torch.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def left_alone(function: Function) -> Function:
    """Mark a function as one that AutoGraph shall call as it is.

    It rewrites whatever a ``tf.function`` calls, and what that calls in turn; there is
    nothing for it here, but much to warn of. A step that is defined within the
    ``tf.function`` is rewritten all the same.

    Args:
        function: What users call.

    Returns:
        The same function.
    """
    function.autograph_info__ = {}  # type: ignore[attr-defined]
    return function


def constant_in_traces(function: Function) -> Function:
    """Mark a function that torch.compile calls as it traces, and whose result it keeps.

    What is imported and what the surroundings say cannot be traced.

    Args:
        function: A function of constants, which returns a constant.

    Returns:
        The same function.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


before_calls: list[Callable[[], None]] = []
"""Functions of backends to call before the arguments of a call are read, as plain Python also
where torch.compile traces the call."""

"""How TensorFlow's AutoGraph is told to leave polyrnn alone, without importing TensorFlow."""

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

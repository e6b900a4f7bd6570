"""All names of JAX that the backend uses and that JAX may change without notice.

If a later version of JAX has moved or removed a name that the cache of compiled loops needs, loops
run as a plain `jax.lax.scan`, and the modules of the cache are not imported.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jax

from polyrnn.private_names import PrivateNames

__all__ = [
    "PRIVATE",
    "AbstractValue",
    "ClosedJaxpr",
    "Jaxpr",
    "JaxprEqn",
    "Literal",
    "ShapedArray",
    "WrappedFun",
    "eval_jaxpr",
    "missing_of_cache",
    "noting_what_varying_needs",
    "trace_of",
    "varying_axes",
    "warn_of_no_cache",
]

CACHE = "the cache of compiled loops"
VARYING = "a carry that starts as zeros within shard_map"

_ATTRIBUTES = {
    "jax.extend.core:ClosedJaxpr": ("consts", "jaxpr"),
    "jax.extend.core:Jaxpr": (
        *("constvars", "debug_info", "eqns", "invars", "outvars", "replace"),
    ),
    "jax.extend.core:JaxprEqn": ("ctx", "effects", "invars", "outvars", "params", "primitive"),
    "jax.extend.core:Literal": ("aval", "val"),
    "jax.extend.linear_util:WrappedFun": ("f", "params", "transforms"),
    "jax.core:AbstractValue": (),
    "jax.core:ShapedArray": ("shape",),
    "jax.core:Tracer": ("_trace",),
    "jax.core:eval_jaxpr": (),
}
"""The objects that the cache uses, with the attributes that it reads."""

PRIVATE = PrivateNames(
    "jax",
    "0.10",
    {
        CACHE: [
            name
            for kind, attributes in _ATTRIBUTES.items()
            for name in (kind, *(f"{kind}.{attribute}" for attribute in attributes))
        ],
        VARYING: ["jax.core:ShapedArray.manual_axis_type"],
    },
)

_OF_DEBUG_INFO = "_replace"
"""The method that removes the names of arguments from the debug info of a jaxpr."""


def missing_of_cache() -> list[str]:
    """Return the names that the cache of compiled loops needs and that JAX does not have."""
    missing = PRIVATE.missing(CACHE)
    if not missing:
        debug_info = jax.make_jaxpr(lambda: ())().jaxpr.debug_info
        if not hasattr(debug_info, _OF_DEBUG_INFO):
            missing.append(f"jax.extend.core.Jaxpr.debug_info.{_OF_DEBUG_INFO}")
    return missing


def warn_of_no_cache(missing: list[str]) -> None:
    """Warn that a loop is compiled at each call.

    Args:
        missing: The result of `missing_of_cache`.
    """
    PRIVATE.warn(CACHE, missing, "each eager call compiles its loop again, which jax.jit avoids")


def varying_axes(aval: Any) -> tuple[Any, ...]:
    """Return the mesh axes along which a tensor within shard_map varies.

    Args:
        aval: The type of the tensor.

    Returns:
        The axes. They are empty if the private name is missing; JAX then rejects some loops within
        shard_map, but none outside of it.
    """
    return tuple(aval.manual_axis_type.varying) if _TELLS_VARYING else ()


_TELLS_VARYING = not PRIVATE.missing(VARYING)


@contextmanager
def noting_what_varying_needs() -> Iterator[None]:
    """Add a note to the error for such a loop that says which version of JAX it needs."""
    try:
        yield
    except TypeError as error:
        missing = PRIVATE.missing(VARYING)
        if missing:
            error.add_note(PRIVATE.explain(VARYING, missing))
        raise


def trace_of(x: Any) -> Any:
    """Return the trace that a tracer belongs to, or `None` for an array.

    Args:
        x: A tracer or an array.
    """
    return getattr(x, "_trace", None)


if TYPE_CHECKING:
    from jax.core import AbstractValue, ShapedArray, eval_jaxpr
    from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
    from jax.extend.linear_util import WrappedFun
else:
    ClosedJaxpr = PRIVATE.find("jax.extend.core:ClosedJaxpr")
    Jaxpr = PRIVATE.find("jax.extend.core:Jaxpr")
    JaxprEqn = PRIVATE.find("jax.extend.core:JaxprEqn")
    Literal = PRIVATE.find("jax.extend.core:Literal")
    WrappedFun = PRIVATE.find("jax.extend.linear_util:WrappedFun")
    AbstractValue = PRIVATE.find("jax.core:AbstractValue")
    ShapedArray = PRIVATE.find("jax.core:ShapedArray")
    eval_jaxpr = PRIVATE.find("jax.core:eval_jaxpr")

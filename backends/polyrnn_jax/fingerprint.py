"""Computes hashable keys of jaxprs, which are equal only if the jaxprs compute the same.

The text of a jaxpr is no such key, because different callbacks, or different derivative rules, may
be printed alike. The key is made of the structure of the jaxpr instead. An object of a type that is
not known here is compared by identity. At worst, equal functions then have different keys, which
costs a compilation but never gives a wrong result.

A key keeps the objects alive that it compares by identity, and so does the function that is
compiled for it. Therefore a key is called lasting only if modules keep all of these objects alive
anyway.
"""

import dataclasses
import functools
import gc
import sys
from collections.abc import Container, Hashable, Iterable, Iterator
from enum import Enum
from types import FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

from polyrnn_jax.internals import (
    AbstractValue,
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    ShapedArray,
    WrappedFun,
    trace_of,
)

_COMPARED_BY_VALUE = (
    AbstractValue,
    jax.sharding.AbstractMesh,
    jax.sharding.Mesh,
    jax.sharding.PartitionSpec,
    jax.sharding.Sharding,
)

_SCRATCH = {"DebugInfo", "DynamicJaxprTrace", "EqualStore", "Store"}
"""Internal types of JAX in closures of derivative rules that do not affect the derivatives."""

_MOST_OBJECTS = 10_000
"""How many objects to search for tracers."""


class NoKeyError(Exception):
    """The traced function depends on something that no key may hold, such as an outer tracer."""


class _Same:
    """Compares an object by identity, even if its type defines equality; keeps it alive."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class _Opaque(_Same):
    """Compares by identity an object that may be short-lived or may hold tracers in a closure."""

    __slots__ = ()


class _Named(_Same):
    """Compares by identity an object that is an attribute of a module."""

    __slots__ = ()


def fingerprint(jaxpr: Jaxpr) -> Hashable:
    """Return a key of a jaxpr; two jaxprs with equal keys compute the same from equal arguments.

    Args:
        jaxpr: The jaxpr. Arrays that it closes over count as arguments and are not part of the key.

    Returns:
        A hashable key. It keeps the objects alive that it compares by identity.

    Raises:
        NoKeyError: If there is no key, so that nothing compiled for the jaxpr may be reused.

    Example:
        >>> import jax
        >>> def traced(factor):
        ...     return fingerprint(jax.make_jaxpr(lambda x: x * factor)(1.0).jaxpr)
        >>> traced(2.0) == traced(2.0), traced(2.0) == traced(3.0)
        (True, False)
    """
    numbers: dict[Any, int] = {}

    def define(variables: Iterable[Any]) -> tuple[Hashable, ...]:
        for variable in variables:
            numbers[variable] = len(numbers)
        return tuple(_value(variable.aval) for variable in variables)

    def use(atom: Any) -> Hashable:
        if isinstance(atom, Literal):
            return (_value(atom.val), _value(atom.aval))
        return numbers[atom]

    def equation(eqn: JaxprEqn) -> Hashable:
        return (
            _Same(eqn.primitive),
            tuple(map(use, eqn.invars)),
            _entries(eqn.params),
            _Same(eqn.ctx),
            frozenset(map(type, eqn.effects)),
            define(eqn.outvars),
        )

    return (
        define(jaxpr.constvars),
        define(jaxpr.invars),
        tuple(map(equation, jaxpr.eqns)),
        tuple(map(use, jaxpr.outvars)),
    )


def is_lasting(key: Hashable) -> bool:
    """Return whether modules keep all objects alive that a key compares by identity.

    Args:
        key: A key from `fingerprint`.
    """
    return not any(
        isinstance(part, _Opaque) or (isinstance(part, _Named) and not _is_named(part.value))
        for part in _parts(key)
    )


def may_hold_tracers(key: Hashable, ended: Container[Any] = ()) -> bool:
    """Return whether a jaxpr may depend on tracers that are not among its arguments.

    A derivative rule written by a user may close over a tracer that the jaxpr does not show. While
    the trace of that tracer is active, the jaxpr must not be compiled separately.

    Args:
        key: A key from `fingerprint`.
        ended: Finished traces, whose tracers do not count.
    """
    waiting = [part.value for part in _parts(key) if isinstance(part, _Opaque)]
    seen = set(map(id, waiting))
    while waiting:
        value = waiting.pop()
        if isinstance(value, jax.core.Tracer):
            if trace_of(value) not in ended:
                return True
            continue
        if len(seen) > _MOST_OBJECTS:
            return True
        for inner in gc.get_referents(value):
            is_module = isinstance(inner, ModuleType) or _is_namespace(inner)
            if id(inner) not in seen and not is_module and not isinstance(inner, type):
                seen.add(id(inner))
                waiting.append(inner)
    return False


def _parts(key: Hashable) -> Iterator[Hashable]:
    if isinstance(key, tuple | frozenset):
        for part in key:
            yield from _parts(part)
    else:
        yield key


def _value(value: Any) -> Hashable:
    """Return the key of a parameter: by value for known types, by identity for all others."""
    kind = type(value)
    if kind in (bool, int, str, bytes) or isinstance(value, np.dtype):
        return (kind, value)
    if kind in (float, complex, np.ndarray) or isinstance(value, np.generic):
        return _number(value)
    if kind is tuple:
        return (kind, *map(_value, value))
    if kind is frozenset:
        return (kind, frozenset(map(_value, value)))
    if kind is MethodType:
        return (kind, _value(value.__func__), _value(value.__self__))
    if kind is functools.partial and not vars(value):
        return (kind, _value(value.func), _value(value.args), _entries(value.keywords))
    if kind is FunctionType:
        return _function(value)
    if isinstance(value, jax.core.Tracer):
        raise NoKeyError
    if kind.__module__.partition(".")[0] in ("jax", "jaxlib"):
        return _object_of_jax(value)
    return _Same(value) if value is None else _by_identity(value)


def _entries(container: Any) -> Hashable:
    """Return the key of a container that JAX has made, by the entries of a list or dict.

    Other lists and dicts are compared by identity, because a user may change them later.
    """
    if type(container) is list:
        return (list, *map(_value, container))
    if type(container) is dict:
        return (dict, *((key, _value(entry)) for key, entry in container.items()))
    return _value(container)


def _number(value: Any) -> Hashable:
    """Return the key of a number or array by its bits; -0.0 differs from 0.0, NaN equals NaN."""
    array = np.asarray(value)
    return (type(value), array.dtype, array.shape, array.tobytes())


def _object_of_jax(value: Any) -> Hashable:
    kind: Any = type(value)
    if isinstance(value, ShapedArray):
        if not all(isinstance(size, int) for size in value.shape):
            raise NoKeyError  # symbolic sizes belong to one export alone
        return (kind, value)
    if isinstance(value, _COMPARED_BY_VALUE):
        return (kind, value)
    if isinstance(value, ClosedJaxpr):
        return (kind, fingerprint(value.jaxpr), *map(_value, value.consts))
    if isinstance(value, Jaxpr):
        return (kind, fingerprint(value))
    if isinstance(value, jax.tree_util.PyTreeDef):
        node, data = value.node_data() or (None, None)
        return (kind, _Same(node), _entries(data), *map(_value, value.children()))
    if isinstance(value, WrappedFun):
        return (kind, _value(value.f), _value(value.transforms), _value(value.params))
    if isinstance(value, int | float | complex):
        return _number(value)
    if hasattr(value, "__array__") and not isinstance(value, jax.Array):
        return _number(value)
    if isinstance(value, tuple):
        return (kind, *map(_value, value))
    if kind.__name__ == "Unhashable":  # JAX's wrapper of an argument that is not differentiated
        return (kind, _value(value.val))
    if kind.__name__ in _SCRATCH:
        return "scratch"
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:
        return (kind, *(_value(getattr(value, each.name)) for each in dataclasses.fields(value)))
    return _by_identity(value)


def _function(function: FunctionType) -> Hashable:
    """Return the key of a Python function.

    JAX creates functions with closures anew at each trace, so these are compared by the contents
    of their closures. A user's closure may hold state, so functions of users with a closure are
    compared by identity. Functions of modules with neither a closure nor attributes are compared
    by their code and defaults.
    """
    is_of_jax = function.__globals__.get("__name__", "").partition(".")[0] == "jax"
    is_open = not function.__closure__ and not vars(function)
    if not is_of_jax and not (is_open and _is_namespace(function.__globals__)):
        return _by_identity(function)
    cells = []
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # an empty cell
            content = None
        # An instance of `object` is a sentinel, so any two of them count as equal.
        cells.append(None if type(content) is object else _entries(content))
    return (
        _Same(function.__code__),
        tuple(cells),
        _value(function.__defaults__),
        _entries(function.__kwdefaults__),
    )


def _by_identity(value: Any) -> Hashable:
    return _Named(value) if _is_named(value) else _Opaque(value)


def _is_named(value: Any) -> bool:
    """Return whether an object, or a wrapper around it, is an attribute of a module."""
    if isinstance(value, Enum):
        value = type(value)
    module = sys.modules.get(str(getattr(value, "__module__", "")))
    found: Any = module
    for name in str(getattr(value, "__qualname__", getattr(value, "__name__", ""))).split("."):
        found = getattr(found, name, None)
    while found is not None:
        if found is value:
            return True
        found = getattr(found, "__wrapped__", None)
    return module is not None and any(each is value for each in list(vars(module).values()))


def _is_namespace(value: Any) -> bool:
    """Return whether an object is the ``__dict__`` of a module in `sys.modules`."""
    if type(value) is not dict:
        return False
    module = sys.modules.get(value.get("__name__", ""))
    return module is not None and vars(module) is value

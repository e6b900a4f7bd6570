"""Tells whether two traced functions are the same: turns a jaxpr into a key that can be compared.

The text of a jaxpr would not do, for it hides what is not data: two callbacks, or two
derivative rules, look alike in print. A key is made of the structure instead, and an
object whose meaning is not known here counts as equal to itself alone. A wrong guess thus
costs a compilation and never a result.

A key keeps alive the objects it tells apart, as does whatever is compiled for it. So only
what a module holds in any case has a place in one; all else makes a key that is not lasting.
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
"""JAX's own types in the closures of derivative rules that do not change what a rule means."""

_MOST_OBJECTS = 10_000
"""How many objects to look through for tracers."""


class NoKeyError(Exception):
    """What was traced depends on something that must not be kept, such as an outer tracer."""


class _Same:
    """Equal to itself alone, whatever the object inside thinks of equality; keeps it alive."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class _Opaque(_Same):
    """The same, where the object may come to an end, or hold what is not seen from outside."""

    __slots__ = ()


class _Named(_Same):
    """The same, where a module has the object under a name."""

    __slots__ = ()


def fingerprint(jaxpr: Jaxpr) -> Hashable:
    """Give a key that is equal for jaxprs which compute the same from the same arguments.

    Args:
        jaxpr: What was traced. Arrays it closes over are arguments of it, not part of the key.

    Returns:
        A hashable key. It keeps alive the Python objects it tells apart.

    Raises:
        NoKeyError: If no key can be given, for then nothing may be shared.

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
    """Return whether all that a fingerprint tells apart by identity stays alive in any case.

    Args:
        key: What `fingerprint` gave.
    """
    return not any(
        isinstance(part, _Opaque) or (isinstance(part, _Named) and not _is_named(part.value))
        for part in _parts(key)
    )


def may_hold_tracers(key: Hashable, ended: Container[Any] = ()) -> bool:
    """Return whether what a fingerprint stands for may depend on more than its arguments.

    A derivative rule that a user has written may close over a tracer without showing it in
    the jaxpr. While such a trace lasts the rule must not be taken out of it and compiled.

    Args:
        key: What `fingerprint` gave.
        ended: Traces that are over, whose tracers do not count.
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
    """Give a key of a parameter: by value for plain data, by identity for what may be anything."""
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
    """Compare a list or dict that JAX has made by its entries; a user's might be a store."""
    if type(container) is list:
        return (list, *map(_value, container))
    if type(container) is dict:
        return (dict, *((key, _value(entry)) for key, entry in container.items()))
    return _value(container)


def _number(value: Any) -> Hashable:
    """Compare bits: -0.0 is not 0.0, and NaN is equal to itself."""
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
    if kind.__name__ == "Unhashable":  # the wrapping of an argument that is not differentiated
        return (kind, _value(value.val))
    if kind.__name__ in _SCRATCH:
        return "scratch"
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:
        return (kind, *(_value(getattr(value, each.name)) for each in dataclasses.fields(value)))
    return _by_identity(value)


def _function(function: FunctionType) -> Hashable:
    """Look into the closures that JAX makes anew at each trace, and into nobody else's.

    A user's function may keep state in its closure, so two of them are never the same. One
    without a closure is the same as another that is made by the same line.
    """
    is_of_jax = function.__globals__.get("__name__", "").partition(".")[0] == "jax"
    is_open = not function.__closure__ and not vars(function)
    if not is_of_jax and not (is_open and _is_namespace(function.__globals__)):
        return _by_identity(function)
    cells = []
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # a cell that is not filled yet
            content = None
        # A bare object is a sentinel: it has no content in which two could differ.
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
    """Return whether a module has an object under some name, itself or wrapped by another."""
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
    """Return whether a dict is the one of a module that can be imported."""
    if type(value) is not dict:
        return False
    module = sys.modules.get(value.get("__name__", ""))
    return module is not None and vars(module) is value

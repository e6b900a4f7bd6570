"""All private names of torch that the backend uses.

Each function says what it does if a later version of torch has moved or removed the names. Calls
that torch.compile does not trace work without any of them. Names that are needed in a trace only
are imported in a trace only.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from operator import attrgetter, methodcaller
from pkgutil import resolve_name
from types import CodeType
from typing import Any
from weakref import WeakValueDictionary

from polyrnn.marks import constant_in_traces
from polyrnn.private_names import PrivateNames

SCAN = "the scan of a long loop under torch.compile"
COUNTS = "a count of the writes into a tensor"
TRANSFORMATIONS = "the fast path of a call outside of torch.func"
SKIPPED = "a graph break that is confined to a step"
NODES = "a nest of a type that is registered with torch"
UNSUPPORTED = "the original error of a function under torch.compile"
NUMBERS = "the numbers of the nodes of a graph of gradients"

PRIVATE = PrivateNames(
    "torch",
    "2.13",
    {
        SCAN: (
            "torch._higher_order_ops.scan:scan",
            "torch.fx.experimental.symbolic_shapes:has_static_value",
            "torch._guards:TracingContext.get",
            "torch._dynamo.symbolic_convert:InstructionTranslator.current_tx",
            "torch._dynamo.variables.higher_order_ops:"
            "ScanHigherOrderVariable._ALLOW_FALLBACK_TO_EAGER",
        ),
        COUNTS: ("torch:Tensor._version",),
        TRANSFORMATIONS: ("torch._C._functorch:maybe_current_level",),
        SKIPPED: (
            "torch._C._dynamo.eval_frame:set_code_exec_strategy",
            "torch._C._dynamo.eval_frame:_FrameExecStrategy",
            "torch._C._dynamo.eval_frame:_FrameAction.SKIP",
            "torch._C._dynamo.eval_frame:_FrameAction.DEFAULT",
        ),
        NODES: ("torch.utils._pytree:SUPPORTED_NODES",),
        UNSUPPORTED: ("torch._dynamo.exc:Unsupported",),
        NUMBERS: ("torch.autograd.graph:Node._sequence_nr",),
    },
)

counts_writes: bool = not PRIVATE.missing(COUNTS)
"""Whether torch counts the writes into a tensor; if it does not, steps are given copies."""

version: Callable[[Any], int] = attrgetter("_version")
"""A function that returns how often a tensor was written into."""

numbers_nodes: bool = not PRIVATE.missing(NUMBERS)
"""Whether torch numbers the nodes of a graph of gradients in the order in which it makes them."""

number: Callable[[Any], int] = methodcaller("_sequence_nr")
"""A function that returns the number of a node; later nodes have higher numbers."""

_current_level = PRIVATE.find(*PRIVATE.uses[TRANSFORMATIONS])


@constant_in_traces
def is_transformed() -> bool:
    """Return whether a transformation of torch.func is active, or may be.

    If the private name is missing, the result is true: the backend then behaves as under a
    transformation, with copies instead of counts of writes, and without a scan.
    """
    return _current_level is None or _current_level() is not None


def registered_nodes() -> Mapping[Any, Any]:
    """Return torch's registry of pytree nodes by type; empty if the private name is missing."""
    nodes: Mapping[Any, Any] | None = PRIVATE.find(*PRIVATE.uses[NODES])
    return {} if nodes is None else nodes


def skip(codes: list[CodeType]) -> None:
    """Exclude code objects from being compiled by torch.compile as functions of their own.

    torch.compile still traces them as part of a function that calls them. If the private names are
    missing, nothing is excluded, and the graph of a step that cannot be compiled breaks in more
    places. This does not import the compiler of torch.

    Args:
        codes: The code objects.
    """
    if PRIVATE.missing(SKIPPED):
        return
    set_strategy, strategy, skipped, default = map(PRIVATE.find, PRIVATE.uses[SKIPPED])
    for code in codes:
        set_strategy(code, strategy(skipped, default))


def unsupported() -> type[BaseException]:
    """Return the type of the error that torch.compile raises for code it does not support."""
    kind: type[BaseException] | None = PRIVATE.find(*PRIVATE.uses[UNSUPPORTED])
    return RuntimeError if kind is None else kind


scan: Any = None
"""The scan function of torch, or `None` before `can_scan` has found it."""

has_static_value: Any = None
"""A function that returns whether a size is static, or `None` before `can_scan` has found it."""

_tracing_context: Any = None
"""A function that returns torch's current tracing context, once `can_scan` has found it."""

_tracer: Any = None
"""A function that returns Dynamo's current instruction translator, likewise."""

ATTRIBUTES = {
    "torch._dynamo.symbolic_convert:InstructionTranslator.current_tx": (
        "output.side_effects",
        "one_graph",
    ),
    "torch._guards:TracingContext.get": ("fake_mode.shape_env.settings.allow_scalar_outputs",),
}
"""The attributes that a scan needs of the objects that these functions return in a trace."""


@constant_in_traces
def can_scan(in_dynamo: bool) -> bool:
    """Import the private names that a scan needs, and return whether torch has all of them.

    If it does not, loops are unrolled.

    Args:
        in_dynamo: Whether Dynamo is tracing, rather than another tracer of torch.
    """
    global scan, has_static_value, _tracing_context, _tracer
    if _missing_of_scan(in_dynamo):
        return False
    scan, has_static_value, _tracing_context, _tracer, _ = map(PRIVATE.find, PRIVATE.uses[SCAN])
    variable = resolve_name("torch._dynamo.variables.higher_order_ops:ScanHigherOrderVariable")
    fallback = inspect.getattr_static(variable, "_ALLOW_FALLBACK_TO_EAGER")
    if isinstance(fallback, bool):
        variable._ALLOW_FALLBACK_TO_EAGER = _FallbackToEager(fallback, _tracer)
    return True


@constant_in_traces
def warn_of_no_scan(in_dynamo: bool) -> None:
    """Warn that a loop was unrolled because torch lacks names that a scan needs.

    Args:
        in_dynamo: Whether Dynamo is tracing, rather than another tracer of torch.
    """
    PRIVATE.warn(
        SCAN,
        _missing_of_scan(in_dynamo),
        "the loop is unrolled for torch.compile, so the time to compile it grows with the number "
        "of steps",
    )


def _missing_of_scan(in_dynamo: bool) -> list[str]:
    missing = PRIVATE.missing(SCAN)
    if in_dynamo and not missing:
        for name, paths in ATTRIBUTES.items():
            found = PRIVATE.find(name)()
            for path in paths:
                try:
                    attrgetter(path)(found)
                except AttributeError:
                    missing.append(f"{type(found).__module__}.{type(found).__name__}.{path}")
    return missing


@constant_in_traces
def allow_scalars() -> None:
    """Allow Inductor to read the iteration counter of a scan, by which it slices the inputs.

    Without ``fullgraph=True`` torch.compile forbids reading scalars from tensors, and Inductor then
    fails for every scan. User code that reads a scalar still breaks the graph, because the tracer
    itself ignores this setting.
    """
    symbols = _tracing_context().fake_mode.shape_env
    symbols.settings = dataclasses.replace(symbols.settings, allow_scalar_outputs=True)


@constant_in_traces
def let_break(allowed: bool) -> None:
    """Set whether the current graph may break at a scan, unless ``fullgraph=True`` was given.

    If it may not, torch raises for a step that has side effects, such as appending to a list,
    instead of running the call eagerly.

    Args:
        allowed: Whether the graph may break.
    """
    _tracer().output.polyrnn_lets_scans_break = allowed


class _FallbackToEager:
    """A descriptor for whether a scan may fall back to eager execution.

    The scans of polyrnn may. For all other scans the value is that of torch.

    Args:
        otherwise: The value of torch.
        tracer: Return the current tracer.
    """

    def __init__(self, otherwise: bool, tracer: Callable[[], Any]) -> None:
        self.otherwise = otherwise
        self.tracer = tracer

    def __get__(self, instance: Any, kind: type) -> bool:
        try:
            tracer = self.tracer()
        except AttributeError:  # nothing is traced
            return self.otherwise
        lets_break = getattr(tracer.output, "polyrnn_lets_scans_break", False)
        return self.otherwise or (lets_break and not tracer.one_graph)


_records: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""The tracer's records of side effects on Python objects, by the `id` of the record."""


@constant_in_traces
def record_of_writes() -> int:
    """Return the number of the record in which the tracer currently notes side effects."""
    record = _tracer().output.side_effects
    _records[id(record)] = record
    return id(record)


@constant_in_traces
def go_on_with(number: int) -> None:
    """Make the tracer continue with the record of side effects that it had before a scan.

    A scan replaces the record by a copy (in torch 2.13), while objects that the tracer knew before
    still write into the first one. Side effects on them after the scan would then be lost:
    attributes of the user's objects, and what an enclosing `polyrnn.rnn` records about its step.

    Args:
        number: The result of `record_of_writes` before the scan.
    """
    output = _tracer().output
    record = _records.get(number)
    if record is not None:
        vars(record).update(vars(output.side_effects))
        output.side_effects = record

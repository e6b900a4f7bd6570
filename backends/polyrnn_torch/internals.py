"""Everything that the backend takes from torch without torch's promise to keep it.

Each function says what it does where the next torch has moved what it takes. A call that
torch.compile does not trace needs none of it. What only a trace needs is imported in a trace.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from operator import attrgetter
from pkgutil import resolve_name
from types import CodeType
from typing import Any
from weakref import WeakValueDictionary

from polyrnn.marks import constant_in_traces
from polyrnn.private_names import PrivateNames

SCAN = "a loop of which torch.compile compiles one step"
COUNTS = "a count of the writes into a tensor"
TRANSFORMATIONS = "the quick way through a call outside of torch.func"
SKIPPED = "a graph that breaks within a step only"
NODES = "a nest of a type that is registered with torch"
UNSUPPORTED = "the error that the conformance suite sees behind that of torch.compile"

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
    },
)

counts_writes: bool = not PRIVATE.missing(COUNTS)
"""Whether torch counts the writes into a tensor; where it does not, steps are given copies."""

version: Callable[[Any], int] = attrgetter("_version")
"""Return how often a tensor was written into."""

_current_level = PRIVATE.find(*PRIVATE.uses[TRANSFORMATIONS])


@constant_in_traces
def is_transformed() -> bool:
    """Return whether a transformation of torch.func is under way, or may be.

    Where it cannot be told all is done that one would take: copies instead of counts of writes,
    and no scan.
    """
    return _current_level is None or _current_level() is not None


def registered_nodes() -> Mapping[Any, Any]:
    """Return what is registered with torch by type; nothing where torch does not show it."""
    nodes: Mapping[Any, Any] | None = PRIVATE.find(*PRIVATE.uses[NODES])
    return {} if nodes is None else nodes


def skip(codes: list[CodeType]) -> None:
    """Have torch.compile compile no code of these by itself.

    It may trace them as a part of something else. Without the names the graph of a step that
    cannot be compiled breaks in more places. That torch imports its compiler is not needed.
    """
    if PRIVATE.missing(SKIPPED):
        return
    set_strategy, strategy, skipped, default = map(PRIVATE.find, PRIVATE.uses[SKIPPED])
    for code in codes:
        set_strategy(code, strategy(skipped, default))


def unsupported() -> type[BaseException]:
    """Return the type of the error for what torch.compile does not support."""
    kind: type[BaseException] | None = PRIVATE.find(*PRIVATE.uses[UNSUPPORTED])
    return RuntimeError if kind is None else kind


scan: Any = None
"""torch's scan, once `can_scan` has found it."""

has_static_value: Any = None
"""Return whether a size is known where it is traced, once `can_scan` has found it."""

_tracing_context: Any = None
_tracer: Any = None
"""Return what Dynamo traces with, and what it knows of it, once `can_scan` has found them."""

ATTRIBUTES = {
    "torch._dynamo.symbolic_convert:InstructionTranslator.current_tx": (
        "output.side_effects",
        "one_graph",
    ),
    "torch._guards:TracingContext.get": ("fake_mode.shape_env.settings.allow_scalar_outputs",),
}
"""What a scan takes of the objects that functions return while Dynamo traces."""


@constant_in_traces
def can_scan(in_dynamo: bool) -> bool:
    """Import what a scan takes, and return whether torch has all of it.

    Where it does not, a loop is written out step by step.

    Args:
        in_dynamo: Whether it is Dynamo that traces.
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
    """Warn that a loop was written out for want of a scan.

    Args:
        in_dynamo: Whether it is Dynamo that traces.
    """
    PRIVATE.warn(
        SCAN,
        _missing_of_scan(in_dynamo),
        "torch.compile is given every step of a loop written out, which takes the longer to "
        "compile the more steps there are",
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
    """Let Inductor read the number of the round, by which it takes the slices of a scan.

    Unless told ``fullgraph=True``, torch.compile lets no scalar be read in what it traces,
    and Inductor fails on every scan for it. Where user code reads a scalar the graph still
    breaks, for the tracer itself does not go by this setting.
    """
    symbols = _tracing_context().fake_mode.shape_env
    symbols.settings = dataclasses.replace(symbols.settings, allow_scalar_outputs=True)


@constant_in_traces
def let_break(allowed: bool) -> None:
    """Say whether the graph under way may break at a scan, unless told ``fullgraph=True``.

    Where a step does what no scan can, such as to append to a list, torch would fail instead
    of running the call as it is.
    """
    _tracer().output.polyrnn_lets_scans_break = allowed


class _FallbackToEager:
    """Whether a scan falls back to an eager one: those of polyrnn do, others as torch says."""

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
"""What the tracer writes down of writes to Python objects, by the identity of the record."""


@constant_in_traces
def record_of_writes() -> int:
    """Tell which record the tracer writes into that writes to Python objects are known by."""
    record = _tracer().output.side_effects
    _records[id(record)] = record
    return id(record)


@constant_in_traces
def go_on_with(number: int) -> None:
    """Have the tracer go on with the record that it had before a scan.

    A scan leaves it with a copy. Objects that the tracer knew before would still write into
    the first record (so in torch 2.13), and whatever is set on them after the scan would be
    lost: attributes of the user's objects, and what an outer walk writes down of its step.
    """
    output = _tracer().output
    record = _records.get(number)
    if record is not None:
        vars(record).update(vars(output.side_effects))
        output.side_effects = record

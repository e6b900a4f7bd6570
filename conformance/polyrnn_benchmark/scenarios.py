"""What is measured: modes of backends, variants of the task, sizes and bounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

HAND_WRITTEN = "hand-written"
"""The rival that bounds refer to: the loop that an expert writes for the framework."""

PYTHON_LOOP = "python_loop"
"""The rival if there is no hand-written loop: the step in `polyrnn.python_loop`."""

KERAS = "Keras 3"
TF_KERAS = "tf_keras"

PEER_BOUND = 1.0
"""The largest allowed ratio to Keras 3 and tf_keras: polyrnn is never slower."""

Axis: TypeAlias = Literal["time", "batch"]

SWEEPS: dict[Axis, tuple[int, ...]] = {
    "time": (10, 30, 100, 300, 1000),
    "batch": (1, 8, 32, 128, 512),
}
"""The sizes that a sweep measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of the task.

    Args:
        batch: The number of sequences.
        time: The number of time steps.
        features: The size of an input at one time step.
        units: The size of each state; the short step uses that of the inputs.
        dtype: The dtype of everything.
    """

    batch: int = 32
    time: int = 100
    features: int = 32
    units: int = 64
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of the task that the loop runs.

    Args:
        name: The name of the variant.
        masked: Whether some time steps of some sequences are padding.
        gradient: Whether results are differentiated with respect to inputs, states and weights.
        short: Whether the step is one matrix product and a tanh with one state, not an LSTM.
    """

    name: str
    masked: bool
    gradient: bool
    short: bool = False

    @property
    def states(self) -> int:
        """The number of states."""
        return 1 if self.short else 2

    def fit(self, sizes: Sizes) -> Sizes:
        """Return the sizes adapted to the step: the short one has as many units as features."""
        return replace(sizes, units=sizes.features) if self.short else sizes


PLAIN = Variant("plain", masked=False, gradient=False)
MASKED = Variant("masked", masked=True, gradient=False)
GRADIENT = Variant("gradient", masked=False, gradient=True)
MASKED_GRADIENT = Variant("masked-gradient", masked=True, gradient=True)
SHORT = Variant("short", masked=False, gradient=False, short=True)

VARIANTS = {variant.name: variant for variant in (PLAIN, MASKED, GRADIENT, MASKED_GRADIENT, SHORT)}
USUAL_VARIANTS = (PLAIN.name, MASKED.name, MASKED_GRADIENT.name, SHORT.name)
"""The variants that are measured by default."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A way in which a framework runs the loop, such as eager or compiled.

    Args:
        backend: The name of the backend.
        name: The name of the mode, unique within its backend.
        label: Its name in tables.
        bounds: The largest allowed ratio to the hand-written loop, by variant.
        differentiates: Whether gradients are available.
        time: The default number of time steps.
        longest: The largest number of time steps in a sweep.
    """

    backend: str
    name: str
    label: str
    bounds: dict[str, float]
    differentiates: bool = True
    time: int = 100
    longest: int = 1000


def _bounds(plain: float, masked: float, masked_gradient: float) -> dict[str, float]:
    return {
        PLAIN.name: plain,
        MASKED.name: masked,
        MASKED_GRADIENT.name: masked_gradient,
    }


SHORT_BOUND = {SHORT.name: 1.15}
"""The bound of the short variant in modes that run each step in Python, with most overhead."""


MODES = (
    Mode(
        "numpy",
        "eager",
        "numpy",
        {PLAIN.name: 1.05, MASKED.name: 1.0} | SHORT_BOUND,
        differentiates=False,
    ),
    Mode("torch", "eager", "torch eager", _bounds(1.05, 0.90, 1.00) | SHORT_BOUND),
    # Dynamo unrolls the hand-written loop: 100 steps take it minutes to compile.
    Mode("torch", "compile", "torch.compile", _bounds(1.10, 1.10, 1.10), time=20, longest=30),
    Mode("jax", "jit", "jax.jit", _bounds(1.03, 1.03, 1.03)),
    Mode("jax", "eager", "jax eager", {}),
    Mode("jax", "fresh", "jax eager, fresh closure", _bounds(0.04, 0.04, 0.06)),
    Mode("tensorflow", "function", "tf.function", _bounds(1.02, 1.02, 1.02)),
    Mode("tensorflow", "xla", "tf XLA", _bounds(1.03, 1.03, 1.03)),
    Mode("tensorflow", "eager", "tf eager", _bounds(1.00, 1.00, 1.00)),
)
"""All modes of the backends that come with polyrnn, in the order of the table, with bounds."""

BACKENDS = tuple(dict.fromkeys(mode.backend for mode in MODES))
"""The names of the backends that come with polyrnn; each has hand-written loops."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: a mode of a backend, a variant and the sizes."""

    mode: Mode
    variant: Variant
    sizes: Sizes

    def bound(self, rival: str) -> float | None:
        """Return the largest allowed ratio to a rival, or `None` if there is no bound."""
        if rival in (KERAS, TF_KERAS):
            return PEER_BOUND
        return self.mode.bounds.get(self.variant.name)

    def __str__(self) -> str:
        return f"{self.mode.label}, {self.variant.name}, T={self.sizes.time} B={self.sizes.batch}"


def mode_of(backend: str, name: str) -> Mode:
    """Return the mode with the given backend and name."""
    if backend not in BACKENDS:
        return plugged_in(backend, name)
    return next(mode for mode in MODES if (mode.backend, mode.name) == (backend, name))


def plugged_in(backend: str, name: str, *, differentiates: bool = True) -> Mode:
    """Return a mode of a third-party backend, which has no bounds."""
    return Mode(backend, name, f"{backend} {name}", {}, differentiates=differentiates)


def cells(
    backends: Sequence[str],
    *,
    others: Sequence[Mode] = (),
    modes: Sequence[str] = (),
    variants: Sequence[str] = (),
    sizes: Sizes | None = None,
    time: int | None = None,
    sweep: Axis | None = None,
) -> list[Cell]:
    """Return the cells to measure.

    Args:
        backends: The names of backends among `BACKENDS`.
        others: The modes of third-party backends.
        modes: The names of the modes; if empty, all of them.
        variants: The names of the variants; by default `USUAL_VARIANTS`, or the plain
            one in a sweep.
        sizes: The sizes; their number of time steps is ignored.
        time: The number of time steps; by default that of each mode.
        sweep: The size to vary.

    Returns:
        The cells, in the order of the table.
    """
    chosen = variants or ((PLAIN.name,) if sweep else USUAL_VARIANTS)
    return [
        Cell(mode, VARIANTS[variant], point)
        for mode in (*(mode for mode in MODES if mode.backend in backends), *others)
        if not modes or mode.name in modes
        for variant in chosen
        if mode.differentiates or not VARIANTS[variant].gradient
        for point in _points(
            mode,
            VARIANTS[variant].fit(replace(sizes or Sizes(), time=time or mode.time)),
            sweep,
        )
    ]


def _points(mode: Mode, sizes: Sizes, sweep: Axis | None) -> Iterator[Sizes]:
    if sweep is None:
        yield sizes
    elif sweep == "batch":
        yield from (replace(sizes, batch=batch) for batch in SWEEPS["batch"])
    else:
        yield from (replace(sizes, time=time) for time in SWEEPS["time"] if time <= mode.longest)

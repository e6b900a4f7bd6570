"""Claims about memory, compilation and growth, each with a bound and a function that tests it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from polyrnn_benchmark.results import Finding
from polyrnn_benchmark.scenarios import MODES, Mode, Sizes, mode_of

Ask: TypeAlias = Callable[..., dict[str, float]]
"""``(mode, probe, **arguments) -> figures``; runs a probe in a new process."""

MEGABYTE = 1e6

SHORT, LONG = 200, 20_000
"""Two numbers of time steps, far enough apart to show what grows with time."""

TRAINED, ROOT = 10_000, 100
"""The time steps of a walk that is trained, and the square root of their number."""

INPUTS = Sizes().batch * LONG * Sizes().features * 4 / MEGABYTE
"""The size of the long inputs in megabytes."""

ROUNDING = 8.0
"""The megabytes that count as zero: allocators reserve more memory than requested."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim about the performance of polyrnn.

    Args:
        name: The claim in a few words.
        modes: The modes that the claim is about.
        bound: The largest figure for which the claim holds.
        unit: The unit of the bound.
        measure: Returns the measured figure, and a phrase with the figures it is computed from.
    """

    name: str
    modes: tuple[Mode, ...]
    bound: float
    unit: str
    measure: Callable[[Ask, Mode], tuple[float, str]]


def _warm_up(ask: Ask, mode: Mode) -> tuple[float, str]:
    short, long = (ask(mode, "first_call", time_steps=length)["seconds"] for length in (20, 400))
    return long / short, f"{short:.1f} s at T=20, {long:.1f} s at T=400"


def _linear(ask: Ask, mode: Mode) -> tuple[float, str]:
    lengths = (LONG // 10, LONG)
    figures = ask(mode, "growth", lengths=list(lengths))
    short, long = (figures[str(length)] / length * 1e6 for length in lengths)
    return long / short, (
        f"{short:.2f} microseconds a step at T={lengths[0]:,}, {long:.2f} at T={lengths[1]:,}"
    )


def _memory(ask: Ask, mode: Mode, *, time_major: bool) -> tuple[float, str]:
    short, long = (
        ask(mode, "peak", time_steps=length, time_major=time_major)["bytes"] / MEGABYTE
        for length in (SHORT, LONG)
    )
    sizes = Sizes()
    outputs = sizes.batch * LONG * sizes.units * 4 / MEGABYTE
    return long - short, (
        f"{short:.0f} MB at T={SHORT}, {long:.0f} MB at T={LONG:,}; inputs take "
        f"{INPUTS:.0f} MB more, and all outputs would take {outputs:.0f} MB"
    )


def _overhead(ask: Ask, mode: Mode) -> tuple[float, str]:
    return ask(mode, "overhead", calls=200)["seconds"] * 1e6, "T=1, a step that does nothing"


def _compilations(ask: Ask, mode: Mode) -> tuple[float, str]:
    figures = ask(mode, "fresh_calls", calls=10)
    return figures["compilations"], "in 20 calls after the first, each with a new closure"


def _flat(ask: Ask, mode: Mode) -> tuple[float, str]:
    figures = ask(mode, "fresh_calls", calls=500)
    return figures["bytes"] / MEGABYTE, "growth in 500 calls, each with a new closure"


def _training(ask: Ask, mode: Mode, *, figure: str) -> tuple[float, str]:
    plain, checkpointed = (
        ask(mode, "training", time_steps=TRAINED, checkpoint_every=every) for every in (None, ROOT)
    )
    return checkpointed[figure] / plain[figure], (
        f"T={TRAINED:,}: {plain['bytes'] / MEGABYTE:.0f} MB and {plain['seconds']:.1f} s without, "
        f"{checkpointed['bytes'] / MEGABYTE:.0f} MB and {checkpointed['seconds']:.1f} s with "
        f"checkpoint_every={ROOT}"
    )


FRESH = (mode_of("jax", "fresh"),)

TRAINING = (
    *(mode_of("torch", "eager"), mode_of("jax", "jit")),
    *(mode_of("tensorflow", "function"), mode_of("tensorflow", "eager")),
)
"""The modes in which long walks can be trained."""

CLAIMS = (
    Claim(
        "warm-up does not grow with time", (mode_of("torch", "compile"),), 1.5, "times", _warm_up
    ),
    Claim("compiles nothing from the second call on", FRESH, 0, "compilations", _compilations),
    Claim("resident memory stays flat", FRESH, ROUNDING, "MB", _flat),
    Claim("a call costs little", (mode_of("numpy", "eager"),), 30, "microseconds", _overhead),
    Claim(
        "the last output alone, time first: memory does not grow",
        MODES,
        ROUNDING,
        "MB",
        partial(_memory, time_major=True),
    ),
    # The loops of frameworks need time as the first axis: batch-first inputs are copied.
    Claim(
        "the last output alone, batch first: memory grows by a copy of the inputs at most",
        MODES,
        INPUTS + ROUNDING,
        "MB",
        partial(_memory, time_major=False),
    ),
    Claim(
        "training with checkpoint_every takes a twentieth of the memory",
        TRAINING[:2],
        0.05,
        "times",
        partial(_training, figure="bytes"),
    ),
    Claim(
        "training with checkpoint_every takes a tenth of the memory",
        TRAINING[2:],
        0.10,
        "times",
        partial(_training, figure="bytes"),
    ),
    Claim(
        "training with checkpoint_every takes little more time",
        TRAINING,
        1.5,
        "times",
        partial(_training, figure="seconds"),
    ),
    # T log T would give 1.3, and T squared 10.
    Claim("cost is linear in time", MODES, 1.3, "times", _linear),
)
"""Every claim."""


def chosen(backends: Iterable[str], modes: Iterable[str] = ()) -> list[tuple[Claim, Mode]]:
    """Return the claims about the given backends, restricted to the given modes if any."""
    backends, modes = set(backends), set(modes)
    return [
        (claim, mode)
        for claim in CLAIMS
        for mode in claim.modes
        if mode.backend in backends and (not modes or mode.name in modes)
    ]


def examine(claims: Iterable[tuple[Claim, Mode]], ask: Ask) -> Iterator[Finding]:
    """Test claims one after the other.

    Args:
        claims: The claims to test, each with a mode.
        ask: Runs a probe and returns its figures.

    Yields:
        The finding for each claim.
    """
    for claim, mode in claims:
        common: dict[str, Any] = {
            "claim": claim.name,
            "backend": mode.backend,
            "mode": mode.label,
            "bound": claim.bound,
            "unit": claim.unit,
        }
        try:
            figure, detail = claim.measure(ask, mode)
        except Exception as error:
            yield Finding(figure=float("nan"), failure=f"{type(error).__name__}: {error}", **common)
        else:
            yield Finding(figure=figure, detail=detail, **common)

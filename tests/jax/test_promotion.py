"""Test that the cases of the conformance suite pass under the strictest settings of JAX."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampling import one_of

from polyrnn_conformance.calls import Call, on_host
from polyrnn_conformance.cases import CASES
from polyrnn_conformance.comparing import assert_agrees, assert_gradients_agree, expected_of
from polyrnn_conformance.plugin import make_subject
from polyrnn_conformance.rows import Case, dtypes_of
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import map_leaves


def _no_promotion() -> AbstractContextManager[Any]:
    stack = ExitStack()
    stack.enter_context(jax.numpy_dtype_promotion("strict"))
    stack.enter_context(jax.numpy_rank_promotion("raise"))
    return stack


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no-promotion": _no_promotion,
    "debug-nans": lambda: jax.debug_nans(True),
}


def _is_masked(call: Call) -> bool:
    return call.mask is not None or call.input_length is not None or call.reset is not None


FAILS_BY_ITSELF: dict[str, set[str]] = {
    # The step adds or multiplies a row to a batch of rows.
    "no-promotion": {
        "constants",
        "constants-unrolled",
        "constants-nested",
        "gradients-of-every-argument",
        "gradients-of-every-argument-masked",
    },
    # The padding is NaN, so that every operation on the inputs is refused.
    "debug-nans": {
        "padding-nan-right",
        "padding-nan-left",
        "padding-nan-gaps",
        "padding-nan-row",
        "padding-log-nan-gaps",
        "padding-distant-nan-row",
        "padding-norm-nan-gaps",
        "padding-last-only",
        *("reset-padding", "reset-padding-unmet-state", "checkpoint-padding"),
        *(
            f"padding-of-all-is-ones-{kind}"
            for kind in (
                *("float16", "bfloat16", "float32", "float64", "complex64"),
                *("bfloat16-go-backwards", "complex64-unroll"),
            )
        ),
        # The mask is NaN where it is true.
        "mask-tensor-nan",
    },
}
"""Cases whose step itself fails under a setting, without polyrnn too."""

WIDE = {"int64", "float64", "complex128"}


def _settings_for(case: Case) -> list[str]:
    """Return the settings under which a case has to pass, which are tried together."""
    return [
        setting
        for setting in SETTINGS
        # Only what is computed for masks could produce NaN that the step does not.
        if (setting != "debug-nans" or _is_masked(case.call))
        and case.name not in FAILS_BY_ITSELF[setting]
    ]


STRICT = [case for case in CASES if _settings_for(case)]


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Yield the backend with its harness, and restore the precision of the process afterwards."""
    before = jax.config.read("jax_enable_x64")
    try:
        return make_subject("jax")
    finally:
        jax.config.update("jax_enable_x64", before)


# An eager call traces its loop, so compiled calls need no tests of their own.
@pytest.mark.parametrize("case", one_of(3, STRICT, [case.name for case in STRICT]))
def test_strict_settings_change_nothing(case: Case, subject: Subject) -> None:
    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(True))
        for setting in _settings_for(case):
            stack.enter_context(SETTINGS[setting]())
        assert_agrees(subject.run(case.call, "eager"), expected_of(case.call))
        if case.gradients:
            call = case.call.in_dtype("float64")
            assert_gradients_agree(call, subject.gradients(call, "eager"))


@pytest.mark.parametrize("case", one_of(3, CASES, [case.name for case in CASES]))
def test_a_case_passes_without_wide_types(case: Case, subject: Subject) -> None:
    expected = expected_of(case.call)
    if WIDE & (dtypes_of(case.call) | set(expected.dtypes)):
        return
    with jax.enable_x64(False):
        assert_agrees(subject.run(case.call, "eager"), expected)


def _walk_alone(call: Call) -> None:
    """Call the step of a case for each time step, without polyrnn."""
    weights, arguments = map_leaves(
        lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf,
        on_host((call.weights, call.arguments())),
    )
    step, inputs, states = (
        call.step(jnp, *weights),
        arguments["inputs"],
        arguments["initial_states"],
    )
    if arguments["mask"] is not None:
        jnp.swapaxes(jnp.asarray(arguments["mask"]), 0, 1)
    for t in range(inputs.shape[not call.time_major]):
        x = inputs[t] if call.time_major else inputs[:, t]
        _, states = step(x, [*states, *(arguments["constants"] or [])])


@pytest.mark.parametrize(
    ("setting", "name"),
    [(setting, name) for setting, names in FAILS_BY_ITSELF.items() for name in sorted(names)],
)
def test_excepted_cases_fail_without_polyrnn(setting: str, name: str) -> None:
    (call,) = [case.call for case in CASES if case.name == name]
    with jax.enable_x64(True):
        _walk_alone(call)
        with pytest.raises((ValueError, FloatingPointError)), SETTINGS[setting]():
            _walk_alone(call)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_step_that_promotes_is_refused_under_its_own_name(setting: str, subject: Subject) -> None:
    """Check that the settings apply within the loop, which the tests above rely on."""

    def promoting(xp: Any) -> Any:
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            row = jnp.ones(2, "float32")
            new = (x - x) / (x - x) if setting == "debug-nans" else x * row
            return new.astype(x.dtype), states

        return step

    case = next(case for case in CASES if case.name == "inputs-tensor")
    call = replace(
        case.call,
        step=promoting,
        inputs=np.ones((2, 3, 2), np.float32),
        initial_states=[np.zeros((2, 2), np.float32)],
    )
    with pytest.raises((TypeError, ValueError, FloatingPointError)), SETTINGS[setting]():
        subject.run(call, "eager")

"""Rules 3 and 4: what the step returns, and the constants it is given."""

from typing import Any

import numpy as np

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.cases.structure import Sensors
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step, tuple_of_states, with_constants


def bare_state(xp: Any) -> Step:
    """Return the single state without a list."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x
        return x - total, total

    return step


def nested_outputs(xp: Any) -> Step:
    """Output a dict with a tuple, a namedtuple and `None` in it."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x
        output = {"sum": (total, None), "parts": Sensors(x + x, total[..., :1])}
        return output, [total]

    return step


def outputs_of_every_rank(xp: Any) -> Step:
    """Output leaves of ranks 1, 2 and 3."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x
        return [total[:, 0], total, total[:, None, :] * x[:, :, None]], [total]

    return step


def scalar_output(xp: Any) -> Step:
    """Output a step counter without a batch axis."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        count = states[0] + states[1]
        return count, [count]

    return step


def nested_constants(xp: Any) -> Step:
    """Take a dict and a tensor as constants."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, named, row = states
        total = total * named["scale"] + x + row
        return total, [total]

    return step


def emptied(xp: Any) -> Step:
    """Remove the constant and the state from the list that the step is given."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        scale, total = states.pop(), states.pop()
        total = total + x * scale
        return total, [total]

    return step


X, S = wave(2, 4, 3), wave(2, 3, phase=1)


def _outputs_alone(xp: Any, weight: Any) -> Step:
    """Put out what has gradients, and keep what has none."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return x * weight, [states[0] + 1]

    return step


def _states_alone(xp: Any, weight: Any) -> Step:
    """Keep what has gradients, and put out what has none."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return states[1], [states[0] * weight + x, states[1] + 1]

    return step


_DIFFERENTIATED: dict[str, dict[str, Any]] = {
    "": {},
    "-last-only": {"return_all_outputs": False, "go_backwards": True},
}

_APART: dict[str, dict[str, Any]] = {
    "": {},
    "-last-only": {"return_all_outputs": False, "go_backwards": True},
    "-zeroed": {"mask": np.ones((2, 4), bool), "zero_output_for_mask": True},
}


def _one_tensor_everywhere(xp: Any) -> Step:
    """Return one tensor as the output and as both states."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0] + x
        return total, [total, total]

    return step


def _gives_back_what_it_was_given(xp: Any) -> Step:
    """Return the constant as the output, and the input and a state as states."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return states[2], [x, states[0]]

    return step


ROWS = (
    *(
        Case(
            name=f"gradients-of-{name}-alone{way}",
            rules=(19,),
            title="Gradients are found where only outputs have them, or only states.",
            call=Call(
                step=step,
                weights=(wave(2, 3),),
                inputs=wave(2, 9, 3),
                initial_states=states,
                **flags,
            ),
            gradients=True,
        )
        for name, step, states in (
            ("outputs", _outputs_alone, [np.zeros(2, "int32")]),
            ("states", _states_alone, [wave(2, 3), np.zeros(2, "int32")]),
        )
        for way, flags in _DIFFERENTIATED.items()
    ),
    *(
        Case(
            name=f"results-apart-{name}{way}",
            rules=(4,),
            title="No two results share memory, nor do results and arguments.",
            call=Call(
                step=step,
                inputs=wave(2, 4, 3),
                initial_states=[wave(2, 3, phase=1), wave(2, 3, phase=2)],
                constants=constants,
                **flags,
            ),
        )
        for name, step, constants in (
            ("of-one-tensor", _one_tensor_everywhere, None),
            ("of-arguments", _gives_back_what_it_was_given, [wave(2, 3, phase=3)]),
        )
        for way, flags in _APART.items()
    ),
    Case(
        name="states-without-batch",
        rules=(3, 13),
        title="Without a mask a state and an output may have any shape, including ().",
        call=Call(
            step=scalar_output,
            inputs=X,
            initial_states=[wave()],
            constants=[wave(phase=2)],
        ),
    ),
    Case(
        name="step-returns-bare-state",
        rules=(3,),
        title="A single new state may be returned without a list.",
        call=Call(step=bare_state, inputs=X, initial_states=[S]),
    ),
    Case(
        name="step-returns-tuple",
        rules=(3, 4),
        title="New states may be returned as a tuple; a list comes back.",
        call=Call(step=tuple_of_states, inputs=X, initial_states=[S, S + 1]),
    ),
    Case(
        name="step-gets-list-of-its-own",
        rules=(3,),
        title="The step may modify the list of states: it gets a new list at each time step.",
        call=Call(step=emptied, inputs=X, initial_states=[S], constants=[S + 1]),
    ),
    Case(
        name="outputs-nested",
        rules=(3, 4),
        title="The output may be any nest, with None inside it.",
        call=Call(step=nested_outputs, inputs=X, initial_states=[S]),
        drift="Keras 3 on numpy and jax fails at nested outputs.",
    ),
    Case(
        name="outputs-nested-unrolled",
        rules=(3, 4, 9),
        title="A nest of outputs works unrolled, too.",
        call=Call(step=nested_outputs, inputs=X, initial_states=[S], unroll=True),
        drift="tf_keras fails at nested outputs when unrolled.",
    ),
    Case(
        name="outputs-every-rank",
        rules=(3,),
        title="The leaves of an output may have any rank.",
        call=Call(step=outputs_of_every_rank, inputs=X, initial_states=[S]),
    ),
    Case(
        name="constants",
        rules=(3,),
        title="The step gets the constants after the states.",
        call=Call(
            step=with_constants,
            inputs=X,
            initial_states=[S],
            constants=[wave(3, phase=3), wave(2, 3, phase=4)],
        ),
        gradients=True,
        drift="Keras 3 on numpy and jax does not pass the constants to the step unless unrolled.",
    ),
    Case(
        name="constants-unrolled",
        rules=(3, 9),
        title="Constants work unrolled, too, and may be a tuple.",
        call=Call(
            step=with_constants,
            inputs=X,
            initial_states=[S],
            constants=(wave(3, phase=3), wave(2, 3, phase=4)),
            unroll=True,
        ),
    ),
    Case(
        name="constants-nested",
        rules=(3,),
        title="A constant may be a nest.",
        call=Call(
            step=nested_constants,
            inputs=X,
            initial_states=[S],
            constants=[{"scale": wave(3, phase=3)}, wave(2, 3, phase=4)],
        ),
    ),
)

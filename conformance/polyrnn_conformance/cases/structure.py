"""Rules 1 to 5: nests of inputs, states and outputs."""

from typing import Any, NamedTuple

from polyrnn_conformance.calls import Call, wave
from polyrnn_conformance.rows import Case
from polyrnn_conformance.steps import Step, dense, running_sum, tuple_of_states, two_states
from polyrnn_conformance.trees import Pair


class Sensors(NamedTuple):
    """A user-defined namedtuple."""

    near: Any
    far: Any


class StateList(list[Any]):
    """A subclass of list, like TensorFlow's ``ListWrapper``."""


def add_two(take: Any) -> Any:
    """Return a step that adds both leaves of its input, which `take` extracts."""

    def make(xp: Any) -> Step:
        def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
            near, far = take(x)
            total = states[0] + near + far * far
            return total, [total]

        return step

    return make


def nested_states(xp: Any) -> Step:
    """Use states ``[[h, c], [h]]``."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        (h, c), (g,) = states
        h, c, g = h + x, c + h, g + c
        return g - h, [[h, c], [g]]

    return step


def dict_state(xp: Any) -> Step:
    """Use one state that is a dict, and return it without a list."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        state = states[0]
        h = state["h"] + x
        return h, {"c": state["c"] - h, "h": h}

    return step


def pair_state(xp: Any) -> Step:
    """Use one state that is a registered node, and return it without a list."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0].left + x
        return total + states[0].right, Pair(total, states[0].right - x)

    return step


def lists_for_tuples(xp: Any) -> Step:
    """Use states ``(h, [c])``, and return ``[[h], c]``."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h, (c,) = states[0]
        h, c = h + x, c - h
        return c, ([[h], c],)

    return step


def wrapped_state(xp: Any) -> Step:
    """Return ``[h]`` for each state ``h``, as cells of real libraries do."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        h, (c,) = states
        h, c = h + x, c - h
        return h, [[h], c]

    return step


def stateless(xp: Any) -> Step:
    """Use no state."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        assert states == []
        return xp.tanh(x), []

    return step


def beside_empty_state(xp: Any) -> Step:
    """Use an empty state besides another one."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total, nothing = states
        assert nothing == ()
        return total + x, [total + x, ()]

    return step


def dicts_without_tensors(xp: Any) -> Step:
    """Use a state that contains dicts without tensors, and output such a dict."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        total = states[0]["total"] + x
        return {"total": total, "rest": {"none": None}}, [{**states[0], "total": total}]

    return step


X, Y = wave(2, 4, 3), wave(2, 4, 3, phase=2)
S = wave(2, 3, phase=1)
KEY = "Keras 3 on tensorflow and torch fails for nested inputs; on numpy it loops over the tuple."

ROWS = (
    Case(
        name="inputs-tensor",
        rules=(1,),
        title="The loop runs along the time axis of inputs of rank 3.",
        call=Call(
            step=dense, weights=(wave(3, 2), wave(2, 2)), inputs=X, initial_states=[wave(2, 2)]
        ),
        gradients=True,
    ),
    Case(
        name="states-lists-for-tuples",
        rules=(4, 5),
        title="In new states a list may replace a tuple, and a list of one tensor the tensor.",
        call=Call(step=lists_for_tuples, inputs=X, initial_states=[(S, [S + 1])]),
        gradients=True,
        drift="polyrnn 0.1 refused cells that return a list for a tuple.",
    ),
    Case(
        name="states-wrapped",
        rules=(4, 5, 12),
        title="A step may return [h] for a state h and h for [h]; containers stay.",
        call=Call(
            step=wrapped_state,
            inputs=X,
            initial_states=[S, (S + 1,)],
            mask=wave(2, 4) > 0,
        ),
        drift="polyrnn 0.1 refused cells that return [h] for h, which Keras takes.",
    ),
    Case(
        name="inputs-rank-4",
        rules=(1,),
        title="Inputs of rank 4 keep the axes after time.",
        call=Call(step=running_sum, inputs=wave(2, 3, 2, 2), initial_states=[wave(2, 2, 2)]),
    ),
    Case(
        name="inputs-rank-5",
        rules=(1,),
        title="Inputs of rank 5 keep the axes after time.",
        call=Call(step=running_sum, inputs=wave(2, 3, 2, 1, 2), initial_states=[wave(2, 2, 1, 2)]),
    ),
    Case(
        name="inputs-list",
        rules=(1,),
        title="A list of inputs reaches the step as a list.",
        call=Call(step=add_two(lambda x: (x[0], x[1])), inputs=[X, Y], initial_states=[S]),
        drift=KEY,
    ),
    Case(
        name="inputs-tuple",
        rules=(1,),
        title="A tuple of inputs is a nest, not a time axis.",
        call=Call(step=add_two(tuple), inputs=(X, Y), initial_states=[S]),
        drift=KEY,
    ),
    Case(
        name="inputs-namedtuple",
        rules=(1,),
        title="A namedtuple of inputs reaches the step with its fields.",
        call=Call(
            step=add_two(lambda x: (x.near, x.far)), inputs=Sensors(X, Y), initial_states=[S]
        ),
    ),
    Case(
        name="inputs-dict",
        rules=(1,),
        title="A dict of inputs reaches the step with its keys.",
        call=Call(
            step=add_two(lambda x: (x["near"], x["far"])),
            inputs={"near": X, "far": Y},
            initial_states=[S],
        ),
        gradients=True,
    ),
    Case(
        name="inputs-dict-unrolled",
        rules=(1, 9),
        title="A dict of inputs works unrolled, too.",
        call=Call(
            step=add_two(lambda x: (x["near"], x["far"])),
            inputs={"near": X, "far": Y},
            initial_states=[S],
            unroll=True,
        ),
        drift="tf_keras fails at dicts of inputs when unrolled.",
    ),
    Case(
        name="inputs-registered-node",
        rules=(1,),
        title="Inputs may be an instance of a class that is registered as a node.",
        call=Call(step=add_two(lambda x: (x.left, x.right)), inputs=Pair(X, Y), initial_states=[S]),
    ),
    Case(
        name="inputs-none-inside",
        rules=(1, 4),
        title="None inside a nest of inputs reaches the step as None.",
        call=Call(
            step=add_two(lambda x: (x[0], x[2]["a"]) if x[1] is None else ()),
            inputs=[X, None, {"a": Y, "b": None}],
            initial_states=[S],
        ),
    ),
    Case(
        name="states-none",
        rules=(2,),
        title="There may be no states.",
        call=Call(step=stateless, inputs=X, initial_states=[]),
    ),
    Case(
        name="states-tuple",
        rules=(2, 4),
        title="A tuple of states is a sequence of states; a list comes back.",
        call=Call(
            step=two_states,
            weights=(wave(3, 2), wave(2, 2)),
            inputs=X,
            initial_states=(wave(2, 2), wave(2, 2, phase=1)),
        ),
        gradients=True,
    ),
    Case(
        name="states-namedtuple",
        rules=(2, 4),
        title="A namedtuple of states is a sequence of states; a list comes back.",
        call=Call(step=tuple_of_states, inputs=X, initial_states=Sensors(S, S + 1)),
    ),
    Case(
        name="states-list-subclass",
        rules=(2, 4),
        title="A subclass of list is a sequence of states; a plain list comes back.",
        call=Call(step=running_sum, inputs=X, initial_states=StateList([S])),
    ),
    Case(
        name="states-bare-tensor",
        rules=(2,),
        title="A bare tensor is one state, not a sequence of rows.",
        call=Call(step=running_sum, inputs=X, initial_states=S),
        drift="tf_keras unstacks a bare tensor along its batch axis.",
    ),
    Case(
        name="states-bare-dict",
        rules=(2, 3, 4),
        title="A dict is one state, and may be returned without a list.",
        call=Call(step=dict_state, inputs=X, initial_states={"h": S, "c": S + 1}),
    ),
    Case(
        name="states-registered-node",
        rules=(2, 3, 4),
        title="A state may be an instance of a class that is registered as a node.",
        call=Call(step=pair_state, inputs=X, initial_states=Pair(S, S + 1)),
    ),
    Case(
        name="states-ragged",
        rules=(2, 4),
        title="States may be nests of different sizes, [[h, c], [h]].",
        call=Call(step=nested_states, inputs=X, initial_states=[[S, S + 1], [S - 1]], unroll=False),
        gradients=True,
    ),
    Case(
        name="states-ragged-masked-unrolled",
        rules=(2, 4, 12),
        title="Ragged states stay unchanged at masked steps, unrolled too.",
        call=Call(
            step=nested_states,
            inputs=X,
            initial_states=[[S, S + 1], [S - 1]],
            mask=wave(2, 4) > 0,
            unroll=True,
        ),
    ),
    Case(
        name="states-empty-nest",
        rules=(2, 4),
        title="A state may be an empty nest, ().",
        call=Call(step=beside_empty_state, inputs=X, initial_states=[S, ()]),
    ),
    Case(
        name="states-dict-without-tensors",
        rules=(2, 4, 5),
        title="In the first mode a dict within a state or an output may contain no tensor.",
        call=Call(
            step=dicts_without_tensors,
            inputs=X,
            initial_states=[{"total": S, "empty": {}, "rest": {"none": None}}],
        ),
        # torch.compile cannot trace the functions of optree for such a dict.
        every_mode=False,
    ),
)

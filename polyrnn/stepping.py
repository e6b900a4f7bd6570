"""The body of the loop: calls the step function, and masks what it returns."""

from collections.abc import Callable
from typing import Any, TypeAlias

from polyrnn.backend import Body, Carry, Tensor
from polyrnn.plan import Plan
from polyrnn.step_results import SEQUENCE, StepResults
from polyrnn.writing import naming_constants, wrote_into

TakeStep: TypeAlias = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]
"""``(slices, states) -> (output, new_states)``, all as lists of leaves."""


def make_body(plan: Plan, results: StepResults) -> Body:
    """Return the body that a backend loops over the slices of `loop_inputs`.

    Its carry is ``(states, held)``. Where steps are masked, `held` is what the masking wants to
    know of the outputs before; else it is the last output, if no other is returned.

    Args:
        plan: The plan of the call.
        results: Reads what the steps of this call return.
    """
    step = _make_step(plan, results)
    all_outputs, masking = plan.all_outputs, plan.masking
    input_count, cross = len(plan.inputs.leaves), None
    if plan.boundaries is not None:
        masks = [] if masking is None else masking.slices()
        cross = plan.boundaries.cross(input_count + len(masks))
    if masking is None:
        hand_out = plan.sharing.hand_out

        # Quoted, because torch.compile meets this definition and cannot subscript types.
        def body(carry: Carry, slices: "list[Tensor]") -> "tuple[Carry, list[Tensor]]":
            states: Any = carry[0]
            if cross is not None:
                states, _ = cross(slices, states, None)
            output, states = step(slices, states if hand_out is None else hand_out(states))
            return ((states, None), output) if all_outputs else ((states, output), [])

        return body

    give, hold = masking.give(input_count, plan.sharing), masking.hold(input_count)

    def masked_body(carry: Carry, slices: "list[Tensor]") -> "tuple[Carry, list[Tensor]]":
        states: Any
        states, held = carry
        if cross is not None:
            states, held = cross(slices, states, held)
        output, new_states = step(slices, give(slices, states))
        output, states, held = hold(slices, output, new_states, states, held)
        return (states, held), output if all_outputs else []

    return masked_body


def loop_inputs(plan: Plan) -> list[Tensor]:
    """Return what the loop slices: the inputs, the masks, and the flags of boundaries."""
    masks = [] if plan.masking is None else plan.masking.slices()
    flags = [] if plan.boundaries is None else plan.boundaries.slices()
    return [*plan.inputs.leaves, *masks, *flags]


def _make_step(plan: Plan, results: StepResults) -> TakeStep:
    """Return a function that calls the step function once and reads what it returns."""
    backend, unflatten = plan.backend, plan.backend.nests.unflatten
    step_function, states_are_plain = naming_constants(plan), plan.states.is_plain
    is_plain = plan.inputs.is_plain and states_are_plain
    input_count = len(plan.inputs.leaves)
    input_structure, state_structure = plan.inputs.structure, plan.states.structure
    constants, renewed_constants = _constants_of(plan)
    # A masked step is given tensors that are made for it, which it may write into.
    counts = plan.sharing.counts if plan.masking is None else None
    tensor_key, keys, read = backend.tensor_key, results.keys, results.read

    def step(slices: "list[Tensor]", states: "list[Tensor]") -> "tuple[list[Tensor], list[Tensor]]":
        # An eager step takes some microseconds, so that whatever is done at each step shows.
        before = None if counts is None else counts(states)
        fixed = constants if renewed_constants is None else renewed_constants()
        if is_plain:
            result = step_function(slices[0], states + fixed)
        else:
            x = unflatten(input_structure, slices[:input_count])
            given = states if states_are_plain else unflatten(state_structure, states)
            result = step_function(x, given + fixed)
        if counts is not None and counts(states) != before:
            raise ValueError(wrote_into(plan, "states", before, states))
        # Fast path: results that are plain, as at the first step, are not flattened; their keys
        # tell whether they have changed.
        if keys and type(result) is tuple and len(result) == 2:
            output, new_states = result
            if type(new_states) in SEQUENCE:
                try:
                    # Most steps put out their first state, whose key is then read once.
                    if [*map(tensor_key, new_states)] == keys[1] and (
                        (keys[2] and output is new_states[0]) or tensor_key(output) == keys[0]
                    ):
                        return [output], [*new_states]
                except AttributeError:
                    pass  # What is no tensor may still be made one.
        return read(result)

    return step


def _constants_of(plan: Plan) -> tuple[list[Any], Callable[[], list[Any]] | None]:
    """Return the constants to give to steps, each in its nest.

    Returns:
        The constants; and a function that returns them anew for each step, where steps may
        write into them.
    """
    sharing, (leaves, structure, is_plain) = plan.sharing, plan.constants
    unflatten = plan.backend.nests.unflatten
    if not leaves:
        return [] if structure is None else unflatten(structure, leaves), None
    if sharing.copies_constants:
        return leaves, lambda: unflatten(structure, list(map(sharing.copy, leaves)))
    # A step may empty the containers that it is given, so that each gets its own.
    return leaves, None if is_plain else lambda: unflatten(structure, leaves)

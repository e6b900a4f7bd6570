"""The arguments of a call, normalized once into a plan; every error about them is raised here."""

from collections.abc import Callable
from operator import is_not
from typing import Any, NamedTuple

from polyrnn.backend import Backend, Tensor
from polyrnn.masking import (
    belongs_to_walk,
    check_masked_states,
    pairs_backward,
    pairs_forward,
    read_lengths,
    read_mask,
)
from polyrnn.reading import Reader
from polyrnn.selection import Choice
from polyrnn.sizes import Sizes
from polyrnn.unsupported import kind_of


class Plan(NamedTuple):
    """A call without anything left to decide: tensors of one backend, time before batch.

    Where steps are masked, the masked entries of `inputs` are replaced already, and
    `stand_ins` has for each state the tensor that the step is given at masked steps, `None`
    for a state that belongs to the walk.
    """

    backend: Backend
    to_tensor: Callable[[Any, Callable[[], str]], Tensor]
    step_function: Callable[..., Any]
    inputs: list[Tensor]
    inputs_structure: Any
    plain_inputs: bool
    states: list[Tensor]
    states_structure: Any
    plain_states: bool
    constants: list[Any]
    constant_leaves: list[Tensor]
    constants_structure: Any
    guards_constants: bool
    mask: Tensor | None
    stand_ins: list[Tensor | None]
    reverse: bool
    unroll: bool
    time_major: bool
    zero_output_for_mask: bool
    return_all_outputs: bool


def make_plan(
    choice: Choice,
    *,
    step_function: Any,
    inputs: Any,
    initial_states: Any,
    go_backwards: Any,
    mask: Any,
    constants: Any,
    unroll: Any,
    input_length: Any,
    time_major: Any,
    zero_output_for_mask: Any,
    return_all_outputs: Any,
) -> Plan:
    """Check and normalize the arguments of `polyrnn.rnn`; it documents what each may be."""
    if not callable(step_function):
        raise TypeError(f"step_function: expected a callable, got {kind_of(step_function)}")
    flags = {
        "go_backwards": go_backwards,
        "unroll": unroll,
        "time_major": time_major,
        "zero_output_for_mask": zero_output_for_mask,
        "return_all_outputs": return_all_outputs,
    }
    for name, value in flags.items():
        if value is not True and value is not False:
            flags[name] = _flag(name, value)
    time_major, unroll = flags["time_major"], flags["unroll"]

    backend = choice.backend
    reader = Reader(choice)
    input_leaves, inputs_structure, plain_inputs = reader.read("inputs", inputs)
    if not input_leaves:
        raise ValueError("inputs: expected at least one tensor, got an empty nest")
    state_leaves, states_structure, plain_states = reader.read_entries(
        "initial_states", initial_states
    )
    constant_leaves, constants_structure, plain_constants = (
        ([], None, True) if constants is None else reader.read_entries("constants", constants)
    )

    reader.like = reader.first_tensor([*input_leaves, *state_leaves, *constant_leaves])
    xs = reader.convert("inputs", input_leaves, inputs_structure)
    sizes = Sizes.of(backend, xs, inputs_structure, time_major)
    if not time_major:
        xs = [backend.transpose(x) for x in xs]
    if unroll and not isinstance(sizes.time, int):
        raise ValueError(
            "unroll: expected a time axis of static length to unroll, "
            f"got inputs of {sizes.time or 'an unknown number of'} time steps"
        )
    # From here on everything follows the device of the inputs.
    reader.like = xs[0]
    states = reader.convert("initial_states", state_leaves, states_structure)
    unguarded = constant_leaves and reader.convert(
        "constants", constant_leaves, constants_structure
    )
    constant_tensors = list(map(backend.read_only, unguarded))

    time_mask = None
    stand_ins: list[Tensor | None] = []
    if mask is not None:
        time_mask = read_mask(reader, mask, sizes)
    elif input_length is not None:
        time_mask = read_lengths(reader, input_length, sizes, xs[0])
    if time_mask is not None:
        named = "mask" if mask is not None else "input_length"
        check_masked_states(backend, named, states, states_structure, sizes)
        of_walk = [belongs_to_walk(backend, state) for state in states]
        of_samples = [
            state for state, is_of_walk in zip(states, of_walk, strict=True) if not is_of_walk
        ]
        pairs = pairs_backward if flags["go_backwards"] else pairs_forward
        xs, found = backend.fused(pairs, time_mask, xs, of_samples)
        remaining = iter(found)
        stand_ins = [None if is_of_walk else next(remaining) for is_of_walk in of_walk]

    return Plan(
        backend=backend,
        to_tensor=reader.tensor,
        step_function=step_function,
        inputs=xs,
        inputs_structure=inputs_structure,
        plain_inputs=plain_inputs,
        states=states,
        states_structure=states_structure,
        plain_states=plain_states,
        constants=(
            constant_tensors
            if plain_constants
            else backend.unflatten(constants_structure, constant_tensors)
        ),
        constant_leaves=constant_tensors,
        constants_structure=constants_structure,
        guards_constants=any(map(is_not, constant_tensors, unguarded)),
        mask=time_mask,
        stand_ins=stand_ins,
        reverse=flags["go_backwards"],
        unroll=unroll,
        time_major=time_major,
        zero_output_for_mask=flags["zero_output_for_mask"],
        return_all_outputs=flags["return_all_outputs"],
    )


def _flag(name: str, value: Any) -> bool:
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {kind_of(value)}")

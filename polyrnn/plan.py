"""The arguments of a call, normalized once into a plan; every error about them is raised here."""

from collections.abc import Callable
from operator import is_not
from typing import Any, NamedTuple

from polyrnn.arguments import Arguments
from polyrnn.backend import Backend, Sharing, Tensor
from polyrnn.blocks import Blocks, make_blocks
from polyrnn.boundaries import Boundaries, make_boundaries, read_step_count
from polyrnn.mask_arguments import read_lengths, read_mask
from polyrnn.masking import Masking, check_masked_states, make_masking
from polyrnn.nests import Nest
from polyrnn.reading import Reader, check_like
from polyrnn.selection import Choice
from polyrnn.sizes import Sizes
from polyrnn.unsupported import kind_of


class Plan(NamedTuple):
    """A call without anything left to decide: tensors of one backend, time before batch.

    Args:
        backend: The backend.
        sharing: How tensors that could share memory are kept apart, read once for the call.
        to_tensor: Converts what a step returns; called with the value and a function that
            returns its name for an error.
        step_function: As it was passed.
        inputs: The inputs, time first; where steps are masked, masked entries are replaced.
        states: The initial states.
        constants: The constants, in the form in which steps are given them.
        guards_constants: Whether that form cannot be written into.
        masking: What is done at masked steps; `None` where no steps are.
        boundaries: What happens between steps; `None` where nothing does.
        initial_output: What masked steps repeat before the first valid one; `None` for zeros.
        reverse: Walk from the last step to the first.
        unroll: Walk in plain Python.
        time_major: Outputs have time as their first axis.
        all_outputs: Return the outputs of all steps.
        blocks: The blocks of steps that are computed again in the backward pass; `None` where
            nothing is.
    """

    backend: Backend
    sharing: Sharing
    to_tensor: Callable[[Any, Callable[[], str]], Tensor]
    step_function: Callable[..., Any]
    inputs: Nest
    states: Nest
    constants: Nest
    guards_constants: bool
    masking: Masking | None
    boundaries: Boundaries | None
    initial_output: Nest | None
    reverse: bool
    unroll: bool
    time_major: bool
    all_outputs: bool
    blocks: Blocks | None


_NO_CONSTANTS = Nest([], None, is_plain=True)


def make_plan(choice: Choice, arguments: Arguments) -> Plan:
    """Check and normalize the arguments of `polyrnn.rnn`; it documents what each may be."""
    arguments = _with_flags(arguments)
    backend, reader = choice.backend, Reader(choice)
    inputs = reader.read("inputs", arguments.inputs)
    if not inputs.leaves:
        raise ValueError("inputs: expected at least one tensor, got an empty nest")
    states = reader.read_entries("initial_states", arguments.initial_states)
    constants = _NO_CONSTANTS
    if arguments.constants is not None:
        constants = reader.read_entries("constants", arguments.constants)
    reader.like = reader.first_tensor([*inputs.leaves, *states.leaves, *constants.leaves])

    inputs = reader.convert("inputs", inputs)
    sizes = Sizes.of(backend, inputs, arguments.time_major)
    if arguments.unroll and not isinstance(sizes.time, int):
        raise ValueError(
            "unroll: expected a time axis of static length to unroll, "
            f"got inputs of {sizes.time or 'an unknown number of'} time steps"
        )
    xs = inputs.leaves if arguments.time_major else list(map(backend.transpose, inputs.leaves))
    # From here on everything follows the device of the inputs.
    reader.like = xs[0]
    states = reader.convert("initial_states", states)
    if constants.leaves:
        constants = reader.convert("constants", constants)
    sharing, protected = backend.sharing, constants.leaves
    if sharing.read_only is not None:
        protected = list(map(sharing.read_only, protected))

    initial_output = _read_initial_output(reader, arguments)
    checkpoint_every = read_step_count("checkpoint_every", arguments.checkpoint_every, sizes)
    boundaries = _read_boundaries(reader, arguments, sizes, states, xs[0])
    masking = None
    mask = _read_masks(reader, arguments, sizes, states, xs[0])
    if mask is not None:
        masking, xs = make_masking(
            backend,
            mask,
            xs,
            states.leaves,
            boundaries,
            zeroes_output=arguments.zero_output_for_mask,
            all_outputs=arguments.return_all_outputs,
            reverse=arguments.go_backwards,
            starts_with_zeros=boundaries is None and initial_output is None,
        )
    return Plan(
        backend=backend,
        sharing=sharing,
        to_tensor=reader.tensor,
        step_function=arguments.step_function,
        inputs=Nest(xs, inputs.structure, inputs.is_plain),
        states=states,
        constants=Nest(protected, constants.structure, constants.is_plain),
        guards_constants=any(map(is_not, protected, constants.leaves)),
        masking=masking,
        boundaries=boundaries,
        initial_output=initial_output,
        reverse=arguments.go_backwards,
        unroll=arguments.unroll,
        time_major=arguments.time_major,
        all_outputs=arguments.return_all_outputs,
        blocks=make_blocks(sizes.time, checkpoint_every),
    )


def _read_masks(
    reader: Reader, arguments: Arguments, sizes: Sizes, states: Nest, x: Tensor
) -> Tensor | None:
    """Return the mask of the call as ``(time, batch)``, or `None` where nothing is masked."""
    if arguments.mask is not None:
        mask, named = read_mask(reader, "mask", arguments.mask, sizes), "mask"
    elif arguments.input_length is not None:
        mask, named = read_lengths(reader, arguments.input_length, sizes, x), "input_length"
    else:
        return None
    if mask is not None:
        check_masked_states(reader.backend, named, states, sizes)
    return mask


def _read_boundaries(
    reader: Reader, arguments: Arguments, sizes: Sizes, states: Nest, x: Tensor
) -> Boundaries | None:
    """Return what happens between the steps, or `None` where nothing does."""
    truncate_every = read_step_count("truncate_every", arguments.truncate_every, sizes)
    reset_states = states
    if arguments.reset_states is not None:
        reset_states = reader.read_entries("reset_states", arguments.reset_states)
        reset_states = reader.convert("reset_states", reset_states)
        check_like(reader.backend, "reset_states", reset_states, states, "initial_states")
    reset = None
    if arguments.reset is not None:
        reset = read_mask(reader, "reset", arguments.reset, sizes)
        check_masked_states(reader.backend, "reset", states, sizes)
    return make_boundaries(
        reader.backend,
        x,
        time=sizes.time,
        reset=reset,
        reset_states=reset_states.leaves,
        truncate_every=truncate_every,
        reverse=arguments.go_backwards,
    )


def _read_initial_output(reader: Reader, arguments: Arguments) -> Nest | None:
    if arguments.initial_output is None:
        return None
    initial_output = reader.read("initial_output", arguments.initial_output)
    return reader.convert("initial_output", initial_output)


_FLAGS = ("go_backwards", "unroll", "time_major", "zero_output_for_mask", "return_all_outputs")


def _with_flags(arguments: Arguments) -> Arguments:
    """Return the arguments with plain booleans for flags."""
    if not callable(arguments.step_function):
        given = kind_of(arguments.step_function)
        raise TypeError(f"step_function: expected a callable, got {given}")
    for name in _FLAGS:
        value = getattr(arguments, name)
        if value is not True and value is not False:
            arguments = arguments._replace(**{name: _flag(name, value)})
    return arguments


def _flag(name: str, value: Any) -> bool:
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {kind_of(value)}")

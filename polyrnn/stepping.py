"""The body of the loop: calls the step, holds it to its word, and applies the mask."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from polyrnn import nests
from polyrnn.backend import Backend, Body, Carry, Tensor
from polyrnn.plan import Plan
from polyrnn.reading import leaf_name
from polyrnn.sizes import sizes_agree


class _Spec(NamedTuple):
    """What a leaf must be at every step, remembered without keeping the tensor."""

    dtype: Any
    shape: Any


# A tuple, because the union of two types would be made anew at each step.
_SEQUENCE = (tuple, list)


class Step:
    """The step function of a plan, from flat lists of tensors to flat lists of tensors.

    Args:
        plan: The plan of the call.

    After the first call `output_structure` says what nest the step puts out.
    """

    def __init__(self, plan: Plan) -> None:
        self.output_structure: Any = None
        self._output_specs: list[_Spec] = []
        self._state_specs = [_Spec(state.dtype, state.shape) for state in plan.states]
        self._plan = plan
        self._backend = plan.backend
        self._kind = plan.backend.tensor_type
        self._step_function = plan.step_function
        self._constants = list(plan.constants)
        self._states = plan.backend.unflatten(plan.states_structure, plan.states)
        self._plain_states = len(self._states) == len(plan.states) and all(
            isinstance(state, self._kind) for state in self._states
        )
        self._plain_arguments = self._plain_states and _is_plain(
            plan.backend, plan.inputs_structure, plan.inputs
        )
        self._plain_results = False
        self._plain_specs: list[_Spec] = []

    def __call__(
        self, slices: list[Tensor], states: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Call the step once; give the leaves of its output and of its new states.

        Args:
            slices: The leaves of the inputs, and whatever comes after them.
            states: The leaves of the states.
        """
        # An eager step takes tens of microseconds, so that whatever is done here shows.
        # Where there is nothing to take apart, nothing is, and one pass checks all.
        if self._plain_arguments:
            result = self._step_function(slices[0], states + self._constants)
        else:
            result = self._step_function(*self._put_together(slices, states))
        if not isinstance(result, _SEQUENCE) or len(result) != 2:
            raise ValueError(
                "step_function: expected it to return (output, new_states), got "
                f"{_describe(self._backend, result)}"
            )
        output, new_states = result
        if self._plain_results and isinstance(new_states, _SEQUENCE):
            leaves = [output, *new_states]
            if self._is_as_before(leaves):
                return leaves[:1], leaves[1:]
        return self._output_leaves(output), self._state_leaves(new_states)

    def _is_as_before(self, leaves: list[Any]) -> bool:
        """Tell whether the leaves of a plain output and of plain states need no second look."""
        specs, kind = self._plain_specs, self._kind
        if len(leaves) != len(specs):
            return False
        for new, (dtype, shape) in zip(leaves, specs, strict=True):
            if not isinstance(new, kind) or new.shape != shape:
                return False
            # Most frameworks have one object for a dtype, and some compare it slowly.
            if new.dtype is not dtype and new.dtype != dtype:
                return False
        return True

    def _put_together(self, slices: list[Tensor], states: list[Tensor]) -> tuple[Any, list[Any]]:
        plan, unflatten = self._plan, self._backend.unflatten
        x = unflatten(plan.inputs_structure, slices[: len(plan.inputs)])
        handed = states if self._plain_states else unflatten(plan.states_structure, states)
        return x, [*handed, *self._constants]

    def _state_leaves(self, new_states: Any) -> list[Tensor]:
        if (
            self._plain_states
            and isinstance(new_states, _SEQUENCE)
            and len(new_states) == len(self._states)
            and all(isinstance(new, self._kind) for new in new_states)
        ):
            leaves = list(new_states)
        else:
            leaves = self._take_apart(new_states)
        return self._hold_to(leaves, self._state_specs, "state", self._plan.states_structure)

    def _take_apart(self, new_states: Any) -> list[Any]:
        backend, expected = self._backend, self._plan.states_structure
        is_sequence = isinstance(new_states, list | tuple)
        # One state may come back bare; it may be a list or tuple itself.
        readings = [list(new_states)] if is_sequence else []
        if len(self._states) == 1 and not (is_sequence and self._plain_states):
            readings.append([new_states])
        for reading in readings:
            leaves, structure = backend.flatten(reading)
            if structure == expected:
                return leaves
        raise ValueError(self._wrong_states(readings, new_states))

    def _wrong_states(self, readings: list[list[Any]], new_states: Any) -> str:
        backend = self._backend
        for reading in readings:
            if len(reading) == len(self._states):
                for position, (new, old) in enumerate(zip(reading, self._states, strict=True)):
                    given, expected = _describe(backend, new), _describe(backend, old)
                    if given != expected:
                        return f"state [{position}]: step returned {given} for {expected}"
        count = f"{len(self._states)} state{'' if len(self._states) == 1 else 's'}"
        return f"new_states: step returned {_describe(backend, new_states)} for {count}"

    def _output_leaves(self, output: Any) -> list[Tensor]:
        leaves, structure = self._backend.flatten(output)
        if self.output_structure is None:
            leaves = [
                self._plan.to_tensor(leaf, partial(self._where, "output", structure, p))
                for p, leaf in enumerate(leaves)
            ]
            self._check_batch(leaves, structure)
            self._output_specs = [_Spec(leaf.dtype, leaf.shape) for leaf in leaves]
            self._plain_specs = [*self._output_specs, *self._state_specs]
            self._plain_results = self._plain_states and isinstance(output, self._kind)
            self.output_structure = structure
            return leaves
        if structure != self.output_structure:
            before = self._backend.unflatten(
                self.output_structure, [nests.LEAF] * len(self._output_specs)
            )
            raise ValueError(
                f"output: step returned {_describe(self._backend, output)} for {before!r}"
            )
        return self._hold_to(leaves, self._output_specs, "output", structure)

    def _check_batch(self, leaves: list[Tensor], structure: Any) -> None:
        if self._plan.mask is None:
            return
        mask_shape = self._backend.shape(self._plan.mask)
        batch = None if mask_shape is None else mask_shape[1]
        for position, leaf in enumerate(leaves):
            shape = self._backend.shape(leaf)
            if shape is not None and (not shape or not sizes_agree(shape[0], batch)):
                raise ValueError(
                    f"{self._where('output', structure, position)}: expected the batch "
                    f"({batch}) as the first axis, because steps are masked; step returned "
                    f"shape {shape}"
                )

    def _hold_to(
        self, leaves: list[Any], expected: Sequence[Any], called: str, structure: Any
    ) -> list[Tensor]:
        """Check dtypes and shapes; let pass what only a shape that is not static sets apart."""
        backend, kind = self._backend, self._kind
        for position in range(len(expected)):
            new: Any = leaves[position]
            old: Any = expected[position]
            if isinstance(new, kind) and new.dtype == old.dtype and new.shape == old.shape:
                continue
            new = self._plan.to_tensor(new, partial(self._where, called, structure, position))
            if new.dtype != old.dtype or not _fits(backend.shape(new), backend.shape(old)):
                raise ValueError(
                    f"{self._where(called, structure, position)}: step returned "
                    f"{_spell(backend, new)} for {_spell(backend, old)}"
                )
            leaves[position] = new
        return leaves

    def _where(self, called: str, structure: Any, position: int) -> str:
        return leaf_name(self._backend, f"{called} ", structure, position).rstrip()


def make_body(plan: Plan, step: Step) -> Body:
    """Make the body that a backend loops over the inputs and masks of a plan.

    Its carry is ``(states, held)``: `held` is the output of the step before, where a
    masked step repeats it or where only the last output is wanted; else `None`.

    Args:
        plan: The plan of the call.
        step: The step of the same plan.

    Returns:
        The body; its slices are those of `loop_inputs`.
    """
    select = plan.backend.select
    input_count = len(plan.inputs)
    masked = plan.mask is not None
    repeats = masked and not plan.zero_output_for_mask
    carries_output = repeats or not plan.return_all_outputs
    ranks = _mask_ranks(plan)
    state_masks = [input_count + ranks.index(_rank(plan, state)) for state in plan.states]

    # Quoted, because torch.compile meets this definition and cannot subscript types.
    def body(carry: Carry, slices: "list[Tensor]") -> "tuple[Carry, list[Tensor]]":
        states, held = carry
        assert states is not None
        output, new_states = step(slices, states)
        if masked:
            new_states = [
                select(slices[position], new, old)
                for position, new, old in zip(state_masks, new_states, states, strict=True)
            ]
        if repeats:
            mask = slices[input_count]
            before = held if held is not None else [None] * len(output)
            output = [select(mask, new, old) for new, old in zip(output, before, strict=True)]
        return (
            (new_states, output if carries_output else None),
            output if plan.return_all_outputs else [],
        )

    return body


def loop_inputs(plan: Plan) -> list[Tensor]:
    """List what the loop slices: the inputs, then the mask, expanded once per rank of state."""
    if plan.mask is None:
        return plan.inputs
    masks = []
    for rank in _mask_ranks(plan):
        expansion = (slice(None), slice(None), *[None] * (rank - 1))
        masks.append(plan.mask[expansion] if rank > 1 else plan.mask)
    return [*plan.inputs, *masks]


def _mask_ranks(plan: Plan) -> list[int]:
    """List the ranks at which a step needs its mask; the plain one, of rank 1, comes first."""
    return [1, *sorted({_rank(plan, state) for state in plan.states} - {1})]


def _rank(plan: Plan, state: Tensor) -> int:
    if plan.mask is None or not plan.backend.expands_masks:
        return 1
    shape = plan.backend.shape(state)
    return 1 if shape is None else len(shape)


def _is_plain(backend: Backend, structure: Any, leaves: list[Tensor]) -> bool:
    return len(leaves) == 1 and backend.unflatten(structure, leaves) is leaves[0]


def _fits(new: tuple[Any, ...] | None, old: tuple[Any, ...] | None) -> bool:
    if new is None or old is None:
        return True
    return len(new) == len(old) and all(map(sizes_agree, new, old))


def _spell(backend: Backend, x: Tensor) -> str:
    shape = backend.shape(x)
    return f"{backend.dtype_name(x)} {'of unknown rank' if shape is None else shape}"


def _describe(backend: Backend, tree: Any) -> str:
    """Print a nest with a star for each tensor and the type of what is none."""
    leaves, structure = backend.flatten(tree)
    stars = [nests.LEAF if isinstance(leaf, backend.tensor_type) else type(leaf) for leaf in leaves]
    return repr(backend.unflatten(structure, stars))

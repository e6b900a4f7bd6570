"""The body of the loop: calls the step, holds it to its word, and applies the mask."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from polyrnn import nests
from polyrnn.backend import Backend, Body, Carry, Tensor
from polyrnn.plan import Plan
from polyrnn.reading import leaf_name, only
from polyrnn.sizes import sizes_agree
from polyrnn.writing import naming_constants, wrote_into

# A tuple, because the union of two types would be made anew at each step.
_SEQUENCE = (tuple, list)

Results: TypeAlias = tuple[list[Tensor], list[Tensor]]
"""The leaves of an output, and those of the new states."""


class _Spec(NamedTuple):
    """What a leaf must be at every step, remembered without keeping the tensor."""

    dtype: Any
    shape: Any
    static_shape: tuple[Any, ...] | None


class Step:
    """What the step function of a plan takes and returns, as flat lists of tensors.

    Args:
        plan: The plan of the call.

    After the first call `output_structure` says what nest the step puts out. Where there is
    nothing to take apart, `specs` then holds the spec of the output, the list of those of
    the states, and whether the first of these is that of the output too: what is equal to
    them at a later step needs no closer look.
    """

    def __init__(self, plan: Plan) -> None:
        self.output_structure: Any = None
        self.plain_output = False
        self.spec = plan.backend.spec
        self.specs: list[Any] = []
        self._output_specs: list[_Spec] = []
        # The types of tensors that were looked at closely; others may not be what they seem.
        self._kinds: tuple[type, ...] = ()
        self._plan = plan
        self._backend = plan.backend
        self._kind = plan.backend.tensor_type

    def put_together(
        self, slices: list[Tensor], states: list[Tensor], constants: list[Any]
    ) -> tuple[Any, list[Any]]:
        """Give the arguments of the step function.

        Args:
            slices: The leaves of the inputs, and whatever comes after them.
            states: The leaves of the states.
            constants: The constants, each in its nest.

        Returns:
            The inputs, and the list of states and constants.
        """
        plan, unflatten = self._plan, self._backend.unflatten
        x = unflatten(plan.inputs_structure, slices[: len(plan.inputs)])
        handed = states if plan.plain_states else unflatten(plan.states_structure, states)
        return x, [*handed, *constants]

    def read(self, result: Any) -> Results:
        """Take apart and check what the step function returned.

        Args:
            result: Whatever it is.

        Returns:
            The leaves of the output, and those of the new states.

        Raises:
            ValueError: If it is not what a step has to return, or not what it was before.
        """
        if not isinstance(result, _SEQUENCE) or len(result) != 2:
            nests.check_levels("step_function", result)
            raise ValueError(
                "step_function: expected it to return (output, new_states), got "
                f"{_describe(self._backend, result)}"
            )
        output, new_states = result
        is_first = self.output_structure is None
        return self._output_leaves(output), self._state_leaves(new_states, is_first)

    def _state_leaves(self, new_states: Any, is_first: bool) -> list[Tensor]:
        plan = self._plan
        if (
            plan.plain_states
            and isinstance(new_states, _SEQUENCE)
            and len(new_states) == len(plan.states)
            and only(self._kind, new_states)
        ):
            leaves = list(new_states)
        else:
            leaves = self._take_apart(new_states)
        kinds = () if is_first and not self._look_at(leaves) else self._kinds
        return self._hold_to(leaves, plan.states, "state", plan.states_structure, kinds)

    def _look_at(self, leaves: list[Any]) -> bool:
        """Return whether all leaves are tensors to compute with, and remember their types if so."""
        if not only(self._kind, leaves):
            return False
        try:
            for leaf in leaves:
                self._backend.native(leaf)
        except TypeError:
            return False
        self._kinds += tuple(map(type, leaves))
        return True

    def _take_apart(self, new_states: Any) -> list[Any]:
        """Return the leaves of new states whose containers differ from those that were given.

        Cells of real libraries return a list for a tuple, or ``[h]`` for ``h``, which the
        interface's own implementation takes.
        """
        backend, expected, states = self._backend, self._plan.states_structure, self._states()
        is_sequence = isinstance(new_states, _SEQUENCE)
        # One state may come back bare; it may be a list or tuple itself.
        readings = [list(new_states)] if is_sequence else []
        if len(states) == 1 and not (is_sequence and self._plan.plain_states):
            readings.append([new_states])
        forms = [_form(backend, state) for state in states]
        for reading in readings:
            try:
                leaves, structure = backend.flatten(reading)
            except RecursionError:
                raise nests.too_deep("new_states") from None
            if structure == expected:
                return leaves
            nests.check_levels("new_states", reading)
            given = backend.unflatten(structure, leaves)
            if [_form(backend, state) for state in given] == forms:
                return leaves
        raise ValueError(self._wrong_states(readings, new_states))

    def _states(self) -> list[Any]:
        """Return the nests that were the initial states."""
        states: list[Any] = self._backend.unflatten(self._plan.states_structure, self._plan.states)
        return states

    def _wrong_states(self, readings: list[list[Any]], new_states: Any) -> str:
        backend, states = self._backend, self._states()
        for reading in readings:
            if len(reading) == len(states):
                for position, (new, old) in enumerate(zip(reading, states, strict=True)):
                    if _form(backend, new) != _form(backend, old):
                        given, expected = _describe(backend, new), _describe(backend, old)
                        return f"state [{position}]: step returned {given} for {expected}"
        count = f"{len(states)} state{'' if len(states) == 1 else 's'}"
        return f"new_states: step returned {_describe(backend, new_states)} for {count}"

    def _output_leaves(self, output: Any) -> list[Tensor]:
        try:
            leaves, structure = self._backend.flatten(output)
        except RecursionError:
            raise nests.too_deep("output") from None
        if self.output_structure is None:
            nests.check_levels("output", output)
            if not self._look_at(leaves):
                leaves = [
                    self._plan.to_tensor(leaf, partial(self._where, "output", structure, p))
                    for p, leaf in enumerate(leaves)
                ]
            if self._plan.mask is not None:
                self._check_batch(leaves, self._plan.mask, structure)
            shape = self._backend.shape
            self._output_specs = [_Spec(leaf.dtype, leaf.shape, shape(leaf)) for leaf in leaves]
            self.plain_output = len(leaves) == 1 and leaves[0] is output
            if self.plain_output and self._plan.plain_states:
                of_output, of_states = self.spec(output), list(map(self.spec, self._plan.states))
                self.specs += [of_output, of_states, of_output in of_states[:1]]
            self.output_structure = structure
            return leaves
        if structure != self.output_structure:
            nests.check_levels("output", output)
            before = self._backend.unflatten(
                self.output_structure, [nests.LEAF] * len(self._output_specs)
            )
            raise ValueError(
                f"output: step returned {_describe(self._backend, output)} for {before!r}"
            )
        return self._hold_to(leaves, self._output_specs, "output", structure, self._kinds)

    def _check_batch(self, leaves: list[Tensor], mask: Tensor, structure: Any) -> None:
        mask_shape = self._backend.shape(mask)
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
        self,
        leaves: list[Any],
        expected: Sequence[Any],
        called: str,
        structure: Any,
        kinds: tuple[type, ...],
    ) -> list[Tensor]:
        """Check dtypes and shapes; let pass what only a shape that is not static sets apart.

        Tensors of other types than `kinds` are looked at closely.
        """
        backend = self._backend
        for position in range(len(expected)):
            new: Any = leaves[position]
            old: Any = expected[position]
            if type(new) in kinds and new.dtype == old.dtype and new.shape == old.shape:
                continue
            new = self._plan.to_tensor(new, partial(self._where, called, structure, position))
            if new.dtype != old.dtype or not _fits(backend.shape(new), _static_shape(backend, old)):
                raise ValueError(
                    f"{self._where(called, structure, position)}: step returned "
                    f"{_spell(backend, new)} for {_spell(backend, old)}"
                )
            leaves[position] = new
        return leaves

    def _where(self, called: str, structure: Any, position: int) -> str:
        return leaf_name(self._backend, f"{called} ", structure, position).rstrip()


def make_body(plan: Plan, step: Step) -> Body:
    """Return the body that a backend loops over the inputs and masks of a plan.

    Its carry is ``(states, held)``: `held` is the output of the step before, where a
    masked step repeats it or where only the last output is wanted; else `None`, or an
    empty list once there was an output, where masked steps repeat it after the loop.

    Args:
        plan: The plan of the call.
        step: The step of the same plan.

    Returns:
        The body; its slices are those of `loop_inputs`.
    """
    backend = plan.backend
    step_function, constant_leaves = naming_constants(plan), plan.constant_leaves
    plain_arguments = plan.plain_inputs and plan.plain_states
    # A step may empty the containers that it is given, so that each gets its own.
    nested_constants = bool(constant_leaves) and plan.constants is not constant_leaves
    spec, specs = step.spec, step.specs
    select, hand_out, writes = backend.select, backend.hand_out, backend.writes
    input_count = len(plan.inputs)
    masked = plan.mask is not None
    all_outputs = plan.return_all_outputs
    repeats = masked and not plan.zero_output_for_mask
    repeats_here = repeats and not fills_forward(plan)
    carries_output = repeats_here or not all_outputs
    not_carried: Any = [] if repeats and not repeats_here else None
    masking = list(zip(_state_masks(plan), plan.stand_ins, strict=True)) if masked else []
    # A masked step gets tensors that are made for it, which it may write into.
    watched = not masked and writes is not None

    # Quoted, because torch.compile meets this definition and cannot subscript types.
    def body(carry: Carry, slices: "list[Tensor]") -> "tuple[Carry, list[Tensor]]":
        # An eager step takes some microseconds, so that whatever is done at each step shows.
        states: Any
        states, held = carry
        if masked:
            given = [
                hand_out([state], [])[0][0]
                if mask is None
                else select(slices[mask], state, stand_in)
                for state, (mask, stand_in) in zip(states, masking)  # noqa: B905 - slower
            ]
            _, fixed = hand_out([], constant_leaves)
        else:
            given, fixed = hand_out(states, constant_leaves)
            before = writes(given) if watched else None  # type: ignore[misc]  # watched: there is one
        constants = plan.constants
        if nested_constants or (constant_leaves and fixed is not constant_leaves):
            constants = backend.unflatten(plan.constants_structure, fixed)
        if plain_arguments:
            result = step_function(slices[0], given + constants)
        else:
            result = step_function(*step.put_together(slices, given, constants))
        if watched and writes(given) != before:  # type: ignore[misc]
            raise ValueError(wrote_into(plan, "states", before, given))
        # Fast path: what is as it was at the first step needs neither flattening nor a check.
        as_before = False
        if specs and type(result) is tuple and len(result) == 2:
            y, new_states = result
            if type(new_states) in _SEQUENCE:
                try:
                    # Most steps put out their first state, which is then looked at once.
                    as_before = [*map(spec, new_states)] == specs[1] and (
                        (specs[2] and y is new_states[0]) or spec(y) == specs[0]
                    )
                except AttributeError:
                    as_before = False  # What is no tensor may still be made one.
        output, new_states = ([y], [*new_states]) if as_before else step.read(result)
        if masked:
            new_states = [
                new if mask is None else select(slices[mask], new, state)
                for new, state, (mask, _) in zip(new_states, states, masking)  # noqa: B905
            ]
        if repeats and (repeats_here or held is None):
            mask = slices[input_count]
            last = held if held is not None else [None] * len(output)
            output = [select(mask, new, old) for new, old in zip(output, last, strict=True)]
        return (
            (new_states, output if carries_output else not_carried),
            output if all_outputs else [],
        )

    return body


def fills_forward(plan: Plan) -> bool:
    """Return whether the outputs that masked steps repeat are filled in after the loop.

    The first output is then zeros where it is masked, and stands for all that come
    before the first valid one.
    """
    return (
        plan.mask is not None
        and not plan.zero_output_for_mask
        and plan.return_all_outputs
        and plan.backend.fills_forward()
    )


def loop_inputs(plan: Plan) -> list[Tensor]:
    """Return what the loop slices: the inputs, then the mask, expanded once per rank of state."""
    if plan.mask is None:
        return plan.inputs
    masks = []
    for rank in _mask_ranks(plan):
        expansion = (slice(None), slice(None), *[None] * (rank - 1))
        masks.append(plan.mask[expansion] if rank > 1 else plan.mask)
    return [*plan.inputs, *masks]


def _state_masks(plan: Plan) -> list[int | None]:
    """Return the position among the slices of the mask for each state, `None` for no mask."""
    ranks = _mask_ranks(plan)
    return [
        None if stand_in is None else len(plan.inputs) + ranks.index(_rank(plan, state))
        for state, stand_in in zip(plan.states, plan.stand_ins, strict=True)
    ]


def _mask_ranks(plan: Plan) -> list[int]:
    """Return the ranks at which a step needs its mask; the plain one, of rank 1, comes first."""
    return [1, *sorted({_rank(plan, state) for state in plan.states} - {0, 1})]


def _rank(plan: Plan, state: Tensor) -> int:
    if not plan.backend.expands_masks:
        return 1
    shape = plan.backend.shape(state)
    return 1 if shape is None else len(shape)


def _fits(new: tuple[Any, ...] | None, old: tuple[Any, ...] | None) -> bool:
    if new is None or old is None:
        return True
    return len(new) == len(old) and all(map(sizes_agree, new, old))


def _static_shape(backend: Backend, x: Tensor | _Spec) -> tuple[Any, ...] | None:
    return x.static_shape if isinstance(x, _Spec) else backend.shape(x)


def _spell(backend: Backend, x: Tensor | _Spec) -> str:
    shape = _static_shape(backend, x)
    return f"{backend.dtype_name(x)} {'of unknown rank' if shape is None else shape}"


def _form(backend: Backend, tree: Any) -> Any:
    """Return a form of a nest that is equal for nests whose containers count as each other.

    A list and a tuple do, and a list or tuple of one tensor and that tensor.
    """
    if type(tree) in _SEQUENCE:
        children = [_form(backend, child) for child in tree]
        return nests.LEAF if children == [nests.LEAF] else children
    if type(tree) is dict:
        return {key: _form(backend, child) for key, child in tree.items()}
    leaves, structure = backend.flatten(tree)
    # In a tuple, for structures of some frameworks cannot be compared with other objects.
    return nests.LEAF if len(leaves) == 1 and leaves[0] is tree else (structure,)


def _describe(backend: Backend, tree: Any) -> str:
    """Print a nest with a star for each tensor and the type of what is none."""
    leaves, structure = backend.flatten(tree)
    stars = [nests.LEAF if isinstance(leaf, backend.tensor_type) else type(leaf) for leaf in leaves]
    return repr(backend.unflatten(structure, stars))

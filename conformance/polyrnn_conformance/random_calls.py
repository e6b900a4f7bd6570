"""Random calls over the whole space of arguments, drawn by hypothesis.

hypothesis draws plain data, which it can print; `RandomCall.call` converts it to a call.
In the step of a random call every leaf of the inputs, states and constants affects every
state and output, so that a leaf that is lost or exchanged changes the results.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from polyrnn_conformance.calls import Call, array_of
from polyrnn_conformance.random_steps import (
    FIRST_STATE,
    Leaf,
    held_by,
    mixing_step,
    mixing_weights,
    values_of,
)
from polyrnn_conformance.trees import Host, leaves_of, map_leaves


class Sensors(NamedTuple):
    """A user-defined namedtuple."""

    near: Any
    far: Any


@dataclass(frozen=True, kw_only=True)
class RandomCall:
    """A random call as plain data; its nests have a `Leaf` for each tensor.

    Args:
        batch: The number of samples.
        time: The number of time steps.
        inputs: The nest of inputs; each leaf has the axes after batch and time.
        states: The states; each leaf has the axes after the batch, if it has a batch.
        states_as: The container of the states: ``"list"``, ``"tuple"`` or ``"bare"``.
        constants: The constants, or `None`.
        outputs: The nest of outputs, or `FIRST_STATE`.
        returned_as: The container in which the step returns the states, like `states_as`.
        mask: The mask as rows of booleans, or `None`.
        mask_as: Its dtype, its rank and its type: ``"tensor"``, ``"numpy"`` or ``"list"``.
        lengths: The lengths, one length for all samples, or `None`.
        lengths_as: Their type: ``"tensor"``, ``"numpy"``, ``"list"`` or ``"int"``.
        lengths_dtype: Their dtype.
        on_host: Which arguments are NumPy arrays instead of tensors.
        borrows: Whether those that are bfloat16 are, too.
        padding: What stands in masked floating-point inputs.
        flags: The arguments that are true.
        reset: Where new sequences begin, as rows of booleans, or `None`.
        has_reset_states: Whether they begin with other states than the initial ones.
        has_initial_output: Whether masked steps begin with an output of their own.
        truncate_every: Through how many steps gradients flow, or `None`.
        checkpoint_every: How many steps are computed again together, or `None`.
    """

    batch: int
    time: int
    inputs: Any
    states: tuple[Any, ...]
    states_as: str
    constants: Any
    outputs: Any
    returned_as: str
    mask: tuple[tuple[bool, ...], ...] | None
    mask_as: tuple[str, int, str]
    lengths: tuple[int, ...] | int | None
    lengths_as: str
    lengths_dtype: str = "int32"
    on_host: frozenset[str]
    borrows: bool
    padding: float
    flags: frozenset[str]
    reset: tuple[tuple[bool, ...], ...] | None = None
    has_reset_states: bool = False
    has_initial_output: bool = False
    truncate_every: int | None = None
    checkpoint_every: int | None = None

    @property
    def is_masked(self) -> bool:
        """Whether the call has a mask or lengths."""
        return self.mask is not None or self.lengths is not None

    def call(self) -> Call:
        """Return the call."""
        states = [self._filled(state, phase) for phase, state in enumerate(self.states)]
        return Call(
            step=mixing_step(
                self.inputs, self.states, self.constants, self.outputs, self.returned_as
            ),
            weights=mixing_weights(self.states, self.outputs),
            inputs=self._hosted("inputs", self._inputs()),
            initial_states=self._hosted("initial_states", held_by(self.states_as, states)),
            constants=self._hosted("constants", self._filled(self.constants, 7)),
            mask=self._mask(),
            input_length=self._lengths(),
            reset=self._reset(),
            reset_states=self._reset_states(),
            initial_output=self._initial_output(),
            truncate_every=self.truncate_every,
            checkpoint_every=self.checkpoint_every,
            **{flag: flag in self.flags for flag in FLAGS},
        )

    def _filled(self, tree: Any, phase: int) -> Any:
        return map_leaves(
            lambda leaf: values_of(leaf.shape_for(self.batch), leaf.dtype, phase), tree
        )

    def _inputs(self) -> Any:
        valid = np.array(self._valid())

        def make(leaf: Leaf) -> Any:
            x = values_of((self.batch, self.time, *leaf.axes), leaf.dtype, len(leaf.axes))
            if self.is_masked and leaf.dtype.startswith(("float", "bfloat", "complex")):
                x[~valid] = self.padding
            return x.swapaxes(0, 1) if "time_major" in self.flags else x

        return map_leaves(make, self.inputs)

    def _valid(self) -> list[list[bool]]:
        if self.mask is not None:
            return [list(row) for row in self.mask]
        lengths = self.lengths
        if lengths is None:
            lengths = self.time
        each = (lengths,) * self.batch if isinstance(lengths, int) else lengths
        return [[t < length for t in range(self.time)] for length in each]

    def _mask(self) -> Any:
        if self.mask is None:
            return None
        dtype, rank, holder = self.mask_as
        mask = array_of(np.array(self.mask), dtype)
        if "time_major" in self.flags:
            mask = mask.T
        mask = mask[..., None] if rank == 3 else mask
        return _held(mask, holder)

    def _reset(self) -> Any:
        if self.reset is None:
            return None
        reset = np.array(self.reset)
        return reset.T if "time_major" in self.flags else reset

    def _reset_states(self) -> Any:
        if not self.has_reset_states:
            return None
        return held_by(self.states_as, [self._filled(state, 5) for state in self.states])

    def _initial_output(self) -> Any:
        if not self.has_initial_output:
            return None
        return self._filled(self.states[0] if self.outputs is FIRST_STATE else self.outputs, 11)

    def _lengths(self) -> Any:
        if self.lengths is None:
            return None
        if self.lengths_as == "int":
            return self.lengths
        return _held(np.array(self.lengths, self.lengths_dtype), self.lengths_as)

    def _hosted(self, argument: str, tree: Any) -> Any:
        if argument not in self.on_host:
            return tree
        return map_leaves(
            lambda x: Host(x) if self.borrows or x.dtype.name != "bfloat16" else x, tree
        )


FLAGS = ("go_backwards", "unroll", "time_major", "zero_output_for_mask", "return_all_outputs")


AXES = ((), (1,), (3,), (2, 1), (1, 2), (2, 1, 2))
"""The axes after batch and time: few, because compilers compile anew for each shape."""


def _held(array: Any, holder: str) -> Any:
    if holder == "tensor":
        return array
    if holder == "numpy":
        return Host(array)
    # Python has no number of the type bfloat16.
    return Host((array if array.dtype.kind in "biufc" else array.astype("float32")).tolist())


@st.composite
def random_calls(
    draw: Callable[..., Any],
    dtypes: tuple[str, ...],
    *,
    unrolls: bool = True,
    borrows: bool = True,
) -> RandomCall:
    """Draw a random call.

    Args:
        draw: The function that hypothesis provides.
        dtypes: The dtypes that the framework has.
        unrolls: Whether calls may be unrolled.
        borrows: Whether NumPy arrays may have the dtype bfloat16, which is not built into
            NumPy and unknown to some compilers.
    """
    batch, time = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 4]))
    masking = draw(st.sampled_from(["none", "mask", "lengths", "length", "both"]))
    resets = draw(st.booleans())
    # With a mask or a reset each state has a batch.
    masked = masking != "none"
    batched_states = masked or resets
    dtype = _dtypes(draw, dtypes)
    axes = st.sampled_from(AXES)
    batched = st.builds(Leaf, dtype=dtype, axes=axes)
    anywhere = batched if masked else st.builds(Leaf, dtype=dtype, axes=axes, batched=st.booleans())
    # With a mask, states need a batch axis, except those of rank 0, which are never masked.
    in_states = batched | st.builds(Leaf, dtype=dtype, axes=st.just(()), batched=st.just(False))
    input_leaf = st.builds(Leaf, dtype=dtype, axes=st.sampled_from(AXES[1:]))
    numpy_dtypes = [known for known in dtypes if borrows or known != "bfloat16"]
    states = draw(
        st.lists(
            _nests(in_states if batched_states else anywhere, empty=True),
            min_size=int(batched_states),
            max_size=3,
        ).map(tuple)
    )
    is_one = len(states) == 1
    is_plain = is_one and not isinstance(states[0], list | tuple)
    return RandomCall(
        batch=batch,
        time=time,
        inputs=draw(_nests(input_leaf).filter(leaves_of)),
        states=states,
        states_as=draw(st.sampled_from(["list", "tuple", *["bare"] * is_plain])),
        constants=draw(_constants(st.builds(Leaf, dtype=dtype, axes=axes, batched=st.booleans()))),
        outputs=draw(_nests(anywhere)),
        returned_as=draw(st.sampled_from(["list", "tuple", *["bare"] * is_plain])),
        mask=draw(_masks(batch, time)) if masking in ("mask", "both") else None,
        mask_as=(
            draw(st.sampled_from(numpy_dtypes)),
            draw(st.sampled_from([2, 3])),
            draw(st.sampled_from(["tensor", "numpy", "list"])),
        ),
        lengths=_lengths(draw, masking, batch, time),
        lengths_as="int"
        if masking == "length"
        else draw(st.sampled_from(["tensor", "numpy", "list"])),
        on_host=draw(st.frozensets(st.sampled_from(["inputs", "initial_states", "constants"]))),
        borrows=borrows,
        padding=draw(st.sampled_from([0.0, np.nan, np.inf])),
        flags=draw(st.frozensets(st.sampled_from(FLAGS))) - set(() if unrolls else ("unroll",)),
        reset=draw(_masks(batch, time)) if resets else None,
        has_reset_states=draw(st.booleans()),
        has_initial_output=draw(st.booleans()),
        # Both need a static number of time steps, as unrolling does.
        truncate_every=draw(st.none() | st.integers(1, 3)) if unrolls else None,
        checkpoint_every=draw(st.none() | st.integers(1, 3)) if unrolls else None,
    )


def _dtypes(draw: Callable[..., Any], dtypes: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Draw a few dtypes for a call, so that leaves share dtypes; often only float32."""
    few = st.lists(st.sampled_from(dtypes), min_size=1, max_size=3)
    return st.sampled_from(draw(few | st.just(["float32"]) if "float32" in dtypes else few))


def _nests(leaf: st.SearchStrategy[Leaf], *, empty: bool = False) -> st.SearchStrategy[Any]:
    """Return a strategy for a leaf or a small nest of leaves, sometimes with `None` inside."""
    child = leaf | leaf | leaf | st.none() | st.lists(leaf, min_size=1, max_size=2)
    nests = [
        leaf,
        leaf,
        st.lists(child, min_size=1, max_size=2),
        st.tuples(child, child),
        st.builds(Sensors, near=child, far=child),
        # A dict without a tensor has a row of its own, `states-dict-without-tensors`.
        st.dictionaries(st.sampled_from("abc"), child, min_size=1, max_size=2).filter(leaves_of),
    ]
    return st.one_of(*nests, *[st.just(())] * empty)


def _constants(leaf: st.SearchStrategy[Leaf]) -> st.SearchStrategy[Any]:
    several = st.lists(_nests(leaf), max_size=2)
    return st.none() | several | several.map(tuple) | leaf


def _masks(batch: int, time: int) -> st.SearchStrategy[Any]:
    row = st.tuples(*[st.booleans()] * time)
    return st.tuples(*[row] * batch)


def _lengths(draw: Callable[..., Any], masking: str, batch: int, time: int) -> Any:
    if masking == "length":
        return draw(st.integers(1, time))
    if masking in ("lengths", "both"):
        return draw(st.tuples(*[st.integers(0, time)] * batch))
    return None

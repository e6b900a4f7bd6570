"""The jax backend, whose loop is a `jax.lax.scan`. Equal loops are compiled only once.

Particular to JAX are that a carry must have its final type, sharding included, from the start; that
tensors are brought to the devices of other tensors; and that nests are JAX's pytrees.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax, tree_util

from polyrnn import Backend, python_loop
from polyrnn.backend import Body, Carry, CheckpointedLoop, Walk
from polyrnn_jax import internals, pytrees


class JaxBackend(Backend):
    """The jax backend, whose tensors are JAX arrays and tracers and whose nests are pytrees.

    The step is traced once in each call. It is traced twice if the first trace has to find the
    shape of the outputs for the carry: with a mask that repeats outputs, and with
    ``return_all_outputs=False``. With ``unroll=True``, and under ``jax.disable_jit()``, the step
    is called once for each time step instead, and can be debugged like any Python function.
    """

    tensor_type: ClassVar = jax.Array
    namespace: ClassVar = jnp
    nests = pytrees
    expands_masks: ClassVar = False

    def __init__(self) -> None:
        self._loops = _loop_cache()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_loops"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._loops = _loop_cache()

    def transpose(self, x: Any) -> Any:
        return jnp.swapaxes(x, 0, 1)

    def select(self, mask: Any, on_true: Any, on_false: Any = None) -> Any:
        return _compiled_select(mask, on_true, on_false)

    def loop(
        self, body: Body, carry: Carry, xs: list[Any], *, reverse: bool, unroll: bool
    ) -> tuple[Carry, list[Any]]:
        def strong_body(carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
            carry, outputs = _without_weak_types(body(carry, slices))
            return carry, outputs

        carry, xs = _without_weak_types((carry, xs))
        if unroll or jax.config.jax_disable_jit:
            walk = range(len(xs[0]))
            steps = ([x[t] for x in xs] for t in (reversed(walk) if reverse else walk))
            return python_loop(strong_body, carry, steps, jnp.stack)
        walk_or_trace = _Scan.run if self._loops is None else _Scan.trace
        scan = _Scan(strong_body, reverse)
        result = walk_or_trace(scan, carry, xs)
        if scan.avals is not None:
            scan = _Scan(strong_body, reverse, scan.avals)
            with internals.noting_what_varying_needs():
                result = walk_or_trace(scan, carry, xs)
        if self._loops is None:
            _warn_unless_traced((carry, xs))
            carry, stacked = result
        else:
            carry, stacked = self._loops.run(result, carry, xs, ended=scan.traces)
        return carry, stacked

    @property
    def checkpointed_loop(self) -> CheckpointedLoop:
        return self._checkpointed_loop

    def _checkpointed_loop(
        self, walk: Walk, carry: Carry, xs: list[Any], *, size: int, reverse: bool
    ) -> tuple[Carry, list[Any]]:
        blocks = [x.reshape(-1, size, *x.shape[1:]) for x in xs]
        carry, stacked = self.loop(
            jax.checkpoint(walk, prevent_cse=False), carry, blocks, reverse=reverse, unroll=False
        )
        return carry, [y.reshape(-1, *y.shape[2:]) for y in stacked]

    def convert(self, value: Any, like: Any = None) -> Any:
        if like is None and isinstance(value, jax.Array):
            return value
        tensor = jnp.asarray(value)
        if like is None or isinstance(tensor, jax.core.Tracer) or isinstance(like, jax.core.Tracer):
            return tensor
        if tensor.sharding.device_set == like.sharding.device_set:
            return tensor
        return jax.device_put(tensor, _everywhere(like.sharding))

    def converts(self, value: Any) -> bool:
        return hasattr(type(value), "__jax_array__")

    def nonzero(self, x: Any) -> Any:
        return x if x.dtype == bool else x != jnp.zeros((), x.dtype)

    def length_mask(self, lengths: Any, like: Any) -> Any:
        steps = jnp.arange(like.shape[0])
        # Clip the lengths first, because neither dtype need hold all values of the other one, and
        # a value that overflows would stand for another length.
        most = min(int(jnp.iinfo(lengths.dtype).max), int(jnp.iinfo(steps.dtype).max))
        held = jnp.clip(lengths, jnp.zeros((), lengths.dtype), jnp.asarray(most, lengths.dtype))
        ends = held.astype(steps.dtype)
        return jnp.broadcast_to(
            steps[:, None] < (ends[None, :] if ends.ndim else ends), like.shape[:2]
        )

    def take_first(self, mask: Any, xs: list[Any], *, reverse: bool = False) -> list[Any]:
        return list(_compiled_take_first(mask, xs, reverse))

    def detach(self, x: Any) -> Any:
        return lax.stop_gradient(x)

    def flip(self, x: Any) -> Any:
        return jnp.flip(x, 0)

    def devices(self) -> list[str]:
        return [f"{device.platform}:{device.id}" for device in jax.devices()]


def _loop_cache() -> Any:
    """Return a cache of compiled loops; `None` if JAX lacks private names that it needs."""
    if internals.missing_of_cache():
        return None
    from polyrnn_jax.loop_cache import LoopCache

    return LoopCache(capacity=128)


def _warn_unless_traced(tree: Any) -> None:
    """Warn that the loop was compiled for this call alone, unless the call itself is traced."""
    if not all(isinstance(leaf, jax.core.Tracer) for leaf in tree_util.tree_leaves(tree)):
        internals.warn_of_no_cache(internals.missing_of_cache())


class _Scan:
    """A scan that finds the carry entries that start as zeros, and finishes every trace.

    If an exception leaves a trace, JAX keeps what the trace has met, such as weights, alive
    forever. So if the body raises, or shows what the zeros have to be, the trace is finished with
    a result that is not used.

    Args:
        body: The body of the loop.
        reverse: Whether to loop from the last time step to the first.
        avals: For each entry of the carry, the types of the zeros that replace it if it is
            `None`; without them, `trace` and `run` find these types.
    """

    def __init__(
        self, body: Body, reverse: bool, avals: list[list[Any] | None] | None = None
    ) -> None:
        self.avals: list[list[Any] | None] | None = None
        """The types of each entry of the carry, if the body replaced an entry that was `None`."""
        self.traces: set[Any] = set()
        """The traces of the loop and of its body."""
        self._body = body
        self._reverse = reverse
        self._start = avals
        self._error: BaseException | None = None

    def trace(self, carry: Carry, xs: list[Any]) -> Any:
        """Return the loop as a jaxpr, and the shapes of its results; raise what the body raises."""
        return self._checked(jax.make_jaxpr(self._loop, return_shape=True), carry, xs)

    def run(self, carry: Carry, xs: list[Any]) -> Any:
        """Run the loop and return its results; raise what the body raises."""
        return self._checked(self._loop, carry, xs)

    def _checked(self, loop: Callable[..., Any], carry: Carry, xs: list[Any]) -> Any:
        result = loop(carry, xs)
        try:
            if self._error is not None:
                raise self._error
        finally:
            self._error = None  # breaks the reference cycle of the error and this frame
        return result

    def _loop(self, carry: Carry, xs: list[Any]) -> tuple[Carry, list[Any]]:
        self.traces.add(internals.trace_of(xs[0]))
        if self._start is not None:
            carry = tuple(
                avals and [_zeros(aval) for aval in avals] if entry is None else entry
                for entry, avals in zip(carry, self._start, strict=True)
            )
        carry, ys = lax.scan(self._watched_body, carry, xs, reverse=self._reverse)
        return carry, [jnp.flip(y, 0) for y in ys] if self._reverse else ys

    def _watched_body(self, carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
        self.traces.add(internals.trace_of(slices[0]))
        try:
            new, outputs = self._body(carry, slices)
        except BaseException as error:
            self._error = error
            return carry, []
        if [entry is None for entry in new] != [entry is None for entry in carry]:
            self.avals = [entry and [jax.typeof(leaf) for leaf in entry] for entry in new]
            return carry, []
        return new, outputs


def _zeros(aval: Any) -> Any:
    sharding = aval.sharding if any(aval.sharding.spec) else None
    zeros = jnp.zeros(aval.shape, aval.dtype, out_sharding=sharding)
    # Within shard_map a carry has to vary over its final mesh axes from the start.
    varying = internals.varying_axes(aval)
    return lax.pcast(zeros, varying, to="varying") if varying else zeros


def _without_weak_types(tree: Any) -> Any:
    """Return a nest without weak types, because a scan requires a carry of constant type."""
    return tree_util.tree_map(
        lambda x: lax.convert_element_type(x, x.dtype) if jax.typeof(x).weak_type else x, tree
    )


def _select(mask: Any, on_true: Any, on_false: Any) -> Any:
    if on_false is None:
        on_false = jnp.zeros((), on_true.dtype)
    return jnp.where(lax.expand_dims(mask, range(mask.ndim, on_true.ndim)), on_true, on_false)


# Compiled, because in eager mode each operation is dispatched separately.
_compiled_select = jax.jit(_select)


def _take_first(mask: Any, xs: list[Any], reverse: bool) -> list[Any]:
    last = mask.shape[0] - 1
    steps = last - jnp.argmax(jnp.flip(mask, 0), axis=0) if reverse else jnp.argmax(mask, axis=0)
    samples = jnp.arange(mask.shape[1])
    return [
        x.at[steps, samples].get(mode="promise_in_bounds", out_sharding=_of_a_step(x)) for x in xs
    ]


_compiled_take_first = jax.jit(_take_first, static_argnums=2)


def _of_a_step(x: Any) -> Any:
    """Return the sharding of one time step, or `None` if the type of `x` has no sharding."""
    sharding = jax.typeof(x).sharding
    if not any(sharding.spec):
        return None
    return sharding.update(spec=jax.sharding.PartitionSpec(*sharding.spec[1:]))


def _everywhere(sharding: Any) -> Any:
    """Return a sharding that replicates tensors of any rank over the devices of a sharding."""
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding

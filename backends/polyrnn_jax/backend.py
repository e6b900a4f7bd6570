"""What JAX does its own way: the loop is a scan, and is not compiled twice for one meaning.

Beyond the primitives it says what other frameworks need not say: a carry has its type
from the start, with its sharding; tensors are brought to the devices of others; nests are
JAX's own.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax, tree_util

from polyrnn import Backend, python_loop
from polyrnn.backend import Body, Carry
from polyrnn_jax.loop_cache import LoopCache


class JaxBackend(Backend):
    """Computes with JAX arrays and tracers; nests are JAX's pytrees.

    The step is traced once in each call, and a second time where an entry of the carry
    starts as zeros whose shape the first trace finds: where a mask holds outputs, and with
    ``return_all_outputs=False``. With ``unroll``, and under ``jax.disable_jit()``, it is
    called once for each time step instead, and can be debugged like any Python function.
    """

    tensor_type: ClassVar = jax.Array
    namespace: ClassVar = jnp
    expands_masks: ClassVar = False

    def __init__(self) -> None:
        self._loops = LoopCache(capacity=128)
        self._compiled = cache(lambda function: jax.jit(partial(function, self)))

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

        def scan(carry: Carry, xs: list[Any]) -> tuple[Carry, list[Any]]:
            try:
                carry, ys = lax.scan(_resolved(strong_body), carry, xs, reverse=reverse)
            except _Unresolved as found:
                carry, ys = lax.scan(strong_body, found.zeros_in(carry), xs, reverse=reverse)
            return carry, [self.flip(y) for y in ys] if reverse else ys

        carry, xs = _without_weak_types((carry, xs))
        if unroll or jax.config.jax_disable_jit:
            walk = range(len(xs[0]))
            steps = ([x[t] for x in xs] for t in (reversed(walk) if reverse else walk))
            return python_loop(strong_body, carry, steps, jnp.stack)
        carry, stacked = self._loops.call(scan, carry, xs)
        return carry, stacked

    def convert(self, value: Any, like: Any = None) -> Any:
        tensor = jnp.asarray(value)
        if like is None or isinstance(tensor, jax.core.Tracer) or isinstance(like, jax.core.Tracer):
            return tensor
        if tensor.sharding.device_set == like.sharding.device_set:
            return tensor
        return jax.device_put(tensor, _everywhere(like.sharding))

    def nonzero(self, x: Any) -> Any:
        return x != 0

    def length_mask(self, lengths: Any, like: Any) -> Any:
        steps = jnp.arange(like.shape[0])
        return jnp.broadcast_to(steps[:, None] < lengths.astype(steps.dtype), like.shape[:2])

    def first_true(self, mask: Any, *, reverse: bool = False) -> Any:
        if reverse:
            return mask.shape[0] - 1 - jnp.argmax(self.flip(mask), axis=0)
        return jnp.argmax(mask, axis=0)

    def take(self, x: Any, steps: Any) -> Any:
        samples = jnp.arange(x.shape[1])
        return x.at[steps, samples].get(mode="promise_in_bounds", out_sharding=_of_a_step(x))

    def fused(self, function: Callable[..., Any], *tensors: Any) -> Any:
        return self._compiled(function)(*tensors)

    def detach(self, x: Any) -> Any:
        return lax.stop_gradient(x)

    def flip(self, x: Any) -> Any:
        return jnp.flip(x, 0)

    def devices(self) -> list[str]:
        return [f"{device.platform}:{device.id}" for device in jax.devices()]

    def flatten(self, tree: Any) -> tuple[list[Any], Any]:
        leaves, structure = tree_util.tree_flatten(tree)
        return leaves, structure

    def unflatten(self, structure: Any, leaves: Sequence[Any]) -> Any:
        return tree_util.tree_unflatten(structure, leaves)

    def paths(self, structure: Any) -> list[str]:
        places = tree_util.tree_unflatten(structure, range(structure.num_leaves))
        return [tree_util.keystr(path) for path, _ in tree_util.tree_leaves_with_path(places)]


class _Unresolved(Exception):  # noqa: N818  # not an error: it breaks off a trace that found this
    """What the entries of a carry that started as `None` turned out to be.

    Args:
        carry: What the body returned.
    """

    def __init__(self, carry: Carry) -> None:
        self.found = [entry and [jax.typeof(leaf) for leaf in entry] for entry in carry]

    def zeros_in(self, carry: Carry) -> Carry:
        """Put zeros in the place of each `None` of a carry that turned out to be tensors."""
        return tuple(
            avals and [_zeros(aval) for aval in avals] if entry is None else entry
            for entry, avals in zip(carry, self.found, strict=True)
        )


def _resolved(body: Body) -> Body:
    """Make a body that breaks off where an entry of its carry is `None` and has to be zeros."""

    def resolved(carry: Carry, slices: list[Any]) -> tuple[Carry, list[Any]]:
        new, outputs = body(carry, slices)
        if [entry is None for entry in new] != [entry is None for entry in carry]:
            raise _Unresolved(new)
        return new, outputs

    return resolved


def _zeros(aval: Any) -> Any:
    sharding = aval.sharding if any(aval.sharding.spec) else None
    zeros = jnp.zeros(aval.shape, aval.dtype, out_sharding=sharding)
    # Within shard_map a carry has to vary over the same axes of the mesh from the start.
    varying = tuple(aval.manual_axis_type.varying)
    return lax.pcast(zeros, varying, to="varying") if varying else zeros


def _without_weak_types(tree: Any) -> Any:
    """Fix the dtypes of what came from Python numbers, for scan keeps the type of a carry."""
    return tree_util.tree_map(
        lambda x: lax.convert_element_type(x, x.dtype) if jax.typeof(x).weak_type else x, tree
    )


def _select(mask: Any, on_true: Any, on_false: Any) -> Any:
    if on_false is None:
        on_false = jnp.zeros((), on_true.dtype)
    return jnp.where(lax.expand_dims(mask, range(mask.ndim, on_true.ndim)), on_true, on_false)


# In eager mode each operation would be dispatched by itself.
_compiled_select = jax.jit(_select)


def _of_a_step(x: Any) -> Any:
    """Give the sharding that one time step has where that of the whole is part of its type."""
    sharding = jax.typeof(x).sharding
    if not any(sharding.spec):
        return None
    return sharding.update(spec=jax.sharding.PartitionSpec(*sharding.spec[1:]))


def _everywhere(sharding: Any) -> Any:
    """Give a sharding for tensors of any rank on the devices of another one."""
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding

"""Calls a function compiled, and compiles it only if no equal one was compiled before."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Hashable
from functools import partial
from typing import Any

import jax

from polyrnn_jax.fingerprint import NoKeyError, fingerprint, is_lasting, may_hold_tracers
from polyrnn_jax.internals import ClosedJaxpr, Jaxpr, eval_jaxpr
from polyrnn_jax.lifting import lifted


class LoopCache:
    """Compiled functions by what they compute, the least recently used one forgotten first.

    JAX finds what it has compiled by the identity of a function, so that a function made
    anew for each call is compiled at each call. Here it is traced at each call, which is
    quick, and found by its trace. The arrays it closes over become arguments of what is
    compiled: one that has changed since counts, and none is kept alive.

    A callback or a derivative rule is equal to itself alone, and what is compiled holds it.
    So a loop with one that no module has under a name, such as a closure or a method, is
    compiled at each call and not kept, unless the call is itself compiled.

    Args:
        capacity: How many compiled functions to keep.

    Example:
        >>> import jax.numpy as jnp
        >>> cache, x = LoopCache(capacity=8), jnp.array(10.0)
        >>> for factor in jnp.array([2.0, 3.0]):
        ...     traced = jax.make_jaxpr(lambda x: x * factor, return_shape=True)(x)
        ...     print(cache.run(traced, x), len(cache))
        20.0 1
        30.0 1
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._compiled: OrderedDict[Hashable, Callable[..., list[Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._compiled)

    def run(
        self, traced: tuple[ClosedJaxpr, Any], *arguments: Any, ended: Container[Any] = ()
    ) -> Any:
        """Run what was traced, compiled if it can be.

        Args:
            traced: What ``jax.make_jaxpr`` gives with ``return_shape=True``.
            arguments: What it was traced for, nests of JAX arrays or tracers.
            ended: The traces that it was traced in.

        Returns:
            What the function that was traced returns.
        """
        closed, shapes = traced
        leaves = jax.tree_util.tree_leaves(arguments)
        closed = lifted(closed, leaves)
        results = self._compile(closed.jaxpr, ended)(closed.consts, *leaves)
        return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), results)

    def _compile(self, jaxpr: Jaxpr, ended: Container[Any]) -> Callable[..., list[Any]]:
        run = partial(eval_jaxpr, jaxpr)
        try:
            key = fingerprint(jaxpr)
        except NoKeyError:
            return run
        with self._lock:
            compiled = self._compiled.get(key)
            if compiled is not None:
                self._compiled.move_to_end(key)
                return compiled
        if not is_lasting(key):
            # Compiled all the same: of what it runs operation by operation JAX keeps more.
            return run if may_hold_tracers(key, ended) else jax.jit(run)
        with self._lock:
            # A name may stand for another object by now, and nothing else need keep the old one.
            for old in [each for each in self._compiled if not is_lasting(each)]:
                del self._compiled[old]
            compiled = self._compiled.setdefault(key, jax.jit(run))
            if len(self._compiled) > self._capacity:
                self._compiled.popitem(last=False)
            return compiled

"""A cache of compiled functions that finds them by what they compute."""

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
    """A least-recently-used cache of compiled functions, by what the functions compute.

    `jax.jit` caches by the identity of a function, so a function that is created in each call is
    compiled in each call. This cache traces the function in each call, which is fast, and looks up
    its jaxpr. Arrays that the function closes over become arguments of the compiled function, so
    their current values are used, and the cache does not keep them alive.

    Callbacks and derivative rules are compared by identity, and a compiled function keeps them
    alive. So a loop with one that is not an attribute of a module, such as a closure or a method,
    is compiled in each call and not cached, unless the call itself is traced by JAX.

    Args:
        capacity: The maximal number of compiled functions to keep.

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
        """Run a traced function, compiled if possible.

        Args:
            traced: The result of ``jax.make_jaxpr`` with ``return_shape=True``.
            arguments: The arguments that it was traced with, nests of JAX arrays or tracers.
            ended: The traces in which the function was traced, which have finished.

        Returns:
            The result of the traced function.
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
            # Compiled nevertheless, because JAX keeps more alive of functions that it runs
            # operation by operation.
            return run if may_hold_tracers(key, ended) else jax.jit(run)
        with self._lock:
            # Drop entries that are no longer lasting: a module may have replaced an attribute by
            # now, so that only the cache keeps the old object alive.
            for old in [each for each in self._compiled if not is_lasting(each)]:
                del self._compiled[old]
            compiled = self._compiled.setdefault(key, jax.jit(run))
            if len(self._compiled) > self._capacity:
                self._compiled.popitem(last=False)
            return compiled

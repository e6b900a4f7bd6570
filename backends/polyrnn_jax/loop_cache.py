"""Calls a function compiled, and compiles it only if no equal one was compiled before."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import jax
from jax.extend.core import Jaxpr

from polyrnn_jax.fingerprint import NoKeyError, fingerprint, is_self_contained


class LoopCache:
    """Compiled functions by what they compute, the least recently used one forgotten first.

    JAX finds what it has compiled by the identity of a function, so that a function made
    anew for each call is compiled at each call. Here it is traced at each call, which is
    quick, and found by its trace. The arrays it closes over become arguments of what is
    compiled: one that has changed since counts, and none is kept alive.

    A callback or a derivative rule is equal to itself alone. One that is defined within
    the step is new at each call, and compiled at each call.

    Args:
        capacity: How many compiled functions to keep.

    Example:
        >>> import jax.numpy as jnp
        >>> cache = LoopCache(capacity=8)
        >>> for factor in jnp.array([2.0, 3.0]):
        ...     print(cache.call(lambda x: x * factor, jnp.array(10.0)), len(cache))
        20.0 1
        30.0 1
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._compiled: OrderedDict[Hashable, Callable[..., list[Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._compiled)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Trace a function once, and run what was traced.

        Args:
            function: Takes nests of JAX arrays or tracers and returns one.
            arguments: What to call it with.

        Returns:
            What the function returns.
        """
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        inputs = [closed.consts, *jax.tree_util.tree_leaves(arguments)]
        is_traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree_util.tree_leaves(inputs))
        results = self._compile(closed.jaxpr, is_traced)(*inputs)
        return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), results)

    def _compile(self, jaxpr: Jaxpr, is_traced: bool) -> Callable[..., list[Any]]:
        run = partial(jax.core.eval_jaxpr, jaxpr)
        try:
            key = fingerprint(jaxpr)
        except NoKeyError:
            return run
        if is_traced and not is_self_contained(key):
            return run
        with self._lock:
            compiled = self._compiled.get(key)
            if compiled is None:
                compiled = self._compiled[key] = jax.jit(run)
                if len(self._compiled) > self._capacity:
                    self._compiled.popitem(last=False)
            else:
                self._compiled.move_to_end(key)
            return compiled

"""Lifts arrays out of jitted functions within a jaxpr, so that they become its constants."""

from collections.abc import Iterator
from typing import Any

import jax
from jax import lax

from polyrnn_jax.internals import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, eval_jaxpr


def lifted(closed: ClosedJaxpr, arguments: list[Any]) -> ClosedJaxpr:
    """Return an equal jaxpr in which all arrays that it holds are constants of the whole.

    If a step calls a jitted function, the arrays that this function closes over are constants of
    its own inner jaxpr. To lift them, such functions are inlined.

    Args:
        closed: The jaxpr.
        arguments: The arguments that it was traced with.

    Returns:
        The new jaxpr, or the given one if there is nothing to lift.

    Example:
        >>> import jax.numpy as jnp
        >>> weight = jnp.ones(3)
        >>> traced = jax.make_jaxpr(jax.jit(lambda x: x * weight))(weight)
        >>> len(traced.consts), len(lifted(traced, [weight]).consts)
        (0, 1)
    """
    if not any(map(_holds_arrays, closed.jaxpr.eqns)):
        return closed

    def inlined(*arguments: Any) -> list[Any]:
        return _evaluate(closed.jaxpr, closed.consts, arguments)

    return jax.make_jaxpr(inlined)(*arguments)


def _holds_arrays(eqn: JaxprEqn) -> bool:
    """Return whether an equation calls a function or a scan whose inner jaxpr holds arrays."""
    inner = eqn.params.get("jaxpr")
    if not isinstance(inner, ClosedJaxpr) or not _can_be_inlined(eqn):
        return False
    return any(map(_is_array, inner.consts)) or any(map(_holds_arrays, inner.jaxpr.eqns))


def _can_be_inlined(eqn: JaxprEqn) -> bool:
    if eqn.primitive.name == "scan":
        return set(eqn.params) >= _PARAMETERS_OF_SCAN
    shardings = (*eqn.params.get("in_shardings", ()), *eqn.params.get("out_shardings", ()))
    return eqn.primitive.name == "jit" and not any(
        isinstance(sharding, jax.sharding.Sharding) for sharding in shardings
    )


_PARAMETERS_OF_SCAN = {"jaxpr", "length", "num_carry", "num_consts", "reverse", "unroll"}


def _is_array(value: Any) -> bool:
    return getattr(value, "ndim", 0) > 0


def _evaluate(jaxpr: Jaxpr, consts: Any, arguments: Any) -> list[Any]:
    """Evaluate a jaxpr, inlining the equations that hold arrays."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def read(atoms: list[Any]) -> Iterator[Any]:
        return (atom.val if isinstance(atom, Literal) else values[atom] for atom in atoms)

    for eqn in jaxpr.eqns:
        if _holds_arrays(eqn):
            results = _inlined(eqn, list(read(eqn.invars)))
        else:
            variables = [atom for atom in eqn.invars if not isinstance(atom, Literal)]
            # JAX evaluates whole jaxprs only, so the equation is wrapped in one.
            alone = jaxpr.replace(
                constvars=[],
                invars=variables,
                outvars=eqn.outvars,
                eqns=[eqn],
                debug_info=jaxpr.debug_info._replace(arg_names=None, result_paths=None),
            )
            results = eval_jaxpr(alone, [], *read(variables))
        values.update(zip(eqn.outvars, results, strict=True))
    return list(read(jaxpr.outvars))


def _inlined(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
    inner = eqn.params["jaxpr"]
    if eqn.primitive.name == "jit":
        return _evaluate(inner.jaxpr, inner.consts, inputs)
    const_count = eqn.params["num_consts"]
    carry_end = const_count + eqn.params["num_carry"]
    fixed, carry, xs = inputs[:const_count], inputs[const_count:carry_end], inputs[carry_end:]

    def body(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        results = _evaluate(inner.jaxpr, inner.consts, [*fixed, *carry, *slices])
        return results[: len(carry)], results[len(carry) :]

    carry, ys = lax.scan(
        body, carry, xs, eqn.params["length"], eqn.params["reverse"], eqn.params["unroll"]
    )
    return [*carry, *ys]

"""Compare the results and gradients of a backend with those of the reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polyrnn_conformance import reference
from polyrnn_conformance.calls import Call, on_host
from polyrnn_conformance.trees import DisagreementError as DisagreementError
from polyrnn_conformance.trees import filled, leaves_of, skeleton

Array = np.ndarray[Any, Any]

TOLERANCES = {
    "float16": 2e-2,
    "bfloat16": 1e-1,
    "float32": 1e-4,
    "complex64": 1e-4,
    "float64": 1e-9,
    "complex128": 1e-9,
}
"""The absolute and relative tolerances of values by dtype; other dtypes must be equal."""

GRADIENT_TOLERANCES = {"float32": 1e-2, "float64": 1e-6}
"""The tolerances of gradients, whose reference is computed by finite differences."""


@dataclass(frozen=True)
class Result:
    """The results of a call as arrays, with their containers and the names of their dtypes."""

    skeleton: Any
    leaves: list[Array]
    dtypes: list[str]


def expected_of(call: Call) -> Result:
    """Return the results of the reference for a call."""
    tree = _reference(call)
    leaves = [np.asarray(leaf) for leaf in leaves_of(tree)]
    return Result(skeleton(tree), leaves, [leaf.dtype.name for leaf in leaves])


def assert_agrees(actual: Result, expected: Result) -> None:
    """Compare containers, dtypes, shapes and values, in this order.

    Raises:
        DisagreementError: At the first difference, which it names.
    """
    if actual.skeleton != expected.skeleton:
        raise DisagreementError(f"containers: got {actual.skeleton}, expected {expected.skeleton}")
    names = _leaf_names(expected.skeleton)
    for name, leaf, dtype, wanted in zip(
        names, actual.leaves, actual.dtypes, expected.leaves, strict=True
    ):
        if dtype != wanted.dtype.name or leaf.dtype != wanted.dtype:
            raise DisagreementError(
                f"{name}: got dtype {dtype}, as an array {leaf.dtype}; expected {wanted.dtype}"
            )
        if leaf.shape != wanted.shape:
            raise DisagreementError(f"{name}: got shape {leaf.shape}, expected {wanted.shape}")
        _assert_close(name, leaf, wanted, TOLERANCES.get(dtype, 0.0))


def assert_gradients_agree(call: Call, actual: Sequence[Array]) -> None:
    """Compare gradients with those of the reference.

    Raises:
        DisagreementError: At the first difference; the message names the array.
    """
    expected = numeric_gradients_of(call)
    names = gradient_names_of(call)
    for name, got, wanted in zip(names, actual, expected, strict=True):
        if got.shape != wanted.shape:
            raise DisagreementError(f"{name}: got shape {got.shape}, expected {wanted.shape}")
        _assert_close(name, got, wanted, GRADIENT_TOLERANCES[got.dtype.name])


def cotangents_of(call: Call) -> list[Array | None]:
    """Return a weight for each element of the results, so that errors do not cancel in a sum.

    Returns:
        An array for each leaf of the results, `None` for leaves that are not real.
    """
    return [
        (0.5 + 0.5 * np.cos(np.arange(leaf.size) + 0.3 * position))
        .reshape(leaf.shape)
        .astype(leaf.dtype)
        if leaf.dtype.kind == "f"
        else None
        for position, leaf in enumerate(expected_of(call).leaves)
    ]


def numeric_gradients_of(call: Call, distance: float = 1e-5) -> list[Array]:
    """Differentiate the reference by central differences, in float64.

    Args:
        call: The call.
        distance: How far each element is moved to either side.

    Returns:
        The gradient with respect to each real array of the call, in their order.
    """
    call = call.in_dtype("float64")
    weighted = _weighted_results(call)
    leaves = _leaves_of_call(call)

    gradients = []
    for position, leaf in enumerate(leaves):
        if not _is_real(leaf):
            continue
        gradient = np.zeros_like(leaf)
        for index in np.ndindex(leaf.shape):
            if not np.isfinite(leaf[index]):
                continue  # padding that is not finite must have a gradient of zero
            up, down = leaf.copy(), leaf.copy()
            up[index] += distance
            down[index] -= distance
            gradient[index] = (weighted({position: up}) - weighted({position: down})) / (
                2 * distance
            )
        gradients.append(gradient)
    return gradients


def assert_slope_agrees(call: Call, actual: Sequence[Array], distance: float = 1e-5) -> None:
    """Compare the directional derivative of a call with that of the reference.

    One direction takes two calls of the reference only. If the derivatives differ,
    `assert_gradients_agree` finds the array.

    Args:
        call: The call.
        actual: The gradient with respect to each real array of the call, in their order.
        distance: How far all arrays are moved to either side at once.

    Raises:
        DisagreementError: If they differ; the message names the array if one is found.
    """
    wide = call.in_dtype("float64")
    weighted, leaves = _weighted_results(wide), _leaves_of_call(wide)
    moving = [at for at, leaf in enumerate(leaves) if _is_real(leaf)]
    directions = {
        at: np.where(np.isfinite(leaves[at]), _direction(leaves[at].shape, at), 0.0)
        for at in moving
    }
    sides = [
        weighted({at: leaves[at] + way * distance * directions[at] for at in moving})
        for way in (1, -1)
    ]
    slope = (sides[0] - sides[1]) / (2 * distance)
    along, tolerance = 0.0, 0.0
    names = gradient_names_of(call)
    for at, name, gradient in zip(moving, names, actual, strict=True):
        if gradient.shape != leaves[at].shape or not np.isfinite(gradient).all():
            raise DisagreementError(f"{name}: got {gradient} for the shape {leaves[at].shape}")
        if np.where(np.isfinite(leaves[at]), 0.0, gradient).any():
            raise DisagreementError(f"{name}: got {gradient} for inputs that are not finite")
        along += float(np.sum(gradient * directions[at]))
        scale = 1.0 + float(np.abs(gradient * directions[at]).max(initial=0.0))
        tolerance = max(tolerance, scale * GRADIENT_TOLERANCES[gradient.dtype.name])
    if abs(along - slope) > tolerance:
        assert_gradients_agree(call, actual)
        raise DisagreementError(f"gradients: got {along} in one direction, expected {slope}")


def _direction(shape: tuple[int, ...], position: int) -> Array:
    count = np.arange(int(np.prod(shape))).reshape(shape)
    direction: Array = np.cos(1.3 * count + 0.7 * position) + 0.25
    return direction


def _weighted_results(call: Call) -> Callable[[dict[int, Array]], float]:
    """Return a function from changed leaves of the call to the weighted sum of its results."""
    cotangents = cotangents_of(call)
    tree = (call.weights, call.arguments())
    leaves = leaves_of(tree)

    def weighted(changes: dict[int, Array]) -> float:
        changed = [changes.get(at, leaf) for at, leaf in enumerate(leaves)]
        weights, arguments = filled(tree, iter(changed))
        results = leaves_of(_reference(replace(call, weights=weights, **arguments)))
        return float(
            sum(
                np.sum(leaf * weights)
                for leaf, weights in zip(results, cotangents, strict=True)
                if weights is not None
            )
        )

    return weighted


def _leaves_of_call(call: Call) -> list[Any]:
    return leaves_of((call.weights, call.arguments()))


def _is_real(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"


def gradient_names_of(call: Call) -> list[str]:
    """Return the names of the gradients of a call, in the order of its real arrays."""
    named = [("weights", call.weights), *call.arguments().items()]
    return [
        f"gradient of {name}, leaf {position}"
        for name, tree in named
        for position, leaf in enumerate(leaves_of(tree))
        if _is_real(leaf)
    ]


def _reference(call: Call) -> Any:
    weights, arguments = on_host(call.weights), on_host(call.arguments())
    return reference.rnn(call.step(np, *weights), **arguments)


def _leaf_names(result_skeleton: Any) -> list[str]:
    parts = ("last_output", "outputs", "new_states")
    return [
        f"{part}, leaf {position}"
        for part, below in zip(parts, result_skeleton[1], strict=True)
        for position in range(_count(below))
    ]


def _count(below: Any) -> int:
    return 1 if below == "*" else sum(map(_count, below[-1]))


def _assert_close(name: str, got: Array, wanted: Array, tolerance: float) -> None:
    kind = np.complex128 if wanted.dtype.kind == "c" else np.float64
    one, other = got.astype(kind), wanted.astype(kind)
    apart = ~np.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
    if apart.any():
        index = tuple(int(i) for i in np.argwhere(apart)[0])
        raise DisagreementError(
            f"{name}: {int(apart.sum())} of {apart.size} elements differ; at {index} got "
            f"{got[index]}, expected {wanted[index]}"
        )

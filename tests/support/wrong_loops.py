"""Loops with one fault each, as mutations of the right loop."""

from collections.abc import Callable
from typing import Any

import numpy as np

Loop = Callable[..., Any]


def looping(change: Callable[..., Any]) -> Callable[[Loop], Loop]:
    """Return a mutation of the loop from a function whose first argument is the right loop."""

    def mutate(loop: Loop) -> Loop:
        def mutated(
            self: Any, body: Any, carry: Any, xs: Any, *, reverse: bool, unroll: bool
        ) -> Any:
            def right(
                body: Any = body, carry: Any = carry, xs: Any = xs, reverse: bool = reverse
            ) -> Any:
                return loop(self, body, carry, xs, reverse=reverse, unroll=unroll)

            return change(right, body, carry, xs, reverse, unroll)

        return mutated

    return mutate


def ignore_direction(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    return right(reverse=False)


def ignore_direction_unrolled(
    right: Any, body: Any, carry: Any, xs: Any, reverse: bool, unroll: bool
) -> Any:
    return right(reverse=reverse and not unroll)


def order_by_time(right: Any, body: Any, carry: Any, xs: Any, reverse: bool, _: bool) -> Any:
    carry, ys = right()
    return carry, [y[::-1] for y in ys] if reverse else ys


def forget_to_turn_the_mask(
    right: Any, body: Any, carry: Any, xs: Any, reverse: bool, _: bool
) -> Any:
    return right(xs=[x[::-1] if reverse and x.dtype == bool else x for x in xs])


def mask_nothing_unrolled(
    right: Any, body: Any, carry: Any, xs: Any, reverse: bool, unroll: bool
) -> Any:
    return right(xs=[x | True if unroll and x.dtype == bool else x for x in xs])


def stop_early(right: Any, body: Any, carry: Any, xs: Any, reverse: bool, _: bool) -> Any:
    return right(xs=[x[1:] if reverse else x[:-1] for x in xs]) if len(xs[0]) > 1 else right()


def go_on_too_long(right: Any, body: Any, carry: Any, xs: Any, reverse: bool, _: bool) -> Any:
    carry, ys = right()
    edge = 0 if reverse else -1
    return body(carry, [x[edge] for x in xs])[0], ys


def probe(right: Any, body: Any, carry: Any, xs: Any, reverse: bool, _: bool) -> Any:
    body(carry, [x[-1 if reverse else 0] for x in xs])
    return right()


def probe_unrolled(right: Any, body: Any, carry: Any, xs: Any, reverse: bool, unroll: bool) -> Any:
    return probe(right, body, carry, xs, reverse, unroll) if unroll else right()


def start_anew_each_step(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    return right(body=lambda _, slices: body(carry, slices))


def return_the_first_states(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    (_, held), ys = right()
    return (carry[0], held), ys


def hold_the_first_states(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    states = carry[0]

    def mutated(carry: Any, slices: Any) -> Any:
        _, outputs = body(carry, slices)
        fits = len(outputs) == len(states)
        return body((carry[0], states if fits and carry[1] is None else carry[1]), slices)

    return right(body=mutated)


def forget_the_held_output(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    return right(body=lambda carry, slices: body((carry[0], None), slices))


def write_all_outputs_to_one_place(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    carry, ys = right()
    return carry, [np.broadcast_to(y[-1], y.shape) for y in ys]


def stack_along_the_batch(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    carry, ys = right()
    return carry, [y.swapaxes(0, 1) if y.ndim > 1 else y for y in ys]


def swallow_errors(right: Any, body: Any, carry: Any, xs: Any, *_: bool) -> Any:
    def mutated(carry: Any, slices: Any) -> Any:
        try:
            return body(carry, slices)
        except ValueError:
            return carry, []

    return right(body=mutated)

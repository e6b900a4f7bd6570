"""Test which cells are measured by default, by options, and in a sweep."""

import pytest

from polyrnn_benchmark import scenarios
from polyrnn_benchmark.scenarios import (
    BACKENDS,
    HAND_WRITTEN,
    KERAS,
    MASKED,
    PLAIN,
    Cell,
    Sizes,
    cells,
    mode_of,
)


def test_by_default_every_mode_is_measured_in_the_usual_variants() -> None:
    listed = cells(BACKENDS)
    assert len(listed) == 3 + 4 * 8
    assert {cell.variant.name for cell in listed} == {
        *("plain", "masked", "masked-gradient", "short")
    }
    assert {cell.sizes for cell in listed if not cell.variant.short} == {Sizes(), Sizes(time=20)}


def test_a_short_step_has_a_state_as_wide_as_its_inputs() -> None:
    (by_default,) = cells(["numpy"], variants=["short"])
    assert by_default.sizes == Sizes(batch=32, features=32, units=32)
    short, plain = cells(
        ["numpy"], variants=["short", "plain"], sizes=Sizes(batch=1, features=5, units=8)
    )
    assert short.sizes == Sizes(batch=1, features=5, units=5)
    assert plain.sizes == Sizes(batch=1, features=5, units=8)


def test_a_short_step_can_be_swept() -> None:
    listed = cells(["numpy"], variants=["short"], sweep="batch")
    assert [cell.sizes for cell in listed] == [
        Sizes(units=32, batch=batch) for batch in scenarios.SWEEPS["batch"]
    ]


def test_only_the_compiler_of_torch_gets_fewer_steps() -> None:
    short = {cell.mode.label for cell in cells(BACKENDS) if cell.sizes.time != 100}
    assert short == {"torch.compile"}
    assert {cell.sizes.time for cell in cells(["torch"], time=7)} == {7}


def test_numpy_is_never_asked_for_gradients() -> None:
    assert cells(["numpy"], variants=["gradient", "masked-gradient"]) == []


def test_what_is_asked_for_is_listed_in_the_order_of_the_table() -> None:
    listed = cells(["tensorflow", "torch"], modes=["eager"], variants=["masked"])
    assert [(cell.mode.label, cell.variant) for cell in listed] == [
        ("torch eager", MASKED),
        ("tf eager", MASKED),
    ]


def test_a_sweep_varies_one_size() -> None:
    listed = cells(["numpy"], sizes=Sizes(units=8), sweep="batch")
    assert [cell.sizes for cell in listed] == [
        Sizes(units=8, batch=batch) for batch in scenarios.SWEEPS["batch"]
    ]
    assert {cell.variant for cell in listed} == {PLAIN}


def test_a_sweep_over_time_ends_where_a_mode_takes_too_long() -> None:
    listed = cells(["torch"], sweep="time", variants=["masked"])
    longest = {cell.mode.label: cell.sizes.time for cell in listed}
    assert longest == {"torch eager": 1000, "torch.compile": 30}


@pytest.mark.parametrize(
    ("backend", "mode", "bounds"),
    [
        ("numpy", "eager", (1.05, 1.0, None, 1.15)),
        ("torch", "eager", (1.05, 0.9, 1.0, 1.15)),
        ("torch", "compile", (1.1, 1.1, 1.1, None)),
        ("jax", "jit", (1.03, 1.03, 1.03, None)),
        ("jax", "eager", (None, None, None, None)),
        ("jax", "fresh", (0.04, 0.04, 0.06, None)),
        ("tensorflow", "function", (1.02, 1.02, 1.02, None)),
        ("tensorflow", "xla", (1.03, 1.03, 1.03, None)),
        ("tensorflow", "eager", (1.0, 1.0, 1.0, None)),
    ],
)
def test_bounds(backend: str, mode: str, bounds: tuple[float | None, ...]) -> None:
    found = [
        Cell(mode_of(backend, mode), scenarios.VARIANTS[variant], Sizes()).bound(HAND_WRITTEN)
        for variant in scenarios.USUAL_VARIANTS
    ]
    assert tuple(found) == bounds


def test_no_peer_may_be_faster() -> None:
    assert {cell.bound(KERAS) for cell in cells(BACKENDS)} == {1.0}

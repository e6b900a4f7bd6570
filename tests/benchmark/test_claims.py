"""Test how claims are evaluated, and the probes that measure their figures."""

from typing import Any

import pytest

from polyrnn_benchmark import claims, contest, probes
from polyrnn_benchmark.results import Finding
from polyrnn_benchmark.scenarios import BACKENDS, Mode, mode_of
from polyrnn_numpy.handwritten import NumpyFramework

NUMPY = mode_of("numpy", "eager")


def found(words: str, mode: Mode, figures: dict[tuple[str, int], dict[str, float]]) -> Finding:
    """Return the finding for the claim whose name contains some words, with given figures."""

    def ask(mode: Mode, probe: str, /, **arguments: Any) -> dict[str, float]:
        return figures[probe, arguments.get("time_steps", 0)]

    (claim,) = [claim for claim in claims.CLAIMS if words in claim.name]
    (finding,) = claims.examine([(claim, mode)], ask)
    return finding


@pytest.mark.parametrize(("long", "upheld"), [(14.9, True), (15.1, False)])
def test_warming_up(long: float, upheld: bool) -> None:
    finding = found(
        "warm-up",
        mode_of("torch", "compile"),
        {("first_call", 20): {"seconds": 10.0}, ("first_call", 400): {"seconds": long}},
    )
    assert finding.figure == pytest.approx(long / 10)
    assert (not finding.misses()) == upheld


@pytest.mark.parametrize(("long", "upheld"), [(10.0, True), (12.9, True), (13.1, False)])
def test_growth(long: float, upheld: bool) -> None:
    finding = found("linear", NUMPY, {("growth", 0): {"2000": 1.0, "20000": long}})
    assert finding.figure == pytest.approx(long / 10)
    assert (not finding.misses()) == upheld


@pytest.mark.parametrize(
    ("words", "growth", "upheld"),
    [
        ("time first", 7e6, True),
        ("time first", 9e6, False),
        ("batch first", 9e6, True),
        ("batch first", 82e6, True),
        ("batch first", 164e6, False),
    ],
)
def test_memory(words: str, growth: float, upheld: bool) -> None:
    finding = found(
        words, NUMPY, {("peak", 200): {"bytes": 3e6}, ("peak", 20_000): {"bytes": 3e6 + growth}}
    )
    assert finding.figure == pytest.approx(growth / 1e6)
    assert (not finding.misses()) == upheld


@pytest.mark.parametrize(
    ("words", "peak", "seconds", "upheld"),
    [
        ("twentieth", 4e6, 1.0, True),
        ("twentieth", 6e6, 1.0, False),
        ("tenth of", 9e6, 1.0, True),
        ("tenth of", 11e6, 1.0, False),
        ("little more time", 5e6, 1.4, True),
        ("little more time", 5e6, 1.6, False),
    ],
)
def test_training(words: str, peak: float, seconds: float, upheld: bool) -> None:
    figures = {None: {"bytes": 100e6, "seconds": 1.0}, 100: {"bytes": peak, "seconds": seconds}}

    def ask(mode: Mode, probe: str, /, *, time_steps: int, checkpoint_every: Any) -> Any:
        assert (probe, time_steps) == ("training", 10_000)
        return figures[checkpoint_every]

    (claim,) = [claim for claim in claims.CLAIMS if words in claim.name]
    (finding,) = claims.examine([(claim, mode_of("torch", "eager"))], ask)
    assert (not finding.misses()) == upheld


@pytest.mark.parametrize(
    ("words", "figures", "upheld"),
    [
        ("compiles nothing", {"compilations": 0.0}, True),
        ("compiles nothing", {"compilations": 1.0}, False),
        ("resident memory", {"bytes": 7e6}, True),
        ("resident memory", {"bytes": 9e6}, False),
    ],
)
def test_fresh_calls(words: str, figures: dict[str, float], upheld: bool) -> None:
    finding = found(words, mode_of("jax", "fresh"), {("fresh_calls", 0): figures})
    assert (not finding.misses()) == upheld


def test_a_failing_probe_is_a_miss_and_affects_no_other() -> None:
    asked = []

    def ask(mode: Mode, probe: str, /, **arguments: Any) -> dict[str, float]:
        asked.append(probe)
        raise OSError("no kernel")

    chosen = claims.chosen(["numpy"])
    findings = list(claims.examine(chosen, ask))
    assert [finding.failure for finding in findings] == ["OSError: no kernel"] * 4
    assert all(finding.misses() for finding in findings)


def test_growth_and_memory_are_claimed_of_every_mode() -> None:
    listed = claims.chosen(BACKENDS)
    for words in ("linear", "time first", "batch first"):
        assert len([mode for claim, mode in listed if words in claim.name]) == 9


def test_a_mode_can_be_chosen() -> None:
    assert {mode.name for _, mode in claims.chosen(["jax"], ["jit"])} == {"jit"}


class TestProbes:
    FRAMEWORK = NumpyFramework()
    LENGTH = 6000
    """All outputs then take 49 MB, more than an allocator keeps in reserve."""

    def test_overhead_is_a_small_positive_time(self) -> None:
        seconds = probes.overhead(self.FRAMEWORK, NUMPY, calls=20)["seconds"]
        assert 1e-6 < seconds < 1e-3

    def test_growth_gives_a_figure_for_each_length(self) -> None:
        figures = probes.growth(self.FRAMEWORK, NUMPY, lengths=[10, 100])
        assert figures["100"] > figures["10"] > 0

    def test_a_first_call_takes_time(self) -> None:
        assert probes.first_call(self.FRAMEWORK, NUMPY, time_steps=3)["seconds"] > 0

    def test_the_peak_shows_what_a_call_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        peak = probes.peak(self.FRAMEWORK, NUMPY, time_steps=self.LENGTH, time_major=True)["bytes"]
        rnn = contest.polyrnn_loop("numpy")

        def keeps_all(*arguments: Any, return_all_outputs: bool, **others: Any) -> Any:
            return rnn(*arguments, **others)

        monkeypatch.setattr(contest, "polyrnn_loop", lambda backend: keeps_all)
        outputs = self.LENGTH * 32 * 64 * 4
        whole = probes.peak(self.FRAMEWORK, NUMPY, time_steps=self.LENGTH, time_major=True)["bytes"]
        assert whole > 0.9 * outputs
        assert peak < 0.3 * outputs

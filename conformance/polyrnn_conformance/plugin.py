"""The pytest plug-in that runs the suite on one backend.

pytest does not load it automatically; load it by its name::

    pytest --pyargs polyrnn_conformance -p polyrnn_conformance.plugin --polyrnn-backend torch
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, NamedTuple

import pytest

from polyrnn import Backend, registry
from polyrnn_conformance.combinations import rows_of
from polyrnn_conformance.harness import Harness
from polyrnn_conformance.rows import Row
from polyrnn_conformance.selecting import Selection, no_gradients, pairs, reason_to_leave_out
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Pair

PROFILES = {"ci": (100, 10), "nightly": (2000, 100)}
"""The number of random calls in the first mode and in each of the others, by profile."""


class CombinationBatch(NamedTuple):
    """The combinations that one test runs."""

    mode: str
    rows: tuple[dict[str, str], ...]
    start: int


class RandomBatch(NamedTuple):
    """The random calls that one test runs."""

    mode: str
    start: int
    size: int


@dataclass
class Run:
    """One run of the suite.

    Args:
        subject: The backend under test.
        modes: The modes of its harness that are run.
        random_calls: The number of random calls in the first mode, and in each of the others.
        strength: The number of levels in a combination, in every mode; `None` for the default
            of each mode.
        is_thorough: Whether every row runs in every mode.
        left_out: The number of cases left out, by reason; 0 means all cases of a kind that
            cannot be counted, such as those of a mode that the harness lacks.
        left_out_rules: The number of cases left out, by rules.
    """

    subject: Subject
    modes: tuple[str, ...]
    random_calls: tuple[int, int]
    strength: int | None = None
    is_thorough: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    left_out_rules: Counter[str] = field(default_factory=Counter)


LARGEST_BATCH = 100
"""The largest number of random calls in one test."""

COMBINATIONS_AT_ONCE = 12
"""The largest number of combinations in one test."""

RUN = pytest.StashKey[Run]()

RULES = "polyrnn_rules"
"""The property of a test report that contains the rules of its row, such as ``"10, 18"``."""

LEFT_OUT = "polyrnn_left_out"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select the backend and what to run on it."""
    group = parser.getgroup("polyrnn", "conformance of polyrnn backends")
    group.addoption(
        "--polyrnn-backend",
        metavar="NAME",
        help="the backend to test: its name, or package.module:Class if it is not installed",
    )
    group.addoption(
        "--polyrnn-harness",
        metavar="package.module:Class",
        help="the Harness to use instead of the one that the backend names",
    )
    group.addoption(
        "--polyrnn-profile",
        choices=sorted(PROFILES),
        default="ci",
        help="the number of random calls, combinations and rows (default: ci)",
    )
    group.addoption(
        "--polyrnn-random-calls",
        type=int,
        metavar="N",
        help="run this many random calls in each mode, instead of those of the profile",
    )
    group.addoption(
        "--polyrnn-strength",
        type=int,
        choices=(1, 2, 3),
        help="test all combinations of this many options of a call, in every mode",
    )
    group.addoption(
        "--polyrnn-modes",
        metavar="MODE,...",
        help="the modes of the harness to run (default: all)",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Load the backend; the run fails if its framework is not installed."""
    session.config.stash[RUN] = _make_run(session.config)


def _make_run(config: pytest.Config) -> Run:
    given = config.getoption("--polyrnn-backend")
    if given is None:
        raise pytest.UsageError("--polyrnn-backend: say which backend to try")
    try:
        subject = make_subject(given, config.getoption("--polyrnn-harness"))
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f"--polyrnn-backend={given}: {error}") from error
    harness = subject.harness
    asked = config.getoption("--polyrnn-modes")
    modes = harness.modes if asked is None else tuple(asked.split(","))
    unknown = sorted(set(modes) - set(harness.modes))
    if unknown:
        raise pytest.UsageError(
            f"--polyrnn-modes: {type(harness).__name__} has no mode {unknown[0]!r}; "
            f"it has {', '.join(harness.modes)}"
        )
    count = config.getoption("--polyrnn-random-calls")
    if count is not None and count < 1:
        raise pytest.UsageError(f"--polyrnn-random-calls: expected 1 or more, got {count}")
    profile = config.getoption("--polyrnn-profile")
    counts = PROFILES[profile] if count is None else (count, count)
    is_thorough = profile == "nightly"
    strength = config.getoption("--polyrnn-strength") or (3 if is_thorough else None)
    run = Run(subject, modes, counts, strength, is_thorough)
    for capability, sentence in harness.limitations.items():
        run.left_out[f"{capability}: {sentence}"] = 0
    for mode in harness.modes:
        if mode not in modes:
            run.left_out[f"modes: {mode} was not asked for."] = 0
    return run


def make_subject(given: str, harness: str | None = None) -> Subject:
    """Return the subject for a backend, given by name or as ``package.module:Class``."""
    name: str | None = None
    backend: Backend
    if ":" in given:
        backend = resolve_name(given)()
    else:
        name = given
        backend = registry.installed().load(name)
        harness = harness or registry.installed().info(name).harness
    make_harness = resolve_name(harness) if harness else Harness
    subject = Subject(backend, make_harness(backend), name)
    _register_pair(subject.harness)
    return subject


def _register_pair(harness: Harness) -> None:
    # A class can be registered once only, and a process may run the suite several times.
    register = type(harness).register_node
    if register not in _registered:
        harness.register_node(Pair, lambda pair: [pair.left, pair.right], Pair)
        _registered.add(register)


_registered: set[Callable[..., None]] = set()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return the line of the header that names the backend and its modes."""
    run = config.stash.get(RUN, None)
    if run is None:
        return None
    backend = type(run.subject.backend)
    return (
        f"polyrnn: {run.subject.called} ({backend.__module__}:{backend.__qualname__}), "
        f"modes {', '.join(run.modes)}"
    )


@pytest.fixture(scope="session")
def polyrnn_run(request: pytest.FixtureRequest) -> Run:
    """The run of the suite."""
    return request.config.stash[RUN]


@pytest.fixture(scope="session")
def subject(polyrnn_run: Run) -> Subject:
    """The backend under test."""
    return polyrnn_run.subject


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test by its rows and modes, or by its batches of calls."""
    selection = getattr(metafunc.function, "polyrnn_selection", None)
    if isinstance(selection, Selection):
        run = metafunc.config.stash[RUN]
        chosen = pairs(selection, run.subject, run.modes, is_thorough=run.is_thorough)
        names = [f"{row.name}-{mode}" for row, mode in chosen]
        metafunc.parametrize(("row", "mode"), chosen, ids=names)
    elif "random_batch" in metafunc.fixturenames:
        random_batches = _random_batches(metafunc.config.stash[RUN])
        names = [f"{batch.mode}-{batch.start}" for batch in random_batches]
        metafunc.parametrize("random_batch", random_batches, ids=names)

    elif "combination_batch" in metafunc.fixturenames:
        differentiated = hasattr(metafunc.function, "polyrnn_differentiates")
        batches = _combination_batches(metafunc.config.stash[RUN], differentiated=differentiated)
        names = [f"{batch.mode}-{batch.start}" for batch in batches]
        metafunc.parametrize("combination_batch", batches, ids=names)


def _combination_batches(run: Run, *, differentiated: bool) -> list[CombinationBatch]:
    """Divide the combinations into tests that are small enough to run in parallel."""
    harness, size = run.subject.harness, COMBINATIONS_AT_ONCE
    batches = []
    for mode in run.modes:
        # Modes that trace the step are slow, and slowest where they trace its gradient too.
        is_traced = harness.step_calls(mode) != "each"
        strength = run.strength or (3 if not is_traced else 1 if differentiated else 2)
        rows = rows_of(
            harness.dtypes,
            strength,
            unrolls=mode not in harness.unknown_shape_modes,
            differentiated=differentiated,
            fewer=is_traced and run.strength is None,
        )
        batches += [
            CombinationBatch(mode, rows[start : start + size], start)
            for start in range(0, len(rows), size)
        ]
    return batches


def _random_batches(run: Run) -> list[RandomBatch]:
    """Divide the random calls into tests that are small enough to run in parallel."""
    first = run.subject.harness.modes[0]
    return [
        RandomBatch(mode, start, min(LARGEST_BATCH, total - start))
        for mode in run.modes
        for total in [run.random_calls[0 if mode == first else 1]]
        for start in range(0, total, LARGEST_BATCH)
    ]


@pytest.hookimpl(trylast=True)  # tests that pytest deselects (-k) are not counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases that the backend declares it cannot run, and count them."""
    run = config.stash[RUN]
    kept, left_out = [], []
    for item in items:
        reason = _annotate(item, run)
        if reason is None:
            kept.append(item)
        else:
            left_out.append(item)
            run.left_out[reason] += 1
            run.left_out_rules[str(dict(item.user_properties)[RULES])] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _annotate(item: pytest.Item, run: Run) -> str | None:
    """Add the rules of a row to its report; return why it is left out, or `None`."""
    function: Any = getattr(item, "function", None)
    selection = getattr(function, "polyrnn_selection", None)
    if hasattr(function, "polyrnn_differentiates"):
        item.user_properties.append((RULES, ""))
        return no_gradients(run.subject)
    if not isinstance(selection, Selection):
        return None
    assert isinstance(item, pytest.Function)
    row = item.callspec.params["row"]
    if not isinstance(row, Row):
        item.user_properties.append((RULES, ""))
        return f"modes: {item.originalname} has no row in the modes that were asked for."
    item.user_properties.append((RULES, ", ".join(map(str, row.rules))))
    return reason_to_leave_out(selection, row, run.subject)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts to the main process, if this is a worker of pytest-xdist."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    run = session.config.stash.get(RUN, None)
    if output is not None and run is not None:
        output[LEFT_OUT] = [dict(run.left_out), dict(run.left_out_rules)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the counts of a worker; all workers have the same."""
    run: Run = node.config.stash[RUN]
    if LEFT_OUT in getattr(node, "workeroutput", {}):
        run.left_out, run.left_out_rules = map(Counter, node.workeroutput[LEFT_OUT])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how many cases were left out, and why."""
    run = config.stash.get(RUN, None)
    if run is None or not run.left_out:
        return
    terminalreporter.section(f"left out on {run.subject.called}")
    for reason, count in sorted(run.left_out.items()):
        terminalreporter.line(f"{count or 'all':>5}  {reason}")

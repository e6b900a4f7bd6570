"""The pytest plug-in that runs the suite on one backend.

It is loaded by name and never by itself::

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

PROFILES = {"ci": (100, 15), "nightly": (2000, 100)}
"""How many random calls are drawn, in the first mode and in each of the others."""


class CombinationBatch(NamedTuple):
    """Some of the calls in which all combinations of a few levels occur."""

    mode: str
    rows: tuple[dict[str, str], ...]
    start: int


class RandomBatch(NamedTuple):
    """Some of the random calls of a run."""

    mode: str
    start: int
    size: int


@dataclass
class Run:
    """One run of the suite.

    Args:
        subject: The backend under test.
        modes: The modes of its harness that are run.
        random_calls: How many random calls are drawn in the first mode, and in the others.
        strength: How many levels meet in all combinations in every mode; `None` as is usual.
        left_out: How many cases are left out, by reason; 0 stands for all of a kind that
            cannot be counted, such as those of a mode that there is not.
        left_out_rules: The same by the rules that they are of.
    """

    subject: Subject
    modes: tuple[str, ...]
    random_calls: tuple[int, int]
    strength: int | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    left_out_rules: Counter[str] = field(default_factory=Counter)


LARGEST_BATCH = 100
"""How many random calls one test makes at most."""

COMBINATIONS_AT_ONCE = 12
"""How many combinations one test tries at most."""

RUN = pytest.StashKey[Run]()

RULES = "polyrnn_rules"
"""The property of a report that names the rules of a row, as in ``"10, 18"``."""

LEFT_OUT = "polyrnn_left_out"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say what to run the suite on."""
    group = parser.getgroup("polyrnn", "conformance of polyrnn backends")
    group.addoption(
        "--polyrnn-backend",
        metavar="NAME",
        help="the backend to try: its name, or package.module:Class where it has none yet",
    )
    group.addoption(
        "--polyrnn-harness",
        metavar="package.module:Class",
        help="the Harness to drive it by, instead of the one that the backend names",
    )
    group.addoption(
        "--polyrnn-profile",
        choices=sorted(PROFILES),
        default="ci",
        help="how many random calls to draw (default: ci)",
    )
    group.addoption(
        "--polyrnn-random-calls",
        type=int,
        metavar="N",
        help="draw this many random calls in each mode, whatever the profile says",
    )
    group.addoption(
        "--polyrnn-strength",
        type=int,
        choices=(1, 2, 3),
        help="try all combinations of this many things that a call may have, in each mode",
    )
    group.addoption(
        "--polyrnn-modes",
        metavar="MODE,...",
        help="the modes of the harness to run (default: all)",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Load the backend; a framework that is not there fails the run."""
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
    counts = PROFILES[config.getoption("--polyrnn-profile")] if count is None else (count, count)
    strength = config.getoption("--polyrnn-strength")
    if strength is None and config.getoption("--polyrnn-profile") == "nightly":
        strength = 3
    run = Run(subject, modes, counts, strength)
    for capability, sentence in harness.limitations.items():
        run.left_out[f"{capability}: {sentence}"] = 0
    for mode in harness.modes:
        if mode not in modes:
            run.left_out[f"modes: {mode} was not asked for."] = 0
    return run


def make_subject(given: str, harness: str | None = None) -> Subject:
    """Make the subject of a backend, given by name or as ``package.module:Class``."""
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
    # A class is registered once in a process, which may run the suite several times.
    register = type(harness).register_node
    if register not in _registered:
        harness.register_node(Pair, lambda pair: [pair.left, pair.right], Pair)
        _registered.add(register)


_registered: set[Callable[..., None]] = set()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is tried."""
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
    """Give each test its rows, and each row its modes."""
    selection = getattr(metafunc.function, "polyrnn_selection", None)
    if isinstance(selection, Selection):
        run = metafunc.config.stash[RUN]
        chosen = pairs(selection, run.subject, run.modes)
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
    """Share the combinations out among tests small enough to run side by side."""
    harness, size = run.subject.harness, COMBINATIONS_AT_ONCE
    batches = []
    for mode in run.modes:
        # Where the step is traced each call takes long.
        is_traced = harness.step_calls(mode) != "each"
        strength = run.strength or (2 if is_traced else 3)
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
    """Share the random calls out among tests small enough to run side by side."""
    first = run.subject.harness.modes[0]
    return [
        RandomBatch(mode, start, min(LARGEST_BATCH, total - start))
        for mode in run.modes
        for total in [run.random_calls[0 if mode == first else 1]]
        for start in range(0, total, LARGEST_BATCH)
    ]


@pytest.hookimpl(trylast=True)  # what pytest itself deselects is not left out by us
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the backend declares it cannot do, and keep account of it."""
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
    """Note the rules of a row in the reports; say why it is left out, if it is."""
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
    """Hand the account to the main process, where this is a worker of pytest-xdist."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    run = session.config.stash.get(RUN, None)
    if output is not None and run is not None:
        output[LEFT_OUT] = [dict(run.left_out), dict(run.left_out_rules)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the account of a worker, which is that of each."""
    run: Run = node.config.stash[RUN]
    if LEFT_OUT in getattr(node, "workeroutput", {}):
        run.left_out, run.left_out_rules = map(Counter, node.workeroutput[LEFT_OUT])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Report what was left out."""
    run = config.stash.get(RUN, None)
    if run is None or not run.left_out:
        return
    terminalreporter.section(f"left out on {run.subject.called}")
    for reason, count in sorted(run.left_out.items()):
        terminalreporter.line(f"{count or 'all':>5}  {reason}")

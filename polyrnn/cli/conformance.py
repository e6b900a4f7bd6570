"""The command ``polyrnn conformance``, which runs the conformance suite on a backend."""

import os
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from polyrnn import __version__, backends, registry
from polyrnn.cli.terminal import console, print_items, print_json, print_table

if TYPE_CHECKING:
    from polyrnn.cli.watching import Outcome

NEEDED = ("pytest", "hypothesis", "ml_dtypes")
RESTARTS = 100
"""How many crashed worker processes are replaced before the run is aborted."""

COUNTS = ("passed", "failed", "left out")


@click.command()
@click.argument("name")
@click.argument("pytest_arguments", nargs=-1, metavar="[-- PYTEST_ARGUMENTS]...")
@click.option("--junit", type=click.Path(dir_okay=False), help="Write a JUnit report to this file.")
@click.option(
    "--profile",
    type=click.Choice(["ci", "nightly"]),
    default="ci",
    show_default=True,
    help="How many random calls, combinations and rows to run.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run the cases in N processes. A crash of a process fails only the case that caused it.",
)
@click.option("--tracebacks", is_flag=True, help="Print full tracebacks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def conformance(
    name: str,
    pytest_arguments: tuple[str, ...],
    junit: str | None,
    profile: str,
    workers: int | None,
    tracebacks: bool,
    as_json: bool,
) -> None:
    """Run the conformance suite on one backend.

    NAME is the name of an installed backend, or package.module:Class for a backend that is
    not registered. Arguments after -- are passed to pytest, such as -k mask or -x. The exit
    status is that of pytest: 0 if the backend conforms, 1 if it does not.
    """
    needed = NEEDED if workers is None else (*NEEDED, "xdist")
    missing = [module for module in needed if find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"the conformance suite needs {', '.join(missing)}; "
            'to get it: pip install "polyrnn[conformance]"'
        )
    if ":" not in name:
        try:
            with console(sys.stderr).status(f"importing {name}", spinner="line"):
                registry.installed().load(name)
        except (ImportError, ValueError) as error:
            raise click.BadParameter(str(error), param_hint="NAME") from error
    start = time.perf_counter()
    arguments = ["--polyrnn-backend", name, "--polyrnn-profile", profile]
    if workers is not None:
        arguments += _in_workers(workers)
    arguments += pytest_arguments
    status, outcome = _run(name, [*arguments, *([f"--junit-xml={junit}"] if junit else [])])
    seconds = time.perf_counter() - start
    if as_json:
        print_json(_facts(name, profile, status, seconds, outcome))
    else:
        _print(console(), name, status, seconds, outcome, tracebacks)
    sys.exit(status)


def _in_workers(count: int) -> list[str]:
    """Return the options of pytest-xdist, which replaces workers that crash."""
    return [
        *("-p", "xdist", "--numprocesses", str(count), "--dist", "worksteal"),
        *("--max-worker-restart", str(RESTARTS)),
    ]


def _run(name: str, arguments: list[str]) -> tuple[int, "Outcome"]:
    import pytest

    from polyrnn.cli.watching import Meter, Watcher

    found = find_spec("polyrnn_conformance")
    assert found is not None
    assert found.origin is not None
    fixed = [
        *("--pyargs", "polyrnn_conformance", "-p", "polyrnn_conformance.plugin"),
        # Ignore the pytest configuration of the project in the current directory.
        *("-c", os.devnull, "--rootdir", str(Path(found.origin).parent), "--noconftest"),
        *("-p", "no:cacheprovider", "-p", "no:terminalprogress"),
    ]
    # pytest captures standard error while a test runs, so the bar writes to a duplicate of it.
    with (
        tempfile.TemporaryDirectory() as scratch,
        os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding) as file,
    ):
        # Otherwise hypothesis would create a folder in the current directory.
        os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", scratch)
        bar = console(file)
        bar.width = bar.width  # fixed now, because rich cannot ask the terminal later
        watcher = Watcher(Meter(bar, name))
        status = pytest.main([*fixed, *arguments], plugins=[watcher])
    return int(status), watcher.outcome


def _facts(
    name: str, profile: str, status: int, seconds: float, outcome: "Outcome"
) -> dict[str, Any]:
    return {
        "polyrnn": __version__,
        "backend": name,
        "version": _version(name),
        "profile": profile,
        "status": status,
        "seconds": round(seconds, 3),
        **{what.replace(" ", "_"): outcome.tally[what] for what in COUNTS},
        "rules": [
            {
                "rule": number,
                "name": called,
                **{what.replace(" ", "_"): tally[what] for what in COUNTS},
            }
            for number, called, tally in _rules(outcome)
        ],
        "reasons": outcome.left_out,
        "failures": [asdict(failure) for failure in outcome.failures],
    }


def _rules(outcome: "Outcome") -> list[tuple[int | None, str, Any]]:
    from polyrnn_conformance.rules import RULES

    numbered = [(n, rule.name, outcome.by_rule.get(str(n))) for n, rule in RULES.items()]
    rows: list[tuple[int | None, str, Any]] = [row for row in numbered if row[2] is not None]
    if "" in outcome.by_rule:
        rows.append((None, "all rules at once", outcome.by_rule[""]))
    return rows


def _print(
    to: Console, name: str, status: int, seconds: float, outcome: "Outcome", tracebacks: bool
) -> None:
    for failure in outcome.failures:
        to.print(f"failed: {failure.case}", style="red")
        print_items(to, (failure.text if tracebacks else failure.message).splitlines())
        to.print()
    rows: list[list[str | Text]] = [
        [f"{number or '':>2} {called}", *(_count(what, tally[what]) for what in COUNTS)]
        for number, called, tally in _rules(outcome)
    ]
    if rows:
        print_table(to, ["rule", *COUNTS], rows, numbers=len(COUNTS))
    if outcome.left_out:
        to.print("\nLeft out:")
        print_items(to, [_left_out(count, why) for why, count in outcome.left_out.items()])
    to.print()
    to.print(_verdict(name, status, seconds, outcome), style="red" if status else "green")


def _count(what: str, number: int) -> Text:
    style = "red" if what == "failed" and number else "" if number else "dim"
    return Text(str(number), style=style)


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _left_out(count: int, reason: str) -> str:
    # A limitation without a mode of its own has no cases to count.
    return f"{_cases(count) if count else 'all cases'} for {reason}"


def _verdict(name: str, status: int, seconds: float, outcome: "Outcome") -> str:
    tally = outcome.tally
    cases = _cases(tally["passed"] + tally["failed"])
    called = " ".join(filter(None, [name, _version(name)]))
    words = {0: "passed", 1: "did not pass"}.get(status, f"was not tested to the end ({status})")
    return (
        f"{called} {words}: {cases} in {seconds:.1f} s, {tally['failed']} failed, "
        f"{tally['left out']} left out"
    )


def _version(name: str) -> str | None:
    return next((status.version for status in backends() if status.name == name), None)

"""What was measured as tables for the terminal and as one JSON document."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

import polyrnn
from polyrnn.benchmark.measure import Spread
from polyrnn.benchmark.results import Contest, Finding, Result, result_to_json
from polyrnn.benchmark.scenarios import HAND_WRITTEN, KERAS, TF_KERAS, Cell


def table(results: Sequence[Result]) -> Table:
    """Lay out results, a row for each cell.

    Args:
        results: What was measured.

    Returns:
        A table; a ratio below 1 says that polyrnn is faster.
    """
    peers = [
        name
        for name in (KERAS, TF_KERAS)
        if any(contest.rival == name for result in results for contest in result.contests)
    ]
    made = Table(
        title="polyrnn beside its rivals",
        caption=(
            "Medians. A ratio is that of polyrnn's time to the rival's, pair by pair, with its "
            "quartiles: below 1 polyrnn is faster. " + _common([result.cell for result in results])
        ),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    made.add_column("mode")
    made.add_column("variant")
    made.add_column("T", justify="right")
    made.add_column("B", justify="right")
    for name in ("polyrnn", "by hand", "ratio", "bound", *peers):
        made.add_column(name, justify="right", no_wrap=True)
    before = ""
    for result in results:
        label = result.cell.mode.label
        made.add_row("" if label == before else label, *_row(result, peers))
        before = label
    return made


def _common(cells: Sequence[Cell]) -> str:
    sizes = cells[0].sizes
    others = {
        f"{cell.variant.name}: {cell.sizes.units}"
        for cell in cells
        if cell.sizes.units != sizes.units
    }
    units = f"{sizes.units} units" + (f" ({', '.join(sorted(others))})" if others else "")
    return f"T steps, B sequences, {sizes.features} features, {units}, {sizes.dtype}."


def _row(result: Result, peers: Sequence[str]) -> list[str]:
    cell = result.cell
    contests = {contest.rival: contest for contest in result.contests}
    by_hand = contests.get(HAND_WRITTEN, Contest(rival=HAND_WRITTEN))
    bound = cell.bound(HAND_WRITTEN)
    return [
        cell.variant.name.replace("-", " "),
        str(cell.sizes.time),
        str(cell.sizes.batch),
        duration(by_hand.polyrnn),
        duration(by_hand.seconds),
        _ratio(by_hand, bound) + (f" {_quartiles(by_hand.ratio)}" if by_hand.ratio else ""),
        "" if bound is None else f"{bound:.2f}",
        *(_ratio(contests.get(peer), cell.bound(peer)) for peer in peers),
    ]


def remarks(results: Sequence[Result]) -> list[str]:
    """Say what a table has no room for.

    Args:
        results: What was measured.

    Returns:
        A line for each thing that is odd; none where nothing is.
    """
    lines = []
    for result in results:
        if result.failure:
            lines.append(f"{result.cell}: {result.failure}")
        lines.extend(
            f"{result.cell}: {contest.rival} {contest.remark}"
            for contest in result.contests
            if contest.remark
        )
    return lines


def findings_table(findings: Sequence[Finding]) -> Table:
    """Lay out what became of claims, a row for each.

    Args:
        findings: What was found.

    Returns:
        A table.
    """
    made = Table(title="claims", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("claim", "mode"):
        made.add_column(name)
    for name in ("figure", "bound"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("behind it")
    for finding in findings:
        colour = "red" if finding.misses() else "green"
        made.add_row(
            finding.claim,
            finding.mode,
            f"[{colour}]{finding.figure:.3g}[/{colour}] {finding.unit}",
            f"{finding.bound:.3g}",
            _escaped(finding.failure or finding.detail),
        )
    return made


def document(
    results: Iterable[Result], findings: Iterable[Finding], options: dict[str, Any]
) -> dict[str, Any]:
    """Write everything down for a program to read.

    Args:
        results: What was measured.
        findings: What became of claims.
        options: How it was asked for.

    Returns:
        What JSON can hold: seconds are floats, a figure that was not had is null.
    """
    claims = []
    for finding in findings:
        entry = asdict(finding)
        # JSON knows no NaN.
        entry["figure"] = None if finding.failure else finding.figure
        claims.append(entry | {"upheld": not finding.misses()})
    return {
        "polyrnn": polyrnn.__version__,
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "processor": _processor()},
        "frameworks": {
            status.name: status.version
            for status in polyrnn.backends()
            if status.state == "installed"
        },
        "options": options,
        "cells": [result_to_json(result) for result in results],
        "claims": claims,
    }


def duration(spread: Spread | None) -> str:
    """Write the median of some seconds in the unit that fits.

    Example:
        >>> duration(Spread(0.0123, 0.012, 0.0131))
        '12.3 ms'
    """
    if spread is None:
        return ""
    for scale, unit in ((1.0, "s"), (1e3, "ms")):
        if spread.median * scale >= 1:
            return f"{spread.median * scale:.1f} {unit}"
    return f"{spread.median * 1e6:.1f} µs"


def _ratio(contest: Contest | None, bound: float | None) -> str:
    if contest is None or contest.ratio is None:
        return "-"
    median = contest.ratio.median
    colour = "default" if bound is None else "red" if median > bound else "green"
    return f"[{colour}]{median:.3f}[/{colour}]"


def _quartiles(spread: Spread) -> str:
    return f"({spread.lower:.3f}-{spread.upper:.3f})"


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _processor() -> str:
    return platform.processor() or platform.machine()

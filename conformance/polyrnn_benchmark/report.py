"""What was measured, as sentences and as one JSON document."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import polyrnn
from polyrnn_benchmark.results import Finding, Result, result_to_json


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


def document(
    results: Iterable[Result],
    findings: Iterable[Finding],
    options: dict[str, Any],
    *,
    complete: bool = True,
) -> dict[str, Any]:
    """Write everything down for a program to read.

    Args:
        results: What was measured.
        findings: What became of claims.
        options: How it was asked for.
        complete: Whether all that was asked for is there.

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
        "complete": complete,
        "cells": [result_to_json(result) for result in results],
        "claims": claims,
    }


def _processor() -> str:
    return platform.processor() or platform.machine()

"""Convert results to sentences and to one JSON document."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import polyrnn
from polyrnn_benchmark.results import Finding, Result, result_to_json


def remarks(results: Sequence[Result]) -> list[str]:
    """Return the failures and remarks, for which the table has no column.

    Args:
        results: The measured results.

    Returns:
        One line for each failure or remark.
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
    """Return all results as one JSON document.

    Args:
        results: The results of cells.
        findings: The findings about claims.
        options: The options of the command.
        complete: Whether everything requested was measured.

    Returns:
        Plain data for JSON; durations are in seconds, and a missing figure is null.
    """
    claims = []
    for finding in findings:
        entry = asdict(finding)
        # JSON has no NaN.
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

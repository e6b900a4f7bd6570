"""``polyrnn bench``: measures, shows while it does, and says what it found."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import polyrnn
from polyrnn.benchmark import claims as promises
from polyrnn.benchmark import launch, report, scenarios
from polyrnn.benchmark.results import (
    Finding,
    Result,
    cell_from_json,
    cell_to_json,
    result_from_json,
)
from polyrnn.benchmark.scenarios import Axis, Cell, Mode, Sizes

PIPE_WIDTH = 120

ALLOWED_DTYPES = ("float32", "float64")


@click.command()
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(scenarios.BACKENDS),
    help="Measure this backend; may be repeated. [default: all that are installed]",
)
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(sorted({mode.name for mode in scenarios.MODES})),
    help="Measure this mode; may be repeated. [default: all]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(sorted(scenarios.VARIANTS)),
    help="May be repeated; short has a step of one matrix product and a tanh. "
    f"[default: {', '.join(scenarios.USUAL_VARIANTS)}; plain in a sweep]",
)
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True)
@click.option(
    "--time",
    type=click.IntRange(min=1),
    help="The number of time steps. [default: 100; 20 under torch.compile]",
)
@click.option("--features", type=click.IntRange(min=1), default=32, show_default=True)
@click.option(
    "--units",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="The size of each state; with the short step it is that of the features.",
)
@click.option("--dtype", type=click.Choice(ALLOWED_DTYPES), default="float32", show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many threads a framework may compute with.",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=2),
    default=15,
    show_default=True,
    help="How often polyrnn and each rival are timed in turns.",
)
@click.option("--peers/--no-peers", default=True, help="Measure Keras 3 and tf_keras too.")
@click.option(
    "--sweep",
    type=click.Choice(list(scenarios.SWEEPS)),
    help="Vary this size, and show how the cost grows.",
)
@click.option(
    "--claims", is_flag=True, help="Test the claims about memory, compilation and growth instead."
)
@click.option("--check", is_flag=True, help="Exit with status 1 if a bound is missed.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write every figure into this file; - for standard output, without tables.",
)
@click.option(
    "--png",
    "png_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw a chart into this file.",
)
def bench(
    *,
    backends: tuple[str, ...],
    modes: tuple[str, ...],
    variants: tuple[str, ...],
    batch: int,
    time: int | None,
    features: int,
    units: int,
    dtype: str,
    threads: int,
    pairs: int,
    peers: bool,
    sweep: Axis | None,
    claims: bool,
    check: bool,
    json_path: str | None,
    png_path: Path | None,
) -> None:
    """Measure polyrnn beside loops written by hand.

    For each installed backend and mode, a step like that of an LSTM, and in one variant a
    short step, is walked over time by polyrnn, by the loop that an expert writes for that
    framework, and by Keras 3 and tf_keras where they are installed. All must give equal
    results, gradients included; then they are timed in turns. A ratio below 1 says that
    polyrnn is faster.
    """
    options = {name: value for name, value in locals().items() if not name.endswith("_path")}
    if png_path is not None and claims:
        raise click.UsageError("--png draws ratios; --claims measures none.")
    installed = _installed(backends)
    to_stdout = json_path == "-"
    console = _console(to_stdout)
    results: list[Result] = []
    findings: list[Finding] = []
    if claims:
        findings = _examine(installed, modes, threads, console)
        tables = [report.findings_table(findings)]
    else:
        sizes = Sizes(batch=batch, features=features, units=units, dtype=dtype)
        cells = scenarios.cells(
            installed, modes=modes, variants=variants, sizes=sizes, time=time, sweep=sweep
        )
        if not cells:
            raise click.UsageError("none of these backends has such a mode and variant.")
        results = _measure(cells, threads=threads, pairs=pairs, peers=peers, console=console)
        tables = [report.table(results)]
    if json_path is not None:
        written = json.dumps(report.document(results, findings, options), indent=2) + "\n"
        with click.open_file(json_path, "w") as file:
            file.write(written)
    if not to_stdout:
        for made in tables:
            console.print(made)
        for remark in report.remarks(results):
            console.print(remark, markup=False, highlight=False)
    if png_path is not None:
        _draw(results, png_path, sweep)
    _conclude(console, results, findings, check)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A file or a pipe has no width; the table should not be squeezed into a guess.
        console.width = PIPE_WIDTH
    return console


def _installed(asked: Sequence[str]) -> list[str]:
    statuses = {status.name: status for status in polyrnn.backends()}
    for name in asked:
        if statuses[name].state != "installed":
            raise click.ClickException(
                f"the backend {name!r} cannot be measured: {statuses[name].problem}. "
                f"To get it: {statuses[name].install}"
            )
    return [
        name
        for name in scenarios.BACKENDS
        if name in (asked or scenarios.BACKENDS) and statuses[name].state == "installed"
    ]


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _measure(
    cells: Sequence[Cell], *, threads: int, pairs: int, peers: bool, console: Console
) -> list[Result]:
    results: list[Result] = []
    with _progress(console) as progress:
        task = progress.add_task("", total=len(cells))
        for backend in dict.fromkeys(cell.mode.backend for cell in cells):
            request = {
                "backend": backend,
                "threads": threads,
                "pairs": pairs,
                "peers": peers,
                "cells": [cell_to_json(c) for c in cells if c.mode.backend == backend],
            }
            waiting = [cell for cell in cells if cell.mode.backend == backend]
            progress.update(task, description=f"starting {backend}")
            try:
                for event in launch.events(request):
                    if event["event"] == "start":
                        cell, timed = cell_from_json(event["cell"]), 0
                        progress.update(task, description=f"{cell}: compiling")
                    elif event["event"] == "pair":
                        timed += 1
                        progress.update(task, description=f"{cell}: {timed} pairs")
                    else:
                        results.append(result_from_json(event["result"]))
                        waiting.pop(0)
                        progress.advance(task)
            except launch.WorkerError as error:
                results.extend(Result(cell, failure=str(error)) for cell in waiting)
                progress.advance(task, len(waiting))
    return results


def _examine(
    backends: Sequence[str], modes: Sequence[str], threads: int, console: Console
) -> list[Finding]:
    chosen = promises.chosen(backends, modes)
    findings: list[Finding] = []
    with _progress(console) as progress:
        task = progress.add_task("", total=len(chosen))

        def ask(mode: Mode, probe: str, **arguments: Any) -> dict[str, float]:
            progress.update(task, description=f"{mode.label}: {probe.replace('_', ' ')}")
            request = {
                "backend": mode.backend,
                "mode": mode.name,
                "threads": threads,
                "probe": probe,
                "arguments": arguments,
            }
            figures: dict[str, float] = {}
            for event in launch.events(request):
                figures = event["figures"]
            return figures

        for finding in promises.examine(chosen, ask):
            findings.append(finding)
            progress.advance(task)
    return findings


def _draw(results: Sequence[Result], path: Path, sweep: Axis | None) -> None:
    try:
        from polyrnn.benchmark import chart
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"--png needs {error.name}, which is not installed; to get it: pip install matplotlib"
        ) from error
    chart.draw(results, path, sweep)


def _conclude(
    console: Console, results: Sequence[Result], findings: Sequence[Finding], check: bool
) -> None:
    entries: list[Result | Finding] = [*results, *findings]
    misses = [miss for entry in entries for miss in entry.misses()]
    failed = any(entry.failure for entry in entries)
    if check:
        for miss in misses:
            console.print(f"missed: {miss}", style="red", markup=False, highlight=False)
        if not misses:
            console.print("every bound is met", style="green")
    if failed or (check and misses):
        sys.exit(1)

"""The command ``polyrnn bench``: measures, shows progress and reports the results."""

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from polyrnn_benchmark import choosing, launch, measuring, report, scenarios, tables
from polyrnn_benchmark import claims as promises
from polyrnn_benchmark.recording import Record
from polyrnn_benchmark.results import Finding, Result
from polyrnn_benchmark.scenarios import Axis, Mode, Sizes

PIPE_WIDTH = 120

INTERRUPTED = 130
"""The exit status of a command that was interrupted, as in shells."""

ALLOWED_DTYPES = ("float32", "float64")


@click.command()
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="Measure this backend; may be repeated. [default: all installed backends]",
)
@click.option(
    "--mode",
    "modes",
    multiple=True,
    metavar="NAME",
    help="Measure this mode, such as "
    f"{', '.join(sorted({mode.name for mode in scenarios.MODES}))}; may be repeated. "
    "[default: all]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(sorted(scenarios.VARIANTS)),
    help="Measure this variant; may be repeated. The step of short is one matrix product and a "
    "tanh. "
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
    help="The size of each state; the short step uses that of the features instead.",
)
@click.option("--dtype", type=click.Choice(ALLOWED_DTYPES), default="float32", show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The number of threads that a framework may use.",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=2),
    default=15,
    show_default=True,
    help="The number of pairs of timings of polyrnn and each rival.",
)
@click.option("--peers/--no-peers", default=True, help="Measure Keras 3 and tf_keras too.")
@click.option(
    "--sweep",
    type=click.Choice(list(scenarios.SWEEPS)),
    help="Vary this size and show how the time of a call grows.",
)
@click.option(
    "--claims", is_flag=True, help="Test the claims about memory, compilation and growth instead."
)
@click.option("--check", is_flag=True, help="Exit with status 1 if a bound is missed.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, readable=False, allow_dash=True),
    help="Write every figure into this file, as it is measured; - for standard output, at the "
    "end and without tables.",
)
@click.option(
    "--png",
    "png_path",
    type=click.Path(dir_okay=False, readable=False, path_type=Path),
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
    """Compare the time of polyrnn with that of loops written by hand.

    For each installed backend and mode, the step of an LSTM (in one variant a short step) is
    run over time by polyrnn, by the loop that an expert writes for that framework, and by
    Keras 3 and tf_keras if they are installed. All of them must give equal results, gradients
    included, before they are timed in turns. A ratio below 1 means that polyrnn is faster.

    A third-party backend is measured in the modes that its harness names, against the loops
    that the harness names, or else against polyrnn.python_loop. Its ratios have no bounds.

    If a process fails or you interrupt the command, the results so far are kept: after a
    failure the other cells are still measured, the files contain what was measured, and the
    exit status is not 0.
    """
    options = {name: value for name, value in locals().items() if not name.endswith("_path")}
    if png_path is not None and claims:
        raise click.UsageError("--png draws ratios; --claims measures none.")
    record = Record(json_path, png_path, options, sweep)
    record.check()
    console = _console(record.to_stdout)
    chosen = choosing.installed(backends)
    own = [name for name in chosen if name in scenarios.BACKENDS]
    if claims:
        promised = promises.chosen(own, modes)
        if not promised:
            raise click.UsageError("nothing is claimed of these backends and modes.")
        _measure(
            console,
            record,
            len(promised),
            lambda show: measuring.findings(promised, threads=threads, show=show),
        )
    else:
        others = _modes_of_others(chosen[len(own) :], threads, record, console)
        choosing.check_modes(modes, others)
        cells = scenarios.cells(
            own,
            others=others,
            modes=modes,
            variants=variants,
            sizes=Sizes(batch=batch, features=features, units=units, dtype=dtype),
            time=time,
            sweep=sweep,
        )
        if not cells and not record.problems:
            raise click.UsageError("none of these backends has such a mode and variant.")
        _measure(
            console,
            record,
            len(cells),
            lambda show: measuring.results(
                cells, threads=threads, pairs=pairs, peers=peers, show=show
            ),
        )
    sys.exit(_conclude(console, record, check))


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A file or a pipe has no width, and rich would assume a narrow terminal.
        console.width = PIPE_WIDTH
    return console


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


def _modes_of_others(
    backends: Sequence[str], threads: int, record: Record, console: Console
) -> list[Mode]:
    """Return the modes of the third-party backends; a backend that fails becomes a problem."""
    found: list[Mode] = []
    for backend in backends:
        try:
            with console.status(f"importing {backend}", spinner="line"):
                found.extend(measuring.modes(backend, threads=threads))
        except launch.WorkerError as error:
            record.problems.append(f"{backend}: {error}")
    return found


def _measure(
    console: Console,
    record: Record,
    total: int,
    start: Callable[[measuring.Show], Generator[Result | Finding]],
) -> None:
    """Record results as they are measured, until all are or the user interrupts."""
    with _progress(console) as progress:
        task = progress.add_task("", total=total)
        measured = start(lambda words: progress.update(task, description=words))
        try:
            with closing(measured):
                for entry in measured:
                    record.add(entry)
                    progress.advance(task)
        except KeyboardInterrupt:
            record.interrupted = True
    if record.interrupted:
        done = len(record.results) + len(record.findings)
        record.problems.append(f"interrupted: {done} of {total} were measured")


def _conclude(console: Console, record: Record, check: bool) -> int:
    """Print the results, write the files and return the exit status."""
    if not record.to_stdout:
        if record.results:
            console.print(tables.fitting(console, record.results))
        if record.findings:
            tables.print_findings(console, record.findings)
        for remark in report.remarks(record.results):
            _say(console, remark)
    record.finish()
    entries: list[Result | Finding] = [*record.results, *record.findings]
    misses = [miss for entry in entries for miss in entry.misses()]
    failed = any(entry.failure for entry in entries) or bool(record.problems)
    if check:
        for miss in misses:
            _say(console, f"missed: {miss}", style="red")
        if not misses and not failed:
            _say(console, "every bound is met", style="green")
    for problem in record.problems:
        _say(console, problem, style="red")
    if record.interrupted:
        return INTERRUPTED
    return int(failed or (check and bool(misses)))


def _say(console: Console, sentence: str, style: str = "") -> None:
    console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)

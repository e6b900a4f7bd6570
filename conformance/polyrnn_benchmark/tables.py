"""Print results as tables, in the widest layout that fits the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from polyrnn.cli.terminal import UNLIMITED, print_table
from polyrnn_benchmark.measure import Spread
from polyrnn_benchmark.results import Contest, Finding, Result
from polyrnn_benchmark.scenarios import KERAS, PYTHON_LOOP, TF_KERAS, VARIANTS, Cell, Sizes

CLAIM_HEADER = ("claim", "mode", "figure", "bound", "behind it")

FOR_SENTENCES = 100
"""The least terminal width at which claims are printed as a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a table.

    Args:
        mode: Show the mode in a column; otherwise there is one table for each mode.
        sizes: Show the numbers of steps and sequences in columns; otherwise in the heading.
        quartiles: Show the quartiles beside the ratio.
        seconds: Show the durations.
    """

    mode: bool = True
    sizes: bool = True
    quartiles: bool = True
    seconds: bool = True


LAYOUTS = (
    Layout(),
    Layout(quartiles=False),
    Layout(mode=False),
    Layout(mode=False, quartiles=False),
    Layout(mode=False, quartiles=False, sizes=False),
    Layout(mode=False, quartiles=False, sizes=False, seconds=False),
)
"""All layouts, from the widest to the narrowest."""


def fitting(console: Console, results: Sequence[Result]) -> Group:
    """Return tables in the widest layout that fits the console, without truncated cells.

    Args:
        console: Where the tables will be printed.
        results: The results, at least one.
    """
    options = console.options.update(max_width=UNLIMITED)
    for layout in LAYOUTS:
        tables = laid_out(results, layout)
        if all(console.measure(t, options=options).maximum <= console.width for t in tables):
            break
    caption = Text(_caption(results, layout), style="italic")
    return Group(*tables, caption)


def laid_out(results: Sequence[Result], layout: Layout = LAYOUTS[0]) -> list[Table]:
    """Return the tables of results in a layout, with one row for each cell.

    Args:
        results: The measured results.
        layout: The columns.

    Returns:
        One table, or one for each mode.
    """
    peers = [
        name
        for name in (KERAS, TF_KERAS)
        if any(contest.rival == name for result in results for contest in result.contests)
    ]
    if layout.mode:
        return [_table("polyrnn beside its rivals", results, layout, peers)]
    by_mode = groupby(results, key=lambda result: _heading(result.cell, layout))
    return [_table(heading, list(group), layout, peers) for heading, group in by_mode]


def _table(title: str, results: Sequence[Result], layout: Layout, peers: Sequence[str]) -> Table:
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    if layout.mode:
        made.add_column("mode", no_wrap=True)
    # A fixed least width aligns the columns of several tables.
    made.add_column("variant", no_wrap=True, min_width=max(map(len, VARIANTS)))
    figures = [("T", 4), ("B", 3)] if layout.sizes else []
    figures += [("polyrnn", 8), ("by hand", 8)] if layout.seconds else []
    for name, width in [*figures, ("ratio", 5), ("bound", 5), *((name, 5) for name in peers)]:
        made.add_column(name, justify="right", no_wrap=True, min_width=width)
    before = ""
    for result in results:
        label = result.cell.mode.label
        mode = ["" if label == before else label] if layout.mode else []
        made.add_row(*mode, *_row(result, layout, peers))
        before = label
    return made


def _heading(cell: Cell, layout: Layout) -> str:
    return cell.mode.label + ("" if layout.sizes else f", T={cell.sizes.time} B={cell.sizes.batch}")


def _row(result: Result, layout: Layout, peers: Sequence[str]) -> list[str]:
    cell = result.cell
    contests = {contest.rival: contest for contest in result.contests}
    by_hand = result.by_hand or Contest(rival="")
    bound = cell.bound(by_hand.rival)
    ratio = _ratio(by_hand, bound)
    if layout.quartiles and by_hand.ratio:
        ratio += f" {_quartiles(by_hand.ratio)}"
    sizes = [str(cell.sizes.time), str(cell.sizes.batch)]
    seconds = [duration(by_hand.polyrnn), duration(by_hand.seconds)]
    return [
        cell.variant.name.replace("-", " "),
        *(sizes if layout.sizes else []),
        *(seconds if layout.seconds else []),
        ratio,
        "" if bound is None else f"{bound:.2f}",
        *(_ratio(contests.get(peer), cell.bound(peer)) for peer in peers),
    ]


def _caption(results: Sequence[Result], layout: Layout) -> str:
    sentences = [
        "Medians. A ratio is that of polyrnn's time to the rival's, pair by pair"
        + (", with its quartiles" if layout.quartiles else "")
        + ": below 1 polyrnn is faster."
    ]
    hidden = [
        name
        for name, is_shown in (("quartiles", layout.quartiles), ("durations", layout.seconds))
        if not is_shown
    ]
    if hidden:
        sentences.append(f"A wider terminal shows {' and '.join(hidden)} too.")
    by_loop = {
        result.cell.mode.backend
        for result in results
        if result.by_hand is not None and result.by_hand.rival == PYTHON_LOOP
    }
    if by_loop:
        named = ", ".join(sorted(by_loop))
        sentences.append(f"By hand is polyrnn.python_loop of the bare step for {named}.")
    sentences.append(_common([result.cell for result in results]))
    return " ".join(sentences)


def _common(cells: Sequence[Cell]) -> str:
    sizes: Sizes = cells[0].sizes
    others = {
        f"{cell.variant.name}: {cell.sizes.units}"
        for cell in cells
        if cell.sizes.units != sizes.units
    }
    units = f"{sizes.units} units" + (f" ({', '.join(sorted(others))})" if others else "")
    return f"T steps, B sequences, {sizes.features} features, {units}, {sizes.dtype}."


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print findings as a table, or one below the other in a narrow terminal.

    Args:
        console: Where to print.
        findings: The findings about claims.
    """
    rows = [_finding(finding) for finding in findings]
    if console.width < FOR_SENTENCES:
        print_table(console, CLAIM_HEADER, rows)
        return
    made = Table(title="claims", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in CLAIM_HEADER:
        is_figure = name in ("figure", "bound")
        made.add_column(name, justify="right" if is_figure else "left", no_wrap=is_figure)
    for row in rows:
        made.add_row(*row)
    console.print(made)


def _finding(finding: Finding) -> list[Text]:
    figure = Text.assemble(
        (f"{finding.figure:.3g}", "red" if finding.misses() else "green"), f" {finding.unit}"
    )
    bound, behind = f"{finding.bound:.3g}", finding.failure or finding.detail
    return [Text(finding.claim), Text(finding.mode), figure, Text(bound), Text(behind)]


def duration(spread: Spread | None) -> str:
    """Format a median duration in seconds, milliseconds or microseconds.

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

"""Draw measured results as a PNG chart."""

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyrnn_benchmark.results import Result
from polyrnn_benchmark.scenarios import HAND_WRITTEN, KERAS, PYTHON_LOOP, TF_KERAS, Axis

COLOURS = {
    HAND_WRITTEN: "#1b6ca8",
    PYTHON_LOOP: "#5b8e7d",
    KERAS: "#d1495b",
    TF_KERAS: "#edae49",
}
"""The colour of each rival."""


def draw(results: Sequence[Result], sweep: Axis | None = None) -> bytes:
    """Draw the ratios of all cells or, for a sweep, the time of a call against the size.

    Args:
        results: The measured results.
        sweep: The size that varies, if any.

    Returns:
        The PNG file.
    """
    timed = [result for result in results if any(c.ratio for c in result.contests)]
    figure = _ratios(timed) if sweep is None else _growth(timed, sweep)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=150, bbox_inches="tight")
    return picture.getvalue()


def _ratios(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(8, 1.5 + 0.34 * max(1, len(results))))
    axes = figure.subplots()
    labelled = set()
    for row, result in enumerate(results):
        for contest in result.contests:
            if contest.ratio is None:
                continue
            middle, lower, upper = (
                contest.ratio.median,
                contest.ratio.lower,
                contest.ratio.upper,
            )
            axes.errorbar(
                middle,
                row,
                xerr=[[middle - lower], [upper - middle]],
                fmt="o",
                color=COLOURS[contest.rival],
                label=None if contest.rival in labelled else contest.rival,
            )
            labelled.add(contest.rival)
        bound = result.cell.bound(HAND_WRITTEN)
        if bound is not None:
            axes.plot(bound, row, marker="|", markersize=14, color="0.35")
    axes.axvline(1, color="0.6", linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.set_yticks(
        range(len(results)), [f"{r.cell.mode.label}, {r.cell.variant.name}" for r in results]
    )
    axes.invert_yaxis()
    axes.grid(axis="x", which="both", color="0.93", zorder=0)
    axes.set_xlabel("time of polyrnn / time of the rival: left of 1 polyrnn is faster")
    axes.set_title("One call; bars: the middle half of the pairs; |: bound", fontsize=10)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if labelled:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return figure


def _growth(results: Sequence[Result], sweep: Axis) -> Figure:
    places = list(dict.fromkeys((r.cell.mode.label, r.cell.variant.name) for r in results))
    columns = min(3, max(1, len(places)))
    rows = max(1, -(-len(places) // columns))
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, place in zip(panels, places, strict=False):
        here = [r for r in results if (r.cell.mode.label, r.cell.variant.name) == place]
        _panel(axes, here, sweep)
        axes.set_title(", ".join(place), fontsize=10)
    for axes in panels[len(places) :]:
        axes.set_visible(False)
    figure.supxlabel(f"{sweep} size" if sweep == "batch" else "time steps")
    figure.supylabel("seconds for a call")
    return figure


def _panel(axes: Axes, results: Sequence[Result], sweep: Axis) -> None:
    lines: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        size = getattr(result.cell.sizes, sweep)
        for contest in result.contests:
            if contest.seconds is None or contest.polyrnn is None:
                continue
            lines.setdefault(contest.rival, []).append((size, contest.seconds.median))
            if contest is result.by_hand:
                lines.setdefault("polyrnn", []).append((size, contest.polyrnn.median))
    for name, points in lines.items():
        own = name == "polyrnn"
        axes.plot(
            *zip(*sorted(points), strict=True),
            marker="o",
            markersize=3 if own else 5,
            linestyle="-" if own else "--",
            color="black" if own else COLOURS[name],
            label=name,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(color="0.93")
    axes.legend(frameon=False, fontsize=8)

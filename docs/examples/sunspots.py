"""Forecast the yearly sunspot numbers with echo state networks, on every installed backend.

An echo state network is a recurrent network with fixed random weights. Its state is a vector
that depends on the past of a series. Only the readout, a linear map from the state to the value
of the next year, is fitted, by least squares. The recurrence is one call of `polyrnn.rnn`: the
batch is an ensemble of networks with different weights, and the mean of their forecasts is the
forecast of the ensemble.

Readouts are fitted on the years before 1950 and evaluated on the years from 1950 on; each year
is forecast from the years before it. The constants below were chosen on 1850 to 1949.

Run it with ``python docs/examples/sunspots.py``; ``--help`` lists the options.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

import polyrnn

Array: TypeAlias = NDArray[np.float64]
Report: TypeAlias = Callable[[str], None]

DATA = Path(__file__).with_name("sunspots.csv")
HELD_OUT_FROM = 1950
WASHOUT = 30  # years until the initial state no longer affects the state of a network
MEMBERS = 16
UNITS = 100
CONNECTED = 0.1  # the fraction of pairs of units that are connected
SPECTRAL_RADIUS = 0.9
INPUT_SCALE = 0.8
LEAK = 0.9
RIDGE = 0.03
AUTOREGRESSION_ORDER = 9
SEED = 0

DRAWN_FROM = 1900
WARM, DARK, SHADE = "#d1495b", "#1d3557", "#f1efe7"


class Sunspots(NamedTuple):
    """The yearly sunspot numbers."""

    years: NDArray[np.int64]
    numbers: Array


class Networks(NamedTuple):
    """The weights of an ensemble of networks; the first axis is the network."""

    input_weights: Array  # (members, 1, units)
    recurrent_weights: Array  # (members, units, units)
    bias: Array  # (members, 1, units)


class Forecast(NamedTuple):
    """The forecasts of one backend; column t is for the year after year t."""

    backend: str
    dtype: str
    members: Array
    seconds: float

    @property
    def mean(self) -> Array:
        """The forecast of the ensemble, the mean of its members."""
        return np.asarray(self.members.mean(axis=0))


def read_sunspots(path: Path = DATA) -> Sunspots:
    """Read the data file."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return Sunspots(
        np.array([int(row["year"]) for row in rows]),
        np.array([float(row["sunspots"]) for row in rows]),
    )


def draw_networks(members: int = MEMBERS, units: int = UNITS, seed: int = SEED) -> Networks:
    """Return random weights, with the recurrent weights scaled to the spectral radius."""
    random = np.random.default_rng(seed)
    square = (members, units, units)
    recurrent = random.uniform(-1, 1, square) * (random.random(square) < CONNECTED)
    radius = np.abs(np.linalg.eigvals(recurrent)).max(axis=1)
    return Networks(
        random.uniform(-INPUT_SCALE, INPUT_SCALE, (members, 1, units)),
        recurrent * (SPECTRAL_RADIUS / radius)[:, None, None],
        random.uniform(-INPUT_SCALE, INPUT_SCALE, (members, 1, units)),
    )


def leaky_tanh(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    """Compute one step of the networks, with tensors of any framework."""
    framework = polyrnn.namespace(x)
    state, input_weights, recurrent_weights, bias = states
    drive = x[:, None] * input_weights + framework.matmul(state, recurrent_weights) + bias
    state = (1 - LEAK) * state + LEAK * framework.tanh(drive)
    return state, [state]


def walk(backend: str, series: Array, networks: Networks) -> NDArray[Any]:
    """Run the networks over a series and return their states, ``(members, time, units)``."""
    members, _, units = networks.bias.shape
    _, outputs, _ = polyrnn.rnn(
        leaky_tanh,
        np.broadcast_to(series[:, None], (members, len(series), 1)),
        [np.zeros((members, 1, units))],
        constants=list(networks),
        backend=backend,
    )
    return np.asarray(outputs)[:, :, 0]


def read_out(states: NDArray[Any], series: Array, fitted: slice) -> Array:
    """Fit each network's readout to the next value of the series, and return all readouts."""
    members, steps, _ = states.shape
    direct = np.broadcast_to(series[:, None], (members, steps, 1))
    features = np.concatenate([states, direct, np.ones_like(direct)], axis=-1)
    known = features[:, fitted]
    targets = series[fitted.start + 1 : fitted.stop + 1]
    penalty = RIDGE * np.eye(features.shape[-1])
    transposed = known.swapaxes(1, 2)
    weights = np.linalg.solve(transposed @ known + penalty, transposed @ targets[:, None])
    return np.asarray((features @ weights)[:, :, 0])


def forecast(backend: str, sunspots: Sunspots, networks: Networks, report: Report) -> Forecast:
    """Forecast every year from the years before it."""
    # The square root makes the variance of quiet and active years similar.
    roots = np.sqrt(sunspots.numbers)
    known = roots[sunspots.years < HELD_OUT_FROM]
    series = (roots - known.mean()) / known.std()
    report(f"{backend}: getting ready")
    walk(backend, series, networks)
    report(f"{backend}: walking")
    start = time.perf_counter()
    states = walk(backend, series, networks)
    seconds = time.perf_counter() - start
    report(f"{backend}: reading out")
    values = read_out(states, series, slice(WASHOUT, len(known) - 1))
    numbers = np.maximum(values * known.std() + known.mean(), 0) ** 2
    return Forecast(backend, str(states.dtype), numbers, seconds)


def error(forecast_numbers: Array, sunspots: Sunspots) -> float:
    """Return the root mean square error over the held-out years."""
    held_out = sunspots.years[1:] >= HELD_OUT_FROM
    misses = forecast_numbers[:-1] - sunspots.numbers[1:]
    return float(np.sqrt(np.mean(misses[held_out] ** 2)))


def autoregression(sunspots: Sunspots, order: int = AUTOREGRESSION_ORDER) -> Array:
    """Forecast each year as a linear function of the years before it, for comparison."""
    numbers = np.pad(sunspots.numbers, (order - 1, 0), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(numbers, order)
    features = np.column_stack([windows, np.ones(len(windows))])
    fitted = slice(order - 1, int(np.sum(sunspots.years < HELD_OUT_FROM)) - 1)
    targets = sunspots.numbers[fitted.start + 1 : fitted.stop + 1]
    weights = np.linalg.lstsq(features[fitted], targets, rcond=None)[0]
    return np.asarray(features @ weights)


@contextmanager
def progress(total: int) -> Iterator[Report]:
    """Show a progress bar on stderr; each report names the next of `total` stages."""
    if find_spec("rich") is not None:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=total, completed=-1)
            yield lambda stage: bar.update(task, advance=1, description=stage)
    elif sys.stderr.isatty():
        yield plain_progress(total)
        print("\r\033[K", end="", file=sys.stderr)
    else:
        yield lambda stage: None


def plain_progress(total: int) -> Report:
    """Show a progress bar without rich."""
    done = 0

    def report(stage: str) -> None:
        nonlocal done
        filled = 30 * done // total
        done += 1
        print(f"\r\033[K[{'#' * filled:-<30}] {stage}", end="", file=sys.stderr, flush=True)

    return report


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with rich if it is installed."""
    if find_spec("rich") is not None:
        from rich.console import Console
        from rich.table import Table

        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def draw(result: Forecast, sunspots: Sunspots, path: Path) -> None:
    """Draw the forecast and the observed numbers into a PNG file; needs matplotlib."""
    from matplotlib.figure import Figure

    years, numbers = sunspots.years, sunspots.numbers
    low, high = np.quantile(result.members[:, :-1], (0.05, 0.95), axis=0)
    figure = Figure(figsize=(11, 5.4), dpi=160, layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(7, 2))
    upper.set_title("Sunspots forecast a year ahead", loc="left", fontsize=14, weight="bold")
    upper.fill_between(
        years[1:], low, high, color=WARM, alpha=0.3, linewidth=0, label="nine networks in ten"
    )
    upper.plot(years[1:], result.mean[:-1], color=WARM, linewidth=2, label="mean forecast")
    upper.plot(years, numbers, "o", color=DARK, markersize=3.5, label="observed")
    upper.set_ylim(-6, 1.15 * high.max())
    upper.set_ylabel("sunspot number (yearly mean)")
    upper.legend(ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    judged = f"held out, root mean square error {error(result.mean, sunspots):.1f}"
    for year, text in ((DRAWN_FROM, "fitted"), (HELD_OUT_FROM, judged)):
        upper.text(year, 1.08 * high.max(), text, color=DARK, alpha=0.7)
    lower.bar(years[1:], result.mean[:-1] - numbers[1:], width=0.7, color=DARK, alpha=0.6)
    lower.set_ylabel("forecast off by")
    lower.set_xlabel("year")
    lower.set_xlim(DRAWN_FROM - 0.5, years[-1] + 1)
    figure.align_ylabels()
    for axes in (upper, lower):
        axes.axvspan(HELD_OUT_FROM - 0.5, years[-1] + 1, color=SHADE, zorder=0)
        axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
        axes.tick_params(length=0)
        axes.grid(axis="y", color=DARK, alpha=0.1)
        axes.set_axisbelow(True)
    figure.savefig(path)


def print_results(results: Sequence[Forecast], sunspots: Sunspots) -> None:
    """Print the error of each backend's forecast, and of simpler forecasts."""
    versions = {status.name: status.version or "" for status in polyrnn.backends()}
    reference = results[0].mean
    shown = sunspots.years >= HELD_OUT_FROM - 1
    rows = [
        (
            result.backend,
            versions[result.backend],
            result.dtype,
            f"{error(result.mean, sunspots):.3f}",
            f"{np.abs(result.mean - reference)[shown].max():.1e}",
            f"{result.seconds:.3f}",
        )
        for result in results
    ]
    print(f"Sunspot numbers of {HELD_OUT_FROM} to {sunspots.years[-1]}, forecast a year ahead:")
    print_table(("backend", "version", "dtype", "error", "off numpy", "seconds"), rows)
    print(
        "error is the root mean square over these years, in sunspot numbers; off numpy is the\n"
        "largest difference to the forecast of the numpy backend; seconds are those of the\n"
        "recurrence, the second time it runs. For comparison, the error of simpler forecasts:\n"
        f"{error(sunspots.numbers, sunspots):.3f} as in the year before, "
        f"{error(autoregression(sunspots), sunspots):.3f} by linear autoregression over "
        f"{AUTOREGRESSION_ORDER} years."
    )


def print_missing() -> None:
    """Print why a backend could not run, and how to install it."""
    for status in polyrnn.backends():
        if status.state == "missing":
            print(f"{status.problem}; to add it: {status.install}")
        elif status.state != "installed":
            print(f"{status.name}: {status.problem}")


def run(names: Sequence[str], sunspots: Sunspots) -> list[Forecast]:
    """Forecast on each backend, with a progress bar; skip backends that fail to import."""
    networks = draw_networks()
    results = []
    with progress(3 * len(names)) as report:
        for name in names:
            with suppress(polyrnn.BackendBrokenError):  # print_missing says what is wrong
                results.append(forecast(name, sunspots, networks, report))
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line of the example."""
    parser = argparse.ArgumentParser(description="Forecast the yearly sunspot numbers.")
    parser.add_argument("--backend", metavar="NAME", help="run on this backend and on numpy only")
    parser.add_argument("--output", metavar="PATH", type=Path, default=Path("sunspots.png"))
    options = parser.parse_args(arguments)
    installed = [status.name for status in polyrnn.backends() if status.state == "installed"]
    names = installed if options.backend is None else [options.backend]
    sunspots = read_sunspots()
    try:
        # numpy always runs, because the others are compared with it.
        results = run(["numpy", *(name for name in names if name != "numpy")], sunspots)
    except (polyrnn.UnknownBackendError, polyrnn.BackendNotInstalledError) as problem:
        sys.exit(str(problem))
    print_results(results, sunspots)
    print_missing()
    if find_spec("matplotlib") is None:
        print('The picture needs matplotlib; to add it: pip install "polyrnn[examples]"')
    else:
        draw(results[0], sunspots, options.output)
        print(f"The picture of the forecast: {options.output}")


if __name__ == "__main__":
    main()

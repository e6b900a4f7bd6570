"""Measured results as plain data, and their conversion from and to JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from polyrnn_benchmark.measure import Duel, Spread
from polyrnn_benchmark.scenarios import HAND_WRITTEN, PYTHON_LOOP, VARIANTS, Cell, Sizes, mode_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The times of polyrnn and one rival.

    Args:
        rival: The name of the rival.
        pairs: How many pairs were timed; 0 if none could be.
        polyrnn: The seconds of a call of polyrnn.
        seconds: The seconds of a call of the rival.
        ratio: The time of polyrnn divided by that of the rival, pair by pair.
        remark: Why nothing was timed, or how the results differ; otherwise empty.
    """

    rival: str
    pairs: int = 0
    polyrnn: Spread | None = None
    seconds: Spread | None = None
    ratio: Spread | None = None
    remark: str = ""

    @classmethod
    def of(cls, rival: str, duel: Duel, remark: str = "") -> "Contest":
        """Return the contest of a duel whose first call is polyrnn and second the rival."""
        return cls(
            rival=rival,
            pairs=len(duel.first),
            polyrnn=Spread.of(duel.first),
            seconds=Spread.of(duel.second),
            ratio=duel.ratio(),
            remark=remark,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one cell.

    Args:
        cell: What was measured.
        contests: The contests with each rival, the hand-written loop first.
        failure: Why polyrnn was not measured, or why its results are wrong; otherwise empty.
    """

    cell: Cell
    contests: tuple[Contest, ...] = ()
    failure: str = ""

    @property
    def by_hand(self) -> Contest | None:
        """The contest against the hand-written loop, or `None` if there was none."""
        by_hand = (c for c in self.contests if c.rival in (HAND_WRITTEN, PYTHON_LOOP))
        return next(by_hand, None)

    def misses(self) -> list[str]:
        """Return one sentence for each bound that is exceeded."""
        if self.failure:
            return [f"{self.cell}: {self.failure}"]
        return [
            f"{self.cell}: {contest.ratio.median:.3f} times {contest.rival}, bound {bound:.2f}"
            for contest in self.contests
            if contest.ratio is not None
            and (bound := self.cell.bound(contest.rival)) is not None
            and contest.ratio.median > bound
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of testing one claim.

    Args:
        claim: The name of the claim.
        backend: The backend that was tested.
        mode: The label of the mode.
        figure: The measured figure.
        bound: The largest figure for which the claim holds.
        unit: The unit of both.
        detail: The figures that `figure` is computed from, in words.
        failure: Why nothing was measured; otherwise empty.
    """

    claim: str
    backend: str
    mode: str
    figure: float
    bound: float
    unit: str
    detail: str = ""
    failure: str = ""

    def misses(self) -> list[str]:
        """Return a sentence if the claim does not hold."""
        named = f"{self.claim} ({self.mode})"
        if self.failure:
            return [f"{named}: {self.failure}"]
        # Negated, so that NaN counts as a miss.
        if not self.figure <= self.bound:
            return [f"{named}: {self.figure:.3g} {self.unit}, bound {self.bound:.3g}"]
        return []


def cell_to_json(cell: Cell) -> dict[str, Any]:
    """Convert a cell to JSON."""
    return {
        "backend": cell.mode.backend,
        "mode": cell.mode.name,
        "variant": cell.variant.name,
        "sizes": asdict(cell.sizes),
    }


def cell_from_json(data: Mapping[str, Any]) -> Cell:
    """Convert JSON to a cell."""
    return Cell(
        mode_of(data["backend"], data["mode"]), VARIANTS[data["variant"]], Sizes(**data["sizes"])
    )


def result_to_json(result: Result) -> dict[str, Any]:
    """Convert a result to JSON, with the bound of each contest."""
    contests = [
        asdict(contest) | {"bound": result.cell.bound(contest.rival)} for contest in result.contests
    ]
    return cell_to_json(result.cell) | {"contests": contests, "failure": result.failure}


def result_from_json(data: Mapping[str, Any]) -> Result:
    """Convert JSON to a result."""
    return Result(
        cell_from_json(data), tuple(map(_contest_from_json, data["contests"])), data["failure"]
    )


def _contest_from_json(data: Mapping[str, Any]) -> Contest:
    spreads = {
        name: Spread(**data[name]) if data[name] is not None else None
        for name in ("polyrnn", "seconds", "ratio")
    }
    return Contest(rival=data["rival"], pairs=data["pairs"], remark=data["remark"], **spreads)

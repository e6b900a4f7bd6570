"""What was measured, as plain data that goes through a pipe and into a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from polyrnn_benchmark.measure import Duel, Spread
from polyrnn_benchmark.scenarios import HAND_WRITTEN, PYTHON_LOOP, VARIANTS, Cell, Sizes, mode_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """polyrnn against one rival.

    Args:
        rival: The name of the rival.
        pairs: How many pairs were timed; 0 where none could be.
        polyrnn: The seconds of a call through polyrnn.
        seconds: The seconds of a call of the rival.
        ratio: The first by the second, pair by pair.
        remark: Why nothing was timed, or in what the results differ; empty where nothing is odd.
    """

    rival: str
    pairs: int = 0
    polyrnn: Spread | None = None
    seconds: Spread | None = None
    ratio: Spread | None = None
    remark: str = ""

    @classmethod
    def of(cls, rival: str, duel: Duel, remark: str = "") -> "Contest":
        """Summarize the timings of polyrnn, first, and a rival, second."""
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
    """What became of one cell.

    Args:
        cell: What was measured.
        contests: polyrnn against each rival, the hand-written loop first.
        failure: Why polyrnn was not measured, or why it must not be believed; else empty.
    """

    cell: Cell
    contests: tuple[Contest, ...] = ()
    failure: str = ""

    @property
    def by_hand(self) -> Contest | None:
        """The contest against the loop by hand, where it was held."""
        by_hand = (c for c in self.contests if c.rival in (HAND_WRITTEN, PYTHON_LOOP))
        return next(by_hand, None)

    def misses(self) -> list[str]:
        """Say which bounds are missed, in a sentence each."""
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
    """What became of one claim.

    Args:
        claim: The name of the claim.
        backend: The backend it was put to.
        mode: The label of the mode.
        figure: What was measured.
        bound: The largest figure that upholds the claim.
        unit: The unit of both.
        detail: The figures behind the figure, in words.
        failure: Why nothing was measured; else empty.
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
        """Say whether the claim is missed, in a sentence."""
        named = f"{self.claim} ({self.mode})"
        if self.failure:
            return [f"{named}: {self.failure}"]
        # Written so that a figure that is no number misses.
        if not self.figure <= self.bound:
            return [f"{named}: {self.figure:.3g} {self.unit}, bound {self.bound:.3g}"]
        return []


def cell_to_json(cell: Cell) -> dict[str, Any]:
    """Turn a cell into JSON."""
    return {
        "backend": cell.mode.backend,
        "mode": cell.mode.name,
        "variant": cell.variant.name,
        "sizes": asdict(cell.sizes),
    }


def cell_from_json(data: Mapping[str, Any]) -> Cell:
    """Turn JSON into a cell."""
    return Cell(
        mode_of(data["backend"], data["mode"]), VARIANTS[data["variant"]], Sizes(**data["sizes"])
    )


def result_to_json(result: Result) -> dict[str, Any]:
    """Turn a result into JSON; each contest says its bound too."""
    contests = [
        asdict(contest) | {"bound": result.cell.bound(contest.rival)} for contest in result.contests
    ]
    return cell_to_json(result.cell) | {"contests": contests, "failure": result.failure}


def result_from_json(data: Mapping[str, Any]) -> Result:
    """Turn JSON into a result."""
    return Result(
        cell_from_json(data), tuple(map(_contest_from_json, data["contests"])), data["failure"]
    )


def _contest_from_json(data: Mapping[str, Any]) -> Contest:
    spreads = {
        name: Spread(**data[name]) if data[name] is not None else None
        for name in ("polyrnn", "seconds", "ratio")
    }
    return Contest(rival=data["rival"], pairs=data["pairs"], remark=data["remark"], **spreads)

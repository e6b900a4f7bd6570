"""Test the content of tables, JSON and charts, and which bounds count as missed."""

import json
import re
import struct

import pytest
from rich.console import Console, RenderableType

from polyrnn_benchmark import chart, report, tables
from polyrnn_benchmark.measure import Duel, Spread
from polyrnn_benchmark.results import (
    Contest,
    Finding,
    Result,
    result_from_json,
    result_to_json,
)
from polyrnn_benchmark.scenarios import (
    BACKENDS,
    HAND_WRITTEN,
    KERAS,
    MASKED,
    PLAIN,
    PYTHON_LOOP,
    SHORT,
    TF_KERAS,
    Axis,
    Cell,
    Sizes,
    Variant,
    cells,
    mode_of,
    plugged_in,
)


def contest(ratio: float, rival: str = HAND_WRITTEN, remark: str = "") -> Contest:
    return Contest.of(rival, Duel((0.002 * ratio,) * 3, (0.002,) * 3), remark)


def result(
    *contests: Contest, variant: Variant = PLAIN, time: int = 100, failure: str = ""
) -> Result:
    return Result(
        Cell(mode_of("numpy", "eager"), variant, variant.fit(Sizes(time=time))),
        tuple(contests),
        failure,
    )


def finding(figure: float, failure: str = "") -> Finding:
    return Finding(
        claim="costs little",
        backend="numpy",
        mode="numpy",
        figure=figure,
        bound=30.0,
        unit="microseconds",
        detail="at [T=1]",
        failure=failure,
    )


CONSOLE = Console(width=120, color_system=None)


def printed(renderable: RenderableType, console: Console = CONSOLE) -> str:
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


class TestMisses:
    def test_a_ratio_at_its_bound_is_met(self) -> None:
        spread = Spread(1.05, 1.0, 2.0)
        exact = Contest(rival=HAND_WRITTEN, pairs=3, polyrnn=spread, seconds=spread, ratio=spread)
        assert result(exact).misses() == []

    def test_a_ratio_above_its_bound_is_missed_and_said(self) -> None:
        assert result(contest(1.06)).misses() == [
            "numpy, plain, T=100 B=32: 1.060 times hand-written, bound 1.05"
        ]

    def test_each_variant_has_its_own_bound(self) -> None:
        assert len(result(contest(1.03), variant=MASKED).misses()) == 1
        assert result(contest(1.03), variant=PLAIN).misses() == []
        assert len(result(contest(1.16), variant=SHORT).misses()) == 1
        assert result(contest(1.14), variant=SHORT).misses() == []

    def test_a_peer_that_is_faster_is_a_miss(self) -> None:
        assert len(result(contest(0.9), contest(1.01, KERAS)).misses()) == 1

    def test_a_peer_that_fails_is_not_a_miss(self) -> None:
        assert result(contest(0.9), Contest(rival=KERAS, remark="fails")).misses() == []

    def test_a_failure_is_a_miss_whatever_was_timed(self) -> None:
        assert result(failure="it broke").misses() == ["numpy, plain, T=100 B=32: it broke"]

    @pytest.mark.parametrize(("figure", "count"), [(30.0, 0), (30.1, 1), (float("nan"), 1)])
    def test_claims(self, figure: float, count: int) -> None:
        assert len(finding(figure).misses()) == count

    def test_a_claim_that_could_not_be_tested_is_missed(self) -> None:
        assert finding(1.0, "no kernel").misses() == ["costs little (numpy): no kernel"]


class TestTable:
    def test_a_row_has_seconds_ratio_quartiles_and_bound(self) -> None:
        text = printed(tables.fitting(CONSOLE, [result(contest(1.5), contest(0.25, KERAS))]))
        row = next(line.split() for line in text.splitlines() if line.startswith(" numpy"))
        assert row == [
            *("numpy", "plain", "100", "32", "3.0", "ms", "2.0", "ms"),
            *("1.500", "(1.500-1.500)", "1.05", "0.250"),
        ]

    def test_a_mode_is_named_once(self) -> None:
        text = printed(
            tables.fitting(CONSOLE, [result(contest(1)), result(contest(1), variant=MASKED)])
        )
        assert text.count("numpy") == 1

    def test_peers_have_a_column_only_where_there_are_any(self) -> None:
        assert KERAS not in printed(tables.fitting(CONSOLE, [result(contest(1.0))]))

    def test_what_was_not_measured_is_a_dash(self) -> None:
        text = printed(
            tables.fitting(CONSOLE, [result(contest(1.0), Contest(rival=KERAS, remark="fails"))])
        )
        row = next(line.split() for line in text.splitlines() if line.startswith(" numpy"))
        assert row[-1] == "-"

    @pytest.mark.parametrize(
        ("variants", "said"),
        [
            ([PLAIN, MASKED], "32 features, 64 units, float32."),
            ([SHORT], "32 features, 32 units, float32."),
            ([PLAIN, MASKED, SHORT], "32 features, 64 units (short: 32), float32."),
            ([SHORT, PLAIN], "32 features, 32 units (plain: 64), float32."),
        ],
    )
    def test_the_caption_says_the_sizes_of_every_row(
        self, variants: list[Variant], said: str
    ) -> None:
        made = tables.fitting(CONSOLE, [result(contest(1.0), variant=v) for v in variants])
        assert " ".join(printed(made).split()).endswith(said)

    @pytest.mark.parametrize("rivals", [[], [KERAS, TF_KERAS]], ids=["alone", "with peers"])
    @pytest.mark.parametrize("width", [55, 60, 80, 100, 120])
    def test_mode_and_variant_stay_whole_however_narrow_the_terminal(
        self, width: int, rivals: list[str]
    ) -> None:
        listed = [
            Result(cell, tuple(contest(61.5, rival) for rival in (HAND_WRITTEN, *rivals)))
            for cell in cells(BACKENDS, others=[plugged_in("array-api-strict", "eager")])
        ]
        console = Console(width=width, color_system=None)
        lines = printed(tables.fitting(console, listed), console).splitlines()
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert "…" not in text
        for name in {entry.cell.mode.label for entry in listed} | {"masked gradient"}:
            assert name in text
        rows = [line for line in lines if re.search(r"(plain|masked|gradient|short) ", line)]
        assert len(rows) == len(listed)
        assert all(row.count("61.500") > len(rivals) for row in rows)

    def test_the_caption_names_hidden_columns(self) -> None:
        for width, said in ((120, False), (60, True)):
            console = Console(width=width, color_system=None)
            text = printed(tables.fitting(console, [result(contest(1.0))]), console)
            assert ("A wider terminal shows" in " ".join(text.split())) == said

    def test_the_caption_says_who_is_measured_against_python_loop(self) -> None:
        plugged = Result(
            Cell(plugged_in("tiny", "eager"), PLAIN, Sizes()), (contest(1, PYTHON_LOOP),)
        )
        text = " ".join(printed(tables.fitting(CONSOLE, [result(contest(1.0)), plugged])).split())
        assert "By hand is polyrnn.python_loop of the bare step for tiny." in text

    def test_remarks_name_the_cell_and_the_rival(self) -> None:
        odd = [
            result(contest(1.0), contest(1.0, KERAS, remark="result 1 is off by 3")),
            result(failure="it broke"),
        ]
        assert report.remarks(odd) == [
            "numpy, plain, T=100 B=32: Keras 3 result 1 is off by 3",
            "numpy, plain, T=100 B=32: it broke",
        ]

    def test_claims_show_figure_bound_and_what_is_behind(self) -> None:
        for width in (40, 60, 80, 120):
            console = Console(width=width, color_system=None)
            with console.capture() as captured:
                tables.print_findings(console, [finding(25.04)])
            text = captured.get()
            assert "costs little" in text
            assert "25 microseconds" in text
            assert "at [T=1]" in text
            assert "…" not in text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(12.34, "12.3 s"), (0.01234, "12.3 ms"), (0.00001234, "12.3 µs")],
    )
    def test_durations_have_the_unit_that_fits(self, seconds: float, text: str) -> None:
        assert tables.duration(Spread(seconds, seconds, seconds)) == text


class TestJson:
    @pytest.mark.parametrize("variant", [MASKED, SHORT])
    def test_a_result_survives_a_round_trip(self, variant: Variant) -> None:
        whole = result(
            contest(1.5),
            contest(0.5, KERAS, remark="odd"),
            Contest(rival="tf_keras", remark="fails"),
            variant=variant,
            time=7,
        )
        assert result_from_json(json.loads(json.dumps(result_to_json(whole)))) == whole

    def test_the_document_holds_every_figure_and_bound(self) -> None:
        whole = report.document([result(contest(1.5))], [finding(25.0)], {"pairs": 3})
        assert whole == json.loads(json.dumps(whole))
        (cell,) = whole["cells"]
        assert cell["backend"] == "numpy"
        assert cell["sizes"]["time"] == 100
        assert cell["contests"][0]["bound"] == 1.05
        assert cell["contests"][0]["ratio"] == {"median": 1.5, "lower": 1.5, "upper": 1.5}
        assert cell["contests"][0]["seconds"]["median"] == 0.002
        assert whole["claims"][0]["figure"] == 25.0
        assert whole["claims"][0]["upheld"] is True
        assert whole["options"] == {"pairs": 3}
        assert whole["frameworks"]["numpy"]

    def test_a_claim_that_was_not_tested_has_no_figure(self) -> None:
        whole = report.document([], [finding(float("nan"), "no kernel")], {})
        assert "NaN" not in json.dumps(whole)
        assert whole["claims"][0]["figure"] is None
        assert whole["claims"][0]["upheld"] is False


def size_of(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


class TestChart:
    def test_ratios_get_a_row_each(self) -> None:
        one = chart.draw([result(contest(1.2))])
        many = chart.draw([result(contest(1.2), contest(0.5, KERAS))] * 9)
        assert size_of(many)[1] > size_of(one)[1] + 8 * 35

    def test_a_sweep_gets_a_panel_for_each_variant(self) -> None:
        plain = [result(contest(1.1), contest(0.5, KERAS), time=time) for time in (10, 100)]
        masked = [result(contest(1.1), variant=MASKED, time=time) for time in (10, 100)]
        one = chart.draw(plain, "time")
        two = chart.draw(plain + masked, "time")
        assert size_of(two)[0] > 1.7 * size_of(one)[0]

    @pytest.mark.parametrize("sweep", [None, "time"])
    def test_every_rival_has_a_colour(self, sweep: Axis | None) -> None:
        rivals = (HAND_WRITTEN, PYTHON_LOOP, KERAS, TF_KERAS)
        assert chart.draw([result(*(contest(1.0, rival) for rival in rivals))], sweep)

    def test_nothing_measured_is_an_empty_chart(self) -> None:
        assert size_of(chart.draw([result(failure="it broke")]))[0] > 0

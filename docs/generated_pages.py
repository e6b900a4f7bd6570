"""A Sphinx extension that generates pages from the conformance table and from measurements."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from polyrnn_benchmark.results import Contest, result_from_json
from polyrnn_benchmark.scenarios import HAND_WRITTEN, KERAS, TF_KERAS
from polyrnn_benchmark.tables import duration
from polyrnn_conformance.cases import TABLE
from polyrnn_conformance.rows import ErrorCase, Row
from polyrnn_conformance.rules import RULES

SEMANTICS = """\
# What a call means

Every rule has cases in the conformance suite, and every backend passes all of them, eagerly
and compiled. This page is generated from the table of these cases.

With `x[t]` for the inputs of one time step, a call means:

```text
states, held = initial_states, zeros
for t in order:                   # 0 to T-1, or T-1 to 0 with go_backwards
    output, new = step_function(x[t], states + constants)
    if masking:
        output = where(mask[t], output, zeros if zero_output_for_mask else held)
        new = where(mask[t], new, states)
        held = output
    states = new
    outputs.append(output)
last_output = output
```
"""

DEPARTURES = """\
# Differences from other implementations

`polyrnn.rnn` has the interface of `tf.keras.backend.rnn`. Keras 3 has the function too, with one
implementation for each of its backends. They differ from the documented meaning, and from each
other, in the ways below. Cases of the conformance suite ensure that polyrnn does not. The tests
also call tf_keras, to check that it still differs as described.

| Other implementations | polyrnn | Cases |
| --- | --- | --- |
"""

RATIOS = """\
| Mode | Variant | polyrnn | By hand | Ratio (quartiles) | Bound | Keras 3 | tf_keras |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""

CLAIMS = """\
| Claim | Mode | Figure | Bound | Details |
| --- | --- | ---: | ---: | --- |
"""


def write_pages(app: Any) -> None:
    """Write the generated pages into the source folder, if they have changed."""
    folder = Path(app.srcdir) / "explanation"
    _write(folder / "semantics.md", SEMANTICS + "\n".join(_semantics()))
    _write(folder / "departures.md", DEPARTURES + "\n".join(_departures()) + "\n")
    measured = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("ratios", "claims")
    }
    _write(folder / "ratios.md", RATIOS + "\n".join(_ratios(measured["ratios"])) + "\n")
    _write(folder / "claims.md", CLAIMS + "\n".join(_claims(measured["claims"])) + "\n")


def _write(path: Path, text: str) -> None:
    # Sphinx rebuilds a page if its file is newer.
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _semantics() -> Iterator[str]:
    for topic, rules in groupby(RULES.items(), key=lambda item: item[1].topic):
        yield f"\n## {topic}\n"
        for number, rule in rules:
            yield f"### {number}. {rule.name[0].upper()}{rule.name[1:]}\n"
            yield f"{rule.meaning}\n"
            rows = [row for row in TABLE if row.rules[0] == number]
            yield from _rows(f"{len(rows)} cases", rows)


def _rows(summary: str, rows: Iterable[Row]) -> Iterator[str]:
    yield f":::{{dropdown}} {summary}"
    for row in rows:
        yield f"`{row.name}`\n: {row.title}"
        if isinstance(row, ErrorCase):
            yield f"\n  ```text\n  {row.error.__name__}: {row.text}\n  ```"
        yield ""
    yield ":::\n"


def _departures() -> Iterator[str]:
    drifting = sorted((row for row in TABLE if row.drift), key=lambda row: row.drift)
    for drift, rows in groupby(drifting, key=lambda row: row.drift):
        listed = list(rows)
        held = " ".join(dict.fromkeys(row.title for row in listed))
        names = ", ".join(f"`{row.name}`" for row in listed)
        yield f"| {drift} | {held} | {names} |"


def _ratios(document: dict[str, Any]) -> Iterator[str]:
    for cell in document["cells"]:
        result = result_from_json(cell)
        contests = {contest.rival: contest for contest in result.contests}
        by_hand = contests[HAND_WRITTEN]
        bound = result.cell.bound(HAND_WRITTEN)
        spread = by_hand.ratio
        columns = [
            result.cell.mode.label,
            result.cell.variant.name.replace("-", " "),
            duration(by_hand.polyrnn),
            duration(by_hand.seconds),
            f"{_ratio(by_hand, bound)} ({spread.lower:.3f}-{spread.upper:.3f})" if spread else "-",
            "" if bound is None else f"{bound:.2f}",
            *(_ratio(contests.get(peer), result.cell.bound(peer)) for peer in (KERAS, TF_KERAS)),
        ]
        yield f"| {' | '.join(columns)} |"


def _ratio(contest: Contest | None, bound: float | None) -> str:
    if contest is None or contest.ratio is None:
        return "-"
    figure = f"{contest.ratio.median:.3f}"
    if bound is not None and contest.ratio.median > bound:
        figure = f"**{figure}**"
    return f"{figure}\\*" if contest.remark else figure


def _claims(document: dict[str, Any]) -> Iterator[str]:
    for claim in document["claims"]:
        figure = f"{claim['figure']:.3g} {claim['unit']}"
        columns = [
            claim["claim"],
            claim["mode"],
            figure if claim["upheld"] else f"**{figure}**",
            f"{claim['bound']:.3g}",
            claim["detail"],
        ]
        yield f"| {' | '.join(columns)} |"


def setup(app: Any) -> dict[str, bool]:
    """Register `write_pages` to run before Sphinx collects its sources."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}

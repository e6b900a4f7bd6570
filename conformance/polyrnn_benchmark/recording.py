"""Collect results, and write them to files as they are measured."""

import json
from pathlib import Path
from typing import Any

import click

from polyrnn_benchmark import report
from polyrnn_benchmark.output import Output
from polyrnn_benchmark.results import Finding, Result
from polyrnn_benchmark.scenarios import Axis

STANDARD_OUTPUT = "-"


class Record:
    """Collects results, and writes them to the output files as they arrive.

    Args:
        json_path: The JSON file, ``-`` for standard output, or `None`.
        png_path: The file of the chart, or `None`.
        options: The options of the command, which the JSON file records.
        sweep: The size that varies, if any.

    Attributes:
        results: The results of cells.
        findings: The findings about claims.
        problems: Other failures, in one sentence each.
        interrupted: Whether the user interrupted the command.
    """

    def __init__(
        self,
        json_path: str | None,
        png_path: Path | None,
        options: dict[str, Any],
        sweep: Axis | None,
    ) -> None:
        self.results: list[Result] = []
        self.findings: list[Finding] = []
        self.problems: list[str] = []
        self.interrupted = False
        self.to_stdout = json_path == STANDARD_OUTPUT
        is_file = json_path is not None and not self.to_stdout
        self._json = Output(Path(str(json_path))) if is_file else None
        self._png = Output(png_path) if png_path is not None else None
        self._options = options
        self._sweep = sweep

    def check(self) -> None:
        """Check that the files can be written, before anything is measured.

        Raises:
            click.ClickException: If a file cannot be written, or matplotlib is not installed.
        """
        for option, output in (("--json", self._json), ("--png", self._png)):
            problem = output.problem() if output is not None else ""
            if problem:
                raise click.BadParameter(f"{problem}.", param_hint=repr(option))
        if self._png is None:
            return
        if self._json is not None and self._json.path == self._png.path:
            raise click.UsageError(f"--json and --png both name {self._png.path}.")
        _check_drawing()

    def add(self, entry: Result | Finding) -> None:
        """Add one result, and write the JSON file with all results so far."""
        if isinstance(entry, Result):
            self.results.append(entry)
        else:
            self.findings.append(entry)
        if self._json is not None and self._json.is_replaced:
            # An error here is ignored: `finish` tries again, and reports it.
            self._write(self._json, self._document(complete=False), is_last=False)

    def finish(self) -> None:
        """Write the complete output files."""
        complete = not self.problems
        if self.to_stdout:
            click.echo(self._document(complete=complete).decode(), nl=False)
        if self._json is not None:
            self._write(self._json, self._document(complete=complete))
        if self._png is not None:
            from polyrnn_benchmark import chart

            self._write(self._png, chart.draw(self.results, self._sweep))

    def _write(self, output: Output, data: bytes, *, is_last: bool = True) -> None:
        try:
            output.write(data)
        except OSError as error:
            if is_last:
                self.problems.append(f"{output.path} could not be written: {error.strerror}")

    def _document(self, *, complete: bool) -> bytes:
        document = report.document(self.results, self.findings, self._options, complete=complete)
        return (json.dumps(document, indent=2) + "\n").encode()


def _check_drawing() -> None:
    try:
        from polyrnn_benchmark import chart  # noqa: F401
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"--png needs {error.name}, which is not installed; to get it: pip install matplotlib"
        ) from error

"""Prints tables and lists that fit a terminal of any width and are easy to parse in a pipe."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

UNLIMITED = 100_000
"""The width used where the output is not a terminal, so that no line is wrapped."""


def console(file: IO[str] | None = None) -> Console:
    """Return a console for a stream, by default the current standard output.

    Brackets and colons in texts are printed literally rather than read as markup. With
    ``NO_COLOR`` or without a terminal the output has no colors, and without a terminal no line is
    wrapped.
    """
    file = file if file is not None else sys.stdout
    made = Console(
        file=file,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )
    if not made.is_terminal:
        made.width = UNLIMITED
    return made


def print_table(
    to: Console, header: Sequence[str], rows: Iterable[Sequence[str | Text]], numbers: int = 0
) -> None:
    """Print a table, or one record per row where the terminal is too narrow for the table.

    Args:
        to: The console.
        header: The names of the columns.
        rows: The cells of each row, one per column.
        numbers: The number of columns at the end that are aligned to the right.
    """
    texts = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for position, name in enumerate(header):
        is_number = position >= len(header) - numbers
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for row in texts:
        table.add_row(*row)
    needed = to.measure(table, options=to.options.update(max_width=UNLIMITED)).maximum
    if needed <= to.width:
        to.print(table)
    else:
        _print_records(to, header, texts)


def _print_records(to: Console, header: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    for position, row in enumerate(rows):
        if position:
            to.print()
        to.print(row[0].plain.strip(), style="bold", overflow="fold")
        for name, cell in zip(header[1:], row[1:], strict=True):
            if cell:
                _print_indented(to, Text.assemble(f"{name}: ", cell))


def print_items(to: Console, items: Iterable[str]) -> None:
    """Print each item on a line of its own, indented."""
    for item in items:
        _print_indented(to, Text(item))


def _print_indented(to: Console, text: Text) -> None:
    text.overflow = "fold"
    to.print(Padding(text, (0, 0, 0, 2), expand=False))


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))

"""What a command prints: readable in a terminal of any width, and by programs in a pipe."""

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
"""The width of what is no terminal: lines there are cut by whoever reads them."""


def console(file: IO[str] | None = None) -> Console:
    """Make a console for a stream, by default for what standard output is at the moment.

    Text is printed as it is, brackets and colons included. With ``NO_COLOR`` or
    without a terminal nothing but text is printed, and in a pipe no line is broken.
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
    """Print rows in columns, or one below the other where the terminal is too narrow.

    Args:
        to: The console.
        header: The names of the columns.
        rows: The cells, as many in each row as there are names.
        numbers: How many columns, counted from the last, hold numbers.
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
    """Print sentences or commands below each other, indented."""
    for item in items:
        _print_indented(to, Text(item))


def _print_indented(to: Console, text: Text) -> None:
    text.overflow = "fold"
    to.print(Padding(text, (0, 0, 0, 2), expand=False))


def print_json(value: Any) -> None:
    """Print a value as JSON, and nothing besides."""
    click.echo(json.dumps(value, indent=2))

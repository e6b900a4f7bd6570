"""The command ``polyrnn backends``, which lists the backends and how to install missing ones."""

import platform
import sys
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from polyrnn import __version__, registry, selection
from polyrnn.cli.terminal import console, print_items, print_json, print_table
from polyrnn.errors import (
    BackendBrokenError,
    BackendNotInstalledError,
    UnknownBackendError,
    summary,
)
from polyrnn.statuses import BackendStatus, statuses

STYLES = {"installed": "green", "missing": "dim", "broken": "red", "shadowed": "yellow"}


@click.command()
@click.option("--devices", is_flag=True, help="Import each framework and list its devices.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backends(devices: bool, as_json: bool) -> None:
    """List the backends, and how to install those that are missing.

    The list also shows which backend is chosen at the moment, and why. No framework is imported
    unless --devices is given.
    """
    known = registry.installed()
    found = _import_all(known) if devices else {}
    rows = [_describe(known, status, found) for status in statuses(known)]
    chosen = _chosen(known, rows)
    if as_json:
        versions = {"polyrnn": __version__, "python": platform.python_version()}
        print_json({**versions, "chosen": chosen, "backends": rows})
    else:
        _print(rows, chosen, devices)


def _import_all(known: registry.Registry) -> dict[str, list[str] | BaseException]:
    """Import what is installed; give its devices, or why there are none to give, by backend."""
    found: dict[str, list[str] | BaseException] = {}
    with console(sys.stderr).status("", spinner="line") as progress:
        for name in known.names():
            progress.update(f"importing {name}")
            try:
                found[name] = [str(device) for device in known.load(name).devices()]
            except (BackendBrokenError, BackendNotInstalledError):
                continue  # the status of the backend says so afterwards
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                found[name] = error
    return found


def _describe(
    known: registry.Registry, status: BackendStatus, found: dict[str, list[str] | BaseException]
) -> dict[str, Any]:
    row = asdict(status)
    devices = found.get(status.name)
    if devices is None or status.state != "installed":
        return row
    if isinstance(devices, BaseException):
        problem = f"listing its devices fails with {summary(devices)}"
        return {**row, "state": "broken", "problem": problem}
    row["devices"] = devices
    if status.version is None:
        root = known.info(status.name).modules[0].partition(".")[0]
        version = getattr(sys.modules.get(root), "__version__", None)
        row["version"] = version if isinstance(version, str) else None
    return row


def _chosen(known: registry.Registry, rows: list[dict[str, Any]]) -> dict[str, str]:
    name, reason = selection.standing_choice()
    return {"name": name, "reason": reason, "problem": _problem(known, rows, name)}


def _problem(known: registry.Registry, rows: list[dict[str, Any]], name: str) -> str:
    for row in rows:  # the first row of a name is the backend itself, a later one is shadowed
        if row["name"] == name:
            # One whose tensors choose another works where it is chosen by name.
            return "" if row["state"] == "installed" else str(row["problem"])
    try:
        known.info(name)
    except UnknownBackendError as error:
        return str(error)
    return ""


def _print(rows: list[dict[str, Any]], chosen: dict[str, str], devices: bool) -> None:
    to = console()
    header = ["backend", "state", "version", "provided by"] + ["devices"] * devices
    print_table(to, header, [_cells(row, devices) for row in rows])
    to.print(f"\nChosen now: {chosen['name']}, by {chosen['reason']}.")
    if chosen["reason"] == selection.DEFAULT:
        to.print("A call with tensors of another framework runs on the backend of that framework.")
    if chosen["problem"]:
        to.print(f"That does not work: {chosen['problem']}", style="red")
    missing = [row for row in rows if row["state"] == "missing"]
    if missing:
        to.print("\nTo install what is missing:")
        print_items(to, [row["install"] for row in missing])
    problems = [row for row in rows if row["problem"] and row["state"] != "missing"]
    if problems:
        to.print("\nBroken or shadowed (other backends are unaffected):")
        print_items(
            to, [f"{row['name']} ({row['distribution']}): {row['problem']}" for row in problems]
        )


def _cells(row: dict[str, Any], devices: bool) -> list[str | Text]:
    cells: list[str | Text] = [
        row["name"],
        Text(row["state"], style=_style(row)),
        row["version"] or "",
        row["distribution"],
    ]
    return [*cells, ", ".join(row.get("devices", []))] if devices else cells


def _style(row: dict[str, Any]) -> str:
    return STYLES["shadowed" if row["state"] == "installed" and row["problem"] else row["state"]]

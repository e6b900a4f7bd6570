"""Select the backends and modes to measure, with an error for each that cannot be measured."""

import difflib
from collections.abc import Sequence

import click

from polyrnn import registry
from polyrnn.errors import BackendBrokenError, UnknownBackendError
from polyrnn.statuses import statuses
from polyrnn_benchmark import scenarios
from polyrnn_benchmark.scenarios import Mode


def installed(asked: Sequence[str] = ()) -> list[str]:
    """Return the names of the backends to measure, those that come with polyrnn first.

    Args:
        asked: The names that the user gave; if empty, all installed backends are measured.

    Raises:
        click.ClickException: If a requested backend cannot be measured.
    """
    known = registry.installed()
    for name in asked:
        _check_name(known, name)
    found_by_name = {s.name: s for s in statuses(known) if s.state != "shadowed"}
    for name in asked:
        status = found_by_name[name]
        if status.state != "installed":
            raise click.ClickException(
                f"the backend {name!r} cannot be measured: {status.problem}. "
                f"To get it: {status.install}"
            )
    found = {name for name in asked or found_by_name if found_by_name[name].state == "installed"}
    own = [name for name in scenarios.BACKENDS if name in found]
    return [*own, *sorted(found.difference(own))]


def _check_name(known: registry.Registry, name: str) -> None:
    try:
        known.info(name)
    except UnknownBackendError as error:
        raise click.BadParameter(str(error), param_hint="'--backend'") from error
    except BackendBrokenError as error:
        raise click.ClickException(str(error)) from error


def check_modes(asked: Sequence[str], others: Sequence[Mode]) -> None:
    """Check that at least one backend has each requested mode.

    Args:
        asked: The names of modes that the user gave.
        others: The modes of third-party backends.

    Raises:
        click.BadParameter: If no backend has a requested mode.
    """
    names = sorted({mode.name for mode in (*scenarios.MODES, *others)})
    for name in asked:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            suggestion = f"; did you mean {close[0]!r}?" if close else "."
            raise click.BadParameter(
                f"no mode is named {name!r}{suggestion} There are: {', '.join(names)}.",
                param_hint="'--mode'",
            )

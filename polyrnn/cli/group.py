"""The command ``polyrnn``, whose subcommands are imported when they are asked for."""

from pkgutil import resolve_name

import click

from polyrnn import __version__

COMMANDS = {
    "backends": "polyrnn.cli.backends:backends",
    "conformance": "polyrnn.cli.conformance:conformance",
    "bench": "polyrnn_benchmark.command:bench",
}
"""The subcommands, and where each is."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is run, so that none waits for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        reference = COMMANDS.get(cmd_name)
        if reference is None:
            return None
        command: click.Command = resolve_name(reference)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def group() -> None:
    """One recurrent loop for many frameworks: list them, test them, time them."""

"""The command ``polyrnn``, which imports its subcommands lazily."""

from pkgutil import resolve_name

import click

from polyrnn import __version__

COMMANDS = {
    "backends": "polyrnn.cli.backends:backends",
    "conformance": "polyrnn.cli.conformance:conformance",
    "bench": "polyrnn_benchmark.command:bench",
}
"""The subcommands, as references of the form ``package.module:name``."""


class LazyGroup(click.Group):
    """A group that imports only the subcommand that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand; `None` if there is none of that name."""
        reference = COMMANDS.get(cmd_name)
        if reference is None:
            return None
        command: click.Command = resolve_name(reference)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def group() -> None:
    """List, test and benchmark the backends of polyrnn."""

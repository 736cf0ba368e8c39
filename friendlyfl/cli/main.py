"""`friendlyfl`: the group of all commands, and the one place where an expected failure becomes a sentence.

A command's own work lives in its module, read only when it is asked for, so that `friendlyfl --help` is quick.
"""

import importlib
import sys

import click

from friendlyfl.core.errors import FriendlyError

COMMANDS = {
    "router": ("friendlyfl.cli.router", "router", "Run a Routing Server, which forwards sealed post."),
    "controller": (
        "friendlyfl.cli.controller",
        "controller",
        "Make a site on this machine and run its Controller.",
    ),
    "site": ("friendlyfl.cli.site", "site", "This hospital: its connection, its rules, its people."),
    "dataset": ("friendlyfl.cli.dataset", "dataset", "Tables that stay in this hospital."),
    "project": (
        "friendlyfl.cli.project",
        "project",
        "Start a question, invite hospitals, join, compare keys.",
    ),
    "plan": ("friendlyfl.cli.plan", "plan", "Draft, propose, read and approve the plan of a project."),
    "run": ("friendlyfl.cli.run", "run", "Start, watch and stop runs; read results and logs."),
    "ledger": ("friendlyfl.cli.ledger", "ledger", "Everything that ever left this hospital."),
    "tasks": ("friendlyfl.cli.tasks", "tasks", "The kinds of analysis that are installed here."),
    "simulate": (
        "friendlyfl.cli.simulate",
        "simulate",
        "Try a task on CSV files, one a hospital, in one process.",
    ),
    "demo": (
        "friendlyfl.cli.demo",
        "demo",
        "A whole study on this machine: router, three hospitals, real data.",
    ),
    "doctor": ("friendlyfl.cli.doctor", "doctor", "Say in words what is wrong here, and who can repair it."),
}


class Commands(click.Group):
    """Commands by name, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, _, words) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="friendlyfl")
def friendlyfl() -> None:
    """Hospitals learn from their data together; the data never leaves any of them.

    Begin with `friendlyfl demo`, or with docs/quick-start.md.
    """


def main() -> None:
    """The program `friendlyfl`: a failure that was foreseen is one sentence on stderr and its exit code."""
    try:
        friendlyfl()
    except FriendlyError as error:
        click.echo(error.message, err=True)
        sys.exit(error.exit_code)

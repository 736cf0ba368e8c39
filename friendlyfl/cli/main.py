"""`friendlyfl`: the group of all commands, and the one place where an expected failure becomes a sentence.

A command's own work lives in its module; only names are imported here, so that `friendlyfl --help` is quick.
"""

import sys

import click

from friendlyfl.cli.simulate import simulate
from friendlyfl.core.errors import FriendlyError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="friendlyfl")
def friendlyfl() -> None:
    """Hospitals learn from their data together; the data never leaves any of them."""


friendlyfl.add_command(simulate)


def main() -> None:
    """The program `friendlyfl`: a failure that was foreseen is one sentence on stderr and its exit code."""
    try:
        friendlyfl()
    except FriendlyError as error:
        click.echo(error.message, err=True)
        sys.exit(error.exit_code)

"""What the commands of a site share: the --home option, who acts, JSON or words, and waiting with a progress bar."""

import functools
import getpass
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from friendlyfl.controller.actions import Actor

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False),
    help="Folder of the site. Without it: FRIENDLYFL_HOME, else your data folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
project_option = click.option("--project", "-p", required=True, help="Name or uid of the project.")


def of_site(command: Callable[..., Any]) -> Callable[..., Any]:
    """Open the site's home before the command, which is then given no `home` any more."""

    @home_option
    @functools.wraps(command)
    def opened(*args: Any, home: str | None, **kwargs: Any) -> Any:
        from friendlyfl.controller import open_home

        open_home(home)
        return command(*args, **kwargs)

    return opened


def me() -> "Actor":
    """Whoever may read the home's files on this machine acts as its site-admin."""
    from friendlyfl.controller.actions import Actor

    return Actor(getpass.getuser(), "site-admin")


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(words: str, as_json: bool, value: Any) -> None:
    """Words for a person, or the same as JSON for a program."""
    if as_json:
        show_json(value)
    else:
        click.echo(words)


def table(title: str, columns: list[str], rows: list[list[Any]], empty: str) -> None:
    """A readable table, or the sentence that says what to do when there is nothing to show."""
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(shown)


def parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    """`--set name=value` as a dict.

    Raises UsageError for a pair without an equals sign.
    """
    from friendlyfl.core.errors import UsageError

    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError("set", f"--set takes name=value, not {pair}.")
        found[name.strip()] = value.strip()
    return found

"""What the commands share: groups that know the nearest name, the --home option, who acts, JSON or words, tables."""

import difflib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from friendlyfl.controller.actions import Actor
    from friendlyfl.controller.models import Project

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="The site's folder; without it FRIENDLYFL_HOME, else your data folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
project_option = click.option(
    "--project", "-p", metavar="NAME", help="Name or uid of the project; the only one need not be named."
)

password_option = click.option(
    "--password-file",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="File with the password, '-' for standard input; asked for if not given.",
)


class Group(click.Group):
    """A group of commands that suggests the nearest one when it does not know what was typed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        typed, known = args[0], self.list_commands(ctx)
        if typed not in known and not typed.startswith("-"):
            near = difflib.get_close_matches(typed, known, n=1, cutoff=0.5)
            hint = (
                f"Did you mean: {ctx.command_path} {near[0]}" if near else f"There are: {', '.join(known)}."
            )
            raise NoCommand(f"There is no command “{ctx.command_path} {typed}”. {hint}")
        return super().resolve_command(ctx, args)


class NoCommand(click.UsageError):
    """Nothing is called so; the sentence names what is."""


def example(*lines: str) -> str:
    """The end of a command's help: lines as they may be typed."""
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])


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
    """Whoever types acts as a site-admin: who may read the home's files could do everything anyway."""
    from friendlyfl.controller.actions import Actor

    return Actor.at_the_keyboard()


def the_password(file: IO[str] | None) -> str:
    """The first thing in a file, without the end of its line; else what the person types, twice."""
    if file is None:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return file.read().rstrip("\n")


def the_project(text: str | None) -> "Project":
    """The project that was named; without a name the only one that is not closed.

    Raises NotFoundError, or UsageError when it must be named.
    """
    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Project
    from friendlyfl.core.errors import NotFoundError, UsageError

    if text is not None:
        return actions.find.project(text)
    rows = list(Project.objects.exclude(state="closed").order_by("name")[:20])
    if len(rows) == 1:
        return rows[0]
    if rows:
        names = ", ".join(f"“{row.name}”" for row in rows)
        raise UsageError("which_project", f"Say which project you mean with -p NAME. There are: {names}.")
    raise NotFoundError("no_project", NO_PROJECTS)


NO_PROJECTS = (
    "No projects yet. Start one: friendlyfl project create NAME, or join one: friendlyfl project join CODE"
)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def tell(words: str, *, err: bool = False) -> None:
    """Words on the terminal that may quote what another hospital wrote."""
    click.echo(clean(words), err=err)


def say(words: str, as_json: bool, value: Any) -> None:
    """Words for a person, or the same as JSON for a program."""
    if as_json:
        show_json(value)
    else:
        tell(words)


def table(title: str, columns: list[str], rows: list[list[Any]], empty: str) -> None:
    """A readable table, or the sentence that says what to do when there is nothing to show."""
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    # What is shown may come from another hospital: no markup of its own, and nothing that steers a terminal.
    console = Console(markup=False, emoji=False, highlight=False)
    shown = Table(header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else clean(cell) for cell in row))
    console.print(clean(title), style="bold")
    console.print(shown)


def clean(text: Any) -> str:
    """A text as it may be shown on a terminal: lines stay, whatever else cannot be printed does not."""
    return "".join(letter for letter in str(text) if letter.isprintable() or letter == "\n")


def read_json_file(path: str) -> Any:
    """What a person wrote in a JSON file.

    Raises UsageError that says where it stops being JSON.
    """
    from friendlyfl.core.errors import UsageError

    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError("file", f"The file {path} cannot be read: {why}.") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError("json", f"The file {path} is not JSON: {error.msg.lower()} at {place}.") from error
    except ValueError as error:
        raise UsageError("json", f"The file {path} is not a JSON file in UTF-8.") from error


def parameters(pairs: tuple[str, ...], option: str = "--set") -> dict[str, str]:
    """`--set name=value` as a dict.

    Raises UsageError for a pair without an equals sign.
    """
    from friendlyfl.core.errors import UsageError

    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError("set", f"{option} takes name=value, not {pair}.")
        found[name.strip()] = value.strip()
    return found

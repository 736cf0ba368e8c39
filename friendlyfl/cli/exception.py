"""`friendlyfl site exception`: one rule of this hospital, loosened for one project up to a day."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from friendlyfl.cli.opening import (
    Group,
    example,
    json_option,
    me,
    of_site,
    project_option,
    say,
    show_json,
    table,
    the_project,
)

if TYPE_CHECKING:
    from friendlyfl.controller.models import RuleException


@click.group(cls=Group)
def exception() -> None:
    """A rule loosened for one project: with a reason and an end.

    The ledger and the result say that it was used. All other projects are checked by the rules as they stand.
    """


@exception.command(
    epilog=example('friendlyfl site exception allow --rule rows --value 10 --reason "The board"')
)
@of_site
@project_option
@click.option(
    "--rule", required=True, metavar="RULE", help="rows, cell, difference, ratio, rounds, probes or tasks."
)
@click.option(
    "--value",
    required=True,
    metavar="VALUE",
    help="What holds in this project instead: a number; of tasks, the name of one that may be used.",
)
@click.option("--reason", required=True, metavar="WORDS", help="Who agreed, and why; it stays here.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Last day, in UTC, at most one year ahead; without it 30 days from today.",
)
@json_option
def allow(
    project: str | None, rule: str, value: str, reason: str, until: datetime | None, as_json: bool
) -> None:
    """Loosen one rule for one project, from now on.

    A run under way is checked by it from its next round on. What leaves by it cannot be taken back.
    """
    from friendlyfl.controller import actions, exceptions

    last = until.date() if until else exceptions.usual_end()
    given = value if rule == exceptions.TASKS else _number(value)
    entry = actions.allow_exception(me(), the_project(project), rule, given, reason, last)
    seen = describe_exception(entry)
    words = (
        f"Exception {entry.pk} holds for {entry.project.name} until {last}: {rule} {_shown(seen['value'])}."
    )
    say(f"{words}\nEnd it before: friendlyfl site exception end {entry.pk}", as_json, seen)


@exception.command(epilog=example("friendlyfl site exception end 3"))
@of_site
@click.argument("number", type=int)
@json_option
def end(number: int, as_json: bool) -> None:
    """End an exception now.

    NUMBER stands in: friendlyfl site exception list. The next round is checked by the rule as it stands; what has
    left already stays with who received it.
    """
    from friendlyfl.controller import actions
    from friendlyfl.controller.models import RuleException
    from friendlyfl.core.errors import NotFoundError

    entry = RuleException.objects.select_related("project").filter(pk=number).first()
    if entry is None:
        raise NotFoundError(
            "no_exception", f"There is no exception {number}. List them with: friendlyfl site exception list"
        )
    ended = actions.end_exception(me(), entry)
    say(f"Exception {number} for {entry.project.name} is over.", as_json, describe_exception(ended))


@exception.command("list", epilog=example("friendlyfl site exception list"))
@of_site
@json_option
def list_(as_json: bool) -> None:
    """List all exceptions, those that are over too."""
    from friendlyfl.controller.models import RuleException

    found = RuleException.objects.select_related("project").order_by("-pk")
    seen = [describe_exception(entry) for entry in found]
    if as_json:
        show_json(seen)
        return
    columns = ["number", "project", "rule", "value", "state", "until", "person", "reason"]
    rows = [[_shown(entry[name]) if name == "value" else entry[name] for name in columns] for entry in seen]
    empty = "No exceptions: every project is checked by the rules as they stand."
    table("Exceptions to this hospital's rules", columns, rows, empty)


def describe_exception(entry: "RuleException") -> dict[str, Any]:
    """An exception as a program reads it."""
    from friendlyfl.controller import exceptions

    until: date = entry.until
    state = "holds" if exceptions.holds(entry) else "ended" if entry.ended_at else "expired"
    return {
        "number": entry.pk,
        "project": entry.project.name,
        "rule": entry.rule,
        "value": exceptions.given(entry),
        "state": state,
        "until": until.isoformat(),
        "person": entry.person,
        "reason": entry.reason,
        "allowed_at": entry.at,
        "ended_by": entry.ended_by or None,
        "ended_at": entry.ended_at,
    }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter("write a number, such as 10", param_hint="--value") from None


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"

"""`friendlyfl site`: this hospital's connection, rules and people."""

from pathlib import Path
from typing import IO

import click

from friendlyfl.cli.exception import exception
from friendlyfl.cli.notifications import notifications
from friendlyfl.cli.opening import (
    Group,
    example,
    json_option,
    me,
    of_site,
    parameters,
    password_option,
    show_json,
    table,
    the_password,
)


@click.group(cls=Group)
def site() -> None:
    """This hospital: its connection to the Routing Server, its rules, its people."""


@site.command(
    epilog=example(
        "friendlyfl site connect fl.example.org",
        "friendlyfl site connect fl.example.org --ca-file hospital-ca.pem",
    )
)
@of_site
@click.argument("address")
@click.option(
    "--enrolment",
    metavar="CODE",
    help="One-time code from the Routing Server's administrator; asked for if not given.",
)
@click.option(
    "--enrolment-file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="File that holds the code.",
)
@click.option("--description", default="", show_default=False, help="A line about this hospital.")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    default=None,
    metavar="FILE",
    help="The hospital's CA file (PEM), if its network replaces certificates.",
)
@click.option("--plain-inside", is_flag=True, help="Plain HTTP is safe here: the router is on this machine.")
def connect(
    address: str,
    enrolment: str | None,
    enrolment_file: str | None,
    description: str,
    ca_file: str | None,
    plain_inside: bool,
) -> None:
    """Make this hospital known to a Routing Server.

    ADDRESS is the server's HTTPS address, as its administrator gave it; only on this machine may it begin with http://.
    """
    from friendlyfl.controller import actions

    code = Path(enrolment_file).read_text() if enrolment_file else enrolment
    code = code or click.prompt("Enrolment code", hide_input=True)
    row = actions.connect_router(
        me(), address, code.strip(), description=description, ca_file=ca_file or "", plain_inside=plain_inside
    )
    click.echo(f"{row.name} is connected to {row.router}")
    click.echo(
        "Next: friendlyfl controller start, then friendlyfl project create, or friendlyfl project join"
    )


@site.command(epilog=example('friendlyfl site rename "St Mary\'s Hospital"'))
@of_site
@click.argument("name")
def rename(name: str) -> None:
    """Change this hospital's name, as others will see it.

    Hospitals that have met this one in a project keep the name they know.
    """
    from friendlyfl.controller import actions

    click.echo(f"This hospital is called {actions.rename_site(me(), name).name}.")


@site.command()
@of_site
@json_option
def show(as_json: bool) -> None:
    """Show who this site is and whether its line is up.

    What is wrong and who can repair it is told by: friendlyfl doctor
    """
    from friendlyfl.controller import here

    row = here.identity()
    seen = {
        "name": row.name,
        "site": row.site,
        "fingerprint": row.fingerprint,
        "router": row.router or None,
        "last_answer": row.answered_at,
        "trouble": row.line_trouble or None,
        "running": here.home().running,
        "home": here.home().folder,
    }
    if as_json:
        show_json(seen)
        return
    name = row.name or "(no name yet: friendlyfl site rename NAME)"
    click.echo(f"{name}  ({row.site})\nFingerprint  {row.fingerprint}\nHome         {here.home().folder}")
    click.echo(f"Router       {row.router or 'not connected yet: friendlyfl site connect ADDRESS'}")
    click.echo(f"Controller   {'running' if seen['running'] else 'not running: friendlyfl controller start'}")
    if row.line_trouble:
        click.echo(f"Line         {row.line_trouble}")


@site.command(
    "rules", epilog=example("friendlyfl site rules", "friendlyfl site rules --set rows=30 --set cell=10")
)
@of_site
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Change a rule, such as rows=30.")
@json_option
def rules(pairs: tuple[str, ...], as_json: bool) -> None:
    """Show or change the rules: what may leave this hospital.

    They are this hospital's own and hold for every project. What each of them means stands in docs/it-guide.md.
    One project alone: friendlyfl site exception allow
    """
    from friendlyfl.controller import actions

    changes = {name: _value(name, text) for name, text in parameters(pairs).items()}
    if changes:
        actions.set_policy(me(), changes)
    found = actions.policy()
    if as_json:
        show_json(found)
        return
    rows = [
        [name, _listed(value) if isinstance(value, list) else value, RULES.get(name, "")]
        for name, value in found.items()
    ]
    table("Rules of this hospital", ["rule", "value", "meaning"], rows, "")


site.add_command(exception)
site.add_command(notifications)


RULES = {
    "rows": "least number of rows that are described",
    "cell": "least number of people in a group",
    "ratio": "most columns of a model, as a share of the rows",
    "rounds": "most rounds of one step",
    "difference": "fewest people by which the patients of two steps, or of two plans, may differ",
    "probes": "most questions about where a column's values lie",
    "time": "least number of people who leave in a step of time",
    "sum_of_sites": "least number of hospitals in a secure sum",
    "tasks": "kinds of analysis that are allowed",
    "memory": "most memory of a computation, in bytes",
    "seconds": "most time of a round, in seconds",
}


def _listed(tasks: list[str]) -> str:
    """Tasks one below the other; all that come with FriendlyFL would fill the screen, and `tasks` lists them."""
    from friendlyfl.tasks.registry import BUILT_IN

    if set(BUILT_IN) <= set(tasks):
        others = [task for task in tasks if task not in BUILT_IN]
        return "\n".join([f"the {len(BUILT_IN)} built-in ones", *others])
    return "\n".join(tasks)


def _value(name: str, text: str) -> object:
    if name == "tasks":
        return [task.strip() for task in text.split(",") if task.strip()]
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


@site.command("add-person", epilog=example("friendlyfl site add-person maria --role researcher"))
@of_site
@click.argument("name")
@click.option(
    "--role",
    default="viewer",
    type=click.Choice(["viewer", "researcher", "site-admin"]),
    help="A viewer reads, a researcher also works, a site-admin also decides.",
)
@password_option
def add_person(name: str, role: str, password_file: IO[str] | None) -> None:
    """Give somebody an account on the portal.

    NAME is what the person types to sign in.
    """
    from friendlyfl.controller import actions

    person = actions.add_person(me(), name, role, the_password(password_file))
    click.echo(f"{person.username} may sign in as {role}.")


@site.command("held-post")
@of_site
@json_option
def held_post(as_json: bool) -> None:
    """List messages that were put aside, and why.

    Early post is opened by itself when its turn comes; refused post stays here for a person to see.
    """
    from friendlyfl.controller import members
    from friendlyfl.controller.models import HeldPost

    rows = [
        {
            "at": held.at,
            "from": members.name_of(held.sender),
            "state": held.state,
            "code": held.code,
            "why": held.sentence,
        }
        for held in HeldPost.objects.order_by("pk")
    ]
    if as_json:
        show_json(rows)
    else:
        table(
            "Post put aside",
            ["at", "from", "state", "code", "why"],
            [[f"{row['at']:%Y-%m-%d %H:%M}", *list(row.values())[1:]] for row in rows],
            "No post was put aside.",
        )


@site.command("outbox")
@of_site
@json_option
def outbox(as_json: bool) -> None:
    """List messages on their way out.

    Waiting ones go by themselves once the Routing Server can be reached; refused ones need a person.
    """
    from friendlyfl.controller.models import Outbox

    found = Outbox.objects.exclude(state="sent").order_by("pk")
    rows = [
        {"made": row.made_at, "type": row.type, "state": row.state, "tries": row.tries, "why": row.trouble}
        for row in found
    ]
    if as_json:
        show_json(rows)
    else:
        table(
            "Outbox",
            ["made", "type", "state", "tries", "why"],
            [[f"{row['made']:%Y-%m-%d %H:%M}", *list(row.values())[1:]] for row in rows],
            "Nothing waits: everything was sent.",
        )

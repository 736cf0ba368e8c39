"""`friendlyfl site`: this hospital's connection, rules and people."""

from pathlib import Path

import click

from friendlyfl.cli.opening import json_option, me, of_site, parameters, show_json, table


@click.group()
def site() -> None:
    """This hospital: its connection to the Routing Server, its rules, its people."""


@site.command()
@of_site
@click.argument("address")
@click.option(
    "--enrolment", help="One-time code from the Routing Server's administrator. Asked for if not given."
)
@click.option("--enrolment-file", type=click.Path(dir_okay=False), help="File that holds the enrolment code.")
@click.option("--description", default="", help="A line about this hospital.")
@click.option("--ca-file", default="", help="The hospital's CA file, if its network replaces certificates.")
@click.option("--plain-inside", is_flag=True, help="The router is reached in plain HTTP inside one machine.")
def connect(
    address: str,
    enrolment: str | None,
    enrolment_file: str | None,
    description: str,
    ca_file: str,
    plain_inside: bool,
) -> None:
    """Make this hospital known to the Routing Server at ADDRESS."""
    from friendlyfl.controller import actions

    code = Path(enrolment_file).read_text() if enrolment_file else enrolment
    code = code or click.prompt("Enrolment code", hide_input=True)
    row = actions.connect_router(
        me(), address, code.strip(), description=description, ca_file=ca_file, plain_inside=plain_inside
    )
    click.echo(f"{row.name} is connected to {row.router}")


@site.command()
@of_site
@json_option
def show(as_json: bool) -> None:
    """Who this site is and whether its line is up."""
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
    click.echo(f"{row.name}  ({row.site})\nFingerprint  {row.fingerprint}\nHome         {here.home().folder}")
    click.echo(f"Router       {row.router or 'not connected yet: friendlyfl site connect ADDRESS'}")
    click.echo(f"Controller   {'running' if seen['running'] else 'not running: friendlyfl controller start'}")
    if row.line_trouble:
        click.echo(f"Line         {row.line_trouble}")


@site.command("rules")
@of_site
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Change a rule, e.g. rows=30.")
@json_option
def rules(pairs: tuple[str, ...], as_json: bool) -> None:
    """Show or change this hospital's rules: what may leave it."""
    from friendlyfl.controller import actions

    changes = {name: _value(name, text) for name, text in parameters(pairs).items()}
    if changes:
        actions.set_policy(me(), changes)
    found = actions.policy()
    if as_json:
        show_json(found)
        return
    rows = [[name, ", ".join(value) if isinstance(value, list) else value] for name, value in found.items()]
    table("Rules of this hospital", ["rule", "value"], rows, "")


def _value(name: str, text: str) -> object:
    if name == "tasks":
        return [task.strip() for task in text.split(",") if task.strip()]
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


@site.command("add-person")
@of_site
@click.argument("name")
@click.option(
    "--role", default="viewer", type=click.Choice(["viewer", "researcher", "site-admin"]), show_default=True
)
@click.option(
    "--password-file", type=click.File("r"), help="File with the password; '-' reads standard input."
)
def add_person(name: str, role: str, password_file: object) -> None:
    """Give NAME an account on this site's portal."""
    from friendlyfl.controller import actions

    if password_file is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = password_file.read().rstrip("\n")  # type: ignore[attr-defined]
    person = actions.add_person(me(), name, role, password)
    click.echo(f"{person.username} may sign in as {role}.")


@site.command("held-post")
@of_site
@json_option
def held_post(as_json: bool) -> None:
    """Messages that were put aside, and why."""
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
            [list(row.values()) for row in rows],
            "None.",
        )


@site.command("outbox")
@of_site
@json_option
def outbox(as_json: bool) -> None:
    """Messages on their way out."""
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
            [list(row.values()) for row in rows],
            "Everything was sent.",
        )

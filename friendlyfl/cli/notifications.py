"""`friendlyfl site notifications`: whether word of the inbox goes out by e-mail or to a webhook, and a test of it.

The settings and what may be said are the portal's, in controller.actions.notifications; here they are typed. No secret
is an argument, which others on this machine could see, and none is shown.
"""

import dataclasses
from typing import IO, Any

import click

from friendlyfl.cli.opening import (
    Group,
    example,
    json_option,
    me,
    of_site,
    password_option,
    show_json,
    table,
    the_password,
)

SECURITIES = ("starttls", "tls", "plain")
link_option = click.option(
    "--link", metavar="ADDRESS", help="The inbox's address at your portal, told with each word."
)
off_option = click.option("--off", is_flag=True, help="Say nothing on this way any more.")


@click.group(cls=Group)
def notifications() -> None:
    """Word of the inbox by e-mail or to a webhook.

    It is off until you switch it on, and says no more than the project's name and where to look.
    """


@notifications.command()
@of_site
@json_option
def show(as_json: bool) -> None:
    """Show on which ways word goes out, and how it went last."""
    from friendlyfl.controller import word

    rows = [word.way(name) for name in word.WAYS]
    if as_json:
        seen = [
            {
                "way": row.name,
                "on": row.on,
                **row.given,
                "link": row.link,
                "last_said": row.said_at,
                "trouble": row.trouble,
            }
            for row in rows
        ]
        show_json(seen)
        return
    table(
        "Notifications",
        ["Way", "On", "Host", "Last word", "Trouble"],
        [
            [row.name, "yes" if row.on else "no", row.given.get("host", ""), row.said_at, row.trouble]
            for row in rows
        ],
        "",
    )


@notifications.command(
    epilog=example(
        "friendlyfl site notifications mail --to ida@stm.org --host mail.stm.org",
        "friendlyfl site notifications mail --off",
    )
)
@of_site
@click.option("--to", multiple=True, metavar="ADDRESS", help="Who gets it; may be given again.")
@click.option("--host", metavar="NAME", help="The mail server.")
@click.option("--port", type=int, metavar="PORT", help="587 with STARTTLS and 465 with TLS, as a rule.")
@click.option("--security", type=click.Choice(SECURITIES), help="Protection on the way to the mail server.")
@click.option("--user", metavar="NAME", help="User name at the mail server, if it asks for one.")
@click.option("--sender", metavar="ADDRESS", help="From whom it comes; else the first address of --to.")
@password_option
@link_option
@off_option
def mail(off: bool, password_file: IO[str] | None, link: str | None, **said: Any) -> None:
    """Send word by e-mail from now on; what is not given stays as it is."""
    from friendlyfl.controller import actions, word
    from friendlyfl.controller.actions.notifications import Mail, kept_mail

    if off:
        actions.set_mail(me(), None)
        click.echo("No word goes out by e-mail.")
        return
    before = word.way(word.MAIL)
    given = {name: value for name, value in said.items() if value not in (None, ())}
    if "to" in given:
        given["to"] = list(given["to"])
    asked = dataclasses.replace(Mail(**{"to": [], "host": "", "port": 587, **before.given}), **given)
    needed = asked.user and not asked.same_account(kept_mail())
    password = the_password(password_file) if password_file or needed else ""
    row = actions.set_mail(me(), asked, password, link=before.link if link is None else link)
    click.echo(f"Word goes to {', '.join(row.given['to'])}. Try it: friendlyfl site notifications test")


@notifications.command(
    epilog=example(
        "friendlyfl site notifications webhook",
        "friendlyfl site notifications webhook --address-file hook.txt",
        "friendlyfl site notifications webhook --off",
    )
)
@of_site
@click.option(
    "--address-file",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="File with the address, '-' for standard input; asked for if not given.",
)
@link_option
@off_option
def webhook(off: bool, address_file: IO[str] | None, link: str | None) -> None:
    """Call a webhook from now on. Its address often holds a key, so it is kept like a password."""
    from friendlyfl.controller import actions, word

    if off:
        actions.set_webhook(me(), False)
        click.echo("No word goes to a webhook.")
        return
    before = word.way(word.WEBHOOK)
    address = address_file.read().strip() if address_file else ""
    if not address_file and (link is None or not before.on):
        address = str(click.prompt("Address", hide_input=True)).strip()
    row = actions.set_webhook(me(), True, address, link=before.link if link is None else link)
    click.echo(f"Word goes to {row.given['host']}. Try it: friendlyfl site notifications test")


@notifications.command()
@of_site
@json_option
def test(as_json: bool) -> None:
    """Send a test on every way that is on. The exit code is 1 if one did not go."""
    from friendlyfl.controller import actions

    troubles = actions.send_test(me())
    if as_json:
        show_json(troubles)
    else:
        for name, trouble in troubles.items():
            click.echo(f"{name}: {trouble or 'taken. Look whether it arrives.'}")
    if any(troubles.values()):
        raise SystemExit(1)

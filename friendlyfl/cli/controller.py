"""`friendlyfl controller`: make a site on this machine and run it."""

import os
import sys
from typing import IO, Any

import click

from friendlyfl.cli.opening import Group, example, home_option, me, of_site, password_option, the_password


@click.group(cls=Group)
def controller() -> None:
    """Make a site on this machine and run its Controller (agent and portal)."""


@controller.command(epilog=example('friendlyfl controller init --name "St Mary\'s"'))
@home_option
@click.option("--name", required=True, help="The hospital's name, as others will see it.")
def init(home: str | None, name: str) -> None:
    """Make this hospital's site: folder, database, keys.

    The private keys are made here and never leave this machine. The one-time code that is printed makes the first
    account of the portal.
    """
    from friendlyfl.controller.home import Home
    from friendlyfl.controller.setup import create_site

    place = Home.locate(home)
    code = create_site(place, name)
    from friendlyfl.controller import here

    click.echo(f"{name} is ready in {place.folder}")
    click.echo(f"Fingerprint: {here.identity().fingerprint}")
    click.echo(f"One-time code for the first account of the portal: {code}")
    click.echo("Next: friendlyfl site connect ADDRESS, then friendlyfl controller start")


@controller.command(epilog=example("friendlyfl controller start", "friendlyfl controller start --port 8101"))
@home_option
@click.option("--host", default="127.0.0.1", help="Address that the portal listens on.")
@click.option(
    "--port", default=8100, type=click.IntRange(0, 65535), help="Port of the portal; 0 takes a free one."
)
def start(home: str | None, host: str, port: int) -> None:
    """Run the Controller until Ctrl-C or SIGTERM.

    It collects post, computes on this hospital's data, delivers, and shows the portal. A run goes on where it was
    when the Controller is started again.

    Where there is no site yet, one is made first: open the address that is printed, type the one-time code, and the
    portal leads through the rest.
    """
    from friendlyfl.cli.faulthook import install_from_environment
    from friendlyfl.client.address import is_loopback
    from friendlyfl.controller.home import Home
    from friendlyfl.controller.serve import serve

    place = Home.locate(home)

    def ready(row: Any, address: str, code: str) -> None:
        if code:
            click.echo(f"A new site is ready in {place.folder}. Open the portal in a browser to set it up.")
            click.echo(f"One-time code for the first account: {code}")
        elif not row.router:
            click.echo("Not connected to a Routing Server yet: connect it in the portal, under Set up")
        click.echo(f"{row.name or 'FriendlyFL'}: portal at {address} (stop with Ctrl-C)")
        if not is_loopback(host) and os.environ.get("FRIENDLYFL_PORTAL_TLS") != "yes":
            click.echo(
                "Whoever listens on the way can read what is typed there, passwords too: the portal speaks no HTTPS "
                "of its own. Put a reverse proxy before it, see docs/it-guide.md.",
                err=True,
            )
        sys.stdout.flush()

    install_from_environment()
    serve(place, host, port, ready=ready)
    click.echo("Stopped.")


@controller.command("reset-code")
@of_site
def reset_code() -> None:
    """Print a new one-time code for a site-admin account.

    Whoever types it at the portal may make an account there; an earlier code is worthless from now on.
    """
    from friendlyfl.controller.setup import new_code

    click.echo(f"One-time code: {new_code()}")


@controller.command("reset-password", epilog=example("friendlyfl controller reset-password maria"))
@of_site
@click.argument("name")
@password_option
def reset_password(name: str, password_file: IO[str] | None) -> None:
    """Give somebody a new password for the portal.

    NAME is what the person types to sign in. For the day on which no site-admin can sign in any more; whoever was
    signed in as NAME is signed out.
    """
    from friendlyfl.controller import actions

    person = actions.find.person(name)
    actions.set_password(me(), person, the_password(password_file))
    click.echo(f"{person.username} signs in with the new password from now on.")
    if not person.is_active:
        click.echo(
            "The account is switched off: a site-admin switches it on in the portal, under Settings, People."
        )

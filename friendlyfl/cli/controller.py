"""`friendlyfl controller`: make a site on this machine and run it."""

import os
import sys
from typing import Any

import click

from friendlyfl.cli.opening import Group, example, home_option, of_site


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
    """
    from friendlyfl.cli.faulthook import install_from_environment
    from friendlyfl.client.address import is_loopback
    from friendlyfl.controller.home import Home
    from friendlyfl.controller.serve import serve

    def ready(row: Any, address: str) -> None:
        if not row.router:
            click.echo("Not connected to a Routing Server yet: friendlyfl site connect ADDRESS")
        click.echo(f"{row.name}: portal at {address} (stop with Ctrl-C)")
        if not is_loopback(host) and os.environ.get("FRIENDLYFL_PORTAL_TLS") != "yes":
            click.echo(
                "Whoever listens on the way can read what is typed there, passwords too: the portal speaks no HTTPS "
                "of its own. Put a reverse proxy before it, see docs/operations.md.",
                err=True,
            )
        sys.stdout.flush()

    install_from_environment()
    serve(Home.locate(home), host, port, ready=ready)
    click.echo("Stopped.")


@controller.command("reset-code")
@of_site
def reset_code() -> None:
    """Print a new one-time code for a site-admin account.

    Whoever types it at the portal may make an account there; an earlier code is worthless from now on.
    """
    from friendlyfl.controller.setup import new_code

    click.echo(f"One-time code: {new_code()}")

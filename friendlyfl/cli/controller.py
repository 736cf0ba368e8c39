"""`friendlyfl controller`: make a site on this machine and run it."""

import click

from friendlyfl.cli.opening import home_option, of_site


@click.group()
def controller() -> None:
    """Make a site on this machine and run its Controller (agent and portal)."""


@controller.command()
@home_option
@click.option("--name", required=True, help="The hospital's name, as others will see it.")
def init(home: str | None, name: str) -> None:
    """Make a site: its folder, its database, its keys. The private keys never leave this machine."""
    from friendlyfl.controller.home import Home
    from friendlyfl.controller.setup import create_site

    place = Home.locate(home)
    code = create_site(place, name)
    from friendlyfl.controller import here

    click.echo(f"{name} is ready in {place.folder}")
    click.echo(f"Fingerprint: {here.identity().fingerprint}")
    click.echo(f"One-time code for the first account of the portal: {code}")
    click.echo("Next: friendlyfl site connect ADDRESS, then friendlyfl controller start")


@controller.command()
@of_site
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the portal listens on.")
@click.option("--port", default=8100, show_default=True, help="Port of the portal; 0 takes a free one.")
def start(host: str, port: int) -> None:
    """Run the Controller until Ctrl-C: it collects, computes, delivers, and shows the portal."""
    import os

    os.environ["FRIENDLYFL_PORTAL_PORT"] = str(port)
    from friendlyfl.cli.faulthook import install_from_environment
    from friendlyfl.controller import here
    from friendlyfl.controller.serve import serve

    install_from_environment()
    row = here.identity()
    if not row.router:
        click.echo("Not connected to a Routing Server yet: friendlyfl site connect ADDRESS")
    serve(host, port, ready=lambda address: click.echo(f"{row.name}: portal at {address}"))
    click.echo(f"{row.name}: stopped")


@controller.command("reset-code")
@of_site
def reset_code() -> None:
    """Print a new one-time code with which somebody can make a site-admin account."""
    from friendlyfl.controller.setup import new_code

    click.echo(f"One-time code: {new_code()}")

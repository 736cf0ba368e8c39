"""`friendlyfl router ...`: start the Routing Server, add people, hand out enrolment codes.

What does not live here: how it serves (router.serving), what an account or a code is (router.registry.people).
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import IO

import click

from friendlyfl.cli.opening import Group, example


@click.group(cls=Group)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the server's data; instead of FRIENDLYFL_ROUTER_HOME.",
)
def router(home: Path | None) -> None:
    """The Routing Server: records, and sealed post.

    It runs once for all hospitals, at a place that all of them can reach, and can open no message.
    """
    _choose_home(home)


def _choose_home(home: Path | None) -> None:
    if home is not None:
        os.environ["FRIENDLYFL_ROUTER_HOME"] = str(home.absolute())


def _set_up() -> None:
    """Read the settings; a wrong one ends the program with its sentence."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "friendlyfl.router.settings"  # whatever a shell has set
    django.setup()


def _migrate() -> None:
    from friendlyfl.router import serving

    serving.migrate()


@router.command()
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Folder of the server's data.")
@click.option("--host", default="127.0.0.1", help="Address that it listens on.")
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="Port; 0 takes a free one.")
def start(home: Path | None, host: str, port: int) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    It brings its database up to date, checks the settings, serves, and does the regular jobs.
    """
    _choose_home(home)
    _set_up()
    from django.core.management import CommandError, call_command

    from friendlyfl.cli.faulthook import install_from_environment
    from friendlyfl.router import serving
    from friendlyfl.router.models import User

    install_from_environment()
    serving.refuse_plain_http(host)
    _migrate()
    try:
        call_command("check", databases=["default"], stdout=io.StringIO())
    except CommandError as error:
        raise click.ClickException(str(error)) from error
    listener = serving.listen(host, port)
    if not User.objects.exists():
        click.echo("No user exists yet. Make the first one, an administrator, in another terminal:")
        click.echo("    friendlyfl router user add NAME --administrator")
        click.echo("or: python3 manage.py createsuperuser")
    click.echo(f"Routing Server at {serving.address(host, listener.getsockname()[1])} (stop with Ctrl-C)")
    sys.stdout.flush()
    serving.serve(listener)


@router.command()
def init() -> None:
    """Make the home folder and the database only.

    There is no need to: `friendlyfl router start` does it too.
    """
    _set_up()
    _migrate()
    from django.conf import settings

    click.echo(f"The Routing Server's home is ready: {settings.HOME}")


@router.group(cls=Group)
def user() -> None:
    """People with an account at the Routing Server."""


@user.command("add", epilog=example("friendlyfl router user add ada --administrator"))
@click.argument("name")
@click.option("--administrator", is_flag=True, help="May enrol and revoke sites, and use the admin site.")
@click.option("--email", default="", show_default=False, help="E-mail address.")
@click.option("--full-name", default="", show_default=False, help="The person's name.")
@click.option(
    "--password-file", type=click.File("r", encoding="utf-8"), help="File whose first line is the password."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def add(
    name: str,
    administrator: bool,
    email: str,
    full_name: str,
    password_file: IO[str] | None,
    password_stdin: bool,
) -> None:
    """Make an account.

    NAME is what the person signs in with. Without a password option the password is asked for.
    """
    _set_up()
    _migrate()
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    from friendlyfl.router.models import User
    from friendlyfl.router.registry import audit

    made = User(
        username=name, email=email, name=full_name, is_staff=administrator, is_superuser=administrator
    )
    password = _password(password_file, password_stdin)
    try:
        made.full_clean(exclude=["password"])
        validate_password(password, made)
    except ValidationError as error:
        raise click.ClickException(" ".join(error.messages)) from error
    made.set_password(password)
    made.save()
    audit.house_did("user.made", f"user:{made.uid}")
    click.echo(f"{'Administrator' if administrator else 'User'} {name} made.")


def _password(file: IO[str] | None, stdin: bool) -> str:
    if file is not None and stdin:
        raise click.UsageError("Give --password-file or --password-stdin, not both.")
    if file is not None or stdin:
        return (file or sys.stdin).readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@user.command("list")
def list_users() -> None:
    """List the accounts."""
    _set_up()
    from friendlyfl.router.models import User

    for row in User.objects.all():
        click.echo(f"{row.username:30} {'administrator' if row.is_staff else 'user':14} {row.email}")


@router.command(epilog=example("friendlyfl router enrol riverside"))
@click.argument("username")
def enrol(username: str) -> None:
    """Print a one-time code for one new site.

    USERNAME is the account that the site will belong to. The code is good for 14 days.
    """
    _set_up()
    _migrate()
    from friendlyfl.router.models import User
    from friendlyfl.router.registry import audit, people

    owner = User.objects.filter(username=username, is_active=True).first()
    if owner is None:
        raise click.ClickException(
            f"There is no user {username!r}; make one with: friendlyfl router user add {username}"
        )
    enrolment = people.make_enrolment(owner)
    audit.house_did("enrolment.made", f"user:{owner.uid}")
    click.echo(people.enrolment_code(enrolment))

"""`friendlyfl project`: start a question, invite hospitals, join, compare keys."""

import contextlib

import click

from friendlyfl.cli.opening import json_option, me, of_site, project_option, show_json, table


@click.group()
def project() -> None:
    """Projects: start a question, invite hospitals, join with a code, compare keys."""


@project.command()
@of_site
@click.argument("name")
@click.option("--purpose", default="", help="The question, in words for the other hospitals.")
@json_option
def create(name: str, purpose: str, as_json: bool) -> None:
    """Start a project that this hospital coordinates."""
    from friendlyfl.controller import actions

    row = actions.create_project(me(), name, purpose)
    if as_json:
        show_json({"uid": row.uid, "name": row.name})
    else:
        click.echo(f"{row.name} is there. Next: friendlyfl project invite HOSPITAL --project '{row.name}'")


@project.command("list")
@of_site
@json_option
def list_(as_json: bool) -> None:
    """List the projects of this hospital."""
    from friendlyfl.controller.models import Project

    rows = [
        {"name": row.name, "role": row.role, "state": row.state, "uid": row.uid}
        for row in Project.objects.order_by("name")
    ]
    if as_json:
        show_json(rows)
        return
    empty = "No projects yet. Start one: friendlyfl project create NAME, or join one: friendlyfl project join"
    table("Projects", ["name", "role", "state", "uid"], [list(row.values()) for row in rows], empty)


@project.command()
@of_site
@click.argument("hospital")
@project_option
@json_option
def invite(hospital: str, project: str, as_json: bool) -> None:
    """Make a one-time code for HOSPITAL. Hand it over by mail, paper or telephone, not through the router."""
    from friendlyfl.controller import actions

    row = actions.invite_site(me(), actions.find.project(project), hospital)
    if as_json:
        show_json({"label": row.label, "code": row.code, "expires_at": row.expires_at})
    else:
        click.echo(
            f"Code for {hospital}, good until {row.expires_at:%d %B %Y}, for one use:\n\n  {row.code}\n"
        )


@project.command()
@of_site
@click.argument("code", required=False)
@json_option
def join(code: str | None, as_json: bool) -> None:
    """Join a project with the invitation CODE (asked for if not given)."""
    from friendlyfl.controller import actions, members

    row = actions.join_project(me(), code or click.prompt("Invitation code"))
    if as_json:
        show_json({"uid": row.uid, "name": row.name, "state": row.state})
        return
    click.echo(f"Asked to join {row.name}, which {members.name_of(row.coordinator)} coordinates.")
    click.echo("A person there accepts; until then: friendlyfl project show")


@project.command()
@of_site
@project_option
@json_option
def show(project: str, as_json: bool) -> None:
    """Show a project: who belongs to it (the coordinator) or this hospital's part, plan and runs."""
    from friendlyfl.cli.describe import describe_project
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import UnreachableError

    row = actions.find.project(project)
    with contextlib.suppress(UnreachableError):
        if row.state == "joining":
            actions.refresh_joining(row)
        elif row.coordinates and row.state == "open":
            actions.refresh_invitations(row)
    seen = describe_project(row)
    if as_json:
        show_json(seen)
        return
    click.echo(f"{seen['name']} ({seen['state']}). This hospital is its {seen['role']}.")
    if seen["purpose"]:
        click.echo(seen["purpose"])
    if row.coordinates:
        rows = [
            [site["name"], site["role"], site["verified"] or "not compared yet", site["decision"]]
            for site in seen["sites"]
        ]
        table("Hospitals", ["name", "role", "key verified by", "plan"], rows, "")
        for waiting in seen["waiting"]:
            click.echo(
                f"{waiting['name']} used its code and waits: friendlyfl project accept '{waiting['name']}' -p '{row.name}'"
            )
        for code in seen["open_codes"]:
            click.echo(f"The code for {code} was not used yet.")
    else:
        click.echo(f"Coordinator: {seen['coordinator']}. One of {seen['hospitals']} hospitals.")
    click.echo(f"Plan: {seen['plan']}")
    click.echo(f"Runs: {seen['runs']}")


@project.command()
@of_site
@click.argument("hospital")
@project_option
def accept(hospital: str, project: str) -> None:
    """Let HOSPITAL in, which used its code."""
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import NotFoundError

    row = actions.find.project(project)
    actions.refresh_invitations(row)
    found = [
        waiting
        for waiting in row.invitations.filter(state="joined")
        if hospital in (waiting.site, waiting.site_name, waiting.label)
    ]
    if not found:
        raise NotFoundError(
            "no_joiner", f"{hospital} has not used its code yet. See: friendlyfl project show"
        )
    peer = actions.accept_joiner(me(), row, found[0].site)
    click.echo(
        f"{peer.name} belongs to {row.name}. Compare keys: friendlyfl project safety-number '{peer.name}'"
    )


@project.command("safety-number")
@of_site
@click.argument("hospital")
@json_option
def safety_number(hospital: str, as_json: bool) -> None:
    """Show the number that both hospitals see alike; compare it by telephone."""
    from friendlyfl.controller import actions

    peer = actions.find.peer(hospital)
    groups = actions.safety_number(peer)
    if as_json:
        show_json({"name": peer.name, "groups": groups})
        return
    click.echo(f"Read this to {peer.name} by telephone. Theirs must be the same:\n")
    click.echo(f"  {'  '.join(groups[:6])}\n  {'  '.join(groups[6:])}\n")
    click.echo(f"If it is: friendlyfl project verify '{peer.name}'")


@project.command()
@of_site
@click.argument("hospital")
def verify(hospital: str) -> None:
    """Note that you compared the safety number with HOSPITAL and it was the same."""
    from friendlyfl.controller import actions

    peer = actions.find.peer(hospital)
    actions.verify_site(me(), peer)
    click.echo(f"{peer.name} is verified.")


@project.command("remove-site")
@of_site
@click.argument("hospital")
@project_option
@click.confirmation_option(prompt="Take this hospital out of the project and out of every run under way?")
def remove_site(hospital: str, project: str) -> None:
    """Take HOSPITAL out of the project."""
    from friendlyfl.controller import actions

    peer = actions.find.peer(hospital)
    actions.remove_site(me(), actions.find.project(project), peer.site)
    click.echo(f"{peer.name} gets no more post of this project.")


@project.command()
@of_site
@project_option
@click.confirmation_option(prompt="Leave this project? Nothing more will be sent")
def leave(project: str) -> None:
    """Leave a project that another hospital coordinates."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    actions.leave_project(me(), row)
    click.echo(f"This hospital left {row.name}.")


@project.command()
@of_site
@project_option
@click.confirmation_option(prompt="Close this project? Its results stay, no more runs can start")
def close(project: str) -> None:
    """Close a project that this hospital coordinates."""
    from friendlyfl.controller import actions

    row = actions.find.project(project)
    actions.close_project(me(), row)
    click.echo(f"{row.name} is closed.")

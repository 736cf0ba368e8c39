"""`friendlyfl project`: start a question, invite hospitals, join, compare keys."""

from shlex import quote

import click

from friendlyfl.cli.opening import (
    NO_PROJECTS,
    Group,
    example,
    json_option,
    me,
    of_site,
    project_option,
    say,
    show_json,
    table,
    tell,
    the_project,
)


@click.group(cls=Group)
def project() -> None:
    """Projects: a question that several hospitals work on.

    The hospital that starts one coordinates it, invites the others with one-time codes, and accepts them.
    """


@project.command(epilog=example('friendlyfl project create "Who sees a doctor" --purpose "In a year"'))
@of_site
@click.argument("name")
@click.option(
    "--purpose", default="", show_default=False, help="The question, in words for the other hospitals."
)
@json_option
def create(name: str, purpose: str, as_json: bool) -> None:
    """Start a project that this hospital coordinates.

    NAME is what every hospital of the project will see.
    """
    from friendlyfl.controller import actions

    row = actions.create_project(me(), name, purpose)
    if as_json:
        show_json({"uid": row.uid, "name": row.name})
    else:
        tell(f"{row.name} is there. Next: friendlyfl project invite HOSPITAL -p {quote(row.name)}")


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
    shown = [[row["name"], row["role"], row["state"], row["uid"][:8]] for row in rows]
    table("Projects", ["name", "role", "state", "uid begins"], shown, NO_PROJECTS)


@project.command(epilog=example("friendlyfl project invite Northfield"))
@of_site
@click.argument("hospital")
@project_option
@json_option
def invite(hospital: str, project: str | None, as_json: bool) -> None:
    """Make a one-time code for a hospital.

    HOSPITAL is your note of whom the code is for. Hand it over by mail, paper or telephone.
    """
    from friendlyfl.controller import actions

    row = actions.invite_site(me(), the_project(project), hospital)
    if as_json:
        show_json({"label": row.label, "code": row.code, "expires_at": row.expires_at})
    else:
        tell(f"Code for {hospital}, good until {row.expires_at:%d %B %Y}, for one use:\n\n  {row.code}\n")
        tell("There they type it after: friendlyfl project join")


@project.command()
@of_site
@click.argument("code", required=False)
@json_option
def join(code: str | None, as_json: bool) -> None:
    """Join a project with an invitation code.

    CODE is asked for if it is not given. The coordinator's key must be the one in the code.
    """
    from friendlyfl.controller import actions, members

    row = actions.join_project(me(), code or click.prompt("Invitation code"))
    if as_json:
        show_json({"uid": row.uid, "name": row.name, "state": row.state})
        return
    tell(f"Asked to join {row.name}, which {members.name_of(row.coordinator)} coordinates.")
    tell("A person there accepts; until then: friendlyfl project show")


@project.command()
@of_site
@project_option
@json_option
def show(project: str | None, as_json: bool) -> None:
    """Show a project: its hospitals, plan and runs.

    The coordinator sees every hospital, a participant its own part. Who used a code and waits is shown here.
    """
    from friendlyfl.cli.describe import describe_project
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import FriendlyError

    row = the_project(project)
    try:
        if row.state == "joining":
            actions.refresh_joining(row)
        elif row.coordinates and row.state == "open":
            actions.refresh_invitations(row)
    except FriendlyError as error:  # what is known here is shown all the same
        tell(f"The Routing Server was not asked for news. {error.message}", err=True)
    seen = describe_project(row)
    if as_json:
        show_json(seen)
        return
    tell(f"{seen['name']} ({seen['state']}). This hospital is its {seen['role']}.")
    if seen["purpose"]:
        tell(seen["purpose"])
    if row.coordinates:
        rows = [
            [site["name"], site["role"], site["verified"] or "not compared yet", site["decision"]]
            for site in seen["sites"]
        ]
        nobody = "This hospital is not a member yet."
        table("Hospitals", ["name", "role", "key verified by", "plan"], rows, nobody)
        if len(rows) < 2 and not seen["waiting"] and not seen["open_codes"]:
            tell("Nobody has joined. Give each hospital a code: friendlyfl project invite HOSPITAL")
        for waiting in seen["waiting"]:
            tell(
                f"{waiting['name']} used its code and waits: "
                f"friendlyfl project accept {quote(waiting['name'])} -p {quote(row.name)}"
            )
        for code in seen["open_codes"]:
            tell(f"The code for {code} was not used yet.")
    else:
        of = (
            f" One of {seen['hospitals']} hospitals."
            if seen["hospitals"]
            else " Waiting to be accepted there."
        )
        tell(f"Coordinator: {seen['coordinator']}.{of}")
        use = f"none chosen: friendlyfl dataset use NAME -p {quote(row.name)}"
        tell(f"Dataset: {seen['dataset'] or use}")
    tell(f"Plan: {seen['plan']}")
    tell(f"Runs: {seen['runs']}")


@project.command(epilog=example("friendlyfl project accept Northfield"))
@of_site
@click.argument("hospital")
@project_option
@json_option
def accept(hospital: str, project: str | None, as_json: bool) -> None:
    """Let a hospital in that used its code.

    HOSPITAL is its name, its uid, or your note of whom the code was for.
    """
    from friendlyfl.controller import actions
    from friendlyfl.core.errors import NotFoundError

    row = the_project(project)
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
    words = f"{peer.name} belongs to {row.name}. Compare keys: friendlyfl project safety-number {quote(peer.name)}"
    say(words, as_json, {"site": peer.site, "name": peer.name, "fingerprint": peer.fingerprint})


@project.command("safety-number")
@of_site
@click.argument("hospital")
@json_option
def safety_number(hospital: str, as_json: bool) -> None:
    """Show the number that both hospitals see alike.

    Compare it with HOSPITAL by telephone, then note it with friendlyfl project verify.
    """
    from friendlyfl.controller import actions

    peer = actions.find.peer(hospital)
    groups = actions.safety_number(peer)
    if as_json:
        show_json({"name": peer.name, "groups": groups})
        return
    tell(f"Read this to {peer.name} by telephone. Theirs must be the same:\n")
    tell(f"  {'  '.join(groups[:6])}\n  {'  '.join(groups[6:])}\n")
    tell(f"If it is: friendlyfl project verify {quote(peer.name)}")


@project.command()
@of_site
@click.argument("hospital")
def verify(hospital: str) -> None:
    """Note that the safety number was the same.

    HOSPITAL is whom you compared it with. Do it on the telephone, not by mail through the same network.
    """
    from friendlyfl.controller import actions

    peer = actions.find.peer(hospital)
    actions.verify_site(me(), peer)
    tell(f"{peer.name} is verified.")


@project.command("remove-site")
@of_site
@click.argument("hospital")
@project_option
@click.confirmation_option(
    prompt="Take this hospital out of the project and out of every run under way?", help="Do not ask."
)
def remove_site(hospital: str, project: str | None) -> None:
    """Take a hospital out of the project.

    HOSPITAL leaves every run under way and gets no more post. What it sent stays sent.
    """
    from friendlyfl.controller import actions

    peer = actions.find.peer(hospital)
    actions.remove_site(me(), the_project(project), peer.site)
    tell(f"{peer.name} gets no more post of this project.")


@project.command()
@of_site
@project_option
@click.confirmation_option(prompt="Leave this project? Nothing more will be sent", help="Do not ask.")
def leave(project: str | None) -> None:
    """Leave a project that another one coordinates."""
    from friendlyfl.controller import actions

    row = the_project(project)
    actions.leave_project(me(), row)
    tell(f"This hospital left {row.name}.")


@project.command()
@of_site
@project_option
@click.confirmation_option(
    prompt="Close this project? Its results stay, no more runs can start", help="Do not ask."
)
def close(project: str | None) -> None:
    """Close a project that this hospital coordinates."""
    from friendlyfl.controller import actions

    row = the_project(project)
    actions.close_project(me(), row)
    tell(f"{row.name} is closed.")

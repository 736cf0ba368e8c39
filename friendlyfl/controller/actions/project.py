"""Verbs about projects: start one, invite hospitals, join, accept, leave.

What needs the Routing Server asks it first and records after; each verb can be pressed again after a failure.
"""

import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from friendlyfl.client.answers import InvitationOffer, Join
from friendlyfl.controller import here, line, members, plans, runs
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.ledger import Leaving
from friendlyfl.controller.models import COORDINATOR, PARTICIPANT, Invitation, Peer, Project
from friendlyfl.controller.post import send_values
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import (
    ConflictError,
    ForbiddenError,
    FriendlyError,
    NotFoundError,
    UsageError,
    WireError,
)
from friendlyfl.core.limits import INVITATION_KEPT, NAME, RECIPIENTS
from friendlyfl.wire import invitation, trust
from friendlyfl.wire.keys import SignedCard, check_card


def create_project(actor: Actor, name: str, purpose: str = "", hospitals: Sequence[str] = ()) -> Project:
    """Start a project that this site coordinates, with an invitation code for each of the hospitals.

    Raises UsageError `name`, `purpose` or `hospitals`, ConflictError `name_taken`.
    """
    with acting(actor, "create_project", name):
        if not name.strip() or len(name) > NAME or not name.isprintable():
            raise UsageError("name", f"Give the project a name of 1 to {NAME} characters.")
        if not plans.is_purpose(purpose):
            raise UsageError("purpose", f"Say what the project is for in at most {plans.PURPOSE} characters.")
        if Project.objects.filter(name=name).exists():
            raise ConflictError("name_taken", f"There is a project called {name} here already.")
        _check_hospitals(hospitals)
        line.router()
        with transaction.atomic():
            project = Project.objects.create(
                uid=str(uuid.uuid4()),
                name=name,
                purpose=purpose,
                role=COORDINATOR,
                coordinator=here.site(),
                state="new",
            )
            _next_manifest(
                project, [trust.Member(here.site(), COORDINATOR, here.keys().identity.fingerprint)]
            )
        publish_project(project)
        for hospital in hospitals:
            _invite(project, hospital)
        return project


def _check_hospitals(hospitals: Sequence[str]) -> None:
    if len(hospitals) >= RECIPIENTS:
        raise UsageError("hospitals", f"A project has at most {RECIPIENTS} hospitals, this one included.")
    for hospital in hospitals:
        if not hospital.strip() or len(hospital) > NAME or not hospital.isprintable():
            raise UsageError("hospitals", f"The name of a hospital has 1 to {NAME} characters.")
        if hospitals.count(hospital) > 1:
            raise UsageError(
                "hospitals", f"{hospital} is there twice. Each hospital gets one code of its own."
            )


def publish_project(project: Project) -> None:
    """Tell the RS of a project and every member list it lacks. Safe to repeat; the agent does it after a failure."""
    with line.noting() as router:
        try:
            router.project(project.uid)
        except NotFoundError:
            router.create_project(project.uid, project.name, project.purpose)
        known = {signed.sha256 for signed in router.manifests(project.uid)}
        for row in project.manifests.all():
            if row.sha256 not in known:
                router.post_manifest(project.uid, trust.SignedManifest.from_json(row.signed))
    Project.objects.filter(pk=project.pk, state="new").update(state="open")
    project.refresh_from_db()


def _next_manifest(project: Project, belong: list[trust.Member]) -> None:
    """Sign and hold the next epoch. The caller publishes it."""
    held = project.manifests.last()
    signed = trust.make_manifest(
        here.keys().identity,
        project=project.uid,
        epoch=held.epoch + 1 if held else 1,
        prev=held.sha256 if held else None,
        members=belong,
    )
    members.accept(project, signed)


# --- inviting ---


def invite_site(actor: Actor, project: Project, label: str) -> Invitation:
    """Make a one-time code for one hospital. Hand it over outside the RS: by mail, paper or telephone."""
    with acting(actor, "invite_site", label):
        only_coordinator(project)
        if not label.strip() or len(label) > NAME or not label.isprintable():
            raise UsageError("name", "Say which hospital the code is for.")
        publish_project(project)
        return _invite(project, label)


def _invite(project: Project, label: str) -> Invitation:
    code = invitation.make_code(line.router().address, here.keys().identity.fingerprint)
    expires = timezone.now() + timedelta(seconds=INVITATION_KEPT)
    uid = invitation.read_code(code).id
    with line.noting() as router:
        router.create_invitation(project.uid, uid, label, expires.isoformat())
    return Invitation.objects.create(project=project, uid=uid, label=label, code=code, expires_at=expires)


def renew_invitation(actor: Actor, row: Invitation) -> Invitation:
    """Make a new code for the same hospital; the old one, which was not used, is worthless from then on."""
    with acting(actor, "renew_invitation", row.label):
        only_coordinator(row.project)
        if row.state != "open":
            raise ConflictError("code_used", f"The code for {row.label} is not open any more.")
        new = _invite(row.project, row.label)
        _withdraw(row)
        return new


def withdraw_invitation(actor: Actor, row: Invitation) -> None:
    """Make a code that was not used worthless."""
    with acting(actor, "withdraw_invitation", row.label):
        _withdraw(row)


def _withdraw(row: Invitation) -> None:
    try:
        with line.noting() as router:
            router.delete_invitation(row.project.uid, row.uid)
    except NotFoundError:
        pass  # it has forgotten the code: then nobody can use it
    Invitation.objects.filter(pk=row.pk, state="open").update(state="withdrawn")


def refresh_invitations(project: Project) -> None:
    """Learn which hospitals used their code, and check that each was given it: the MAC over its card."""
    with line.noting() as router:
        found = {offered.id: offered for offered in router.invitations(project.uid)}
    swapped: WireError | None = None
    for row in project.invitations.filter(state="open"):
        offered = found.get(row.uid)
        if offered is None or offered.join is None:
            continue
        try:
            _note_joiner(row, offered.join)
        except WireError as error:
            swapped = error  # said at the end: one bad card must not keep the other hospitals waiting
    if swapped is not None:
        raise swapped


def _note_joiner(row: Invitation, join: Join) -> None:
    code = invitation.read_code(row.code)
    invitation.check_join_mac(code.mac_key(row.project.uid), join.card.raw, row.project.uid, join.mac)
    check_card(join.card, site=join.site)
    row.state, row.site, row.card = "joined", join.site, join.card.to_json()
    row.site_name = _one_line(join.name)
    row.save()


def _one_line(name: str) -> str:
    """A name that the Routing Server told, fit to be shown."""
    return "".join(sign for sign in name if sign.isprintable())[:NAME].strip() or "A hospital without a name"


def accept_joiner(actor: Actor, project: Project, site: str) -> Peer:
    """Let a hospital in that used its code: its key is pinned and the next member list names it."""
    with acting(actor, "accept_joiner", site, needs="site-admin"):
        only_coordinator(project)
        row = project.invitations.filter(state="joined").filter(site=site).first()
        if row is None or row.card is None:
            raise NotFoundError("no_joiner", "No hospital of that name waits to be accepted.")
        with transaction.atomic():
            peer = members.pin(row.site, row.site_name, SignedCard.from_json(row.card))
            belong = list(members.current(project)[0].members)
            if peer.site not in {member.site for member in belong}:
                _next_manifest(project, [*belong, trust.Member(peer.site, PARTICIPANT, peer.fingerprint)])
            row.state = "accepted"
            row.save(update_fields=["state"])
        publish_project(project)
        return peer


# --- joining ---


def read_invitation(actor: Actor, code_text: str) -> tuple[str, str]:
    """What a code is for: the names of the project and of its coordinator. Nothing is used up and nothing is told."""
    with acting(actor, "read_invitation", needs="site-admin"):
        _, offer = _offer(code_text)
        if Project.objects.filter(uid=offer.project).exclude(state="joining").exists():
            raise ConflictError("joined", "This hospital belongs to that project already.")
        return _one_line(offer.project_name), _one_line(offer.coordinator_name)


def join_project(actor: Actor, code_text: str) -> Project:
    """Use an invitation code. The coordinator's key must be the one in the code; the RS cannot put another there."""
    with acting(actor, "join_project", needs="site-admin"):
        code, offer = _offer(code_text)
        with _forgotten_if_refused(offer.project, offer.coordinator):
            project = _remember_joining(offer.project, offer.project_name, offer.coordinator)
            members.pin(offer.coordinator, _one_line(offer.coordinator_name), offer.card)
            mine = here.keys().signed_card
            with line.noting() as router:
                router.join(
                    code.id, mine, invitation.join_mac(code.mac_key(project.uid), mine.raw, project.uid)
                )
        return project


def _offer(code_text: str) -> tuple[invitation.InvitationCode, InvitationOffer]:
    """What the RS says of a code, once the coordinator's key is found to be the one in it."""
    code = invitation.read_code(code_text)
    router = line.router()
    if not code.fits_router(router.address):
        raise UsageError(
            "other_router",
            f"This code is for another Routing Server than {router.address}, the one this hospital uses.",
        )
    try:
        with line.noting():
            offer = router.invitation(code.id)
    except NotFoundError as error:
        raise UsageError(
            "unknown_code",
            "This code is not known, was used already, or has expired. Ask the coordinator for a new one.",
            who="the coordinator",
        ) from error
    card = check_card(offer.card, site=offer.coordinator)
    if not code.fits(card.fingerprint):
        raise WireError(
            "swapped_card",
            "The Routing Server shows another coordinator's key than the one in the code. Nothing was sent. "
            "Call the coordinator and the administrator of the Routing Server.",
            who="the coordinator",
        )
    return code, offer


@contextmanager
def _forgotten_if_refused(project: str, coordinator: str) -> Iterator[None]:
    """A refusal leaves no trace. Without an answer the RS may have taken it, so what was asked is remembered."""
    new = [
        rows
        for rows in (Project.objects.filter(uid=project), Peer.objects.filter(site=coordinator))
        if not rows.exists()
    ]
    try:
        yield
    except FriendlyError as error:
        if not error.retryable:
            for rows in new:
                rows.delete()
        raise


def _remember_joining(uid: str, name: str, coordinator: str) -> Project:
    project, _ = Project.objects.get_or_create(
        uid=uid,
        defaults={
            "name": _one_line(name),
            "role": PARTICIPANT,
            "coordinator": coordinator,
            "state": "joining",
        },
    )
    if project.state != "joining":
        raise ConflictError("joined", f"This hospital belongs to {project.name} already.")
    return project


def refresh_joining(project: Project) -> bool:
    """Ask whether the coordinator has accepted this site; True once it has."""
    refresh_manifests(project)
    project.refresh_from_db()
    if project.epoch and here.site() in {member.site for member in members.current(project)[0].members}:
        Project.objects.filter(pk=project.pk).update(state="open")
        project.state = "open"
    return project.state == "open"


def refresh_manifests(project: Project) -> bool:
    """Fetch the newer epochs of the membership and accept them; True if the epoch held has grown."""
    before = project.epoch
    try:
        with line.noting() as router:
            found = router.manifests(project.uid)
    except NotFoundError:
        return False
    for signed in found[before:]:
        members.accept(project, signed)
    return project.epoch > before


# --- leaving ---


def remove_site(actor: Actor, project: Project, site: str) -> None:
    """Take a hospital out of the project: it leaves every run under way and gets no more post."""
    with acting(actor, "remove_site", site, needs="site-admin"):
        only_coordinator(project)
        belong = members.current(project)[0].members
        stay = [member for member in belong if member.site != site]
        if site == here.site() or len(stay) == len(belong):
            raise NotFoundError("no_member", "No participant of that name belongs to the project.")
        with transaction.atomic():
            _next_manifest(project, stay)
            for run in project.runs.exclude(state__in=[*core_run.ENDED, ""]):
                runs.feed(run.uid, runs.RUN, core_run.Left(site, datetime.now(UTC).timestamp()))
        publish_project(project)


def leave_project(actor: Actor, project: Project) -> None:
    """Leave a project that another site coordinates. What was sent stays sent; nothing more will be."""
    with acting(actor, "leave_project", project.name, needs="site-admin"):
        if project.coordinates:
            raise ForbiddenError(
                "coordinator", "The coordinator does not leave its project; close it instead."
            )
        with transaction.atomic():
            if project.state == "open":
                leaving = Leaving("This hospital leaves the project")
                send_values(
                    project, "leave", {"id": secrets.token_hex(8)}, (project.coordinator,), leaving=leaving
                )
            for run in project.runs.exclude(state__in=[*core_run.ENDED, ""]):
                now = datetime.now(UTC).timestamp()
                runs.feed(run.uid, runs.SEAT, core_seat.Ended(core_run.STOPPED, "left_project", now))
            project.state = "closed"
            project.save(update_fields=["state"])


def close_project(actor: Actor, project: Project) -> None:
    """Close a project that this site coordinates: no more runs. Its results stay."""
    with acting(actor, "close_project", project.name, needs="site-admin"):
        only_coordinator(project)
        if project.runs.exclude(state__in=[*core_run.ENDED, ""]).exists():
            raise ConflictError(
                "run_under_way", "A run is under way. Stop it first.", command="friendlyfl run stop"
            )
        with line.noting() as router:
            router.update_project(project.uid, state="closed")
        Project.objects.filter(pk=project.pk).update(state="closed")


def only_coordinator(project: Project) -> None:
    if not project.coordinates:
        raise ForbiddenError(
            "not_coordinator",
            f"Only the coordinator, {members.name_of(project.coordinator)}, can do that.",
            who="the coordinator",
        )
    if project.state == "closed":
        raise ConflictError("closed", f"{project.name} is closed.")

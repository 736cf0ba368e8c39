"""Who belongs to a project: invitations, joins, and the coordinator's signed manifests, which alone decide.

What does not live here: the trust rules themselves (wire.trust), the secret of an invitation (never at the server).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from friendlyfl.core import limits
from friendlyfl.core.errors import WireError
from friendlyfl.wire import trust
from friendlyfl.wire.keys import STANDING, SignedCard
from friendlyfl.wire.trust import COORDINATOR, SignedManifest

from .. import models
from ..models import Invitation, Member, Participant, Project, Site
from ..refusals import Refusal, not_found
from . import sites
from .projects import archived

# --- invitations ---


def invite(
    project: Project, *, code_id: str, label: str, expires_at: datetime | None
) -> tuple[Invitation, bool]:
    """The invitation, and whether it is new."""
    if project.state != Project.State.OPEN:
        raise Refusal(409, "project_closed", "This project is closed to new hospitals.", who="you")
    latest = timezone.now() + timedelta(seconds=limits.INVITATION_KEPT)
    if expires_at is not None and not timezone.now() < expires_at <= latest + timedelta(minutes=10):
        raise Refusal(422, "expires_at", "An invitation ends within 14 days from now; choose such a time.")
    known = Invitation.objects.filter(code_id=code_id).first()
    if known is None:
        try:
            with transaction.atomic():
                made = Invitation.objects.create(
                    project=project, code_id=code_id, label=label, expires_at=expires_at or latest
                )
            return made, True
        except IntegrityError:
            known = Invitation.objects.get(code_id=code_id)
    if known.project_id != project.pk or known.label != label:
        raise Refusal(409, "invitation_taken", "An invitation with this id exists already; make a new code.")
    return known, False


def withdraw(invitation: Invitation) -> None:
    if invitation.accepted_at is not None:
        raise Refusal(
            409,
            "invitation_accepted",
            "This hospital was accepted; remove it from the project instead.",
            who="you",
        )
    invitation.delete()


def open_invitation(code_id: str) -> Invitation:
    """The invitation that a holder of its code asks for; of a withdrawn one nothing is told."""
    found = Invitation.objects.select_related("project__coordinator", "site").filter(code_id=code_id).first()
    if found is None or found.project.state != Project.State.OPEN:
        raise not_found()
    return found


def join(invitation: Invitation, site: Site, signed: SignedCard, mac: bytes) -> Invitation:
    """Keep the joiner's card and proof for the coordinator. One use; the same request again changes nothing."""
    card = sites.checked(signed, site=site.uid, fingerprint=site.fingerprint)
    if card.use != STANDING:
        raise Refusal(422, "card_use", "A hospital joins with its standing card.", who="the hospital's IT")
    invitation = Invitation.objects.select_for_update().get(pk=invitation.pk)
    same = (bytes(invitation.card or b""), bytes(invitation.mac or b"")) == (signed.raw, mac)
    if same and invitation.site_id == site.pk:
        return invitation
    if invitation.joined_at is not None:
        raise Refusal(
            409,
            "invitation_used",
            "This invitation was used; ask the coordinator for another code.",
            who="you",
        )
    if invitation.state == "expired":
        raise Refusal(
            409,
            "invitation_expired",
            "This invitation is past its time; ask the coordinator for a new code.",
            who="you",
        )
    invitation.site, invitation.joined_at = site, timezone.now()
    invitation.card, invitation.signature, invitation.mac = signed.raw, signed.signature, mac
    invitation.save()
    return invitation


def waiting_joins(site: Site) -> int:
    """How many hospitals used a code of this coordinator and wait for a person there."""
    waiting = Invitation.objects.filter(project__coordinator=site, accepted_at=None)
    return waiting.exclude(joined_at=None).exclude(project__state=Project.State.ARCHIVED).count()


# --- manifests ---


def accept_manifest(project: Project, signed: SignedManifest) -> tuple[models.Manifest, bool]:
    """The stored manifest of the next epoch, and whether it is new. Participant rows follow it."""
    project = Project.objects.select_for_update(of=("self",)).select_related("coordinator").get(pk=project.pk)
    _check(project, signed)
    known = models.Manifest.objects.filter(project=project, sha256=signed.sha256).first()
    if known is not None:
        return known, False
    if project.state == Project.State.ARCHIVED:
        raise archived()
    manifest = _next_manifest(project, signed)
    members = _known_sites(project, manifest)
    row = models.Manifest.objects.create(
        project=project,
        epoch=manifest.epoch,
        sha256=signed.sha256,
        raw=signed.raw,
        signature=signed.signature,
    )
    Member.objects.bulk_create(
        Member(manifest=row, site=members[m.site], role=m.role, fingerprint=m.fingerprint)
        for m in manifest.members
    )
    Project.objects.filter(pk=project.pk).update(epoch=manifest.epoch)
    _seat(project, manifest, members)
    return row, True


def _check(project: Project, signed: SignedManifest) -> None:
    """This project's coordinator signed it, for this project."""
    try:
        new = trust.check_manifest(signed, bytes.fromhex(project.coordinator.public))
    except WireError as error:
        raise Refusal(422, error.code, error.message, who="the coordinator") from error
    if new.project != project.uid or new.coordinator.site != project.coordinator.uid:
        raise Refusal(422, "other_project", "This list of members belongs to another project or coordinator.")


def _next_manifest(project: Project, signed: SignedManifest) -> trust.Manifest:
    """The manifest that `signed` is, if it follows the one that is held."""
    held = models.Manifest.objects.filter(project=project).order_by("-epoch").first()
    public = bytes.fromhex(project.coordinator.public)
    try:
        if held is None:
            return trust.accept_next(None, None, signed, public)
        return trust.accept_next(trust.check_manifest(_signed(held), public), held.sha256, signed, public)
    except WireError as error:
        raise Refusal(409, error.code, error.message, who="the coordinator") from error


def _signed(row: models.Manifest) -> SignedManifest:
    return SignedManifest(bytes(row.raw), bytes(row.signature))


def _known_sites(project: Project, manifest: trust.Manifest) -> dict[str, Site]:
    """Each member's row. A site can be named only if it joined: nobody is drawn into a project unasked, and
    no coordinator finds out by guessing which hospitals exist here.
    """
    uids = [member.site for member in manifest.members]
    found = {site.uid: site for site in Site.objects.filter(uid__in=uids, state=Site.State.ACTIVE)}
    inside = set(Participant.objects.filter(project=project, out_at=None).values_list("site__uid", flat=True))
    joined = set(_joined(project).values_list("site__uid", flat=True))
    for member in manifest.members:
        site = found.get(member.site)
        willing = member.role == COORDINATOR or member.site in inside | joined
        if site is None or not willing or site.fingerprint != member.fingerprint:
            raise Refusal(
                409,
                "not_joined",
                "The list names a hospital that has not joined with a code of this project, or has left it; "
                "sign the list again without it.",
                who="the coordinator",
            )
    return found


def _joined(project: Project) -> models.projects.InvitationQuerySet:
    """Joins that wait for their acceptance. A site that left needs a new one: its old one was accepted."""
    return Invitation.objects.filter(project=project, accepted_at=None).exclude(joined_at=None)


def _seat(project: Project, manifest: trust.Manifest, members: dict[str, Site]) -> None:
    now = timezone.now()
    inside = [members[member.site].pk for member in manifest.members]
    Participant.objects.filter(project=project, out_at=None).exclude(site__in=inside).update(out_at=now)
    for member in manifest.members:
        row, made = Participant.objects.get_or_create(
            project=project,
            site=members[member.site],
            defaults={"role": member.role, "fingerprint": member.fingerprint},
        )
        if not made and row.out_at is not None:
            Participant.objects.filter(pk=row.pk).update(out_at=None, joined_at=now)
    _joined(project).filter(site__in=inside).update(accepted_at=now)


def leave(participant: Participant) -> None:
    """Out at once; the coordinator signs the next manifest."""
    if participant.role == COORDINATOR:
        raise Refusal(
            409, "coordinator_stays", "The coordinator cannot leave; archive the project.", who="you"
        )
    Participant.objects.filter(pk=participant.pk).update(out_at=timezone.now())

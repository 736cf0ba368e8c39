"""Sites and their key cards: enrolling, renewing, revoking, closing."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from friendlyfl.core.errors import WireError
from friendlyfl.wire.keys import STANDING, Card, SignedCard, check_card
from friendlyfl.wire.trust import accept_card

from .. import models
from ..models import Enrolment, Mailbox, Participant, Project, Run, Site
from ..refusals import Refusal


def enrol(enrolment: Enrolment, *, uid: str, name: str, description: str, signed: SignedCard) -> Site:
    """One code makes one site. The same request again finds the site that it made."""
    card = _first_card(uid, signed)
    known = Site.objects.filter(uid=uid, fingerprint=card.fingerprint, owner=enrolment.user).first()
    if known is not None:
        return known
    if enrolment.used_at is not None:
        raise Refusal(
            409,
            "enrolment_used",
            "This enrolment code has made its site already; ask the administrator for another one.",
            who="the Routing Server's administrator",
        )
    try:
        with transaction.atomic():
            site = Site.objects.create(
                uid=uid,
                name=name,
                description=description,
                owner=enrolment.user,
                fingerprint=card.fingerprint,
                public=card.public.hex(),
            )
    except IntegrityError as error:
        raise Refusal(
            409,
            "site_exists",
            "A site with this uid or this key exists already; make a new identity at the site.",
            who="the hospital's IT",
        ) from error
    # Whoever uses the same code at the same moment waits here for the row and then finds it used.
    if not Enrolment.objects.filter(pk=enrolment.pk, used_at=None).update(used_at=timezone.now()):
        raise Refusal(409, "enrolment_used", "This enrolment code has just been used by another request.")
    Mailbox.objects.create(site=site)
    _store(site, card, signed)
    return site


def _first_card(uid: str, signed: SignedCard) -> Card:
    card = checked(signed, site=uid)
    if card.use != STANDING or card.seq != 1:
        raise Refusal(422, "first_card", "A new site's first card must be its standing card number 1.")
    return card


def checked(signed: SignedCard, *, site: str, fingerprint: str | None = None) -> Card:
    """The card, or 422 with the sentence of what is wrong with it."""
    try:
        return check_card(signed, fingerprint=fingerprint, site=site)
    except WireError as error:
        raise Refusal(422, error.code, error.message, who="the hospital's IT") from error


def add_card(site: Site, signed: SignedCard) -> tuple[models.Card, bool]:
    """The stored card, and whether it is new. A card has to continue the one before it of the same use."""
    card = checked(signed, site=site.uid, fingerprint=site.fingerprint)
    known = models.Card.objects.filter(sha256=signed.sha256).first()
    if known is not None:
        return known, False
    newest = models.Card.objects.filter(site=site, use=card.use).order_by("-seq").first()
    try:
        accept_card(
            check_card(signed_card(newest)) if newest is not None else None,
            signed,
            fingerprint=site.fingerprint,
            site=site.uid,
        )
        with transaction.atomic():
            return _store(site, card, signed), True
    except WireError as error:
        raise Refusal(409, error.code, error.message, who="the hospital's IT") from error
    except IntegrityError as error:
        raise Refusal(
            409, "card_split", "Another card with this number came at the same moment; fetch the cards again."
        ) from error


def _store(site: Site, card: Card, signed: SignedCard) -> models.Card:
    return models.Card.objects.create(
        site=site,
        sha256=signed.sha256,
        kid=card.kid,
        use=card.use,
        seq=card.seq,
        raw=signed.raw,
        signature=signed.signature,
    )


def signed_card(row: models.Card) -> SignedCard:
    return SignedCard(bytes(row.raw), bytes(row.signature))


def revoke(site: Site) -> None:
    """Bites at the next request: every credential check reads the state anew."""
    if site.state != Site.State.REVOKED:
        Site.objects.filter(pk=site.pk).update(state=Site.State.REVOKED, revoked_at=timezone.now())
        site.refresh_from_db()


def close(site: Site) -> None:
    """A site goes: it leaves every project, its own projects are archived, its key is refused from now on.

    The row stays, since manifests and post name it.
    """
    if Run.objects.active().filter(project__coordinator=site).exists():
        raise Refusal(
            409, "run_active", "This site coordinates a run that is active; stop the run first.", who="you"
        )
    Participant.objects.filter(site=site, out_at=None).update(out_at=timezone.now())
    Project.objects.filter(coordinator=site).update(state=Project.State.ARCHIVED)
    revoke(site)

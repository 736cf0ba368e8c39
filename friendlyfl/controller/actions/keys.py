"""Verbs about the keys of other hospitals: compare them, and what follows when one is not what it was."""

from typing import Any

from django.utils import timezone

from friendlyfl.controller import doubts, here, line, members
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import HeldPost, Peer, Project
from friendlyfl.core.errors import ConflictError, FriendlyError, NotFoundError
from friendlyfl.wire import invitation
from friendlyfl.wire.keys import SignedCard, check_card

UNREADABLE = "unreadable"  # what the RS shows in place of a key, and is none


def safety_number(peer: Peer) -> list[str]:
    """Twelve groups of five digits that both hospitals see alike."""
    return invitation.safety_number(here.keys().identity.fingerprint, peer.fingerprint)


def verify_site(actor: Actor, peer: Peer) -> None:
    """Note that somebody compared the safety number with the other hospital. Post that was held back goes again.

    Raises ConflictError `key_changed` while the RS shows another key: then the server is what is wrong.
    """
    with acting(actor, "verify_site", peer.name, needs="site-admin"):
        peer.refresh_from_db()
        if peer.shown:
            raise ConflictError(
                "key_changed",
                f"The Routing Server still shows another key for {peer.name}, so nothing goes there. Call the "
                "administrator of the Routing Server. Once it shows the right key again, come back to this page.",
                who="the administrator of the Routing Server",
            )
        Peer.objects.filter(pk=peer.pk).update(verified_by=actor.name, verified_at=timezone.now())
        HeldPost.objects.filter(sender=peer.site, code="key_changed", state="refused").update(state="settled")
        if peer.doubted:
            doubts.settle(peer)


def doubt_site(actor: Actor, peer: Peer) -> None:
    """Note that the other hospital reads another safety number: from now on no post goes there or comes in."""
    with acting(actor, "doubt_site", peer.name, needs="site-admin"):
        Peer.objects.filter(pk=peer.pk).update(verified_by="", verified_at=None)
        if not peer.doubted:
            doubts.begin(peer, doubts.HEARD)


def refresh_keys(project: Project) -> None:
    """Ask which keys the RS shows for the hospitals pinned here, and doubt a hospital whose key is another one.

    A key that is right again is noted, but settles nothing: a person has to look.
    """
    known = {peer.site: peer for peer in Peer.objects.filter(site__in=_counterparts(project))}
    if not known:
        return
    try:
        with line.noting() as router:
            told = router.participants(project.uid)
    except NotFoundError:
        return
    for record in told:
        peer = known.get(str(record.get("site")))
        if peer is None:
            continue
        shown = _shown(record, peer)
        if shown and shown != peer.shown:
            doubts.begin(peer, doubts.SHOWN, shown)
        elif peer.shown and not shown:
            Peer.objects.filter(pk=peer.pk).update(shown="")


def _counterparts(project: Project) -> list[str]:
    """Whom this site exchanges post with: the coordinator with everybody, everybody with the coordinator."""
    if not project.coordinates:
        return [project.coordinator]
    return [member.site for member in members.current(project)[0].members if member.site != here.site()]


def _shown(record: dict[str, Any], peer: Peer) -> str:
    """The fingerprint of the key that the RS shows, "" if it is the one pinned here."""
    try:
        found = check_card(SignedCard.from_json(record["card"]), site=peer.site).fingerprint
    except (FriendlyError, KeyError, TypeError):
        return UNREADABLE
    return "" if found == peer.fingerprint else found

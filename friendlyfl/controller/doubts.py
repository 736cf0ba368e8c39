"""Keys in question: what stands still until a person of this hospital has telephoned.

A key pinned here never changes, so post sealed for it is safe whatever the Routing Server shows. But a server that
shows another key may be somebody else's by now, and a person who hears another safety number may have met somebody in
between: from that moment no post goes to that hospital, and what comes from there waits unopened. Who notices it and
who may settle it is decided in actions.keys.
"""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from friendlyfl.controller import rows
from friendlyfl.controller.models import Departure, Outbox, Peer

SHOWN, HEARD = "shown", "heard"
WAITING, HELD = "waiting", "held"


def is_doubted(site: str) -> bool:
    """The key of this hospital is in question now."""
    return rows.first(Peer, without=("card",), site=site, doubted=True) is not None


def holds(to: Collection[str]) -> bool:
    """Post for these hospitals may not go: the key of one of them is in question."""
    return any(peer.site in to for peer in rows.every(Peer, doubted=True))


def begin(peer: Peer, why: str, shown: str = "") -> None:
    """From now on post of and for this hospital stays where it is."""
    with transaction.atomic():
        Peer.objects.filter(pk=peer.pk).update(
            doubted=True, doubt=why, shown=shown, doubted_at=timezone.now()
        )
        _sort(WAITING, HELD, {peer.site}, held=True)
    peer.refresh_from_db()


def settle(peer: Peer) -> None:
    """A person has found the key to be the right one: post goes again, in its order."""
    with transaction.atomic():
        Peer.objects.filter(pk=peer.pk).update(doubted=False, doubt="", shown="", doubted_at=None)
        doubted = set(Peer.objects.filter(doubted=True).values_list("site", flat=True))
        _sort(HELD, WAITING, doubted, held=False)
    peer.refresh_from_db()


def _sort(before: str, after: str, doubted: set[str], *, held: bool) -> None:
    """Move post from one state to the other: that for a doubted hospital when it is to be held, else all other."""
    rows_ = list(Outbox.objects.filter(state=before, here=False).values_list("pk", "msg"))
    readers = dict(Departure.objects.filter(msg__in=[msg for _, msg in rows_]).values_list("msg", "to"))
    moved = [pk for pk, msg in rows_ if bool(doubted & set(readers.get(msg, ()))) is held]
    Outbox.objects.filter(pk__in=moved).update(state=after)

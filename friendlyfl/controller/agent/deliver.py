"""Delivering: the outbox to the Routing Server, oldest first, the same bytes until they are there."""

import logging
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from friendlyfl.controller import contents, handlers, line, rows
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.agent.pause import Pause
from friendlyfl.controller.awaited import POST
from friendlyfl.controller.models import Outbox
from friendlyfl.core.errors import FriendlyError, UnreachableError
from friendlyfl.core.faults import faultpoint
from friendlyfl.core.limits import INLINE_BLOB
from friendlyfl.wire.message import Post

log = logging.getLogger("friendlyfl.deliver")
# The Routing Server's no to this site as it stands now, whatever it posts: a person has to act, the post waits.
ABOUT_THE_SITE = frozenset(
    {
        "fenced",
        "lease_held",
        "site_revoked",
        "bad_signature",
        "stale_signature",
        "replayed_request",
        "not_connected",
    }
)


def deliver(bell: Bell) -> None:
    """Empty the outbox until the bell stops."""
    pause, heard = Pause(bell), 0
    while not bell.stopping:
        row = rows.first(Outbox, "id", state="waiting")
        if row is None or not (row.here or line.is_up()):
            heard = bell.wait(POST, heard, 5.0)
            continue
        try:
            deliver_one(row)
            pause.over()
        except FriendlyError as error:
            log.warning("delivery of %s: %s (%s)", row.type, error.message, error.code)
            _put_off(row, error, pause)
        bell.ring()


def deliver_one(row: Outbox) -> None:
    """Deliver one row and mark it; safe to repeat, since the same envelope again is the same message."""
    if row.here:
        _deliver_here(row)
        return
    blob = contents.find(row.blob)
    if isinstance(blob, Path) and blob.stat().st_size <= INLINE_BLOB:
        blob = blob.read_bytes()
    with line.noting() as router:
        router.post_message(Post.from_json(row.post), blob)
    faultpoint("deliver.accepted")
    # After a power cut the same bytes would be posted once more, and the Routing Server knows them.
    rows.update_lazily(Outbox, {"pk": row.pk}, state="sent", sent_at=timezone.now(), trouble="")


def _deliver_here(row: Outbox) -> None:
    assert row.run is not None  # a site writes to itself about its own seat in a run only
    content = contents.read(row.blob)
    with transaction.atomic():
        rows.update(Outbox, {"pk": row.pk}, state="sent", sent_at=timezone.now())
        handlers.handle_here(row.type, row.run, row.context["step"], row.context["round"], content)
    faultpoint("deliver.here")


def _put_off(row: Outbox, error: FriendlyError, pause: Pause) -> None:
    """Try again later what the line, the lease or this site's access hinders: all other post would fare alike.

    A refusal of this very message is kept, with its reason, for a person; what follows it goes on.
    """
    if error.retryable or isinstance(error, UnreachableError) or error.code in ABOUT_THE_SITE:
        rows.update(Outbox, {"pk": row.pk}, tries=row.tries + 1, trouble=error.message)
        pause.after(error)
    else:
        trouble = f"{error.message} ({error.code})"
        rows.update(Outbox, {"pk": row.pk}, state="refused", tries=row.tries + 1, trouble=trouble)

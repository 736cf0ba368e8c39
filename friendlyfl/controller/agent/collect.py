"""Collecting: the long poll. Each message is taken or put aside, committed, and only then acknowledged."""

import io
import logging
from typing import BinaryIO, cast

from friendlyfl.client.answers import InboxMessage
from friendlyfl.controller import actions, here, inbox, line, rows
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.agent.pause import Pause
from friendlyfl.controller.awaited import POST
from friendlyfl.controller.models import Identity, Project
from friendlyfl.core.errors import FriendlyError, NotFoundError, WireError
from friendlyfl.core.limits import POLL_WAIT

log = logging.getLogger("friendlyfl.collect")


def collect(bell: Bell) -> None:
    """Poll until the bell stops."""
    pause, heard = Pause(bell), 0
    while not bell.stopping:
        try:
            if not line.is_up():
                heard = bell.wait(POST, heard, 1.0)
                continue
            poll(bell)
            pause.over()
        except FriendlyError as error:
            log.warning("poll: %s (%s)", error.message, error.code)
            pause.after(error)


def poll(bell: Bell, wait: int = POLL_WAIT) -> int:
    """Ask once; returns how many messages came."""
    cursor = here.cursor()
    with line.noting() as router:
        page = router.inbox(cursor, wait=wait, ack=cursor)
    for message in page.messages:
        _take(message)
    # Post that was taken has moved the cursor already; post that was put aside has not.
    if page.next != here.cursor():
        rows.update(Identity, {"pk": 1}, cursor=page.next)
    if page.messages:
        bell.ring()
    _retry_early()
    return len(page.messages)


def _take(message: InboxMessage) -> inbox.Outcome:
    outcome = inbox.receive(message, lambda: _open_blob(message))
    if outcome.state == "early" and outcome.needs and _fetch_manifests(outcome.needs):
        outcome = inbox.receive(message, lambda: _open_blob(message))
    if outcome.state == "refused":
        log.warning("post of %s put aside: %s", message.sender, outcome.code)
    return outcome


def _open_blob(message: InboxMessage) -> BinaryIO:
    if message.blob is not None:
        return io.BytesIO(message.blob)
    try:
        return cast(BinaryIO, line.router().payload(message.id))  # a raw stream that is read once
    except NotFoundError:
        # Asked for again it would not be there either; what follows must not wait for it.
        raise WireError(
            "blob_gone",
            "The Routing Server no longer has the content of a message. The sender must send it again.",
        ) from None


def _retry_early() -> None:
    for message in inbox.early():
        _take(message)


def _fetch_manifests(project_uid: str) -> bool:
    """Fetch and accept the newer epochs of a project; True if the epoch held has grown."""
    return actions.refresh_manifests(Project.objects.get(uid=project_uid))

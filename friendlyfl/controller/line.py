"""The line to the Routing Server: one client for this process, and what is known of the connection.

Whoever asks the RS asks through `router()`. Nothing here decides what to send.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone

from friendlyfl.client.router import Router
from friendlyfl.controller import here
from friendlyfl.controller.models import Identity
from friendlyfl.core.errors import ConflictError, FriendlyError, UnreachableError

ANSWER_NOTED_EVERY = 5.0  # seconds
# Refusals of this site as a whole and not of one request: until a person acts, nothing goes out and nothing comes in.
KEPT_OUT = frozenset(
    {"lease_held", "fenced", "cloned", "bad_signature", "site_revoked", "controller_too_old"}
)
STANDING_SECONDS = 1.0
_routers: dict[str, Router] = {}
_noted: dict[str, Any] = {"at": 0.0, "trouble": "", "standing": 0.0}
_standings: dict[str, Identity] = {}


def router() -> Router:
    """The client for the RS this site is connected to, with this site's lease.

    Raises ConflictError `not_connected`.
    """
    row = _standing()
    if not row.router:
        raise ConflictError(
            "not_connected",
            "This site is not connected to a Routing Server yet. Connect it first.",
            command="friendlyfl site connect",
        )
    if row.router not in _routers:
        _routers[row.router] = Router(
            row.router,
            here.keys().identity,
            site=row.site,
            ca_file=row.ca_file or None,
            plain_inside=row.plain_inside,
        )
    client = _routers[row.router]
    client.lease = row.lease
    return client


def is_up() -> bool:
    """Connected, and this instance holds the site's lease: what it posts and collects will be taken."""
    row = _standing()
    return bool(row.router) and row.lease > 0


def _standing() -> Identity:
    """This site's row, at most a second old once it is connected: its address and lease are asked for all the time."""
    row, read_at = _standings.get("row"), _noted["standing"]
    if row is None or not row.lease or time.monotonic() - read_at > STANDING_SECONDS:
        row = here.identity()
        _standings["row"], _noted["standing"] = row, time.monotonic()
    return row


def answered() -> None:
    """The RS answered: note the time now and then, and forget an old trouble at once."""
    if _noted["trouble"] or time.monotonic() - _noted["at"] > ANSWER_NOTED_EVERY:
        _noted.update(at=time.monotonic(), trouble="")
        offset = next(iter(_routers.values())).clock_offset if _routers else 0.0
        Identity.objects.filter(pk=1).update(
            answered_at=timezone.now(), line_trouble="", line_trouble_since=None, clock_offset=offset
        )


def failed(error: FriendlyError) -> None:
    """The RS did not answer, or will not: remember its sentence for the pages, and since when."""
    if _noted["trouble"] != error.message:
        first = not _noted["trouble"]
        _noted["trouble"] = error.message
        row = here.identity()
        row.line_trouble = error.message
        if first or row.line_trouble_since is None:
            row.line_trouble_since = timezone.now()
        row.save(update_fields=["line_trouble", "line_trouble_since"])


@contextmanager
def noting() -> Iterator[Router]:
    """Ask the RS, and keep what is known of the line up to date."""
    try:
        yield router()
    except FriendlyError as error:
        if isinstance(error, UnreachableError) or error.code in KEPT_OUT:
            failed(error)
        raise
    answered()

"""How any error becomes an answer that a person can read. The refusals themselves are router/refusals.py.

An error that nobody expected becomes 503 and one log line without content: never a 500, never a stack for the
asker, and never the error's own words, which could quote what was sent.

What does not live here: when to refuse (admission, accept, inbox, uploads).
"""

import json
import logging
from typing import Any

from starlette.responses import Response

from friendlyfl.core.errors import FriendlyError
from friendlyfl.router.refusals import Refusal, busy, not_found

log = logging.getLogger("friendlyfl.router.relay")

IT = "the hospital's IT"
ADMINISTRATOR = "the Routing Server's administrator"
NOBODY = "nobody yet; it is tried again"

HEAD = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Disconnected(Exception):
    """The asker has gone; nobody is left to answer."""


def answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; `body` None is an answer without one."""
    raw = b"" if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    media_type = None if body is None else "application/json"
    return Response(raw, status, HEAD | (headers or {}), media_type)


def refuse(error: FriendlyError, headers: dict[str, str] | None = None) -> Response:
    """The answer for a refusal. An error of the house that carries no status is a malformed request."""
    if not isinstance(error, Refusal):
        error = Refusal(400, error.code, error.message, who=error.who)
    return answer(error.status, error.body(), {**error.headers, **(headers or {})})


def unexpected(error: BaseException, what: str) -> Refusal:
    """Log kind and place of a surprise, and ask the asker to try again."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = (
        f"{place.tb_frame.f_code.co_filename.rpartition('/')[2]}:{place.tb_lineno}" if place else "nowhere"
    )
    log.error("%s failed: %s in %s", what, type(error).__name__, where)
    return busy()


__all__ = [
    "ADMINISTRATOR",
    "IT",
    "NOBODY",
    "Disconnected",
    "Refusal",
    "answer",
    "busy",
    "log",
    "not_found",
    "refuse",
    "unexpected",
]

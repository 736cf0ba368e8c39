"""The one exception that is an HTTP answer: status, code, sentence, who must act. Records and relay both
raise it.
"""

from __future__ import annotations

from typing import Any

from friendlyfl.core.errors import FriendlyError

CHALLENGE = 'Signature realm="friendlyfl", Token realm="friendlyfl"'


class Refusal(FriendlyError):
    """`body()` is the answer's JSON. `extra` adds fields (server_time, since); `retry_after` is in seconds."""

    default_who = "the asking program"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        who: str | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, who=who)
        self.status = status
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", CHALLENGE)
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def body(self) -> dict[str, Any]:
        body = {"code": self.code, "message": self.message, "who": self.who, **self.extra}
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        return body


def not_found() -> Refusal:
    """Of what one may not know: the same words as for a made-up uid."""
    return Refusal(404, "not_found", "There is nothing here that you may see; check the address.")


def busy() -> Refusal:
    return Refusal(
        503,
        "database_busy",
        "The Routing Server's database is busy; the same request may be sent again.",
        who="nobody; try again",
        retry_after=1,
    )

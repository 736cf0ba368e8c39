"""One JSON line a request and a line: what a log may hold. No body, no query, no credential is ever given
to it.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

FIELDS = ("request_id", "actor", "method", "route", "status", "bytes", "ms", "job")

requests = logging.getLogger("friendlyfl.router.requests")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; a traceback is one field of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "says": record.getMessage(),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def request_line(
    *, request_id: str, actor: str, method: str, route: str, status: int, sent: int, ms: float
) -> None:
    """Write the one line of a finished request; records and relay both end here."""
    fields = {
        "request_id": request_id,
        "actor": actor,
        "method": method,
        "route": route,
        "status": status,
        "bytes": sent,
        "ms": round(ms, 1),
    }
    requests.info("request", extra=fields)

"""How fast one asker may use the records: 429 with the seconds to wait.

The relay's buckets, with a lock, since the records are answered by several threads. What does not live here: how
often a password may be tried (registry.people).
"""

from __future__ import annotations

import math
import threading

from django.conf import settings

from ..refusals import Refusal
from ..registry.actor import Actor, Kind
from ..relay.limiter import Buckets

_lock = threading.Lock()
_known = Buckets(settings.REQUESTS_PER_SECOND, settings.REQUESTS_PER_SECOND)
_strangers = Buckets(settings.STRANGERS_PER_SECOND, settings.STRANGERS_PER_SECOND)


def count(actor: Actor, address: str) -> None:
    """Count one request of a known asker, or of an address that brought no credential."""
    if actor.kind is Kind.ANONYMOUS:
        count_stranger(address)
    else:
        _take(_known, actor.key)


def count_stranger(address: str) -> None:
    """Count one request without a credential that holds."""
    _take(_strangers, address)


def _take(buckets: Buckets, key: str) -> None:
    with _lock:
        wait = buckets.take(key)
    if wait > 0:
        raise Refusal(
            429,
            "too_fast",
            "These were too many requests at once; slow down.",
            retry_after=max(1, math.ceil(wait)),
        )

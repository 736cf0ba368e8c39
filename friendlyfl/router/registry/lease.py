"""Which Controller instance speaks for a site: a holder and a fence that only grows. No clock decides anything.

While a holder is set another instance is refused; an administrator can release the lease on the admin site.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ..models import Lease, Site
from ..refusals import Refusal


def beat(site: Site, instance: str, n: int, beat_id: str) -> int:
    """The site's fence number for this instance, or 409 `lease_held`. Call it in a transaction."""
    now = int(time.time())
    lease, made = Lease.objects.select_for_update().get_or_create(
        site=site, defaults={"instance": instance, "fence": 1, "since": now, "seen_at": now}
    )
    if not made and lease.instance == "":
        lease.instance, lease.since = instance, now
        lease.fence += 1
    if lease.instance != instance:
        raise _held(lease)
    lease.seen_at, lease.n, lease.beat = now, n, beat_id
    lease.save()
    return lease.fence


def release(site: Site) -> bool:
    """Let the next asker have the lease; the old holder's requests are fenced from then on."""
    return Lease.objects.filter(site=site).exclude(instance="").update(instance="") == 1


def _held(lease: Lease) -> Refusal:
    since = datetime.fromtimestamp(lease.since, UTC)
    return Refusal(
        409,
        "lease_held",
        f"Another copy of this site's Controller has spoken for it since {since:%Y-%m-%d %H:%M} UTC; "
        "stop one of the two.",
        who="the hospital's site-admin",
        extra={"since": since.isoformat()},
    )

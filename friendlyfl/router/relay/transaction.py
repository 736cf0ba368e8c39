"""What one group of jobs does to the database, and what it gathers until the commit.

A `Job` is one request's work, in two halves:

    check(tx)   reads and refuses, and writes nothing
    apply(tx)   writes; runs when the mailboxes it named are locked, and refuses before it writes

What many jobs write alike is gathered and written once for the group: positions, deliveries, who was seen, whose
bell to ring. On PostgreSQL each statement is a journey there and back, and the journeys are what a cycle costs.

What does not live here: threads and the order of things (commits).
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from friendlyfl.core.faults import faultpoint
from friendlyfl.router.relay.database import Database, Engine

SEEN_EVERY = 10.0  # seconds between two updates of a site's last_seen


class Transaction(Database):
    """The database within one group: adds the mailboxes it holds and what is gathered."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.rung: set[str] = set()
        self._last: dict[int, int] = {}
        self._deliveries: list[tuple[int, int, int, bytes, bytes]] = []
        self._seen: dict[int, int] = {}
        self._noted: dict[int, float] = {}

    def start(self, *, durable: bool) -> None:
        self.rung, self._last, self._deliveries, self._seen = set(), {}, [], {}
        self.begin(durable=durable)

    def lock(self, sites: Sequence[int]) -> None:
        """Lock these sites' mailboxes in order of site. Once in a transaction: a second lock could break the order."""
        found = self.all(
            "SELECT site_id, last FROM ffl_mailbox WHERE site_id IN (?*) ORDER BY site_id FOR UPDATE",
            sorted(sites),
        )
        self._last = {int(site): int(last) for site, last in found}

    def deliver(self, message: int, site: int, uid: str, delivery: bytes, signature: bytes) -> int:
        """Put a message into a locked mailbox, at its next position; its bell is rung after the commit."""
        self._last[site] += 1
        self._deliveries.append((message, site, self._last[site], delivery, signature))
        self.rung.add(uid)
        return self._last[site]

    def see(self, site: int, created: int) -> None:
        """A site has asked, by its own clock at `created`. Written down at most once in SEEN_EVERY seconds."""
        now = time.monotonic()
        if now - self._noted.get(site, -SEEN_EVERY) >= SEEN_EVERY:
            self._noted[site] = now
            self._seen[site] = created

    def finish(self) -> None:
        """Write what was gathered, tell the other workers, commit."""
        if self._deliveries:
            self._write_deliveries()
        if self._seen:
            self._write_seen()
        if self.rung and self.engine.postgres:
            self.all("SELECT pg_notify('ffl_inbox', uid) FROM unnest(?::text[]) AS uid", sorted(self.rung))
        faultpoint("relay.before-commit")
        self.commit()
        faultpoint("relay.after-commit")

    def _write_deliveries(self) -> None:
        self.many(
            "INSERT INTO ffl_delivery (message_id, site_id, position, delivery, signature) VALUES (?, ?, ?, ?, ?)",
            self._deliveries,
        )
        touched = sorted({site for _, site, *_ in self._deliveries})
        self.many(
            "UPDATE ffl_mailbox SET last = ? WHERE site_id = ?",
            [(self._last[site], site) for site in touched],
        )

    def _write_seen(self) -> None:
        now = datetime.now(UTC)
        self.many(
            "UPDATE ffl_site SET last_seen = ?, clock_skew = ? WHERE id = ?",
            [
                (self.engine.time(now), created - int(now.timestamp()), site)
                for site, created in sorted(self._seen.items())
            ],
        )


class Job:
    """One request's work. `durable` is False only where a lost commit could do no harm; see admission.py.

    A job may be done a second time, after its group was undone: it keeps nothing of a first try.
    """

    durable = True

    def check(self, tx: Transaction) -> None:
        """Read and refuse."""

    def mailboxes(self) -> Sequence[int]:
        """Sites whose mailboxes `apply` needs locked; asked after `check`."""
        return ()

    def apply(self, tx: Transaction) -> Any:
        """Write, and say what the asker is told."""
        return None

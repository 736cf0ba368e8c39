"""The house's regular work: plain functions, safe to repeat, and the clock that starts them.

`python3 manage.py runjob NAME` runs one at once. Nobody has to set up cron: each worker has a clock, and a
lease row lets one worker in the house run each job per period.

What does not live here: how the relay forgets post (relay.expiry).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db import close_old_connections, connection
from django.utils import timezone

from .models import Enrolment, IdempotencyKey, JobLease, Nonce, PasswordTry, Run, Site, Token
from .registry import audit, runs

log = logging.getLogger("friendlyfl.router.jobs")

KEYS_KEPT = timedelta(days=1)  # idempotency keys
OVERDUE_AFTER = timedelta(days=1)
LOOK_EVERY = 5.0  # seconds between two looks of the clock


def check_site_status() -> str:
    """Records in the audit which sites came and went since the last look."""
    changed = 0
    for site in Site.objects.filter(state=Site.State.ACTIVE):
        connected = site.connected
        if connected != site.noted_connected:
            noted = Site.objects.filter(pk=site.pk, noted_connected=site.noted_connected)
            if noted.update(noted_connected=connected):
                audit.house_did("site.connected" if connected else "site.disconnected", f"site:{site.uid}")
                changed += 1
    return f"{changed} sites came or went"


def expire_messages() -> str:
    """Forgets what is past its time: blobs, unfinished uploads, nonces, keys, tokens and sessions."""
    from .relay.expiry import expire

    now = timezone.now()
    seconds = int(now.timestamp())
    gone = expire(seconds)
    rows = [
        Nonce.objects.filter(expires_at__lt=seconds),
        IdempotencyKey.objects.filter(created_at__lt=now - KEYS_KEPT),
        PasswordTry.objects.filter(since__lt=seconds - 3600),
        Token.objects.filter(expires_at__lt=now),
        Enrolment.objects.filter(expires_at__lt=now, used_at=None),
        Session.objects.filter(expire_date__lt=now),
    ]
    forgotten = sum(query.delete()[0] for query in rows)
    return f"{gone} pieces of post and {forgotten} rows forgotten"


def close_overdue_runs() -> str:
    """Marks our copy of a run whose deadline passed a day ago as failed: its coordinator is lost."""
    overdue = list(Run.objects.active().filter(deadline__lt=timezone.now() - OVERDUE_AFTER))
    for lost in overdue:
        runs.close_lost(lost)
    return f"{len(overdue)} runs closed"


@dataclass(frozen=True)
class Job:
    work: Callable[[], str]
    every: int  # seconds

    @property
    def about(self) -> str:
        return (self.work.__doc__ or "").strip()


JOBS: dict[str, Job] = {
    "check_site_status": Job(check_site_status, 60),
    "expire_messages": Job(expire_messages, 600),
    "close_overdue_runs": Job(close_overdue_runs, 300),
}


def run(name: str) -> str:
    """Run one job now and log what it did."""
    said = JOBS[name].work()
    log.info(said, extra={"job": name})
    return said


def take_turn(name: str, now: int) -> bool:
    """Whether this worker runs the job for this period: it is whoever moves the row forward."""
    JobLease.objects.get_or_create(name=name)
    due = JobLease.objects.filter(name=name, due_at__lte=now)
    return due.update(due_at=now + JOBS[name].every) == 1


def run_due(now: int) -> None:
    """Run every job whose period has come; one that fails is logged and does not stop the others."""
    for name in JOBS:
        try:
            if take_turn(name, now):
                run(name)
        except Exception:
            log.exception("a job failed and will be tried at its next time", extra={"job": name})


@contextlib.contextmanager
def clock() -> Iterator[None]:
    """While this is open, a thread of this worker looks every few seconds what is due."""
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(LOOK_EVERY):
            close_old_connections()
            run_due(int(time.time()))
            connection.close()

    thread = threading.Thread(target=tick, name="jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)

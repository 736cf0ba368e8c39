"""Keeping time: the heartbeat with its lease, deadlines, what the RS should know of runs, logs on their way, tidying.

One thread, once a second; each duty has its own period and fails on its own, so that a broken line stops no deadline.
"""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from friendlyfl.controller import actions, contents, here, line, runs, word
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.ledger import Leaving
from friendlyfl.controller.models import COORDINATOR, Identity, LogLine, Outbox, Project, Run
from friendlyfl.controller.post import send_values
from friendlyfl.core import run as core_run
from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.limits import HEARTBEAT

log = logging.getLogger("friendlyfl.beat")
_reported: dict[str, tuple[str, float]] = {}  # run -> at which stage and when this process last reported it
LOG_BATCH = 200
PERIOD = 0.5  # seconds
REPORTED_RUNS = 50
REPORT_EVERY = 30.0  # seconds
INTENT_AGE = timedelta(seconds=15)  # a start that is older was cut off, not under way in another process
KEYS_KEPT = timedelta(minutes=10)  # the coordinator's, so that last logs of a run can still be opened


def beat(bell: Bell) -> None:
    """Do each duty when its time has come, until the bell stops."""
    duties: list[tuple[float, Callable[[], None]]] = [
        (float(HEARTBEAT), heartbeat),
        (1.0, ticks),
        (1.0, report_runs),
        (3.0, news),
        (5.0, send_logs),
        (10.0, look_at_keys),
        (10.0, erase_keys),
        (60.0, tell_people),
        (3600.0, forget_sessions),
    ]
    due = dict.fromkeys(range(len(duties)), 0.0)
    while not bell.stopping:
        for place, (every, duty) in enumerate(duties):
            if time.monotonic() >= due[place]:
                due[place] = time.monotonic() + every
                _try(duty, duty.__name__)
        bell.ring()
        time.sleep(PERIOD)


def _try(duty: Callable[[], None], name: str) -> None:
    try:
        duty()
    except FriendlyError as error:
        log.warning("%s: %s (%s)", name, error.message, error.code)
    except Exception:
        log.exception("%s broke", name)


def heartbeat() -> None:
    """Renew the lease; learn of grown member lists and of sites that used a code."""
    row = here.identity()
    if not row.router:
        return
    row.beats, row.beat_id = row.beats + 1, str(uuid.uuid4())
    row.save(update_fields=["beats", "beat_id"])
    with line.noting() as router:
        answer = router.heartbeat(row.instance, row.beats, row.beat_id)
    if answer.lease != row.lease:
        Identity.objects.filter(pk=1).update(lease=answer.lease)
        router.lease = answer.lease
    for project in Project.objects.filter(uid__in=answer.projects):
        if answer.projects[project.uid] > project.epoch:
            actions.refresh_manifests(project)


def ticks() -> None:
    """Tell every live run whose deadline has passed what time it is."""
    now = time.time()
    for run in live_runs():
        for side in (runs.RUN, runs.SEAT):
            deadline = runs.fold(run, side).deadline
            if deadline is not None and now >= deadline:
                runs.feed(run.uid, side, core_run.Tick(now))


def live_runs() -> list[Run]:
    return list(Run.objects.select_related("project", "plan").exclude(state__in=[*core_run.ENDED, ""]))


def report_runs() -> None:
    """Bring the RS's copies of runs up to date: at once where one has moved on or ended, else now and then, since the
    copy is for lists and decides nothing.
    """
    now = time.monotonic()
    for run in Run.objects.select_related("project").exclude(state="").order_by("-pk")[:REPORTED_RUNS]:
        state, at = _reported.get(run.uid, ("", 0.0))
        if run.state in core_run.ENDED or _stage(run.state) != state or now - at > REPORT_EVERY:
            _reported[run.uid] = (_stage(run.state), now)
            _try(partial(actions.report, run), "report")


def _stage(state: str) -> str:
    """A run goes to and fro between running and aggregating in every round: for lists the two are one."""
    return core_run.RUNNING if state == core_run.AGGREGATING else state


def news() -> None:
    """Ask after what the RS does not post: am I a member now, did a hospital use my code? And finish intents."""
    for project in Project.objects.filter(state="joining"):
        actions.refresh_joining(project)
    for project in Project.objects.filter(role=COORDINATOR, state="new"):
        actions.publish_project(project)
    for project in Project.objects.filter(role=COORDINATOR, invitations__state="open").distinct():
        actions.refresh_invitations(project)
    for run in Run.objects.filter(project__role=COORDINATOR, state="").select_related("project", "plan"):
        if run.started_at < timezone.now() - INTENT_AGE:
            actions.launch(run)


def look_at_keys() -> None:
    """Does the RS still show the keys that are pinned here?"""
    for project in Project.objects.filter(state="open"):
        actions.refresh_keys(project)


def send_logs() -> None:
    """Send this site's new log lines of each run to its coordinator, one message for many lines."""
    waiting = LogLine.objects.filter(sent=False)
    for run in Run.objects.filter(log__in=waiting).distinct().select_related("project", "plan"):
        if run.project.coordinator not in run.keys:
            continue
        lines = list(waiting.filter(run=run)[:LOG_BATCH])
        values = [
            {"at": found.at, "step": found.step, "round": found.round, "code": found.code} for found in lines
        ]
        with transaction.atomic():
            send_values(
                run.project,
                "log",
                {"lines": values},
                (run.project.coordinator,),
                run=run,
                leaving=Leaving(f"{len(lines)} lines of this hospital's log of the run: codes and times"),
            )
            LogLine.objects.filter(pk__in=[found.pk for found in lines]).update(sent=True)


def erase_keys() -> None:
    """Forget the keys of runs that are over and whose post is gone, and their sealed bytes with them."""
    for run in (
        Run.objects.filter(state__in=core_run.ENDED).select_related("project").order_by("-pk")[:REPORTED_RUNS]
    ):
        if run.project.coordinates and run.ended_at and timezone.now() - run.ended_at < KEYS_KEPT:
            continue
        if not here.keys().holds_run(run.uid) or LogLine.objects.filter(run=run, sent=False).exists():
            continue
        if Outbox.objects.filter(run=run, state__in=("waiting", "held")).exists():
            continue
        contents.forget(Outbox.objects.filter(run=run, here=False).values_list("blob", flat=True))
        here.keys().erase_run(run.uid)


def tell_people() -> None:
    """Word of the inbox, if a site-admin has switched it on."""
    word.begin()


def forget_sessions() -> None:
    """Remove what is left of sign-ins that are over, half-filled forms of theirs included."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()

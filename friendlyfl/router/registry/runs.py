"""Copies of runs: the one place where a run's state is written at the Routing Server.

The server decides nothing about a run. It refuses what the table of moves forbids, so that a list never shows
nonsense, and stores what each site says of itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from friendlyfl.core.run import ENDED, MOVES, STANDBY, STOPPED

from ..models import Manifest, Participant, Project, Run, Seat, Site
from ..refusals import Refusal
from . import audit

LOST = "coordinator_lost"
UNIX_FROM = 10**9  # a whole number from here on is a time, not a span: thirty years would be no deadline


def create(project: Project, fields: dict[str, Any]) -> tuple[Run, bool]:
    """The run, and whether it is new. `uid` and `number` come from the coordinator's journal."""
    project = Project.objects.select_for_update().get(pk=project.pk)
    known = Run.objects.filter(uid=fields["uid"]).first()
    if known is not None:
        return _same(known, project, fields), False
    _check(project, fields)
    try:
        with transaction.atomic():
            run = Run.objects.create(project=project, **fields)
            Seat.objects.bulk_create(_seats(run))
    except IntegrityError as error:
        raise _taken(project, fields) from error
    return run, True


def _same(known: Run, project: Project, fields: dict[str, Any]) -> Run:
    same = ("number", "plan_sha256", "epoch", "quorum", "repeats")
    if known.project_id != project.pk or any(getattr(known, name) != fields[name] for name in same):
        raise Refusal(409, "uid_taken", "A run with this uid exists already; use a new uid.")
    return known


def _check(project: Project, fields: dict[str, Any]) -> None:
    if project.state != Project.State.OPEN:
        raise Refusal(
            409, "project_closed", "This project is closed; open it before a run starts.", who="you"
        )
    if not Manifest.objects.filter(project=project, epoch=fields["epoch"]).exists():
        raise Refusal(409, "unknown_epoch", "The project's list of members has no such epoch; post it first.")
    if fields["repeats"] and not Run.objects.filter(project=project, uid=fields["repeats"]).exists():
        raise Refusal(422, "unknown_run", "The run that this one repeats is not one of this project.")


def _taken(project: Project, fields: dict[str, Any]) -> Refusal:
    if Run.objects.filter(project=project, number=fields["number"]).exists():
        return Refusal(409, "number_taken", "A run with this number exists already in this project.")
    return Refusal(
        409, "run_active", "A run of this project is active already; stop it or wait for its end.", who="you"
    )


def _seats(run: Run) -> list[Seat]:
    """One seat for each participant of the epoch that is still in the project."""
    members = Manifest.objects.get(project=run.project, epoch=run.epoch).members.values("site")
    inside = Participant.objects.filter(project=run.project, site__in=members, out_at=None)
    return [Seat(run=run, site_id=pk) for pk in inside.values_list("site", flat=True)]


def say(run: Run, site: Site, fields: dict[str, Any]) -> None:
    """Set the asker's own line: the run's copy for its coordinator, its seat for a participant."""
    if fields["state"] not in MOVES:
        raise Refusal(400, "unknown_state", "A run has no such state; see core.run for its states.")
    if run.project.coordinator_id == site.pk:
        move(run, fields)
        _say_seat(run, site, fields)
    elif not _say_seat(run, site, fields):
        raise Refusal(409, "no_seat", "This hospital has no seat in this run.", who="the coordinator")


def _say_seat(run: Run, site: Site, fields: dict[str, Any]) -> bool:
    return Seat.objects.filter(run=run, site=site).update(**fields, updated_at=timezone.now()) == 1


def move(run: Run, fields: dict[str, Any]) -> None:
    """Write the coordinator's line, if the table of moves allows the step from the state that is held."""
    run = Run.objects.select_for_update().get(pk=run.pk)
    state = fields["state"]
    if state != run.state and state not in MOVES[run.state]:
        raise Refusal(
            409,
            "forbidden_move",
            f"A run that is {run.state} cannot become {state}.",
            who="the coordinator",
            extra={"state": run.state},
        )
    if run.state in ENDED:
        return  # said again; what was said first stays
    now = timezone.now()
    for name, value in fields.items():
        setattr(run, name, value)
    if state != STANDBY and run.started_at is None:
        run.started_at = now
    if state in ENDED:
        run.ended_at = now
    run.save()


def stop(run: Run, message: str) -> None:
    """Note that the coordinator's signed `stop` was posted. Sites act on that envelope, not on this."""
    Run.objects.filter(pk=run.pk).update(stop_message=message)
    if run.state not in ENDED:
        _end(run, STOPPED, "")


def close(run: Run, reason: str) -> None:
    """An administrator ends our copy of a run, with a reason that its coordinator reads."""
    if run.state in ENDED:
        raise Refusal(409, "run_ended", "This run has ended already.", who="you")
    _end(run, STOPPED, reason)


def close_lost(run: Run) -> None:
    """A deadline passed a day ago and nothing came: the copy is failed, so that a new run can be recorded."""
    with transaction.atomic():
        _end(run, "failed", LOST)
        audit.house_did("run.closed", f"run:{run.uid}", project=run.project.uid)


def _end(run: Run, state: str, reason: str) -> None:
    fields = {"state": state, "step": run.step, "round": run.round, "progress": run.progress}
    move(run, {**fields, "reason": reason})


def instant(value: datetime | int | None) -> datetime | None:
    """A deadline as an instant. A whole number counts seconds from now, or Unix seconds when it is that large."""
    if value is None or isinstance(value, datetime):
        return value
    if value >= UNIX_FROM:
        return datetime.fromtimestamp(value, UTC)
    return timezone.now() + timedelta(seconds=value)

"""Where runs move: `feed` is the only writer of a run's journal and state.

One transaction holds the event, everything it causes (post, jobs, ledger) and whatever else the caller wrote
before it (the inbox's slot, the job's outcome). A controller that is killed anywhere replays the journal and
carries on. Deciding is core's; what a command becomes is commands'.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any, Final, Literal, overload

from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone

from friendlyfl.controller import commands, rows
from friendlyfl.controller.models import Job, Project, Run, RunEvent
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.faults import faultpoint
from friendlyfl.core.record import pack

RUN: Final = "run"
SEAT: Final = "seat"
_MACHINES = {
    RUN: (core_run.Run, core_run.unpack_event),
    SEAT: (core_seat.Seat, core_seat.unpack_event),
}
Machine = core_run.Run | core_seat.Seat

_folds: dict[tuple[str, str], tuple[int, Machine]] = {}  # (run, side) -> events folded, the fold


@overload
def fold(run: Run, side: Literal["run"]) -> core_run.Run: ...
@overload
def fold(run: Run, side: Literal["seat"]) -> core_seat.Seat: ...
@overload
def fold(run: Run, side: str) -> Machine: ...
def fold(run: Run, side: str) -> Machine:
    """The machine as it stands after the journal's last event. Treat it as read-only."""
    return _fold(run, side)[1]


def _fold(run: Run, side: str) -> tuple[int, Machine]:
    make, _unpack = _MACHINES[side]
    n, machine = _folds.get((run.uid, side), (0, make()))
    count = rows.count(RunEvent, run=run, side=side)
    if n < count:
        machine = copy.deepcopy(machine)
        # Up to the count and no further: another thread may have committed an event since.
        for event in events(side, journal(run, side, n)[: count - n]):
            machine.handle(event)
        _remember(run.uid, side, count, machine)
    return count, machine


def journal(run: Run, side: str, after: int = 0) -> list[str]:
    """The records of a journal as they are written, oldest first, without the `after` first ones."""
    news = RunEvent.objects.filter(run=run, side=side, n__gt=after).order_by("n")
    return list(news.annotate(text=Cast("event", TextField())).values_list("text", flat=True))


def events(side: str, records: Sequence[str]) -> list[Any]:
    """What the records say. They are read as one text: one by one, 10,000 of them take a page's whole time."""
    _make, unpack = _MACHINES[side]
    return [unpack(record) for record in json.loads(f"[{','.join(records)}]")]


def _remember(run_uid: str, side: str, n: int, machine: Machine) -> None:
    """Cache a fold once its events are committed, never before: a transaction may still be undone."""
    transaction.on_commit(lambda: _folds.__setitem__((run_uid, side), (n, machine)))


def feed(run_uid: str, side: str, event: Any) -> Run:
    """Take one event: journal it, carry out what follows. An event that changes nothing leaves no trace.

    Within a caller's transaction it stands or falls with that.
    """
    with transaction.atomic(savepoint=False):
        run = find(run_uid)
        if run is None:
            raise Run.DoesNotExist(run_uid)
        n, before = _fold(run, side)
        machine = copy.deepcopy(before)
        todo = machine.handle(event)
        if not todo and machine == before:
            return run
        rows.insert(RunEvent(run=run, side=side, n=n + 1, event=pack(event)))
        faultpoint("journal.written")
        for command in todo:
            commands.carry_out(run, command)
        if side == main_side(run):
            _copy_state(run, machine)
        faultpoint("feed.before_commit")
        _remember(run_uid, side, n + 1, machine)
    faultpoint("feed.committed")
    return run


def find(run_uid: str, project: Project | None = None) -> Run | None:
    """The run with this uid, if it is known here; `project` is what the caller has read just now of its project."""
    # What is large or seldom wanted (keys, plan, dictionary) is fetched only when it is looked at.
    run = rows.first(Run, without=("keys",), uid=run_uid)
    if run is not None and project is not None and run.project_id == project.pk:
        run.project = project
    elif run is not None:
        run.project = rows.get(Project, without=("dictionary",), pk=run.project_id)
    return run


def main_side(run: Run) -> str:
    """The journal that says where the run stands, seen from this site."""
    return RUN if run.project.coordinates else SEAT


def _copy_state(run: Run, machine: Machine) -> None:
    stood = (run.state, run.step, run.round, run.reason, run.deadline)
    run.state, run.step, run.round = machine.state, machine.step, machine.round
    run.reason, run.deadline = machine.reason, machine.deadline
    if stood == (run.state, run.step, run.round, run.reason, run.deadline):
        return
    if machine.ended and run.ended_at is None:
        run.ended_at = timezone.now()
    rows.save(run, "state", "step", "round", "reason", "deadline", "ended_at")


def job_done(job: Job, side: str, event: Any, outcome: dict[str, Any] | None = None) -> None:
    """A job's effect and its done mark, together. Done twice counts once: the mark is checked first."""
    with transaction.atomic(savepoint=False):
        waiting = {"pk": job.pk, "state": "waiting"}
        changed = rows.update(Job, waiting, state="done", outcome=outcome or {})
        faultpoint("job.marked")
        if changed:
            feed(job.run.uid, side, event)

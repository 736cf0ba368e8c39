"""What opened post means: one function a message type, from content to the event of a run or a record.

Called by inbox (after all checks, in its transaction) and by the agent for this site's post to itself. A handler
may refuse with WireError; then nothing of the message is kept. Content is parsed strictly: another site wrote it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from friendlyfl.controller import approvals, contents, here, members, plans, reading, runs
from friendlyfl.controller.models import (
    PARTICIPANT,
    Approval,
    LogLine,
    Plan,
    Project,
    Result,
    Run,
    SiteProgress,
)
from friendlyfl.core import moment
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import WireError
from friendlyfl.core.limits import STATE_BYTES
from friendlyfl.core.troubles import known
from friendlyfl.wire.codec import decode
from friendlyfl.wire.fields import is_uid
from friendlyfl.wire.message import TYPES, Context

LOG_LINES = 1000  # in one message


class EarlyPost(Exception):
    """The post may be good, but what it builds on is not here yet. `needs`: whose member list to fetch."""

    def __init__(self, needs: str = "") -> None:
        super().__init__(needs)
        self.needs = needs


@dataclass(frozen=True)
class Place:
    """Where a content belongs and who says it: the part of an envelope's context that handlers read."""

    type: str
    sender: str
    epoch: int
    manifest: str
    run: str | None
    step: int
    round: int
    seq: int = 0  # counts what the sender sealed, so that an older word is known as such


def check_moment(ctx: Context, project: Project, run: Run | None) -> None:
    """Post that may become good in a moment waits unopened; post that never can is refused. See core.moment."""
    if TYPES[ctx.type].senders == {PARTICIPANT} and not project.coordinates:
        raise WireError(
            "role", "A hospital that takes part has nothing to say to another one. Its message was put aside."
        )
    if ctx.run is None or ctx.type == "receipt":
        return
    if project.coordinates:
        if run is None:
            raise WireError("unknown_run", "A message belongs to a run that this hospital never started.")
        machine = runs.fold(run, runs.RUN)
        in_time = moment.fits_run(machine, ctx.type, ctx.sender, ctx.step, ctx.round)
    else:
        seat = runs.fold(run, runs.SEAT) if run else core_seat.Seat()
        in_time = moment.fits_seat(seat, ctx.type, ctx.step, ctx.round)
    if not in_time:
        raise EarlyPost


def is_over(run: Run) -> bool:
    """The run is finished here and its key is erased, so nothing of it can or need be opened."""
    return run.state in core_run.ENDED and not here.keys().holds_run(run.uid)


def handle(ctx: Context, content: bytes, project: Project, run: Run | None) -> None:
    """Do what the message says, inside the caller's transaction."""
    place = Place(ctx.type, ctx.sender, ctx.epoch, ctx.manifest, ctx.run, ctx.step, ctx.round, ctx.seq)
    _HANDLERS[ctx.type](place, content, project, run)


def handle_here(type_: str, run: Run, step: int, round_: int, content: bytes) -> None:
    """Take post of this site to itself: it never was sealed, and its order is the outbox's."""
    place = Place(type_, here.site(), run.epoch, run.manifest, run.uid, step, round_)
    _HANDLERS[type_](place, content, run.project, run)


# --- projects ---


def _plan(place: Place, content: bytes, project: Project, run: Run | None) -> None:
    plan = plans.read(content)
    if plan.project != project.uid:
        raise WireError("wrong_project", "A plan of another project was sent for this one.")
    told = {"raw": content, "epoch": place.epoch, "seq": place.seq, "proposed_at": timezone.now()}
    if project.plans.filter(seq__gt=place.seq).exists():  # this older one was held up on its way
        Plan.objects.get_or_create(project=project, sha256=plan.sha256, defaults={**told, "current": False})
        return
    project.plans.update(current=False)
    Plan.objects.update_or_create(project=project, sha256=plan.sha256, defaults={**told, "current": True})
    project.name, project.purpose = plan.name, plan.purpose
    project.save(update_fields=["name", "purpose"])


def _decision(place: Place, content: bytes, project: Project, run: Run | None) -> None:
    said = reading.values(content, plan=str, epoch=int, person=str, reason=str, until=str, once=bool)
    plan = project.plans.filter(sha256=said["plan"]).first()
    if plan is None:
        raise WireError("unknown_plan", "A hospital decided about a plan that was never proposed here.")
    word = {
        "epoch": reading.number(said["epoch"], least=1, most=project.epoch),
        "person": reading.text(said["person"], 150, least=1),
        "reason": reading.text(said["reason"], 500),
        "until": reading.day(said["until"]),
        "once": said["once"],
    }
    if plan.approvals.filter(site=place.sender, seq__gt=place.seq).exists():
        return  # a newer word of this hospital came first
    Approval.objects.create(
        plan=plan, site=place.sender, approved=place.type == "approve", seq=place.seq, **word
    )


def _leave(place: Place, content: bytes, project: Project, run: Run | None) -> None:
    for live in project.runs.exclude(state__in=core_run.ENDED).exclude(state=""):
        runs.feed(live.uid, runs.RUN, core_run.Left(place.sender, time.time()))


# --- a participant's part of a run ---


def _run_invite(place: Place, content: bytes, project: Project, run: Run | None) -> None:
    said = reading.values(
        content,
        run=str,
        number=int,
        plan=str,
        epoch=int,
        quorum=int,
        steps=int,
        patience=float,
        repeats=str,
        card=dict,
    )
    plan = project.plans.filter(sha256=said["plan"]).first()
    if plan is None or said["run"] != place.run:
        raise WireError("unknown_plan", "A run of a plan that was never sent here was announced.")
    members.run_card(said["card"], place.sender, said["run"])
    if not _fits_plan(said, plans.read(bytes(plan.raw)), place, project):
        raise WireError("bad_invite", "The announcement of a run does not fit its plan.")
    if run is None:  # a coordinator with data of its own has the run already
        run = Run.objects.create(
            uid=said["run"],
            project=project,
            plan=plan,
            number=said["number"],
            epoch=place.epoch,
            manifest=place.manifest,
            repeats=said["repeats"],
            keys={place.sender: said["card"]},
        )
    approved = approvals.take(plan, run)
    event = core_seat.Invited(time.time(), said["steps"], approved, said["patience"])
    runs.feed(run.uid, runs.SEAT, event)


def _fits_plan(said: dict[str, Any], plan: plans.Content, place: Place, project: Project) -> bool:
    return (
        here.site() in plan.seats
        and said["steps"] == len(plan.steps)
        and said["epoch"] == place.epoch
        and 0 < said["patience"] < 1e8
        and 1 <= said["quorum"] <= len(plan.seats)
        and 1 <= said["number"] <= reading.LARGEST
        and not project.runs.filter(number=said["number"]).exclude(uid=place.run).exists()
        and (not said["repeats"] or is_uid(said["repeats"]))
    )


def _state(place: Place, content: bytes, project: Project, run: Run) -> None:
    decode(content, limit=STATE_BYTES)
    digest = contents.keep(content)
    event = core_seat.StateCame(place.step, place.round, digest, time.time())
    runs.feed(run.uid, runs.SEAT, event)


def _result(place: Place, content: bytes, project: Project, run: Run) -> None:
    said = reading.values(content, step=int, last=bool, shared=bool, result=str, limit=STATE_BYTES)
    seat = runs.fold(run, runs.SEAT)
    if said["step"] != place.step or said["last"] != (place.step == seat.steps):
        raise reading.bad_content()
    if seat.ended:
        return  # held back until this part was over
    if said["shared"]:
        result = reading.result(said["result"])
        Result.objects.get_or_create(run=run, step=place.step, defaults={"result": result})
    event = core_seat.ResultCame(place.step, contents.keep(content), said["last"], time.time())
    runs.feed(run.uid, runs.SEAT, event)


def _stop(place: Place, content: bytes, project: Project, run: Run) -> None:
    said = reading.values(content, outcome=str, reason=str)
    if said["outcome"] not in (core_run.FAILED, core_run.STOPPED):
        raise reading.bad_content()
    event = core_seat.Ended(said["outcome"], reading.reason(said["reason"]), time.time())
    runs.feed(run.uid, runs.SEAT, event)


# --- the coordinator's part ---


def _ready(place: Place, content: bytes, project: Project, run: Run) -> None:
    said = reading.values(content, ready=bool, code=str, card=dict)
    now = time.time()
    if said["ready"]:
        members.run_card(said["card"], place.sender, run.uid)
        # The run was read before this transaction began: another thread may have added a key since.
        run.refresh_from_db(fields=["keys"])
        run.keys[place.sender] = said["card"]
        run.save(update_fields=["keys"])
        runs.feed(run.uid, runs.RUN, core_run.Ready(place.sender, now))
    else:
        runs.feed(run.uid, runs.RUN, core_run.NotReady(place.sender, known(said["code"]), now))


def _update(place: Place, content: bytes, project: Project, run: Run) -> None:
    digest = contents.keep(content)
    event = core_run.UpdateCame(place.sender, place.step, place.round, digest, time.time())
    runs.feed(run.uid, runs.RUN, event)


def _trouble(place: Place, content: bytes, project: Project, run: Run) -> None:
    code = known(reading.values(content, code=str)["code"])
    event = core_run.Trouble(place.sender, place.step, place.round, code, time.time())
    runs.feed(run.uid, runs.RUN, event)


def _progress(place: Place, content: bytes, project: Project, run: Run) -> None:
    fraction = reading.values(content, fraction=float)["fraction"]
    SiteProgress.objects.update_or_create(
        run=run,
        site=place.sender,
        defaults={
            "step": place.step,
            "round": place.round,
            "fraction": min(max(fraction, 0.0), 1.0),
            "heard_at": timezone.now(),
        },
    )


def _log(place: Place, content: bytes, project: Project, run: Run) -> None:
    lines = reading.values(content, lines=list)["lines"]
    if len(lines) > LOG_LINES:
        raise reading.bad_content()
    made = []
    for line in lines:
        said = reading.record(line, at=float, step=int, round=int, code=str)
        facts = {
            "at": reading.moment(said["at"]),
            "step": reading.number(said["step"]),
            "round": reading.number(said["round"]),
            "code": known(said["code"]),
        }
        made.append(LogLine(run=run, site=place.sender, **facts))
    LogLine.objects.bulk_create(made)


def _receipt(place: Place, content: bytes, project: Project, run: Run | None) -> None:
    """Receipts free the outbox of post that nothing else answers; this version keeps it, so there is nothing to do."""


_HANDLERS: dict[str, Callable[[Place, bytes, Project, Any], None]] = {
    "plan": _plan,
    "approve": _decision,
    "decline": _decision,
    "leave": _leave,
    "run-invite": _run_invite,
    "state": _state,
    "result": _result,
    "stop": _stop,
    "ready": _ready,
    "update": _update,
    "trouble": _trouble,
    "progress": _progress,
    "log": _log,
    "receipt": _receipt,
}

"""Verbs about runs: start, stop, repeat, and what comes out of them."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from friendlyfl.client.router import Router
from friendlyfl.controller import drafts, here, ledger, line, members, plans, runs
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.actions.plan import current_plan
from friendlyfl.controller.actions.project import only_coordinator, publish_project
from friendlyfl.controller.models import Plan, Project, Run
from friendlyfl.core import run as core_run
from friendlyfl.core.errors import ConflictError, FriendlyError, NotFoundError, UnreachableError
from friendlyfl.core.troubles import sentence


def start_run(actor: Actor, project: Project, *, repeats: Run | None = None) -> Run:
    """Ask every hospital of the plan to take part in a new run.

    Raises ConflictError when a run is under way, or when the membership changed since the plan was proposed.
    """
    with acting(actor, "start_run", project.name):
        only_coordinator(project)
        plan = current_plan(project)
        if plan.epoch != project.epoch:
            raise ConflictError(
                "members_changed",
                "The list of hospitals changed since the plan was proposed. Propose it again.",
                command="friendlyfl plan propose",
            )
        if drafts.changed(project, plan):
            raise ConflictError(
                "plan_changed",
                "The plan was changed since it was proposed, so its approvals no longer count. Propose it again.",
                command="friendlyfl plan propose",
            )
        content = plans.read(bytes(plan.raw))
        if here.site() in content.seats and project.dataset is None:
            raise ConflictError(
                "no_dataset",
                "This site brings data of its own: choose a dataset first.",
                command="friendlyfl dataset use",
            )
        run = _intent(project, plan, repeats)
        try:
            launch(run)
        except FriendlyError as error:
            if not isinstance(error, UnreachableError):
                run.delete()
            raise  # the Routing Server may have noted the run: it keeps its number and starts when the line is back
        return run


def _intent(project: Project, plan: Plan, repeats: Run | None) -> Run:
    """The run to start: a new one, or the one whose start was cut off before any hospital was asked."""
    with transaction.atomic():
        live = project.runs.exclude(state__in=core_run.ENDED).select_related("project", "plan").first()
        if live is not None and (live.state or live.plan != plan):
            raise ConflictError(
                "run_under_way", "A run is under way. Wait for it, or stop it.", command="friendlyfl run stop"
            )
        last = project.runs.order_by("number").last()
        return live or Run.objects.create(
            uid=str(uuid.uuid4()),
            project=project,
            plan=plan,
            number=last.number + 1 if last else 1,
            epoch=project.epoch,
            manifest=members.current(project)[1],
            repeats=repeats.uid if repeats else "",
        )


def launch(run: Run) -> None:
    """From the intent (a Run without events) to the first event; the agent repeats it after a crash."""
    if run.events.filter(side=runs.RUN).exists():
        return
    content = plans.read(bytes(run.plan.raw))
    publish_project(run.project)
    with line.noting() as router:
        try:
            router.run(run.uid)
        except NotFoundError:
            _end_reported(run.project)
            seconds = content.rules["prepare_deadline"] + content.rules["round_deadline"]
            router.create_run(
                run.uid,
                project=run.project.uid,
                number=run.number,
                plan_sha256=run.plan.sha256,
                epoch=run.epoch,
                quorum=content.quorum,
                deadline=(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(),
                repeats=run.repeats or None,
            )
    event = core_run.Start(
        time.time(),
        content.seats,
        len(content.steps),
        content.quorum,
        float(content.rules["prepare_deadline"]),
        float(content.rules["round_deadline"]),
    )
    runs.feed(run.uid, runs.RUN, event)
    run.refresh_from_db()


def _end_reported(project: Project) -> None:
    """The RS allows one active run a project: tell it first of those that ended here."""
    for ended in project.runs.filter(state__in=core_run.ENDED):
        report(ended)


def report(run: Run) -> None:
    """Bring the RS's copy of a run up to date. It decides nothing there, so only where the run stands is told."""
    stands = f"{run.state}/{run.step}/{run.round}"
    if not run.state or stands == run.reported:
        return
    before = run.reported.split("/")[0] or core_run.STANDBY
    with line.noting() as router:
        try:
            _move(router, run, before)
        except ConflictError as error:
            if error.code != "forbidden_move":
                raise
            # The run is further there than this site remembers: an answer was lost, or the site came from a copy.
            there = router.run(run.uid)["state"]
            if there not in core_run.ENDED:
                _move(router, run, there)
    Run.objects.filter(pk=run.pk).update(reported=stands)


def _move(router: Router, run: Run, before: str) -> None:
    for state in path_of_moves(before, run.state):
        reason = run.reason[:300] if state in core_run.ENDED and run.reason else None
        router.put_status(run.uid, state=state, step=run.step, round=run.round, reason=reason)


def path_of_moves(before: str, after: str) -> list[str]:
    """The shortest way along core.run's table; a run that is back in the state it was in is one report."""
    if before == after:
        return [after]
    ways = [[before]]
    while ways:
        way = ways.pop(0)
        for state in sorted(core_run.MOVES[way[-1]]):
            if state == after:
                return [*way[1:], state]
            if state not in way:
                ways.append([*way, state])
    return [after]


def stop_run(actor: Actor, run: Run) -> Run:
    """Stop a run everywhere. A hospital that is away stops when it comes back."""
    with acting(actor, "stop_run", f"run {run.number} of {run.project.name}"), transaction.atomic():
        only_coordinator(run.project)
        if run.state in core_run.ENDED:
            return run
        if not run.state:
            raise ConflictError(
                "not_started",
                "No hospital was asked yet: stop the run once the Routing Server has been reached.",
            )
        return runs.feed(run.uid, runs.RUN, core_run.Stop(actor.name, time.time()))


def repeat_run(actor: Actor, run: Run) -> Run:
    """Start a new run that names the one it repeats, with the plan as it is now."""
    return start_run(actor, run.project, repeats=run)


def overview(run: Run) -> dict[str, Any]:
    """Where a run stands, for its own site: the coordinator sees every seat, a participant its own part only."""
    side = runs.main_side(run)
    content = plans.read(bytes(run.plan.raw))
    seen: dict[str, Any] = {
        "project": run.project.name,
        "run": run.number,
        "uid": run.uid,
        "state": run.state or core_run.STANDBY,
        "step": run.step,
        "steps": len(content.steps),
        "round": run.round,
        "task": content.steps[max(run.step, 1) - 1].title,
        "reason": reason_words(run),
        "seats": [],
    }
    if side == runs.RUN:
        seen["seats"] = _seats(run)
    return seen


def _seats(run: Run) -> list[dict[str, Any]]:
    """Every hospital of the run; `fraction` is the share of this round's work that it last said is done."""
    here_and_now = run.progress.filter(step=run.step, round=run.round)
    told = dict(here_and_now.values_list("site", "fraction"))
    return [
        {
            "site": members.name_of(seat.site),
            "status": seat.status,
            "fraction": told.get(seat.site) if seat.status == "computing" else None,
            "reason": sentence(seat.reason) if seat.reason else "",
            "since": seat.since,
        }
        for seat in runs.fold(run, runs.RUN).seats.values()
    ]


def reason_words(run: Run) -> str:
    """Why a run failed or stopped, in words."""
    kind, _, detail = run.reason.partition(":")
    if kind == "stopped_by":
        return f"Stopped by {detail}." if detail else "Stopped by the coordinator."
    if kind == "below_quorum":
        return (
            f"Fewer hospitals than the plan asks for were left. {sentence(detail) if detail else ''}".strip()
        )
    if kind == "job_failed":
        return f"The coordinator's own part failed. {sentence(detail) if detail else ''}".strip()
    return sentence(kind) if kind else ""


def export_ledger() -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """Every line of the ledger, and where its chain breaks (nowhere, unless somebody changed it)."""
    return list(ledger.lines()), list(ledger.breaks())

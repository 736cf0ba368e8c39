"""A participant's word on a plan: yes until a day or for one run, no with a reason, and a yes taken back."""

import time
from datetime import date, timedelta

from django.db import transaction

from friendlyfl.controller import approvals, here, runs
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.actions.plan import current_plan
from friendlyfl.controller.ledger import Leaving
from friendlyfl.controller.models import Approval, Plan, Project
from friendlyfl.controller.post import send_values
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import ConflictError, ForbiddenError, UsageError
from friendlyfl.core.run import ENDED, STANDBY

REASON = 500  # characters
TAKEN_BACK = "The approval was taken back."


def approve(
    actor: Actor,
    project: Project,
    *,
    until: date | None = None,
    once: bool = False,
    plan: Plan | None = None,
    epoch: int | None = None,
) -> Approval:
    """Say yes to the current plan, for this member list: for one run, or for all runs up to a day (in 90 days unless
    it is given). From now on this hospital computes what the plan says.

    `plan` and `epoch` are what the person has read: ConflictError if another plan or list holds by now.
    """
    with acting(actor, "approve", project.name, needs="site-admin"):
        asked = _open_request(project)
        _check_read(project, asked, plan, epoch)
        if project.dataset is None:
            raise ConflictError(
                "no_dataset",
                "Choose the dataset that serves this project first.",
                command="friendlyfl dataset use",
            )
        return _decide(actor, asked, approved=True, until=_last_day(until, once), once=once)


def decline(actor: Actor, project: Project, reason: str, *, plan: Plan | None = None) -> Approval:
    """Say no to the current plan, with a reason that the coordinator reads."""
    with acting(actor, "decline", project.name, needs="site-admin"):
        words = " ".join(reason.split())
        if not 1 <= len(words) <= REASON or not words.isprintable():
            raise UsageError(
                "reason", f"Give a reason of 1 to {REASON} characters; the coordinator reads it."
            )
        asked = _open_request(project)
        _check_read(project, asked, plan, None)
        return _decide(actor, asked, approved=False, reason=words)


def revoke_approval(actor: Actor, project: Project) -> None:
    """Take a yes back: no new run of this plan computes here. A run under way is not touched."""
    with acting(actor, "revoke_approval", project.name, needs="site-admin"):
        word = approvals.newest(_open_request(project))
        if word is None or not word.approved:
            raise ConflictError("not_approved", "This hospital has not approved the plan.")
        _decide(actor, word.plan, approved=False, reason=TAKEN_BACK)


def _open_request(project: Project) -> Plan:
    if project.coordinates:
        raise ForbiddenError("coordinator", "The coordinator's own word is given with the proposal.")
    if project.state != "open":
        raise ConflictError("not_open", f"This hospital is not a member of {project.name} now.")
    return current_plan(project)


def _check_read(project: Project, asked: Plan, plan: Plan | None, epoch: int | None) -> None:
    """A word is given to what was read, and to nothing that came since."""
    if plan is not None and plan.pk != asked.pk:
        raise ConflictError(
            "plan_changed",
            "The coordinator has proposed another plan since this page was opened. Read that one first.",
        )
    if epoch is not None and epoch != project.epoch:
        raise ConflictError(
            "members_changed",
            "The list of hospitals has changed since this page was opened. Read the request once more.",
        )


def _last_day(until: date | None, once: bool) -> date | None:
    if until is None:
        return None if once else approvals.usual_end()
    if not approvals.today() <= until <= approvals.today() + timedelta(days=approvals.LONGEST):
        raise UsageError("until", "Choose a last day from today on, at most five years ahead.")
    return until


def _decide(
    actor: Actor,
    plan: Plan,
    *,
    approved: bool,
    reason: str = "",
    until: date | None = None,
    once: bool = False,
) -> Approval:
    project = plan.project
    with transaction.atomic():
        live = list(project.runs.filter(plan=plan).exclude(state__in=ENDED))
        word = Approval.objects.create(
            plan=plan,
            site=here.site(),
            epoch=project.epoch,
            approved=approved,
            person=actor.name,
            reason=reason,
            until=until,
            once=once,
            run=next((run.uid for run in live if once and run.state == STANDBY), ""),
        )
        values = {
            "plan": plan.sha256,
            "epoch": project.epoch,
            "person": actor.name,
            "reason": reason,
            "until": until.isoformat() if until else "",
            "once": once,
        }
        what = f"Refusal of the plan, by {actor.name}"
        if approved:
            what = f"Approval of the plan, by {actor.name}, {approvals.end_words(word)}"
        leaving = Leaving(what)
        kind = "approve" if approved else "decline"
        send_values(project, kind, values, (project.coordinator,), leaving=leaving)
        for run in live:
            event = (
                core_seat.Approved(time.time())
                if approved
                else core_seat.PrepareFailed("declined", time.time())
            )
            runs.feed(run.uid, runs.SEAT, event)
    return word

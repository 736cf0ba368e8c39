"""What each command of core.run and core.seat becomes here: post in the outbox, jobs for the runner, records.

Called by runs.feed only, inside its transaction. Nothing here decides where a run stands, and nothing touches
the network.
"""

import json
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from friendlyfl.controller import approvals, awaited, contents, described, here, members, plans, rows
from friendlyfl.controller.ledger import Leaving
from friendlyfl.controller.models import Approval, Job, LogLine, Plan, Result, Run
from friendlyfl.controller.post import send, send_values
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.troubles import sentence

LOOSENED = "loosened_"  # before the name of a rule: the code that tells of an exception


def carry_out(run: Run, command: Any) -> None:
    """Do what one command says."""
    _DO[type(command)](run, command)


def content(run: Run) -> plans.Content:
    """The run's plan."""
    return plans.read(bytes(run.plan.raw))


def log(run: Run, code: str, *, step: int = 0, round_: int = 0, detail: str = "", send: bool = True) -> None:
    """Write a line of this site's log of the run; participants' lines go to the coordinator in batches.

    `detail` is for this hospital's own eyes; lines with `send=False` stay here altogether.
    """
    line = LogLine(
        run=run,
        site=here.site(),
        at=timezone.now().timestamp(),
        step=step,
        round=round_,
        code=code,
        detail=detail,
        sent=run.project.coordinates or not send,
    )
    rows.insert(line)


# --- jobs for the runner ---


def _queue(run: Run, kind: str, step: int = 0, round_: int = 0, inputs: dict[str, Any] | None = None) -> None:
    rows.insert(Job(run=run, kind=kind, step=step, round=round_, inputs=inputs or {}))
    awaited.written(awaited.JOBS)


def _drop_jobs(run: Run, *kinds: str) -> None:
    Job.objects.filter(run=run, state="waiting", kind__in=kinds).update(state="done")
    awaited.written(awaited.JOBS)


# --- the coordinator's machine ---


def _invite(run: Run, command: core_run.Invite) -> None:
    plan = content(run)
    values = {
        "run": run.uid,
        "number": run.number,
        "plan": run.plan.sha256,
        "epoch": run.epoch,
        "quorum": plan.quorum,
        "steps": len(plan.steps),
        "patience": float(plan.rules["prepare_deadline"] + 2 * plan.rules["round_deadline"]),
        "repeats": run.repeats,
        "card": here.keys().run_card(run.uid).to_json(),
    }
    leaving = Leaving(f"Invitation to run {run.number} of {run.project.name}: its number, plan and deadlines")
    send_values(run.project, "run-invite", values, command.to, run=run, leaving=leaving)
    _queue(run, "open")
    log(run, "invited")


def _begin(run: Run, command: core_run.Begin) -> None:
    _queue(run, "begin", command.step, command.round)


def _send_state(run: Run, command: core_run.SendState) -> None:
    leaving = Leaving("State of the analysis (the model so far), for every hospital in the run")
    send(
        run.project,
        "state",
        contents.read(command.digest),
        command.to,
        run=run,
        step=command.step,
        round_=command.round,
        leaving=leaving,
    )
    log(run, "state_sent", step=command.step, round_=command.round)


def _combine(run: Run, command: core_run.Combine) -> None:
    inputs = {"state": command.state, "updates": [list(pair) for pair in command.updates]}
    _queue(run, "combine", command.step, command.round, inputs)


def _send_result(run: Run, command: core_run.SendResult) -> None:
    result = json.loads(contents.read(command.digest))
    Result.objects.create(run=run, step=command.step, result=result)
    shared = content(run).rules["share_result"]
    made_by = rows.get(Job, run=run, kind="combine", step=command.step, round=command.round)
    values = {
        "step": command.step,
        "last": command.last,
        "shared": shared,
        "result": json.dumps(without_sites(result, made_by.outcome["site_notes"])) if shared else "",
    }
    leaving = Leaving("Result of the step" if shared else "The step is done; its Result is not shared")
    send_values(
        run.project,
        "result",
        values,
        command.to,
        run=run,
        step=command.step,
        round_=command.round,
        leaving=leaving,
    )
    log(run, "result_made", step=command.step, round_=command.round)


def without_sites(result: dict[str, Any], site_notes: list[str]) -> dict[str, Any]:
    """A Result as participants may see it: nothing of one site alone, no note that names one that is not in it."""
    shared = json.loads(json.dumps(result))
    shared["n"]["per_site"] = None
    shared["privacy"]["refused"] = []
    shared["notes"] = [note for note in shared["notes"] if note not in site_notes]
    shared["tables"] = {
        name: [row for row in rows if not _of_one_hospital(row)] for name, rows in shared["tables"].items()
    }
    return shared


def _of_one_hospital(row: dict[str, Any]) -> bool:
    """What a hospital sent by itself, as in a meta-analysis: the row names it by its number in the plan."""
    return str(row.get("site", "")).isdigit()


def _send_stop(run: Run, command: core_run.SendStop) -> None:
    manifest, _ = members.current(run.project)
    belong = {member.site for member in manifest.members}
    to = [site for site in command.to if site in belong]
    if not to:
        return
    leaving = Leaving(f"The run is over for the receiver: {command.outcome}")
    values = {"outcome": command.outcome, "reason": command.reason.split(":")[0]}
    send_values(run.project, "stop", values, to, run=run, leaving=leaving)


def _close_run(run: Run, command: core_run.Close) -> None:
    _drop_jobs(run, "open", "begin", "combine")
    log(run, f"run_{command.outcome}")


# --- this site's own seat ---


def _prepare(run: Run, command: core_seat.Prepare) -> None:
    _queue(run, "prepare")


def _send_ready(run: Run, command: core_seat.SendReady) -> None:
    values = {"ready": True, "code": "", "card": here.keys().run_card(run.uid).to_json()}
    _to_coordinator(run, "ready", values, Leaving("This hospital is ready; its key for this run"))
    log(run, "ready")


def _send_not_ready(run: Run, command: core_seat.SendNotReady) -> None:
    values = {"ready": False, "code": command.code, "card": {}}
    words = f"This hospital is not ready. Nothing was sent. {sentence(command.code)}"
    _to_coordinator(run, "ready", values, Leaving(words))
    log(run, command.code)


def _compute(run: Run, command: core_seat.Compute) -> None:
    _queue(run, "local", command.step, command.round, {"state": command.state})
    log(run, "computing", step=command.step, round_=command.round)


def _send_update(run: Run, command: core_seat.SendUpdate) -> None:
    facts = rows.get(Job, run=run, kind="local", step=command.step, round=command.round).outcome
    loosened = facts.get("exceptions", {})
    _tell_exceptions(run, command.step, command.round, loosened)
    if "described" in facts:
        described.keep(run, command.step, facts["described"])
    leaving = Leaving(
        facts["what"],
        numbers=facts["numbers"],
        rows=facts["rows"],
        rules=", ".join(filter(None, [facts["rules"], *loosened.values()])),
        approval=approval_words(run),
    )
    send(
        run.project,
        "update",
        contents.read(command.digest),
        (run.project.coordinator,),
        run=run,
        step=command.step,
        round_=command.round,
        leaving=leaving,
    )
    log(run, "update_sent", step=command.step, round_=command.round)


def _tell_exceptions(run: Run, step: int, round_: int, loosened: dict[str, str]) -> None:
    """Before the first Update of a step that an exception lets through: the coordinator learns which rule it is, so
    that the Result says so. Neither its value nor its reason leaves."""
    codes = []
    for rule in loosened:
        code = LOOSENED + rule
        if rows.first(LogLine, run=run.pk, site=here.site(), step=step, code=code) is None:
            log(run, code, step=step, round_=round_, send=False)
            codes.append(code)
    if codes and not run.project.coordinates:
        now = timezone.now().timestamp()
        lines = [{"at": now, "step": step, "round": round_, "code": code} for code in codes]
        leaving = Leaving(" ".join(sentence(code) for code in codes), approval=approval_words(run))
        _to_coordinator(run, "log", {"lines": lines}, leaving)


def _send_trouble(run: Run, command: core_seat.SendTrouble) -> None:
    leaving = Leaving(f"Nothing was sent. {sentence(command.code)}", approval=approval_words(run))
    send_values(
        run.project,
        "trouble",
        {"code": command.code},
        (run.project.coordinator,),
        run=run,
        step=command.step,
        round_=command.round,
        leaving=leaving,
    )
    log(run, command.code, step=command.step, round_=command.round)


def _to_coordinator(run: Run, type_: str, values: dict[str, Any], leaving: Leaving) -> None:
    send_values(run.project, type_, values, (run.project.coordinator,), run=run, leaving=leaving)


def approval_words(run: Run) -> str:
    """On whose word this run's numbers leave: for the ledger."""
    approval = rows.first(Approval, "-pk", plan=run.plan_id, site=here.site(), approved=True)
    if approval is None:
        return ""
    plan = rows.get(Plan, without=("raw",), pk=run.plan_id)
    end = approvals.end_words(approval)
    return f"{approval.person}, {approval.at:%Y-%m-%d %H:%M} UTC, plan {plan.sha256[:12]}, {end}"


def _close_seat(run: Run, command: core_seat.Close) -> None:
    _drop_jobs(run, "prepare", "local")
    log(run, f"seat_{command.outcome}")


_DO: dict[type, Callable[[Run, Any], None]] = {
    core_run.Invite: _invite,
    core_run.Begin: _begin,
    core_run.SendState: _send_state,
    core_run.Combine: _combine,
    core_run.SendResult: _send_result,
    core_run.SendStop: _send_stop,
    core_run.Close: _close_run,
    core_seat.Prepare: _prepare,
    core_seat.SendReady: _send_ready,
    core_seat.SendNotReady: _send_not_ready,
    core_seat.Compute: _compute,
    core_seat.SendUpdate: _send_update,
    core_seat.SendTrouble: _send_trouble,
    core_seat.Close: _close_seat,
}

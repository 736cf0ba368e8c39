"""Working: one thread for each side of a live run takes its jobs, in order, to that side's runner child.

A job's outcome and its event are written together (runs.job_done), so a job that is done twice counts once, and one
that was cut off by a kill is simply done again: the same State gives the same bits.
"""

import logging
import threading
import time
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from friendlyfl.controller import (
    commands,
    contents,
    described,
    exceptions,
    here,
    members,
    preflight,
    rows,
    runs,
)
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.awaited import JOBS
from friendlyfl.controller.ledger import Leaving
from friendlyfl.controller.models import Job, LogLine, Run, SiteProgress
from friendlyfl.controller.post import send_values
from friendlyfl.controller.runner.parent import Cancelled, Runner
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.faults import faultpoint
from friendlyfl.core.troubles import TROUBLES, sentence

log = logging.getLogger("friendlyfl.work")
SIDE = {
    "prepare": runs.SEAT,
    "local": runs.SEAT,
    "open": runs.RUN,
    "begin": runs.RUN,
    "combine": runs.RUN,
}
PROGRESS_EVERY = 5.0
WALL_SECONDS = 6 * 3600.0  # unless the site's policy says less


def work(bell: Bell) -> None:
    """Start a worker for every side of a run that has jobs; returns when the bell stops and all have ended."""
    workers: dict[tuple[int, str], threading.Thread] = {}
    heard = 0
    while not bell.stopping:
        for job in rows.every(Job, state="waiting"):
            place = (job.run_id, SIDE[job.kind])
            if place not in workers or not workers[place].is_alive():
                workers[place] = threading.Thread(
                    target=_worker, args=(bell, *place), name=f"work-{job.kind}"
                )
                workers[place].start()
        heard = bell.wait(JOBS, heard, 5.0)
    for worker in workers.values():
        worker.join()


def _worker(bell: Bell, run_id: int, side: str) -> None:
    run = Run.objects.select_related("project", "plan").get(pk=run_id)
    opened = preflight.opening(run.project, commands.content(run), with_data=side == runs.SEAT)
    runner = Runner(here.home().sub("work") / f"{run.uid}-{side}", opened)
    heard = 0
    try:
        while not bell.stopping:
            waiting = rows.every(Job, "pk", run=run, state="waiting")
            job = next((job for job in waiting if SIDE[job.kind] == side), None)
            if job is None:  # a run that is over has no waiting job
                if _over(run, side):
                    break
                heard = bell.wait(JOBS, heard, 5.0)
                continue
            job.run = run
            try:
                _do(job, runner, bell)
            except Cancelled:
                log.info("run %s: the %s job was cancelled", run.number, job.kind)
            bell.ring()
    except Exception:
        log.exception("a worker of run %s broke; it is started again", run.uid)
        time.sleep(1.0)
    finally:
        runner.close()
        connection.close()


def _over(run: Run, side: str) -> bool:
    return runs.fold(run, side).ended


def _do(job: Job, runner: Runner, bell: Bell) -> None:
    does = {"prepare": _prepare, "local": _local, "open": _open, "begin": _begin, "combine": _combine}
    does[job.kind](job, runner, bell)


def _ask(job: Job, runner: Runner, bell: Bell, **request: Any) -> dict[str, Any]:
    seconds = float(here.policy().limits.get("seconds", WALL_SECONDS))
    watch = _Watch(job, bell)
    if request:
        asked = {"do": job.kind, "step": job.step, **request}
        return runner.ask(asked, cancelled=watch, seconds=seconds, progress=watch.progress)
    return runner.open(cancelled=watch, seconds=seconds)


class _Watch:
    """Called while a child works: has the run ended, and is it time to tell the coordinator that we still compute?"""

    def __init__(self, job: Job, bell: Bell) -> None:
        self.job, self.bell = job, bell
        self.told = time.monotonic()
        self.done = 0.0

    def progress(self, done: float) -> None:
        self.done = done

    def __call__(self) -> bool:
        if self.job.kind == "local" and time.monotonic() - self.told > PROGRESS_EVERY:
            self.told = time.monotonic()
            self._tell()
        return self.bell.stopping or _over(self.job.run, SIDE[self.job.kind])

    def _tell(self) -> None:
        run = self.job.run
        with transaction.atomic():
            send_values(
                run.project,
                "progress",
                {"fraction": self.done},
                (run.project.coordinator,),
                run=run,
                step=self.job.step,
                round_=self.job.round,
                leaving=Leaving(f"Progress: {self.done:.0%} of this hospital's part of the round is done"),
            )
            if (
                not run.project.coordinates
            ):  # a coordinator's own row is written when its post to itself is taken
                place = {"step": self.job.step, "round": self.job.round}
                told = {**place, "fraction": self.done, "heard_at": timezone.now()}
                SiteProgress.objects.update_or_create(run=run, site=here.site(), defaults=told)
        self.bell.ring()


# --- a seat's jobs ---


def _prepare(job: Job, runner: Runner, bell: Bell) -> None:
    if job.run.project.dataset is None:
        _not_ready(job, [{"code": "no_dataset", "sentence": sentence("no_dataset")}])
        return
    answer = _ask(job, runner, bell)
    faultpoint("work.prepared")
    if "trouble" in answer:
        _not_ready(job, [{"code": answer["trouble"], "sentence": answer["sentence"]}])
    elif answer["problems"]:
        _not_ready(job, answer["problems"])
    else:
        _prepared(job, _ask(job, runner, bell, do="described"))


def _prepared(job: Job, told: dict[str, Any]) -> None:
    """Ready, with the rows of each step laid by: those of a step are kept once its first numbers leave."""
    if "trouble" in told:
        _not_ready(job, [{"code": told["trouble"], "sentence": told["sentence"]}])
        return
    with transaction.atomic():
        facts = {"described": {seq: described.taken(rows) for seq, rows in told["steps"].items()}}
        runs.job_done(job, runs.SEAT, core_seat.Prepared(time.time()), facts)


def _not_ready(job: Job, problems: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        for problem in problems:
            _keep_detail(job, problem["code"], problem["sentence"], step=problem.get("step", 0))
        runs.job_done(job, runs.SEAT, core_seat.PrepareFailed(problems[0]["code"], time.time()))


def _local(job: Job, runner: Runner, bell: Bell) -> None:
    state = contents.for_runner(job.inputs["state"])
    faultpoint("work.before_local")
    loosened = exceptions.in_force(job.run.project)
    known = described.last()
    since = described.since(job.run.project, runner.opened["described"]["last"])
    first = not described.is_kept(job.run, job.step)
    answer = _ask(
        job,
        runner,
        bell,
        round=job.round,
        state=state,
        policy=loosened.rules,
        since=since,
    )
    faultpoint("work.computed")
    if "trouble" in answer:
        _fail(job, answer, core_seat.Refused(job.step, job.round, answer["trouble"], time.time()))
        return
    facts = {name: answer[name] for name in ("numbers", "rows", "rules", "what")}
    facts["exceptions"] = loosened.ledger_words
    with transaction.atomic():
        if described.last() != known:
            return  # another run's rows left meanwhile: the job waits, and is done again beside them
        if first:
            prepared = rows.get(Job, run=job.run, kind="prepare")
            facts["described"] = prepared.outcome["described"][str(job.step)]
        digest = contents.keep_from_runner(answer["content"])
        runs.job_done(job, runs.SEAT, core_seat.UpdateMade(job.step, job.round, digest, time.time()), facts)


# --- the coordinator's jobs ---


def _open(job: Job, runner: Runner, bell: Bell) -> None:
    """The child starts while the hospitals prepare, so that nobody waits for it when all are ready. What goes wrong
    is told by the first job that has to do something."""
    _ask(job, runner, bell)
    rows.update(Job, {"pk": job.pk, "state": "waiting"}, state="done")


def _begin(job: Job, runner: Runner, bell: Bell) -> None:
    answer = _ask(job, runner, bell, round=job.round)
    if "trouble" in answer:
        _fail(job, answer, core_run.JobFailed(job.step, job.round, answer["trouble"], time.time()))
        return
    with transaction.atomic():
        digest = contents.keep_from_runner(answer["content"])
        runs.job_done(job, runs.RUN, core_run.StateMade(job.step, job.round, digest, time.time()))


def _combine(job: Job, runner: Runner, bell: Bell) -> None:
    plan = commands.content(job.run)
    updates = [
        {"site": plan.seat_number(site), "update": contents.for_runner(digest)}
        for site, digest in job.inputs["updates"]
    ]
    refused, notes = _absent(job.run, plan)
    rules, loosened = _loosened(job)
    notes += loosened
    faultpoint("work.before_combine")
    answer = _ask(
        job,
        runner,
        bell,
        round=job.round,
        state=contents.for_runner(job.inputs["state"]),
        updates=updates,
        refused=refused,
        notes=notes,
        rules=rules,
    )
    faultpoint("work.combined")
    if "trouble" in answer:
        _fail(job, answer, core_run.JobFailed(job.step, job.round, answer["trouble"], time.time()))
        return
    if "bad" in answer:
        site = plan.seats[answer["bad"] - 1]
        trouble = core_run.Trouble(site, job.step, job.round, "bad_update", time.time())
        runs.job_done(job, runs.RUN, trouble)
        return
    facts = {"quality": answer["quality"]} if answer.get("quality") else {}
    with transaction.atomic():
        digest = contents.keep_from_runner(answer["content"])
        if answer["kind"] == "state":
            made = core_run.StateMade(job.step, job.round + 1, digest, time.time())
            runs.job_done(job, runs.RUN, made, facts)
        else:
            done = core_run.StepDone(job.step, job.round, digest, time.time())
            runs.job_done(job, runs.RUN, done, {**facts, "site_notes": notes})


def _absent(run: Run, plan: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Who is not in the Result and why: rows of `privacy.refused`, and sentences for its notes."""
    refused, notes = [], []
    for seat in runs.fold(run, runs.RUN).seats.values():
        if seat.status != "left":
            continue
        words = sentence(seat.reason)
        notes.append(f"Without {members.name_of(seat.site)}: {words}")
        if seat.reason.startswith("refused"):
            rule = seat.reason.removeprefix("refused_")
            refused.append({"site": plan.seat_number(seat.site), "rule": rule, "sentence": words})
    return refused, notes


def _loosened(job: Job) -> tuple[str, list[str]]:
    """What `privacy.rules` says of exceptions that held in this step: which rules and at how many hospitals; and a
    sentence for each that names the hospital, for its notes."""
    lines = LogLine.objects.filter(run=job.run_id, step=job.step, code__startswith=commands.LOOSENED)
    told = list(dict.fromkeys(lines.order_by("pk").values_list("site", "code")))
    if not told:
        return "on", []
    hospitals = len({site for site, _ in told})
    names = ", ".join(dict.fromkeys(code.removeprefix(commands.LOOSENED) for _, code in told))
    rules = f"on, loosened by an exception at {hospitals} hospital{'s' if hospitals > 1 else ''} ({names})"
    return rules, [f"{members.name_of(site)}: {sentence(code)}" for site, code in told]


def _fail(job: Job, answer: dict[str, Any], event: Any) -> None:
    """The code goes into the journal, the words and the trace into this hospital's own log of the run."""
    with transaction.atomic():
        detail = "\n".join(part for part in (answer["sentence"], answer.get("trace", "")) if part)
        _keep_detail(job, answer["trouble"], detail, step=job.step)
        runs.job_done(job, SIDE[job.kind], event)


def _keep_detail(job: Job, code: str, detail: str, *, step: int) -> None:
    commands.log(
        job.run,
        code if code in TROUBLES else "unknown",
        step=step,
        round_=job.round,
        detail=detail,
        send=False,
    )

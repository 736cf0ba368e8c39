"""Runs move in one transaction or not at all, and whatever is cut off is done again with the same rows at the end."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import friendlyfl.controller
from friendlyfl.controller import actions, awaited, commands, contents, here, ledger, rows, runs
from friendlyfl.controller.agent import deliver, work
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.awaited import JOBS, POST
from friendlyfl.controller.models import Departure, Job, Outbox, Run, RunEvent, Slot
from friendlyfl.controller.runner.passing import passed
from friendlyfl.core import faults
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.record import pack
from friendlyfl.tasks.report import Result
from friendlyfl.wire.codec import encode
from tests.controller import site
from tests.controller.memory import records
from tests.controller.world import ADMIN, RESEARCHER, Consortium, Study, World, choose_dataset

SOURCES = Path(friendlyfl.controller.__file__).parent


class Killed(BaseException):
    """What a kill looks like from inside: nothing that runs afterwards may count on having run."""


def test_an_event_with_all_it_causes_or_nothing(study, monkeypatch):
    run = study.ready()
    before = records()

    def broken(*_: Any) -> None:
        Job.objects.create(run=run, kind="local", step=9)
        raise Killed

    monkeypatch.setattr(commands, "carry_out", broken)
    with pytest.raises(Killed):
        runs.feed(run.uid, runs.SEAT, core_seat.StateCame(1, 1, "d", 2.0))
    assert records() == before
    assert runs.fold(run, runs.SEAT).round == 0
    monkeypatch.undo()
    runs.feed(run.uid, runs.SEAT, core_seat.StateCame(1, 1, "d", 2.0))
    assert runs.fold(run, runs.SEAT).round == 1


def test_an_event_that_changes_nothing_leaves_no_trace(study):
    run = study.ready()
    before = records()
    runs.feed(run.uid, runs.SEAT, core_run.Tick(0.0))
    runs.feed(run.uid, runs.SEAT, core_seat.Approved(9.0))
    assert records() == before


def test_a_job_done_twice_counts_once(study):
    run = study.ready()
    assert study.state(run).receive().state == "taken"
    facts = {"what": "totals", "numbers": 3, "rows": 60, "rules": ""}
    for digest in (contents.keep(b"first"), here.home().keep(b"second")):
        runs.job_done(study.job("local"), runs.SEAT, core_seat.UpdateMade(1, 1, digest, 2.0), facts)
    assert (
        Outbox.objects.filter(type="update").count() == Departure.objects.filter(type="update").count() == 1
    )
    assert runs.fold(run, runs.SEAT).state == "aggregating"


def test_the_remembered_fold_is_the_replayed_one(consortium):
    run = consortium.computing()
    for peer in consortium.others:
        consortium.update(peer, run).receive()
    events = [core_run.unpack_event(row.event) for row in run.events.filter(side="run")]
    assert runs.fold(run, runs.RUN) == core_run.Run.replay(events)
    runs._folds.clear()
    assert runs.fold(run, runs.RUN) == core_run.Run.replay(events)


def test_an_event_committed_while_a_fold_is_made_is_not_taken_twice(study, monkeypatch):
    """Between counting the journal and reading it another thread may commit."""
    run = study.ready()
    runs._folds.clear()
    real = rows.count

    def count_then_commit(model: Any, **where: Any) -> int:
        found = real(model, **where)
        monkeypatch.undo()
        RunEvent.objects.create(
            run=run, side="seat", n=found + 1, event=pack(core_seat.StateCame(1, 1, "d", 2.0))
        )
        return found

    monkeypatch.setattr(rows, "count", count_then_commit)
    assert runs.fold(run, runs.SEAT).round == 0
    assert runs._folds[(run.uid, "seat")][0] == 2
    assert runs.fold(run, runs.SEAT).round == 1


# --- cut off anywhere ---


class FakeRunner:
    """Answers like the child: the same question gives the same bytes."""

    opened = {"described": {"last": 0}}
    described = {"table": "t", "rows": 60, "sets": [passed(b"bitmap", Path("never-written"))], "marks": {}}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def open(self, **_: Any) -> dict[str, Any]:
        return {"problems": [], "rows": 60, "digest": ""}

    def ask(self, request: dict[str, Any], **_: Any) -> dict[str, Any]:
        if request["do"] == "local":
            return {**_content(b"update"), "numbers": 3, "rows": 60, "rules": "", "what": "totals"}
        if request["do"] == "described":
            return {"steps": {"1": self.described}}
        if request["do"] == "begin":
            return {**_content(encode({".round": 1})), "kind": "state"}
        return {**_content(json.dumps(RESULT).encode()), "kind": "result"}


def _content(raw: bytes) -> dict[str, Any]:
    return {"content": passed(raw, Path("never-written"))}


RESULT = Result(task="connection_check", version="1.0").to_json()
Acts = list[Callable[[], Any]]


def _work() -> None:
    """Do every job that waits, as the agent's threads do."""
    runner: Any = FakeRunner(here.home().sub("work") / "run")
    while job := Job.objects.filter(state="waiting").select_related("run__project", "run__plan").first():
        work._do(job, runner, Bell())


def _deliver() -> None:
    while row := Outbox.objects.filter(state="waiting").order_by("id").first():
        deliver.deliver_one(row)


def as_participant(study: Study) -> Acts:
    """A whole run at a participant, each act safe to be done again."""
    study.approved_plan()
    uid = "11111111-1111-4111-8111-111111111111"
    invite = study.letter(study.coordinator, "run-invite", study.invite_values(uid), run=uid)
    study.coordinator.router.create_run(
        uid,
        project=study.uid,
        number=1,
        plan_sha256=study.project.plans.get().sha256,
        epoch=2,
        quorum=1,
    )
    here.keys().run_subkey(uid)
    content = encode({".round": 1})
    place = {"run": uid, "step": 1, "round": 1}
    state = study.letter(study.coordinator, "state", content, **place)
    values = {"step": 1, "last": True, "shared": True, "result": json.dumps(RESULT)}
    result = study.letter(study.coordinator, "result", values, **place)
    return [invite.receive, _work, _deliver, state.receive, _work, _deliver, result.receive, _deliver]


def as_coordinator(consortium: Consortium) -> Acts:
    """A whole run at a coordinator that brings data of its own."""
    choose_dataset(consortium.project)
    run = consortium.start(coordinator_data=True)
    acts: Acts = [_deliver, _work, _deliver]
    acts += [consortium.ready_letter(peer, run).receive for peer in consortium.others]
    acts += [_work, _deliver, _work, _deliver]
    acts += [consortium.update(peer, run).receive for peer in consortium.others]
    return [*acts, _work, _deliver]


def shape() -> dict[str, Any]:
    """What must be the same, however often the process was cut off: all but random ids and times."""
    journal = [
        (e.side, e.n, e.event["event"], e.event.get("step")) for e in RunEvent.objects.order_by("side", "n")
    ]
    post = sorted(
        (row.type, row.here, row.state, row.context["step"], row.context["round"])
        for row in Outbox.objects.all()
    )
    return {
        "journal": journal,
        "post": post,
        "jobs": sorted((job.kind, job.step, job.round, job.state) for job in Job.objects.all()),
        "left": [(line.n, line.type, line.step, line.what) for line in Departure.objects.all()],
        "slots": sorted(slot.key.split("/")[2:6] for slot in Slot.objects.all()),
        "run": [(run.state, run.step, run.round, run.reason) for run in Run.objects.all()],
        "results": [(r.step, r.result) for run in Run.objects.all() for r in run.results.all()],
    }


def play(acts: Acts, name: str | None = None) -> set[str]:
    """Do the acts; cut off once at the faultpoint, with all memory gone, and begin that act again."""
    seen: set[str] = set()
    armed = [name]

    def hook(passed: str) -> None:
        seen.add(passed)
        if passed == armed[0]:
            armed[0] = None
            raise Killed

    faults.install(hook)
    for act in acts:
        try:
            act()
        except Killed:
            runs._folds.clear()
            act()
    assert armed[0] is None or name not in seen
    return seen


def begin(side: str) -> Acts:
    world = World()
    if side == "participant":
        return as_participant(world.study("Northfield", "Southgate"))
    return as_coordinator(world.consortium("Northfield"))


def test_cut_off_at_any_faultpoint_the_rows_are_the_same():
    """Each faultpoint of the Controller is passed by one of the two sides, and each is a place to be cut off at."""
    passed: set[str] = set()
    for side in ("participant", "coordinator"):
        site._restore(here.home())
        seen = play(begin(side))
        passed |= seen
        expected = shape()
        assert expected["run"][0][0] == "succeeded"
        for name in sorted(seen):
            site._restore(here.home())
            play(begin(side), name)
            assert shape() == expected, (side, name)
            assert not list(ledger.breaks()), (side, name)
    named = [
        re.findall(r'faultpoint\("([^"]+)"\)', path.read_text("utf-8")) for path in SOURCES.rglob("*.py")
    ]
    assert passed == {name for found in named for name in found}


def test_whoever_writes_post_or_a_job_says_so():
    """Else the thread that waits for it would learn of it only at its next look at the database."""
    waiting = {
        JOBS: lambda: set(Job.objects.values_list("pk", flat=True)),
        POST: lambda: set(Outbox.objects.values_list("pk", flat=True)),
    }
    for side in ("participant", "coordinator"):
        site._restore(here.home())
        said: set[str] = set()
        for act in begin(side):
            before = {what: found() for what, found in waiting.items()}
            awaited.taken()
            act()
            new = {what for what, found in waiting.items() if found() - before[what]}
            said |= new
            assert new <= awaited.taken(), (side, act)
        assert said == {JOBS, POST}


# --- the ledger and the outbox hold each other ---


def test_every_departure_is_in_the_outbox_and_the_other_way_round(consortium):
    play(as_coordinator(consortium))
    sent = {row.msg: row for row in Outbox.objects.filter(here=False)}
    lines = {line.msg: line for line in Departure.objects.all()}
    assert sent and set(sent) == set(lines)
    for msg, row in sent.items():
        assert lines[msg].sealed_sha256 == row.blob and lines[msg].type == row.type
        to = {delivery["delivery"] for delivery in row.post["deliveries"]}
        assert len(lines[msg].to) == len(to)
    assert Outbox.objects.filter(here=True).count() > 0


def test_a_stop_reaches_every_state(consortium, study):
    """Stop works at every moment of a run, twice too, and no job of it stays."""
    project = consortium.project
    run = consortium.start()
    actions.stop_run(RESEARCHER, run)
    actions.stop_run(RESEARCHER, run)
    run = consortium.start()
    consortium.ready_letter(consortium.others[0], run).receive()
    actions.stop_run(ADMIN, Run.objects.get(pk=run.pk))
    assert {r.state for r in project.runs.all()} == {"stopped"}
    assert not Job.objects.filter(state="waiting").exists()

"""Exceptions to this site's rules: who may allow one, how long it holds, and that what it lets through says so."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from friendlyfl.cli.exception import exception
from friendlyfl.controller import (
    actions,
    approvals,
    commands,
    contents,
    exceptions,
    here,
    plans,
    preflight,
    runs,
)
from friendlyfl.controller.agent import deliver, work
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.models import (
    AuditLine,
    Departure,
    Job,
    LogLine,
    Outbox,
    Project,
    RuleException,
    Run,
)
from friendlyfl.controller.runner.parent import Runner
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import ConflictError, UsageError
from friendlyfl.tasks import engine, methods
from friendlyfl.tasks.report import Result
from tests.controller.test_runs import FakeRunner
from tests.controller.world import ADMIN, DICTIONARY, RESEARCHER, Consortium, Study, World, choose_dataset

WHY = "The board agreed on 3 March."


def allow(project: Project, rule: str = "rows", value: float = 10, days: int = 30) -> RuleException:
    until = approvals.today() + timedelta(days=days)
    return actions.allow_exception(ADMIN, project, rule, value, WHY, until)


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    today = approvals.today() + timedelta(days=days)
    monkeypatch.setattr(approvals, "today", lambda: today)


# --- what an exception may be ---


def test_an_exception_loosens_one_rule_of_one_project(study, world):
    other = world.study("Lakeside", name="Another").project
    entry = allow(study.project)
    assert (entry.person, entry.reason, entry.ended_at) == ("adam", WHY, None)
    assert exceptions.in_force(study.project).rules["rows"] == 10
    assert exceptions.in_force(study.project).by == [entry]
    assert exceptions.in_force(other).rules == here.policy().rules
    line = AuditLine.objects.last()
    assert (line.verb, line.object, line.outcome) == ("allow_exception", "Births: rows", "done")


@pytest.mark.parametrize(
    ("rule", "value", "code"),
    [
        *((rule, 1, "rule") for rule in ("time", "sum_of_sites", "nonsense", "")),
        *(("tasks", value, "value") for value in ("cox", "nonsense", "", 1)),
        *(("rows", value, "value") for value in (20, 21, 4, 0, -1, 10.5, True, "10", float("nan"), None)),
        *(("cell", value, "value") for value in (5, 1)),
        *(("ratio", value, "value") for value in (0.33, 0.2, 0.81, float("inf"))),
        *(("rounds", value, "value") for value in (100, 1001)),
        *(("probes", value, "value") for value in (20, 101)),
        *(("difference", value, "value") for value in (5, 1)),
    ],
)
def test_an_exception_is_looser_than_the_rule_and_within_bounds(study, rule, value, code):
    with pytest.raises(UsageError) as error:
        allow(study.project, rule, value)
    assert error.value.code == code and not RuleException.objects.exists()


@pytest.mark.parametrize(
    ("rule", "value"),
    [("rows", 5), ("cell", 2), ("difference", 2), ("ratio", 0.8), ("rounds", 1000), ("probes", 100)],
)
def test_each_rule_may_go_as_far_as_its_bound(study, rule, value):
    allow(study.project, rule, value)
    assert exceptions.in_force(study.project).rules == {rule: value}


def without(*names: str) -> None:
    """These tasks are no longer on the hospital's list."""
    actions.set_policy(ADMIN, {"tasks": [name for name in actions.policy()["tasks"] if name not in names]})


def test_tasks_are_allowed_one_by_one(study, world):
    without("kmeans", "pca")
    entries = [allow(study.project, "tasks", name) for name in ("kmeans", "pca")]
    loosened = exceptions.in_force(study.project)
    assert loosened.rules["tasks"] == [*actions.policy()["tasks"], "kmeans", "pca"] and loosened.by == entries
    until = entries[0].until.isoformat()
    assert loosened.ledger_words == {
        "tasks": f"exception to tasks by adam until {until}, exception to tasks by adam until {until}"
    }
    other = world.study("Westerly", name="Another").project
    assert exceptions.in_force(other).rules == here.policy().rules
    actions.end_exception(ADMIN, entries[0])
    assert exceptions.in_force(study.project).rules["tasks"][-1] == "pca"
    assert "kmeans" not in exceptions.in_force(study.project).rules["tasks"]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
def test_an_exception_has_a_reason(study, reason):
    with pytest.raises(UsageError) as error:
        actions.allow_exception(ADMIN, study.project, "rows", 10, reason, exceptions.usual_end())
    assert error.value.code == "reason"
    assert actions.allow_exception(ADMIN, study.project, "rows", 10, "x" * 500, exceptions.usual_end())


def test_an_exception_has_an_end_within_a_year(study):
    for days in (-1, 366):
        with pytest.raises(UsageError) as error:
            allow(study.project, days=days)
        assert error.value.code == "until"
    for days in (0, 365):
        allow(study.project, days=days)


def test_a_closed_project_gets_none(consortium):
    actions.close_project(ADMIN, consortium.project)
    with pytest.raises(ConflictError):
        allow(consortium.project)


# --- how long it holds ---


def test_it_holds_up_to_its_last_day_and_stays_for_the_record(study, monkeypatch):
    allow(study.project, days=7)
    later(monkeypatch, 7)
    assert exceptions.in_force(study.project).rules == {"rows": 10}
    later(monkeypatch, 1)
    assert exceptions.in_force(study.project).rules == {} and RuleException.objects.count() == 1


def test_it_is_ended_once_and_stays_for_the_record(study):
    entry = allow(study.project)
    ended = actions.end_exception(actions.Actor("zoe", "site-admin"), entry)
    assert exceptions.in_force(study.project).rules == {} and ended.ended_by == "zoe" and ended.ended_at
    before = RuleException.objects.values().get()
    with pytest.raises(ConflictError):
        actions.end_exception(ADMIN, entry)
    assert RuleException.objects.values().get() == before


def test_of_several_the_loosest_holds_and_a_rule_that_became_looser_needs_none(study):
    allow(study.project, value=10)
    loose = allow(study.project, value=6)
    allow(study.project, value=8)
    assert exceptions.in_force(study.project).rules == {"rows": 6}
    assert exceptions.in_force(study.project).by == [loose]
    actions.set_policy(ADMIN, {"rows": 6})
    assert exceptions.in_force(study.project).by == []
    actions.end_exception(ADMIN, loose)
    assert exceptions.in_force(study.project).rules == {"rows": 6}


# --- what it lets through ---

TABLE = [
    {
        "seq": 1,
        "task": "table_one",
        "version": "1.0",
        "title": "Who are they?",
        "parameters": {"variables": ["age"]},
    }
]


@pytest.fixture
def few(study: Study) -> Study:
    """A study of the few who died, at a hospital that wants 30 patients in every answer: 20 have died."""
    choose_dataset(study.project)
    actions.set_policy(ADMIN, {"rows": 30})
    study.propose(steps=TABLE, cohort="died = 1")
    actions.approve(ADMIN, study.project)
    return study


def seat(run: Run) -> Runner:
    """The real child of this run, as a worker starts it."""
    opened = preflight.opening(run.project, plans.read(bytes(run.plan.raw)), with_data=True)
    return Runner(here.home().sub("work") / f"{run.uid}-seat", opened)


def do(study: Study, run: Run, runner: Runner, kind: str, **place: int) -> None:
    work._do(run.jobs.get(kind=kind, **place), runner, Bell())


def test_what_the_rule_refuses_passes_by_an_exception_and_is_refused_when_it_is_over(few):
    run = few.invite()
    refused = seat(run)
    do(few, run, refused, "prepare")
    refused.close()
    assert runs.fold(run, runs.SEAT).reason == "refused_rows"
    entry = allow(few.project)

    run = few.invite()
    runner = seat(run)
    try:
        do(few, run, runner, "prepare")
        assert runs.fold(run, runs.SEAT).state != "failed"
        assert few.state(run, 1, first_state(run)).receive().state == "taken"
        do(few, run, runner, "local", round=1)
        sent = Departure.objects.get(type="update")
        assert sent.rows == 20 and sent.rules == (
            "rows 10, cell 5, ratio 0.33, rounds 100, "
            f"exception to rows by adam until {entry.until.isoformat()}"
        )
        told = Departure.objects.get(type="log")
        assert told.n == sent.n - 1 and "fewer patients may be described" in told.what
        assert not any(word in told.what + told.rules for word in ("10", "20", "30", WHY))
        # The exception is over: the same child refuses the next round, and no number leaves.
        actions.end_exception(ADMIN, entry)
        assert few.state(run, 2, {**first_state(run), ".round": 2}).receive().state == "taken"
        do(few, run, runner, "local", round=2)
        last = Departure.objects.last()
        assert (last.type, last.numbers) == ("trouble", 0) and "too few rows" in last.what
        assert Departure.objects.filter(type="update").count() == 1
    finally:
        runner.close()


def first_state(run: Run) -> dict[str, Any]:
    plan = plans.read(bytes(run.plan.raw))
    step = plan.steps[0]
    task = engine.make_task(
        step.task, step.version, step.parameters, plan.dictionary, len(plan.seats), where=step.criteria
    )
    return engine.begin(task)


def test_steps_that_differ_by_a_few_are_refused_again_when_the_exception_is_over(study):
    choose_dataset(study.project)
    steps = [{**TABLE[0], "seq": n, "cohort": where} for n, where in ((1, ""), (2, "age < 76"))]
    study.propose(steps=steps)  # the dataset holds four of 76 and more
    actions.approve(ADMIN, study.project)
    entry = allow(study.project, "difference", 3)
    run = study.invite(steps=2)
    runner = seat(run)
    try:
        do(study, run, runner, "prepare")
        assert runs.fold(run, runs.SEAT).state != "failed"
        actions.end_exception(ADMIN, entry)
        assert study.state(run, 1, first_state(run)).receive().state == "taken"
        do(study, run, runner, "local", round=1)
        assert "differ by too few" in Departure.objects.get(type="trouble").what
        assert not Departure.objects.filter(type="update").exists()
    finally:
        runner.close()


def test_a_task_that_is_not_on_the_list_passes_by_an_exception_and_no_longer(study):
    choose_dataset(study.project)
    without("table_one")
    study.propose(steps=TABLE)
    actions.approve(ADMIN, study.project)
    run = study.invite()
    refused = seat(run)
    do(study, run, refused, "prepare")
    refused.close()
    assert runs.fold(run, runs.SEAT).reason == "refused_tasks"
    entry = allow(study.project, "tasks", "table_one")
    run = study.invite()
    runner = seat(run)
    try:
        do(study, run, runner, "prepare")
        assert study.state(run, 1, first_state(run)).receive().state == "taken"
        do(study, run, runner, "local", round=1)
        assert "exception to tasks by adam" in Departure.objects.get(type="update").rules
        assert "not on its list" in Departure.objects.get(type="log").what
        actions.end_exception(ADMIN, entry)
        assert study.state(run, 2, {**first_state(run), ".round": 2}).receive().state == "taken"
        do(study, run, runner, "local", round=2)
        assert runs.fold(run, runs.SEAT).reason == "refused_tasks"
        assert Departure.objects.filter(type="update").count() == 1
    finally:
        runner.close()


def test_the_coordinator_is_told_once_a_step_and_nothing_of_why(few):
    allow(few.project)
    run = few.invite()
    runs.job_done(run.jobs.get(kind="prepare"), runs.SEAT, core_seat.Prepared(1.0))
    for round_ in (1, 2):
        facts = {
            "what": "totals",
            "numbers": 3,
            "rows": 20,
            "rules": "rows 10",
            "exceptions": {"rows": "by adam"},
        }
        assert few.state(run, round_).receive().state == "taken"
        job = run.jobs.get(kind="local", round=round_)
        digest = contents.keep(b"update")
        runs.job_done(job, runs.SEAT, core_seat.UpdateMade(1, round_, digest, 2.0), facts)
    assert LogLine.objects.filter(code="loosened_rows").count() == 1
    [post] = Outbox.objects.filter(type__in=("log", "update"), run=run).order_by("id")[:1]
    assert post.type == "log" and Outbox.objects.filter(type="log").count() == 1


# --- the Result ---


class Asked(FakeRunner):
    """Keeps what the coordinator's child is asked."""

    def ask(self, request: dict[str, Any], **rest: Any) -> dict[str, Any]:
        if request["do"] == "combine":
            self.request = request
        return super().ask(request, **rest)


def test_the_result_says_which_rule_was_loosened_where_and_to_others_only_how_often(consortium):
    run = consortium.computing()
    for peer in consortium.others:
        line = {"at": 2.0, "step": 1, "round": 1, "code": "loosened_cell"}
        assert consortium.letter(peer, "log", {"lines": [line]}, run=run.uid).receive().state == "taken"
        assert consortium.update(peer, run).receive().state == "taken"
    runner: Any = Asked(here.home().sub("work") / "run")
    work._do(run.jobs.get(kind="combine"), runner, Bell())
    asked = runner.request
    assert asked["rules"] == "on, loosened by an exception at 2 hospitals (cell)"
    words = "By an exception at the hospital, groups may be smaller than its rule asks for."
    assert sorted(asked["notes"]) == sorted(f"{peer.name}: {words}" for peer in consortium.others)
    assert run.jobs.get(kind="combine").outcome["site_notes"] == asked["notes"]


def played(ours: Consortium) -> Run:
    """A whole run of a hospital on its own data, by the real children."""
    run = actions.start_run(RESEARCHER, ours.project)
    opened = {
        side: preflight.opening(run.project, plans.read(bytes(run.plan.raw)), with_data=side == runs.SEAT)
        for side in (runs.SEAT, runs.RUN)
    }
    children = {side: Runner(here.home().sub("work") / side, asked) for side, asked in opened.items()}
    try:
        while True:
            post = Outbox.objects.filter(state="waiting").order_by("id").first()
            job = Job.objects.filter(state="waiting").select_related("run__project", "run__plan").first()
            if post is not None:
                deliver.deliver_one(post)
            elif job is not None:
                work._do(job, children[work.SIDE[job.kind]], Bell())
            else:
                run.refresh_from_db()
                return run
    finally:
        for child in children.values():
            child.close()


def test_a_whole_run_by_an_exception(world: World):
    ours = world.consortium()
    choose_dataset(ours.project)
    actions.set_policy(ADMIN, {"rows": 30})
    actions.set_dictionary(RESEARCHER, ours.project, DICTIONARY)
    actions.set_cohort(RESEARCHER, ours.project, "died = 1")
    actions.add_step(RESEARCHER, ours.project, "table_one", {"variables": ["age"]})
    actions.set_rules(RESEARCHER, ours.project, {"coordinator_data": True})
    actions.propose_plan(RESEARCHER, ours.project)
    assert played(ours).state == "failed"
    entry = allow(ours.project)
    run = played(ours)
    assert run.state == "succeeded"
    result = Result.from_json(run.results.get().result)
    assert result.n.used == 20
    assert result.privacy.rules == "on, loosened by an exception at 1 hospital (rows)"
    assert any(note.startswith("St Mary's: By an exception at the hospital, fewer") for note in result.notes)
    said = "Rules of disclosure: on, loosened by an exception at 1 hospital (rows)."
    assert said in methods.privacy(result, 1)
    shared = commands.without_sites(run.results.get().result, [n for n in result.notes if "St Mary" in n])
    assert "St Mary" not in str(shared["notes"]) and shared["privacy"]["rules"] == result.privacy.rules
    actions.end_exception(ADMIN, entry)
    assert played(ours).state == "failed"


# --- the command line ---


def typed(*arguments: str) -> Any:
    said = CliRunner().invoke(exception, [*arguments, "--json", "--home", str(here.home().folder)])
    assert said.exit_code == 0, said.output
    return json.loads(said.output)


def test_an_exception_on_the_command_line(study):
    asked = ("--rule", "ratio", "--value", "0.5", "--reason", "The board  agreed.", "--until")
    made = typed("allow", "-p", "Births", *asked, exceptions.usual_end().isoformat())
    assert (made["value"], made["state"], made["reason"]) == (0.5, "holds", "The board agreed.")
    assert exceptions.in_force(study.project).rules == {"ratio": 0.5}
    assert typed("list") == [made]
    without("kmeans")
    until = exceptions.usual_end().isoformat()
    told = typed("allow", "-p", "Births", "--rule", "tasks", "--value", "kmeans", *asked[4:], until)
    assert (told["rule"], told["value"]) == ("tasks", "kmeans")
    typed("end", str(told["number"]))
    RuleException.objects.filter(pk=told["number"]).delete()
    ended = typed("end", str(made["number"]))
    assert ended["state"] == "ended" and ended["ended_by"] and typed("list") == [ended]

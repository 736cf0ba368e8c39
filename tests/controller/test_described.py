"""Rows that left as totals are kept, and other plans must not come too near to them: with real children."""

import random
from pathlib import Path
from typing import Any

import pytest

from friendlyfl.controller import actions, contents, described, here, plans, preflight, runs
from friendlyfl.controller.models import Departure, Described, Outbox, Run
from friendlyfl.controller.runner.parent import Runner
from friendlyfl.core import seat as core_seat
from friendlyfl.core.errors import BrokenError
from friendlyfl.core.troubles import sentence
from tests.controller.test_exceptions import TABLE, allow, do, first_state, seat
from tests.controller.world import ADMIN, Study, choose_dataset


def table() -> Path:
    return here.home().folder.parent / "births.csv"


@pytest.fixture(autouse=True)
def files() -> Any:
    """Other tests use the same table: what is changed here is gone at the end."""
    yield
    for name in ("births", "newer", "deaths"):
        table().with_stem(name).unlink(missing_ok=True)


def propose(study: Study, *wheres: str, variables: tuple[str, ...] = ("age",)) -> None:
    steps = [
        {**TABLE[0], "seq": seq, "cohort": where, "parameters": {"variables": list(variables)}}
        for seq, where in enumerate(wheres, start=1)
    ]
    study.propose(steps=steps)
    actions.approve(ADMIN, study.project)


def play(study: Study, *wheres: str, **more: Any) -> str:
    """The first round of a plan with one step: why it was refused, or ""."""
    propose(study, *wheres, **more)
    return again(study)


def again(study: Study) -> str:
    run = study.invite()
    runner = seat(run)
    try:
        do(study, run, runner, "prepare")
        if reason := runs.fold(run, runs.SEAT).reason:
            return str(reason)
        return compute(study, run, runner)
    finally:
        runner.close()


def compute(study: Study, run: Run, runner: Runner) -> str:
    assert study.state(run, 1, first_state(run)).receive().state == "taken"
    do(study, run, runner, "local", round=1)
    return str(runs.fold(run, runs.SEAT).reason)


@pytest.fixture
def births(study: Study) -> Study:
    """60 patients; four of them are 76 and more."""
    choose_dataset(study.project)
    actions.set_policy(ADMIN, {"difference": 5})
    assert play(study, "") == ""
    return study


def test_another_plan_may_not_ask_about_nearly_the_same_patients(births):
    updates = Departure.objects.filter(type="update").count()
    assert play(births, "age < 76") == "refused_difference"
    last = Departure.objects.last()
    assert last.numbers == 0 and last.what.startswith("This hospital is not ready. Nothing was sent.")
    assert sentence("refused_difference") in last.what
    assert Departure.objects.filter(type="update").count() == updates and Described.objects.count() == 1
    assert play(births, "age < 75") == ""  # five are not asked about
    assert play(births, "age < 74") == "refused_difference"  # one fewer than the last


def test_the_same_run_and_the_same_patients_may_be_asked_again(births):
    assert again(births) == "" and play(births, "age >= 20") == ""
    assert play(births, "", variables=("age", "died")) == ""


def test_another_project_is_another_plan_too(births, world):
    other = world.study("Westerly", "Easterly", name="Another")
    choose_dataset(other.project)
    assert play(other, "age < 77") == "refused_difference" and play(other, "died = 1") == ""


def test_another_dataset_is_not_compared(births, world):
    other = world.study("Westerly", "Easterly", name="Another")
    (here.home().folder.parent / "deaths.csv").write_text(table().read_text().replace("\n79,0", ""))
    choose_dataset(other.project, "deaths")
    assert play(other, "age < 77") == ""


@pytest.mark.parametrize(
    ("new", "reason"), [(1, "refused_difference"), (4, "refused_difference"), (5, ""), (0, "")]
)
def test_a_newer_file_in_its_place(births, new, reason):
    head, *lines = table().read_text().splitlines()
    random.Random(1).shuffle(lines)
    lines += [f"{100 + n},0" for n in range(new)]
    table().write_text("\n".join([head, *lines]) + "\n")
    assert again(births) == reason  # the very plan, with its approval
    assert play(births, "age > 0") == reason


def test_a_newer_file_that_was_registered_anew_serves_the_same_project(births):
    newer = here.home().folder.parent / "newer.csv"
    newer.write_text(table().read_text() + "100,0\n")
    over = core_seat.Ended("stopped", "", 9.0)
    for run in births.project.runs.all():
        runs.feed(run.uid, runs.SEAT, over)
    choose_dataset(births.project, "newer")
    assert again(births) == "refused_difference"


def test_steps_of_one_plan_may_differ_by_their_missing_values_and_other_plans_not(study):
    lines = [f"{20 + n % 60},{'' if n < 3 else int(n % 3 == 0)}\n" for n in range(60)]
    table().write_text("age,died\n" + "".join(lines))
    choose_dataset(study.project)
    linear = {"outcome": "age", "predictors": ["died"]}
    gaps = {**TABLE[0], "seq": 2, "task": "linear_regression", "parameters": linear}
    table_one = {**TABLE[0], "cohort": ""}
    for steps, reason in (([table_one], ""), ([{**gaps, "seq": 1}], "refused_difference")):
        study.propose(steps=steps)
        actions.approve(ADMIN, study.project)
        assert again(study) == reason
    study.propose(steps=[table_one, gaps])
    actions.approve(ADMIN, study.project)
    run = study.invite(steps=2)
    runner = seat(run)
    do(study, run, runner, "prepare")
    runner.close()
    assert runs.fold(run, runs.SEAT).reason == "refused_difference"  # of another plan than the first


def test_an_exception_lets_nearer_ones_pass(births):
    allow(births.project, "difference", 2)
    assert play(births, "age < 78") == ""
    assert "exception to difference" in Departure.objects.filter(type="update").last().rules
    assert play(births, "age < 79") == "refused_difference"  # one patient


def test_the_bytes_that_leave_are_equal_however_few_they_are(births, monkeypatch):
    said = []
    for bound in (76, 79):
        assert play(births, f"age < {bound}") == "refused_difference"
        last = Departure.objects.last()
        said.append((last.type, last.what, last.bytes, last.numbers, last.rows, last.rules))
    assert said[0] == said[1]


def test_rows_are_kept_with_the_departure_or_not_at_all(births, monkeypatch):
    propose(births, "died = 1")
    run = births.invite()
    runner = seat(run)
    try:
        do(births, run, runner, "prepare")
        assert not runs.fold(run, runs.SEAT).reason
        assert births.state(run, 1, first_state(run)).receive().state == "taken"
        monkeypatch.setattr("friendlyfl.controller.ledger.write", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            do(births, run, runner, "local", round=1)
        assert not Described.objects.filter(run=run.uid).exists()
        assert not Outbox.objects.filter(run=run, type="update").exists()
        monkeypatch.undo()
        do(births, run, runner, "local", round=1)
        assert Described.objects.filter(run=run.uid).count() == 1
    finally:
        runner.close()


def test_of_two_runs_at_once_the_second_sees_what_the_first_described(births, world):
    """Both were prepared before either sent a number."""
    other = world.study("Westerly", "Easterly", name="Another")
    choose_dataset(other.project)
    propose(births, "age < 70")
    propose(other, "age < 72")
    prepared = []
    for study in (births, other):
        run = study.invite()
        runner = seat(run)
        do(study, run, runner, "prepare")
        assert runs.fold(run, runs.SEAT).state != "failed"
        prepared.append((study, run, runner))
    try:
        assert [compute(*each) for each in prepared] == ["", "refused_difference"]
    finally:
        for *_, runner in prepared:
            runner.close()
    assert Departure.objects.last().type == "trouble" and Departure.objects.last().numbers == 0


def test_rows_described_while_a_job_computes_send_it_back(births, monkeypatch):
    propose(births, "died = 1")
    run = births.invite()
    runner = seat(run)
    try:
        do(births, run, runner, "prepare")
        assert not runs.fold(run, runs.SEAT).reason
        assert births.state(run, 1, first_state(run)).receive().state == "taken"
        ask = runner.ask

        def meanwhile(request: Any, **rest: Any) -> Any:
            answer = ask(request, **rest)
            Described.objects.create(run="another", project="another", step=1, plan="x", table="x", rows=1)
            return answer

        monkeypatch.setattr(runner, "ask", meanwhile)
        do(births, run, runner, "local", round=1)
        assert run.jobs.get(kind="local").state == "waiting"
        assert not Described.objects.filter(run=run.uid).exists()
        monkeypatch.undo()
        do(births, run, runner, "local", round=1)
        assert run.jobs.get(kind="local").state == "done"
    finally:
        runner.close()


def test_the_dry_check_says_it_before_anybody_decides(births):
    propose(births, "age < 76")
    plan = plans.read(bytes(births.project.plans.get(current=True).raw))
    [problem] = preflight.check(births.project, plan)
    assert (problem["step"], problem["code"]) == (1, "refused_difference")
    assert problem["sentence"] == sentence("refused_difference")


def test_without_the_key_of_the_marks_nothing_is_compared_wrongly(births):
    (here.home().sub("keys") / "rows.key").unlink()
    with pytest.raises(BrokenError, match=r"rows\.key is missing"):
        described.opening(births.project, "p")


def test_rows_lie_in_the_home_and_their_key_is_the_owners(births):
    row = Described.objects.get()
    assert row.rows == 60 and list(row.marks) == ["age"] and contents.size(row.marks["age"]) == 240
    assert (here.home().sub("keys") / "rows.key").stat().st_mode & 0o077 == 0
    digests = {*row.sets, *row.marks.values()}
    assert not digests & set(Departure.objects.values_list("plain_sha256", flat=True))

"""A hospital's word on a plan: how long it holds, that it is given to what was read, and what the coordinator hears."""

from datetime import date, timedelta

import pytest

from friendlyfl.cli.describe import describe_project
from friendlyfl.controller import actions, approvals, commands
from friendlyfl.controller.models import Approval, Departure, Outbox, Run
from friendlyfl.core.errors import ConflictError, UsageError
from tests.controller.world import ADMIN, RESEARCHER, choose_dataset


@pytest.fixture
def asked(study):
    study.propose()
    choose_dataset(study.project)
    return study


def end_run(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state="stopped")


def at(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    day = approvals.today() + timedelta(days=days)
    monkeypatch.setattr(approvals, "today", lambda: day)


def test_a_yes_holds_for_90_days_unless_a_day_is_given(asked, monkeypatch):
    word = actions.approve(ADMIN, asked.project)
    assert word.until == approvals.usual_end() and not word.once
    at(monkeypatch, 90)
    first = asked.invite()
    assert first.state == "preparing"
    end_run(first)
    at(monkeypatch, 1)
    second = asked.invite()
    assert second.state == "standby" and approvals.missing(second.plan, word, second.epoch) == approvals.OVER
    assert "waits for you" in describe_project(asked.project)["plan"]
    assert actions.approve(ADMIN, asked.project).until == approvals.usual_end()
    second.refresh_from_db()
    assert second.state == "preparing"


def test_a_last_day_is_from_today_on_and_not_endless(asked):
    today = approvals.today()
    for wrong in (today - timedelta(days=1), today + timedelta(days=3000), date.max):
        with pytest.raises(UsageError) as error:
            actions.approve(ADMIN, asked.project, until=wrong)
        assert error.value.code == "until"
    assert not Approval.objects.exists()
    assert actions.approve(ADMIN, asked.project, until=today).until == today


def test_a_yes_for_one_run_is_used_by_the_next_one(asked):
    actions.approve(ADMIN, asked.project, once=True)
    first = asked.invite()
    assert first.state == "preparing" and Approval.objects.get().run == first.uid
    assert commands.approval_words(first).endswith("for one run")
    end_run(first)
    assert asked.invite().state == "standby"


def test_a_yes_for_one_run_is_for_the_run_that_waits(asked):
    first = asked.invite()
    actions.approve(ADMIN, asked.project, once=True)
    first.refresh_from_db()
    assert first.state == "preparing" and Approval.objects.get().run == first.uid
    end_run(first)
    assert asked.invite().state == "standby"


def test_a_word_is_given_to_what_was_read(asked):
    read, epoch = asked.project.plans.get(), asked.project.epoch
    newer = asked.propose(purpose="Another question?")
    for verb in (
        lambda plan: actions.approve(ADMIN, asked.project, plan=plan),
        lambda plan: actions.decline(ADMIN, asked.project, "No.", plan=plan),
    ):
        with pytest.raises(ConflictError) as error:
            verb(read)
        assert error.value.code == "plan_changed"
    asked.grow("Riverside")
    actions.refresh_manifests(asked.project)
    with pytest.raises(ConflictError) as error:
        actions.approve(ADMIN, asked.project, plan=newer, epoch=epoch)
    assert error.value.code == "members_changed"
    assert not Approval.objects.exists() and not Outbox.objects.exists()
    assert actions.approve(ADMIN, asked.project, plan=newer, epoch=asked.project.epoch).approved


def test_the_ledger_says_how_long_a_yes_holds(asked):
    actions.approve(ADMIN, asked.project, until=approvals.today())
    today = approvals.today()
    said = f"Approval of the plan, by adam, until {today.day} {today:%B %Y}"
    assert Departure.objects.last().what == said
    assert describe_project(asked.project)["plan"].startswith(f"approved by adam, until {today.day} ")


def test_the_coordinator_hears_until_when(consortium):
    plan = consortium.propose()
    said = {"plan": plan.sha256, "epoch": plan.epoch, "person": "Nora", "reason": ""}
    north, south = consortium.others
    consortium.letter(north, "approve", {**said, "until": "2027-01-31", "once": False}).receive()
    consortium.letter(south, "approve", {**said, "until": "", "once": True}).receive()
    decided = {site["name"]: site["decision"] for site in describe_project(consortium.project)["sites"]}
    assert decided["Northfield"] == "approved by Nora, until 31 January 2027"
    assert decided["Southgate"] == "approved by Nora, for one run"
    assert actions.start_run(RESEARCHER, consortium.project).state == "standby"

"""Who may press which button, what a yes covers, and what a participant cannot do or see."""

import inspect
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import pytest
from django.test import override_settings

from friendlyfl.controller import actions, here, members, plans
from friendlyfl.controller.actions.actor import Actor
from friendlyfl.controller.agent import deliver
from friendlyfl.controller.exceptions import usual_end
from friendlyfl.controller.models import (
    ROLES,
    Approval,
    AuditLine,
    Dataset,
    Job,
    Outbox,
    Person,
    Project,
    RuleException,
    Run,
)
from friendlyfl.core.errors import ConflictError, ForbiddenError, FriendlyError, NotFoundError, UsageError
from friendlyfl.tasks.disclosure import Policy as Rules
from friendlyfl.wire.trust import SignedManifest
from tests.client.hospital import Hospital
from tests.controller.memory import records
from tests.controller.world import ADMIN, DICTIONARY, RESEARCHER, VIEWER, Consortium, choose_dataset

PASSWORD = "a calm and long sentence"
Act = Callable[[Actor, Consortium], Any]


def step(ours: Consortium) -> Any:
    return ours.project.steps.first() or actions.add_step(RESEARCHER, ours.project, "connection_check", {})


def rosa() -> Person:
    return Person.objects.get_or_create(username="rosa", defaults={"role": "researcher"})[0]


def dataset(ours: Consortium) -> Dataset:
    choose_dataset(ours.project)
    return Dataset.objects.get()


def run(ours: Consortium) -> Run:
    return ours.project.runs.first() or ours.start()


VERBS: dict[str, tuple[str, Act]] = {
    # verb: (the least role, one way to press it)
    "connect_router": (
        "site-admin",
        lambda who, ours: actions.connect_router(who, "https://fl.example", "code"),
    ),
    "add_person": ("site-admin", lambda who, ours: actions.add_person(who, "new", "viewer", PASSWORD)),
    "rename_site": ("site-admin", lambda who, ours: actions.rename_site(who, "Other")),
    "check_router": ("site-admin", lambda who, ours: actions.check_router(who, "not an address")),
    "change_role": ("site-admin", lambda who, ours: actions.change_role(who, rosa(), "viewer")),
    "switch_off_person": ("site-admin", lambda who, ours: actions.switch_off_person(who, rosa())),
    "switch_on_person": ("site-admin", lambda who, ours: actions.switch_on_person(who, rosa())),
    "set_password": ("site-admin", lambda who, ours: actions.set_password(who, rosa(), PASSWORD)),
    "start_rehearsal": ("researcher", lambda who, ours: rehearse(who)),
    "remove_rehearsal": ("researcher", lambda who, ours: actions.remove_rehearsal(who)),
    "set_mail": ("site-admin", lambda who, ours: actions.set_mail(who, None)),
    "set_webhook": (
        "site-admin",
        lambda who, ours: actions.set_webhook(who, True, "https://chat.example.org/hooks/key"),
    ),
    "send_test": ("site-admin", lambda who, ours: actions.send_test(who)),
    "set_policy": ("site-admin", lambda who, ours: actions.set_policy(who, {"rows": 30})),
    "allow_exception": ("site-admin", lambda who, ours: allow(who, ours)),
    "end_exception": ("site-admin", lambda who, ours: actions.end_exception(who, allow(ADMIN, ours))),
    "add_dataset": ("researcher", lambda who, ours: actions.add_dataset(who, "more", dataset(ours).path)),
    "remove_dataset": ("researcher", lambda who, ours: actions.remove_dataset(who, dataset(ours))),
    "use_dataset": ("researcher", lambda who, ours: actions.use_dataset(who, ours.project, dataset(ours))),
    "map_columns": ("researcher", lambda who, ours: actions.map_columns(who, ours.project, {})),
    "map_column": ("researcher", lambda who, ours: actions.map_column(who, ours.project, "age", None)),
    "give_dataset": (
        "researcher",
        lambda who, ours: actions.give_dataset(who, "more", where=dataset(ours).path),
    ),
    "describe_dataset": ("researcher", lambda who, ours: actions.describe_dataset(who, dataset(ours))),
    "save_dataset": ("researcher", lambda who, ours: actions.save_dataset(who, dataset(ours))),
    "check_columns": ("researcher", lambda who, ours: actions.check_columns(who, ours.project)),
    "set_column": (
        "researcher",
        lambda who, ours: actions.set_column(who, ours.project, "sex", {"type": "text"}),
    ),
    "remove_column": ("researcher", lambda who, ours: actions.remove_column(who, ours.project, "sex")),
    "take_columns": (
        "researcher",
        lambda who, ours: actions.take_columns(who, ours.project, dataset(ours), ["age"]),
    ),
    "create_project": ("researcher", lambda who, ours: actions.create_project(who, "Another")),
    "invite_site": ("researcher", lambda who, ours: actions.invite_site(who, ours.project, "Hilltop")),
    "withdraw_invitation": (
        "researcher",
        lambda who, ours: actions.withdraw_invitation(
            who, actions.invite_site(ADMIN, ours.project, "Hilltop")
        ),
    ),
    "accept_joiner": ("site-admin", lambda who, ours: actions.accept_joiner(who, ours.project, joiner(ours))),
    "join_project": ("site-admin", lambda who, ours: actions.join_project(who, "FFL1-")),
    "verify_site": (
        "site-admin",
        lambda who, ours: actions.verify_site(who, actions.find.peer("Northfield")),
    ),
    "doubt_site": ("site-admin", lambda who, ours: actions.doubt_site(who, actions.find.peer("Northfield"))),
    "read_invitation": ("site-admin", lambda who, ours: actions.read_invitation(who, "FFL1-")),
    "renew_invitation": (
        "researcher",
        lambda who, ours: actions.renew_invitation(who, actions.invite_site(ADMIN, ours.project, "Hilltop")),
    ),
    "remove_site": (
        "site-admin",
        lambda who, ours: actions.remove_site(who, ours.project, ours.others[0].uid),
    ),
    "leave_project": ("site-admin", lambda who, ours: actions.leave_project(who, ours.project)),
    "close_project": ("site-admin", lambda who, ours: actions.close_project(who, ours.project)),
    "set_dictionary": (
        "researcher",
        lambda who, ours: actions.set_dictionary(who, ours.project, {"age": {"type": "integer"}}),
    ),
    "set_cohort": ("researcher", lambda who, ours: actions.set_cohort(who, ours.project, "age >= 18")),
    "add_step": ("researcher", lambda who, ours: actions.add_step(who, ours.project, "connection_check", {})),
    "change_step": ("researcher", lambda who, ours: actions.change_step(who, step(ours), {"rounds": 2})),
    "move_step": ("researcher", lambda who, ours: actions.move_step(who, step(ours), 1)),
    "remove_step": ("researcher", lambda who, ours: actions.remove_step(who, step(ours))),
    "set_rules": ("researcher", lambda who, ours: actions.set_rules(who, ours.project, {"quorum": 1})),
    "propose_plan": ("researcher", lambda who, ours: actions.propose_plan(who, ours.project)),
    "approve": ("site-admin", lambda who, ours: actions.approve(who, ours.project)),
    "decline": ("site-admin", lambda who, ours: actions.decline(who, ours.project, "No.")),
    "revoke_approval": ("site-admin", lambda who, ours: actions.revoke_approval(who, ours.project)),
    "start_run": ("researcher", lambda who, ours: actions.start_run(who, ours.project)),
    "stop_run": ("researcher", lambda who, ours: actions.stop_run(who, run(ours))),
    "repeat_run": ("researcher", lambda who, ours: actions.repeat_run(who, run(ours))),
    "download_result": (
        "researcher",
        lambda who, ours: actions.download_result(who, run(ours), "pack.zip"),
    ),
}
NOT_PRESSED = {
    # These change nothing, or belong to the agent, and ask for no person; or everybody may do them for oneself.
    "change_own_password", "set_language",
    "Actor", "check_dataset", "current_plan", "export_ledger", "find", "first_person", "launch", "overview", "policy",
    "publish_project", "reason_words", "refresh_invitations", "refresh_joining", "refresh_keys", "refresh_manifests",
    "report", "safety_number",
}  # fmt: skip


def rehearse(who: actions.Actor) -> None:
    """Where it is refused once the role is right, so that no process is started."""
    with override_settings(REHEARSAL=True):
        actions.start_rehearsal(who)


def allow(who: actions.Actor, ours: Consortium) -> RuleException:
    return actions.allow_exception(who, ours.project, "rows", 10, "Agreed with the board.", usual_end())


def joiner(ours: Consortium) -> str:
    hilltop = ours.world.peer("Hilltop")
    row = actions.invite_site(ADMIN, ours.project, "Hilltop")
    hilltop.join(row.code, ours.uid)
    actions.refresh_invitations(ours.project)
    return hilltop.uid


def test_every_verb_is_in_the_table():
    assert set(VERBS) | NOT_PRESSED == set(actions.__all__)
    for name in VERBS:
        assert next(iter(inspect.signature(getattr(actions, name)).parameters)) == "actor"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_asks_for_its_role(consortium, verb):
    """One role below the least: no, and nothing changes but the line that remembers it. The least: past this check."""
    least, press = VERBS[verb]
    consortium.propose()
    dataset(consortium), step(consortium), rosa()
    if verb in ("stop_run", "repeat_run", "download_result"):
        run(consortium)
    below = Actor("eve", ROLES[ROLES.index(least) - 1])
    before = records()
    # What the test itself prepares as a site-admin may change things; the verb pressed by `below` may not.
    prepares = verb in ("end_exception", "withdraw_invitation", "renew_invitation", "accept_joiner")
    with pytest.raises(ForbiddenError) as error:
        press(below, consortium)
    assert error.value.code == "role" and least in error.value.message
    line = AuditLine.objects.last()
    assert (line.person, line.outcome) == ("eve", "not allowed")
    after = records()
    del before["AuditLine"], after["AuditLine"]
    assert prepares or before == after
    try:
        press(Actor("adam", least), consortium)
    except FriendlyError as later:
        assert later.code != "role"
    last = AuditLine.objects.filter(person="adam").last()
    assert last is not None and (last.outcome == "done" or last.outcome.startswith("failed: "))


COORDINATORS = (
    "invite_site", "accept_joiner", "remove_site", "close_project", "set_dictionary", "set_cohort", "add_step",
    "set_rules",
    "propose_plan", "start_run",
)  # fmt: skip


@pytest.mark.parametrize("verb", COORDINATORS)
def test_a_participant_cannot_do_what_the_coordinator_does(study, verb):
    study.ready()
    before = records()
    pressed = {
        "accept_joiner": lambda: actions.accept_joiner(ADMIN, study.project, study.others[0].uid),
        "remove_site": lambda: actions.remove_site(ADMIN, study.project, study.others[0].uid),
    }.get(verb, lambda: VERBS[verb][1](ADMIN, study))
    with pytest.raises(ForbiddenError) as error:
        pressed()
    assert error.value.code == "not_coordinator"
    assert error.value.message == "Only the coordinator, Northfield, can do that."
    after = records()
    del before["AuditLine"], after["AuditLine"]
    assert before == after


def test_a_participant_cannot_stop_or_repeat_a_run(study):
    found = study.ready()
    for verb in (actions.stop_run, actions.repeat_run):
        with pytest.raises(ForbiddenError):
            verb(ADMIN, found)
    found.refresh_from_db()
    assert found.state == "running"


def test_a_participant_sees_its_own_part_only(study):
    found = study.ready()
    seen = actions.overview(found)
    assert seen["seats"] == [] and seen["state"] == "running"
    for other in study.others:
        assert other.name not in str(seen) and other.uid not in str(seen)


def test_the_coordinator_sees_everybody(consortium):
    found = consortium.start()
    consortium.ready_letter(consortium.others[0], found).receive()
    seats = {seat["site"]: seat["status"] for seat in actions.overview(Run.objects.get(pk=found.pk))["seats"]}
    assert seats == {"Northfield": "ready", "Southgate": "asked"}


# --- a yes, and what it covers ---


def leaves() -> int:
    return Outbox.objects.exclude(type__in=("approve", "decline")).count()


def test_before_the_click_nothing_is_computed_and_nothing_leaves(study):
    study.propose()
    choose_dataset(study.project)
    found = study.invite()
    assert found.state == "standby" and not Job.objects.exists() and not Outbox.objects.exists()
    actions.approve(ADMIN, study.project)
    assert study.run.state == "preparing" and Job.objects.get().kind == "prepare"
    [word] = Outbox.objects.all()
    assert word.type == "approve"


def test_a_yes_needs_a_dataset_and_a_plan(study):
    with pytest.raises(NotFoundError):
        actions.approve(ADMIN, study.project)
    study.propose()
    with pytest.raises(ConflictError) as error:
        actions.approve(ADMIN, study.project)
    assert error.value.code == "no_dataset"


def test_a_changed_plan_voids_the_yes(study):
    study.approved_plan()
    study.propose(purpose="Something else?")
    found = study.invite()
    assert found.state == "standby" and not Job.objects.exists()


def test_growth_needs_a_new_yes_and_shrinking_does_not(study):
    study.approved_plan()
    riverside = study.grow("Riverside")
    assert actions.refresh_manifests(study.project)
    first = study.invite()
    assert first.state == "standby" and not Job.objects.exists()
    actions.approve(ADMIN, study.project)
    assert Job.objects.get().run == first
    study.next_epoch([member for member in study.belong if member.site != riverside.uid])
    assert actions.refresh_manifests(study.project)
    assert study.invite().state == "preparing"


def test_declining_ends_a_run_that_waits_and_says_why(study):
    study.propose()
    for reason in ("", "  ", "x" * 501, "\x1b[2J"):
        with pytest.raises(UsageError):
            actions.decline(ADMIN, study.project, reason)
    found = study.invite()
    actions.decline(ADMIN, study.project, "The ethics board\r\nhas not met.")
    found.refresh_from_db()
    assert (found.state, found.reason) == ("failed", "declined")
    assert {row.type for row in Outbox.objects.all()} == {"decline", "ready"}
    assert Approval.objects.get().reason == "The ethics board has not met."


def test_a_yes_taken_back_stops_no_run_and_starts_none(study):
    found = study.ready()
    actions.revoke_approval(ADMIN, study.project)
    found.refresh_from_db()
    assert found.state == "running"
    assert study.invite().state == "standby"
    with pytest.raises(ConflictError):
        actions.revoke_approval(ADMIN, study.project)


def test_the_coordinators_own_word_is_its_proposal(consortium):
    choose_dataset(consortium.project)
    consortium.propose(coordinator_data=True)
    for verb in (actions.approve, actions.revoke_approval):
        with pytest.raises(ForbiddenError):
            verb(ADMIN, consortium.project)
    while row := Outbox.objects.filter(state="waiting").first():
        deliver.deliver_one(row)  # nothing lies in the outbox that could stop it


# --- membership ---


def test_a_hospital_that_leaves_computes_nothing_more(study):
    found = study.ready()
    state = study.state(found)
    actions.leave_project(ADMIN, study.project)
    found.refresh_from_db()
    assert (found.state, found.reason) == ("stopped", "left_project")
    sent = leaves()
    assert state.receive().code == "left_project"
    run_uid = "44444444-4444-4444-8444-444444444444"
    invite = study.letter(study.coordinator, "run-invite", study.invite_values(run_uid), run=run_uid)
    assert invite.receive().code == "left_project"
    assert leaves() == sent and not Job.objects.filter(state="waiting").exists()


def test_one_swapped_card_keeps_no_other_hospital_waiting(consortium):
    """The Routing Server answers one invitation with a card of its own making; the other hospital gets in."""
    world = consortium.world
    bad = actions.invite_site(ADMIN, consortium.project, "Hilltop")
    good = actions.invite_site(ADMIN, consortium.project, "Riverside")
    hilltop, riverside = world.peer("Hilltop"), world.peer("Riverside")
    hilltop.join(bad.code, consortium.uid)
    riverside.join(good.code, consortium.uid)
    offered = world.house.projects[consortium.uid].invitations[bad.uid]
    offered["join"] = {**offered["join"], **world.peer("Mallory").card.to_json()}
    with pytest.raises(FriendlyError) as error:
        actions.refresh_invitations(consortium.project)
    assert error.value.code == "join_mac"
    assert {
        row.label: row.state
        for row in consortium.project.invitations.filter(label__in=("Hilltop", "Riverside"))
    } == {
        "Hilltop": "open",
        "Riverside": "joined",
    }


def test_a_swapped_coordinator_gets_nothing_from_a_joiner(world):
    north = world.peer("Northfield")
    study = world.study("Northfield")
    code = study.code("St Mary's")
    world.house.sites[north.uid].cards[:] = [world.peer("Mallory").card]
    with pytest.raises(FriendlyError) as error:
        actions.join_project(ADMIN, code)
    assert error.value.code in ("swapped_card", "card_site")


def test_a_list_of_members_that_skips_or_forks_is_not_taken(study):
    held = study.manifests
    study.grow("Riverside")
    study.grow("Hilltop")
    newer = study.manifests
    for signed, code in ((newer[3], "manifest_gap"), (held[0], "manifest_old")):
        with pytest.raises(FriendlyError) as error:
            members.accept(study.project, signed)
        assert error.value.code == code
    forged = SignedManifest(newer[2].raw, bytes(64))
    with pytest.raises(FriendlyError):
        members.accept(study.project, forged)
    assert study.project.epoch == 2 and study.project.manifests.count() == 2


def test_a_key_that_changed_is_not_pinned_over(study):
    fake = Hospital("Northfield", uid=study.coordinator.uid)
    with pytest.raises(FriendlyError) as error:
        members.pin(study.coordinator.uid, "Northfield", fake.card)
    assert error.value.code == "key_changed"
    assert members.fingerprint_of(study.coordinator.uid) == study.coordinator.identity.fingerprint


# --- odd input ---


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\x1b[2J"])
def test_names_are_one_line(world, name):
    for press in (
        lambda: actions.create_project(RESEARCHER, name),
        lambda: actions.add_dataset(RESEARCHER, name, "file.csv"),
    ):
        with pytest.raises(UsageError):
            press()
    assert not Project.objects.exists() and not Dataset.objects.exists()


def test_a_rule_that_was_not_touched_moves_with_the_version(world, monkeypatch):
    """A method that comes later is allowed at a hospital that has changed another rule, unless it chose its list."""
    actions.set_policy(ADMIN, {"rows": 30})
    later = [*actions.policy()["tasks"], "comes_later"]
    monkeypatch.setattr(Rules, "__init__", partialmethod(Rules.__init__, tasks=tuple(later)))
    assert actions.policy()["rows"] == 30 and actions.policy()["tasks"] == later
    monkeypatch.undo()
    actions.set_policy(ADMIN, {"tasks": ["table_one"]})
    actions.set_policy(ADMIN, {"cell": 6})
    assert actions.policy()["tasks"] == ["table_one"] and actions.policy()["rows"] == 30


def test_people_have_a_role_a_name_and_a_password():
    for name, role, password, code in (
        ("x", "king", PASSWORD, "role"),
        ("", "viewer", PASSWORD, "name"),
        ("x\ny", "viewer", PASSWORD, "name"),
        ("x", "viewer", "short", "password"),
    ):
        with pytest.raises(UsageError) as error:
            actions.add_person(ADMIN, name, role, password)
        assert error.value.code == code
    actions.add_person(ADMIN, "x", "viewer", PASSWORD)
    with pytest.raises(ConflictError):
        actions.add_person(ADMIN, "x", "viewer", PASSWORD)
    assert Person.objects.count() == 1


def test_a_viewer_may_look(consortium):
    assert VIEWER.role == ROLES[0]
    assert actions.overview(consortium.start())["state"] == "standby"
    assert actions.export_ledger()[1] == []
    assert here.identity().name


def test_a_plan_about_some_of_the_patients(consortium):
    consortium.propose()
    project, asked = consortium.project, step(consortium)
    first = actions.current_plan(project).sha256
    assert actions.set_cohort(RESEARCHER, project, " age>=18 ") == "age >= 18"
    for wrong in ("agee >= 18", "age >= old", "age"):
        with pytest.raises(UsageError, match="inclusion criteria cannot be read"):
            actions.set_cohort(RESEARCHER, project, wrong)
        with pytest.raises(UsageError, match="inclusion criteria cannot be read"):
            actions.change_step(RESEARCHER, asked, {}, cohort=wrong)
    actions.change_step(RESEARCHER, asked, {}, cohort="died = 0")
    actions.change_step(RESEARCHER, asked, {})  # what is not given stays
    project.refresh_from_db()
    plan = plans.read(bytes(actions.propose_plan(RESEARCHER, project).raw))
    assert plan.cohort == "age >= 18" and plan.steps[0].criteria == ("age >= 18", "died = 0")
    assert plan.sha256 != first
    project.dictionary = {"age": DICTIONARY["age"]}
    project.save()
    with pytest.raises(UsageError, match="no column “died”"):
        actions.propose_plan(RESEARCHER, project)
    actions.change_step(RESEARCHER, asked, {}, cohort="")
    assert actions.set_cohort(RESEARCHER, project, "") == ""
    assert plans.read(bytes(actions.propose_plan(RESEARCHER, project).raw)).steps[0].criteria == ()

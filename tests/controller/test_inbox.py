"""The inbox takes what it should, holds what is early, and refuses the rest with a code each, changing nothing."""

import uuid
from dataclasses import replace

import pytest

from friendlyfl.client.answers import InboxMessage
from friendlyfl.client.house import MemoryHouse
from friendlyfl.controller import actions, contents, here, inbox, runs
from friendlyfl.controller.models import HeldPost, LogLine, Plan, Run, RunEvent, SiteProgress, Slot
from friendlyfl.core.errors import UnreachableError
from friendlyfl.wire.keys import Identity, Subkey
from friendlyfl.wire.seal import Recipient
from tests.controller.memory import records
from tests.controller.world import ADMIN, Letter, Peer


def refused(letter: Letter, code: str) -> None:
    """Put aside with this code and a sentence; every record stays as it was."""
    before = records()
    outcome = letter.receive()
    assert (outcome.state, outcome.code) == ("refused", code), outcome
    assert outcome.sentence[0].isupper() and outcome.sentence.endswith((".", "?"))
    assert records() == before
    held = HeldPost.objects.get(rs_id=letter.message.id)
    assert (held.state, held.code, held.sentence) == ("refused", code, outcome.sentence)
    assert not list(here.home().sub("quarantine").iterdir())
    held.delete()


def early(letter: Letter) -> None:
    before = records()
    assert letter.receive().state == "early"
    assert records() == before
    assert HeldPost.objects.get(rs_id=letter.message.id).state == "early"


def taken(letter: Letter) -> None:
    outcome = letter.receive()
    assert outcome.state == "taken", outcome


# --- taken ---


def test_a_plan_is_kept_with_its_hash_and_the_question(study):
    plan = study.propose(name="Births", purpose="Who is born small?")
    assert bytes(plan.raw) == study.plan_bytes(name="Births", purpose="Who is born small?")
    assert (study.project.name, study.project.purpose) == ("Births", "Who is born small?")
    assert plan.epoch == 2 and plan.current


def test_a_run_comes_to_life_message_by_message(study):
    run = study.ready()
    assert [event.event["event"] for event in run.events.all()] == ["Invited", "Prepared"]
    taken(study.state(run))
    run.refresh_from_db()
    assert (run.state, run.step, run.round) == ("running", 1, 1)
    job = study.job("local")
    assert contents.read(job.inputs["state"])


def test_the_coordinator_hears_everybody(consortium):
    run = consortium.computing()
    north, south = consortium.others
    place = {"run": run.uid, "step": 1, "round": 1}
    taken(consortium.letter(north, "progress", {"fraction": 0.5}, **place))
    seen = {seat["site"]: seat["fraction"] for seat in actions.overview(run)["seats"]}
    assert seen == {"Northfield": 0.5, "Southgate": None}
    line = {"at": 1.5, "step": 1, "round": 1, "code": "computing"}
    taken(consortium.letter(north, "log", {"lines": [line, line]}, run=run.uid))
    taken(consortium.update(north, run))
    taken(consortium.letter(south, "trouble", {"code": "refused_rows"}, **place))
    assert SiteProgress.objects.get(site=north.uid).fraction == 0.5
    assert LogLine.objects.filter(site=north.uid, code="computing").count() == 2
    run.refresh_from_db()
    assert run.state == "failed" and run.reason == "below_quorum:refused_rows"


def test_words_of_another_site_become_known_words(consortium):
    run = consortium.computing()
    north = consortium.others[0]
    line = {"at": 1.0, "step": 0, "round": 0, "code": "Jane Doe, room 12"}
    taken(consortium.letter(north, "log", {"lines": [line]}, run=run.uid))
    place = {"run": run.uid, "step": 1, "round": 1}
    taken(consortium.letter(north, "trouble", {"code": "Jane Doe"}, **place))
    assert LogLine.objects.get(site=north.uid).code == "unknown"
    assert "Jane" not in str(records())


def test_a_receipt_needs_nothing_done(consortium):
    taken(consortium.letter(consortium.others[0], "receipt", {}))


# --- twice, late, early ---


def test_the_same_envelope_again_changes_nothing(consortium):
    run = consortium.computing()
    north = consortium.others[0]
    letters = [
        consortium.update(north, run),
        consortium.letter(north, "progress", {"fraction": 0.5}, run=run.uid, step=1, round=1),
        consortium.letter(north, "log", {"lines": []}, run=run.uid),
    ]
    for letter in letters:
        taken(letter)
    before = records()
    for letter in letters:
        taken(letter)
    assert records() == before and not HeldPost.objects.exists()


def test_a_repeated_invite_is_one_run(study):
    study.propose()
    run = str(uuid.uuid4())
    letter = study.letter(study.coordinator, "run-invite", study.invite_values(run), run=run)
    taken(letter)
    taken(letter)
    assert RunEvent.objects.count() == Run.objects.count() == 1
    again = study.letter(study.coordinator, "run-invite", study.invite_values(run), run=run)
    refused(again, "equivocation")


def test_another_envelope_in_a_taken_slot_is_equivocation(consortium, study):
    run = consortium.computing()
    north = consortium.others[0]
    taken(consortium.update(north, run))
    refused(consortium.update(north, run, content=b"other numbers"), "equivocation")
    mine = study.ready()
    taken(study.state(mine))
    refused(study.state(mine, content={".round": 1, "other": 1}), "equivocation")


def test_a_number_used_twice_is_a_copied_sender(consortium):
    run = consortium.computing()
    north = consortium.others[0]
    taken(consortium.update(north, run))
    letter = consortium.letter(north, "log", {"lines": []}, run=run.uid, seq=north.seq - 1)
    refused(consortium.letter(north, "log", {"lines": []}, run=run.uid, seq=north.seq - 1), "copied_sender")
    assert letter.receive().code == "copied_sender"


def test_a_late_update_is_kept_and_not_used(consortium):
    run = consortium.computing(quorum=1)
    north, south = consortium.others
    place = {"run": run.uid, "step": 1, "round": 1}
    taken(consortium.letter(north, "trouble", {"code": "task_failed"}, **place))
    before = runs.fold(run, runs.RUN)
    taken(consortium.update(north, run))
    assert runs.fold(run, runs.RUN) == before
    assert Slot.objects.filter(sender=north.uid, key__contains="/update/").count() == 1


def test_post_for_a_finished_run_changes_nothing(consortium):
    run = consortium.computing()
    late = consortium.update(consortium.others[0], run)
    actions.stop_run(ADMIN, run)
    before = RunEvent.objects.count()
    taken(late)
    assert RunEvent.objects.count() == before
    after_the_key = consortium.update(consortium.others[1], run)
    here.keys().erase_run(run.uid)
    taken(after_the_key)
    assert RunEvent.objects.count() == before
    assert not (here.keys().folder / f"run-{run.uid}.key").exists()


def test_early_post_waits_unopened_and_is_taken_in_its_time(study):
    study.approved_plan()
    run = str(uuid.uuid4())
    stop = study.letter(
        study.coordinator, "stop", {"outcome": "stopped", "reason": "stopped_by"}, run=run, key="standing"
    )
    early(stop)
    invite = study.letter(study.coordinator, "run-invite", study.invite_values(run), run=run)
    taken(invite)
    [waiting] = inbox.early()
    assert waiting == replace(stop.message, position=0)
    taken(Letter(waiting, stop.blob))
    assert not HeldPost.objects.exists()
    assert study.run.state == "stopped"


def test_a_state_for_a_seat_that_is_not_ready_waits(study):
    study.approved_plan()
    run = study.invite()
    early(study.state(run))


def test_post_under_a_list_that_is_not_held_yet_asks_for_it(study):
    study.grow("Riverside")
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    outcome = letter.receive()
    assert (outcome.state, outcome.needs) == ("early", study.uid)
    assert actions.refresh_manifests(study.project)
    taken(letter)


def test_early_post_without_its_bytes_is_kept_too(study):
    study.approved_plan()
    letter = study.state(study.invite())
    early(Letter(replace(letter.message, blob=None), letter.blob))
    assert inbox.early()[0].blob is None


def test_a_coordinator_knows_all_its_runs(consortium):
    consortium.propose()
    north = consortium.others[0]
    here.keys().run_subkey(run := str(uuid.uuid4()))
    refused(consortium.letter(north, "log", {"lines": []}, run=run), "unknown_run")


# --- refused: who says it, and where ---


def test_a_stranger(study):
    mallory = Peer("Mallory").enrol(study.world.house)
    refused(study.letter(mallory, "plan", study.plan_bytes()), "unknown_sender")


def test_a_hospital_that_is_pinned_but_not_a_member(study, consortium):
    riverside = study.world.peer("Riverside")
    consortium.admit(riverside)
    refused(study.letter(riverside, "plan", study.plan_bytes()), "not_a_member")


def test_a_member_that_was_removed(consortium):
    run = consortium.computing(quorum=1)
    north, _ = consortium.others
    actions.remove_site(ADMIN, consortium.project, north.uid)
    newest = consortium.manifests[1]
    letter = consortium.update(north, run, epoch=run.epoch, manifest=run.manifest)
    assert newest.sha256 != run.manifest
    refused(letter, "not_a_member")


def test_a_member_that_joined_after_the_run_began(consortium):
    run = consortium.computing()
    riverside = consortium.world.peer("Riverside")
    consortium.admit(riverside)
    letter = consortium.update(riverside, run, epoch=run.epoch, manifest=run.manifest)
    refused(letter, "not_a_member")


def test_a_role_that_may_not_say_it(study, consortium):
    south = study.others[0]
    run = study.ready()
    assert south in consortium.others  # so its key is pinned here
    refused(study.letter(south, "plan", study.plan_bytes()), "role")
    values = {"outcome": "stopped", "reason": ""}
    refused(study.letter(south, "stop", values, run=run.uid), "role")
    refused(study.letter(south, "state", {".round": 1}, run=run.uid, step=1, round=1), "role")
    refused(consortium.letter(consortium.others[0], "plan", b"{}"), "role")
    refused(study.letter(study.coordinator, "update", b"", run=run.uid, step=1, round=1), "role")


@pytest.mark.parametrize(
    ("type_", "values", "place"),
    [
        ("ready", {"ready": False, "code": "declined", "card": {}}, {}),
        ("update", b"numbers", {"step": 1, "round": 1}),
        ("trouble", {"code": "task_failed"}, {"step": 1, "round": 1}),
        ("progress", {"fraction": 0.5}, {"step": 1, "round": 1}),
        ("log", {"lines": []}, {}),
    ],
)
def test_a_participant_has_nothing_to_say_to_another(study, consortium, type_, values, place):
    """Also not one whose key is pinned here for another project: nothing here may come from it, or stop the inbox."""
    run = study.ready()
    refused(study.letter(study.others[0], type_, values, run=run.uid, **place), "role")


def test_words_about_the_project_go_to_the_coordinator_only(study, consortium):
    plan = study.propose()
    said = {"plan": plan.sha256, "epoch": 2, "person": "eve", "reason": ""}
    for type_, values in (("approve", said), ("decline", said), ("leave", {"id": "1"})):
        refused(study.letter(study.others[0], type_, values), "role")


def test_another_project(study, consortium):
    north = study.coordinator
    unknown = str(uuid.uuid4())
    refused(study.letter(north, "plan", study.plan_bytes(), project=unknown), "unknown_project")
    refused(study.letter(north, "plan", study.plan_bytes(), project=consortium.uid), "other_epoch")
    refused(study.letter(north, "plan", study.plan_bytes(project=consortium.uid)), "wrong_project")


def test_a_run_of_another_project(world):
    """Northfield coordinates one project and takes part in another: its power does not reach from one to the other."""
    study, ours = world.study("Northfield"), world.consortium("Northfield")
    study.propose(seats=[here.site()])
    run = ours.computing()
    stop = {"outcome": "stopped", "reason": ""}
    refused(study.letter(study.coordinator, "stop", stop, run=run.uid, key="standing"), "other_project")


def test_another_list_of_members(study, consortium):
    plan = study.plan_bytes()
    north = study.coordinator
    refused(study.letter(north, "plan", plan, manifest="0" * 64), "other_epoch")
    refused(study.letter(north, "plan", plan, epoch=1), "other_epoch")
    run = consortium.computing()
    consortium.admit(study.world.peer("Riverside"))
    newest = consortium.update(consortium.others[0], run)
    refused(newest, "other_epoch")  # a run stays pinned to the list it began with
    taken(consortium.update(consortium.others[0], run, epoch=run.epoch, manifest=run.manifest))


def test_a_changed_key(study):
    """The Routing Server cannot put another identity in the place of a pinned one."""
    real = study.coordinator
    fake = Peer(real.name, uid=real.uid).enrol(MemoryHouse())
    refused(study.letter(fake, "plan", study.plan_bytes()), "bad_signature")


def test_a_list_that_names_another_key_than_the_pinned_one(study, consortium):
    south = study.others[0]
    belong = [replace(m, fingerprint="ab" * 32) if m.site == south.uid else m for m in study.belong]
    study.next_epoch(belong)
    actions.refresh_manifests(study.project)
    refused(study.letter(south, "receipt", {}), "key_changed")


def test_another_card_than_the_one_held(study):
    north = study.coordinator
    other = north.make_card("standing", 2, prev=north.card.sha256)
    refused(study.letter(north, "plan", study.plan_bytes(), card=other.sha256), "unknown_card")


def test_another_signer_or_sender(study):
    north, south = study.coordinator, study.others[0]
    letter = study.letter(north, "plan", study.plan_bytes())
    refused(letter.put(signature=bytes(64)), "bad_signature")
    refused(letter.put(signature=south.identity.sign("env", letter.message.envelope)), "bad_signature")
    refused(letter.put(sender=study.world.peer("Riverside").uid), "unknown_sender")
    refused(study.letter(north, "plan", study.plan_bytes(), named=here.site()), "other_sender")
    mine = here.keys().identity.sign("env", letter.message.envelope)
    refused(letter.put(sender=here.site(), signature=mine), "other_sender")


# --- refused: what it is sealed in ---


def test_post_for_another_reader_or_key(study):
    north, south = study.coordinator, study.others[0]
    plan = study.plan_bytes()
    refused(study.letter(north, "plan", plan, reader=south.recipient), "other_reader")
    forgotten = Subkey.generate()
    reader = Recipient(here.site(), forgotten.kid, forgotten.public)
    refused(study.letter(north, "plan", plan, reader=reader), "unknown_kid")
    run = study.ready()
    refused(study.letter(north, "state", {}, run=run.uid, step=1, round=1, key="standing"), "unknown_kid")


def test_changed_parts(study):
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    other = study.letter(study.coordinator, "plan", study.plan_bytes())
    sign = study.coordinator.identity.sign
    flipped = bytes([letter.blob[0] ^ 1]) + letter.blob[1:]
    refused(letter.put(envelope=letter.message.envelope[:-1]), "bad_signature")
    refused(letter.put(envelope=b"{}", signature=sign("env", b"{}")), "missing_field")
    refused(letter.put(delivery=other.message.delivery), "bad_signature")
    refused(letter.put(delivery_signature=bytes(64)), "bad_signature")
    refused(letter.put(envelope=b"", signature=b"", delivery=b"", delivery_signature=b""), "bad_signature")
    refused(letter.put(blob=flipped), "blob_changed")
    refused(letter.put(blob=letter.blob + b"x"), "blob_long")
    refused(letter.put(blob=letter.blob[:-1]), "blob_short")
    refused(letter.put(blob=b""), "blob_short")
    taken(letter)


def test_a_content_that_is_larger_than_its_type_may_be(study):
    """The bound is checked before the bytes are asked for."""
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    big = letter.message.envelope.replace(b'"ct_len":', b'"ct_len":1')
    signed = study.coordinator.identity.sign("env", big)
    asked = []
    outcome = inbox.receive(replace(letter.message, envelope=big, signature=signed), lambda: asked.append(1))
    assert outcome.state == "refused" and outcome.code in ("content_size", "envelope_length")
    assert not asked


def test_post_that_is_refused_costs_no_download(study, consortium):
    asked = []
    message: InboxMessage = study.letter(study.others[0], "plan", study.plan_bytes()).message
    assert inbox.receive(message, lambda: asked.append(1)).code == "role"
    assert not asked


def test_a_broken_line_is_not_the_posts_fault(study):
    """Whatever hinders this machine or its line is raised, so that the message is asked for again."""
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    for error in (UnreachableError("cut", "The connection broke off."), OSError(28, "No space left")):

        def broken(error=error):
            raise error

        with pytest.raises(type(error)):
            inbox.receive(letter.message, broken)
    assert not HeldPost.objects.exists() and not Plan.objects.exists()
    assert not list(here.home().sub("quarantine").iterdir())
    taken(letter)


def test_a_bad_copy_does_not_push_out_a_good_one_that_waits(study):
    study.approved_plan()
    letter = study.state(study.invite())
    early(letter)
    assert letter.put(signature=bytes(64)).receive().code == "bad_signature"
    assert [waiting.signature for waiting in inbox.early()] == [letter.message.signature]


def test_a_key_made_by_the_routing_server_opens_nothing(study):
    """An evil server that signs with a key of its own is a stranger, whatever it writes on the envelope."""
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    evil = Identity.generate()
    refused(letter.put(signature=evil.sign("env", letter.message.envelope)), "bad_signature")

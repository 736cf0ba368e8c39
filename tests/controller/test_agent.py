"""The agent's duties, one at a time: collect, deliver, keep time. Its threads are tested with real processes."""

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from friendlyfl.client.faults import Faults, Mishap, SeededFaults
from friendlyfl.client.problems import BusyError, RouterConflict, unreachable
from friendlyfl.controller import actions, awaited, contents, here, line
from friendlyfl.controller.actions.run import path_of_moves
from friendlyfl.controller.agent import beat, collect, deliver
from friendlyfl.controller.agent import pause as pauses
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.awaited import JOBS, POST
from friendlyfl.controller.models import (
    Departure,
    HeldPost,
    Identity,
    LogLine,
    Outbox,
    Run,
    Slot,
    SmallContent,
)
from friendlyfl.core import run as core_run
from friendlyfl.core.errors import FriendlyError, NotFoundError, UsageError
from friendlyfl.wire.codec import encode
from tests.controller.world import ADMIN, Letter, World


def post(study: Any, letter: Letter) -> None:
    """Hand a letter to the Routing Server as its sender would."""
    from friendlyfl.wire.message import Post, SignedDelivery

    message = letter.message
    delivery = SignedDelivery(message.delivery, message.delivery_signature)
    sender = next(peer for peer in study.world.peers.values() if peer.uid == message.sender)
    sender.router.post_message(Post(message.envelope, message.signature, (delivery,)), letter.blob)


# --- collect ---


def test_poll_takes_what_came_and_remembers_where_it_is(study):
    post(study, study.letter(study.coordinator, "plan", study.plan_bytes(purpose="One?")))
    post(study, study.letter(study.coordinator, "plan", study.plan_bytes(purpose="Two?")))
    assert collect.poll(Bell(), wait=0) == 2
    assert study.project.plans.count() == 2 and here.identity().cursor == 2
    assert collect.poll(Bell(), wait=0) == 0


def test_poll_fetches_a_list_of_members_that_post_was_made_under(study):
    study.grow("Riverside")
    post(study, study.letter(study.coordinator, "plan", study.plan_bytes()))
    collect.poll(Bell(), wait=0)
    assert study.project.epoch == 3 and study.project.plans.count() == 1


def test_bad_post_does_not_block_what_follows(study):
    bad = study.letter(study.coordinator, "plan", b"no plan")
    post(study, bad)
    post(study, study.letter(study.coordinator, "plan", study.plan_bytes()))
    collect.poll(Bell(), wait=0)
    assert HeldPost.objects.get().code == "bad_plan" and study.project.plans.count() == 1


def test_a_content_that_is_gone_does_not_block_what_follows(study, monkeypatch):
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())

    def gone(_: str) -> Any:
        raise NotFoundError("not_found", "There is nothing here.")

    monkeypatch.setattr(study.world.router, "payload", gone)
    outcome = collect._take(replace(letter.message, blob=None))
    assert (outcome.state, outcome.code) == ("refused", "blob_gone")


def test_a_line_that_breaks_in_a_content_leaves_the_cursor(study, monkeypatch):
    run = study.ready()
    post(study, study.state(run, content=encode({".round": 1, "x": "y" * 400_000})))

    def broken(_: str) -> Any:
        raise unreachable("cut", "memory", 0)

    monkeypatch.setattr(study.world.router, "payload", broken)
    with pytest.raises(FriendlyError):
        collect.poll(Bell(), wait=0)
    assert here.identity().cursor == 0 and not HeldPost.objects.exists()
    monkeypatch.undo()
    collect.poll(Bell(), wait=0)
    assert study.run.round == 1


def test_early_post_is_tried_again_although_nothing_new_came(study):
    study.approved_plan()
    study.grow("Riverside")
    letter = study.letter(study.coordinator, "plan", study.plan_bytes())
    assert letter.receive().state == "early"
    actions.refresh_manifests(study.project)  # as the heartbeat does
    collect.poll(Bell(), wait=0)
    assert not HeldPost.objects.exists()


def test_a_line_that_doubles_delays_reorders_and_corrupts_changes_nothing():
    chances = {Mishap.REPEAT: 0.4, Mishap.REORDER: 0.3, Mishap.DELAY: 0.3, Mishap.CORRUPT: 0.3}
    for seed in range(3):
        from tests.controller import site

        site._restore(here.home())
        world = World(SeededFaults(seed, chances))
        ours = world.consortium("Northfield", "Southgate")
        run = ours.start()
        for peer in ours.others:
            post(ours, ours.ready_letter(peer, run))
        for _ in range(8):
            collect.poll(Bell(), wait=0)
        run.refresh_from_db()
        assert run.state == "running", seed
        assert Slot.objects.count() == 2 and run.events.filter(side="run").count() == 3
        assert {held.state for held in HeldPost.objects.all()} <= {"refused"}


# --- deliver ---


def test_a_retry_sends_the_same_bytes(consortium):
    """The answer is lost twice; the Routing Server has the message once."""
    consortium.propose()
    row = Outbox.objects.get(type="plan")
    before = (row.post, contents.read(row.blob))
    sent: list[Any] = []
    real = consortium.world.router.post_message

    def lossy(given: Any, blob: Any) -> str:
        sent.append((given.to_json(), blob))
        answer = real(given, blob)
        if len(sent) < 3:
            raise unreachable("timeout", "memory", 0)
        return answer

    consortium.world.router.post_message = lossy
    for _ in range(2):
        with pytest.raises(FriendlyError):
            deliver.deliver_one(row)
        assert Outbox.objects.get(pk=row.pk).state == "waiting"
    deliver.deliver_one(row)
    assert sent == [before] * 3
    assert Outbox.objects.get(pk=row.pk).state == "sent"
    assert len(consortium.world.house.mail.messages) == 1
    assert Departure.objects.filter(type="plan").count() == 1


class Quick:
    """A bell that stops its thread once the outbox is as the test wants it."""

    @staticmethod
    def until(done: Any) -> Bell:
        bell = Bell()
        threading.Thread(target=Quick._watch, args=(bell, done), daemon=True).start()
        return bell

    @staticmethod
    def _watch(bell: Bell, done: Any) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until and not done():
            time.sleep(0.01)
        bell.stop()


@pytest.mark.parametrize(
    "error",
    [
        unreachable("timeout", "memory", 0),
        unreachable("certificate", "memory", 0),  # needs a person, but it is not this message's fault
        BusyError("busy", "Come back.", retry_after=0.0),
        RouterConflict("fenced", "Another copy speaks for this site."),
        RouterConflict("lease_held", "This site runs already."),
    ],
    ids=lambda error: error.code,
)
def test_what_hinders_all_post_loses_none(consortium, monkeypatch, error):
    consortium.propose()
    monkeypatch.setattr(pauses, "FIRST", 0.01)
    tries: list[int] = []

    def failing(*_: Any) -> str:
        tries.append(1)
        if len(tries) > 1:
            monkeypatch.undo()
        raise error

    monkeypatch.setattr(consortium.world.router, "post_message", failing)
    deliver.deliver(Quick.until(lambda: len(tries) >= 2))
    row = Outbox.objects.get(type="plan")
    assert row.state in ("waiting", "sent") and row.tries >= 1


def test_a_refused_message_lets_the_next_one_pass(consortium, monkeypatch):
    consortium.propose()
    consortium.propose(quorum=1)
    first, second = Outbox.objects.filter(type="plan").order_by("id")
    real = consortium.world.router.post_message

    def picky(given: Any, blob: Any) -> str:
        if given.to_json() == first.post:
            raise UsageError("reader_not_a_member", "A reader of this message is not in the project.")
        return real(given, blob)

    monkeypatch.setattr(consortium.world.router, "post_message", picky)
    sent = Outbox.objects.filter(pk=second.pk, state="sent")
    deliver.deliver(Quick.until(lambda: "sent" in _states(second.pk)))
    first.refresh_from_db()
    assert sent.exists() and first.state == "refused" and "reader_not_a_member" in first.trouble


def _states(pk: int) -> list[str]:
    from django.db import connection

    try:
        return list(Outbox.objects.filter(pk=pk).values_list("state", flat=True))
    finally:
        connection.close()


def test_a_pause_doubles_up_to_a_minute_and_obeys_the_router(monkeypatch):
    slept: list[float] = []
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + 0.5))
    pause = pauses.Pause(Bell())
    for _ in range(9):
        began = clock[0]
        pause.after(unreachable("timeout", "memory", 0))
        slept.append(pause.seconds)
        assert 0.75 * pause.seconds - 1 <= clock[0] - began <= 1.25 * pause.seconds + 1
    assert slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    began = clock[0]
    pause.after(BusyError("busy", "Later.", retry_after=300.0))
    assert 299 <= clock[0] - began <= 301
    pause.over()
    assert pause.seconds == 0


# --- beat ---


def test_a_heartbeat_brings_the_lease_and_grown_lists(study):
    Identity.objects.filter(pk=1).update(lease=0)
    line._standings.clear()
    assert not line.is_up()
    study.grow("Riverside")
    beat.heartbeat()
    assert line.is_up() and here.identity().beats == 1 and study.project.epoch == 3


@given(before=st.sampled_from(core_run.STATES), after=st.sampled_from(core_run.STATES))
def test_a_path_of_moves_walks_the_table(before, after):
    path = path_of_moves(before, after)
    assert path[-1] == after
    reachable = before == after or _reaches(before, after)
    if reachable and before != after:
        for one, two in zip([before, *path], path, strict=False):
            assert two in core_run.MOVES[one]


def _reaches(before: str, after: str) -> bool:
    seen, edge = {before}, {before}
    while edge:
        edge = {state for one in edge for state in core_run.MOVES[one]} - seen
        seen |= edge
    return after in seen


def test_the_routing_server_is_told_once_of_each_place(consortium):
    run = consortium.computing()
    beat.report_runs()
    assert consortium.world.house.runs[run.uid]["state"] == "running"
    told = len(consortium.world.house.runs)
    consortium.world.router.put_status = lambda *_, **__: pytest.fail("told twice")
    beat.report_runs()
    assert told == 1


def test_a_deadline_that_has_passed_is_noticed(consortium):
    run = consortium.start(prepare_deadline=0.001)
    time.sleep(0.01)
    beat.ticks()
    run.refresh_from_db()
    assert run.state == "failed" and run.reason == "below_quorum:late"


def test_a_silent_coordinator_ends_this_sites_part(study):
    study.approved_plan()
    run = study.invite(patience=0.001)
    time.sleep(0.01)
    beat.ticks()
    run.refresh_from_db()
    assert (run.state, run.reason) == ("failed", "coordinator_lost")


def test_log_lines_leave_as_codes_and_once(study):
    run = study.ready()
    assert LogLine.objects.filter(run=run, sent=False).count() == 1
    beat.send_logs()
    beat.send_logs()
    [row] = Outbox.objects.filter(type="log")
    assert Departure.objects.get(msg=row.msg).what.startswith("1 lines")
    assert not LogLine.objects.filter(sent=False).exists()


def test_keys_are_erased_when_all_is_said(study):
    run = study.ready()
    stop = {"outcome": "stopped", "reason": "stopped_by"}
    assert study.letter(study.coordinator, "stop", stop, run=run.uid).receive().state == "taken"
    beat.erase_keys()
    assert here.keys().holds_run(run.uid)  # its last log lines are not sent yet
    beat.send_logs()
    beat.erase_keys()
    assert here.keys().holds_run(run.uid)
    while row := Outbox.objects.filter(state="waiting").first():
        Outbox.objects.filter(pk=row.pk).update(state="sent")
    beat.erase_keys()
    assert not here.keys().holds_run(run.uid)
    sealed = Outbox.objects.filter(run=run, here=False).values_list("blob", flat=True)
    assert sealed and not SmallContent.objects.filter(digest__in=sealed).exists()


def test_a_coordinator_keeps_its_key_for_last_log_lines(consortium):
    run = consortium.start()
    actions.stop_run(ADMIN, run)
    Outbox.objects.update(state="sent")
    beat.erase_keys()
    assert here.keys().holds_run(run.uid)
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now() - beat.KEYS_KEPT)
    beat.erase_keys()
    assert not here.keys().holds_run(run.uid)


# --- starting over a broken line ---


class LoseAnswer(Faults):
    def __init__(self) -> None:
        self.armed = False

    def on_request(self, site: str, method: str, path: str) -> Mishap | None:
        if self.armed and (method, path.strip("/")) == ("POST", "runs"):
            self.armed = False
            return Mishap.LOSE_ANSWER
        return None


def test_a_start_whose_answer_was_lost_is_the_same_run_when_the_line_is_back():
    faults = LoseAnswer()
    ours = World(faults).consortium("Northfield")
    ours.propose()
    faults.armed = True
    with pytest.raises(FriendlyError):
        actions.start_run(ADMIN, ours.project)
    intent = ours.run
    assert intent.state == "" and not Outbox.objects.filter(type="run-invite").exists()
    with pytest.raises(FriendlyError) as error:
        actions.stop_run(ADMIN, intent)
    assert error.value.code == "not_started"
    run = actions.start_run(ADMIN, ours.project)
    assert run.uid == intent.uid and run.state == "standby"


def test_the_agent_finishes_a_start_that_was_cut_off():
    faults = LoseAnswer()
    ours = World(faults).consortium("Northfield")
    ours.propose()
    faults.armed = True
    with pytest.raises(FriendlyError):
        actions.start_run(ADMIN, ours.project)
    beat.news()
    assert ours.run.state == ""  # it may still be under way in another process
    Run.objects.update(started_at=timezone.now() - 2 * beat.INTENT_AGE)
    beat.news()
    beat.news()
    assert ours.run.state == "standby" and ours.run.events.count() == 1


# --- the bell ---


def test_the_bell_wakes_sleepers_and_is_not_missed():
    bell = Bell()
    awaited.taken()
    heard = bell.wait(JOBS, 0, 0.01)
    awaited.written(JOBS)
    bell.ring()
    assert bell.wait(JOBS, heard, 5.0) == heard + 1  # rung before the wait began: no sleep
    began = time.monotonic()
    threading.Timer(0.05, bell.stop).start()
    bell.wait(JOBS, heard + 1, 5.0)
    assert bell.stopping and time.monotonic() - began < 2


def test_the_bell_wakes_only_whom_the_ringing_thread_has_written_for():
    bell = Bell()
    awaited.taken()
    sent, jobs = bell.wait(POST, -1, 0.0), bell.wait(JOBS, -1, 0.0)
    bell.ring()
    assert (bell.wait(POST, -1, 0.0), bell.wait(JOBS, -1, 0.0)) == (sent, jobs)
    awaited.written(POST)
    other = threading.Thread(target=bell.ring)  # has written nothing itself, and takes no one's note away
    other.start()
    other.join()
    assert bell.wait(POST, -1, 0.0) == sent
    bell.ring()
    bell.ring()
    assert (bell.wait(POST, -1, 0.0), bell.wait(JOBS, -1, 0.0)) == (sent + 1, jobs)
    bell.ring_all()
    assert (bell.wait(POST, -1, 0.0), bell.wait(JOBS, -1, 0.0)) == (sent + 2, jobs + 1)


def test_the_bell_hears_another_connections_commit(study):
    bell = Bell()
    listener = threading.Thread(target=bell.listen)
    listener.start()
    try:
        time.sleep(0.3)
        heard = bell.wait(POST, -1, 0.0)
        study.propose()
        assert bell.wait(POST, heard, 3.0) > heard
    finally:
        bell.stop()
        listener.join()


def test_sessions_that_are_over_are_forgotten():
    for key, hours in (("old", -1), ("new", 1)):
        until = timezone.now() + timedelta(hours=hours)
        Session.objects.create(session_key=key, session_data="", expire_date=until)
    beat.forget_sessions()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]

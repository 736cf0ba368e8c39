"""Runs: unique, one active at a time, moved only as the table of moves allows, each side its own line."""

from __future__ import annotations

import threading
import uuid

import pytest

from friendlyfl.core.run import MOVES
from tests.router.world import World


def line(state: str, **over: object) -> dict[str, object]:
    return {"state": state, "step": 1, "round": 2, "progress": 25.5} | over


def test_a_run_is_recorded_with_a_seat_for_each_member(world: World) -> None:
    alice, bob, project = world.new_project()
    fields = world.run_fields(project, 1, deadline="2040-01-01T00:00:00Z")
    made = alice.post("runs/", fields)
    assert made.status == 201
    assert made["state"] == "standby" and made["deadline"] == "2040-01-01T00:00:00Z"
    assert {seat["site"] for seat in made["seats"]} == {alice.uid, bob.uid}
    assert [seat["site"] for seat in bob.get(f"runs/{fields['uid']}/")["seats"]] == [bob.uid]
    assert alice.post("runs/", fields).status == 200  # a re-sync posts the same record
    assert alice.post("runs/", fields | {"quorum": 1}).code == "uid_taken"
    assert [run["uid"] for run in bob.get("runs/active/")["results"]] == [
        run for run in (world.run, fields["uid"]) if bob.get(f"runs/{run}/").status == 200
    ]
    assert [run["uid"] for run in bob.get("runs/", f"project={project}")["results"]] == [fields["uid"]]


def test_one_active_run_a_project(world: World) -> None:
    alice, _, project = world.new_project()
    run = world.make_run(alice, project, 1)
    second = world.run_fields(project, 2)
    answer = alice.post("runs/", second)
    assert (answer.status, answer.code) == (409, "run_active")
    assert alice.post("runs/", world.run_fields(project, 1)).code == "number_taken"
    alice.put(f"runs/{run}/status/", line("failed", reason="no quorum"))
    made = alice.post("runs/", second | {"repeats": run})
    assert (made.status, made["repeats"]) == (201, run)


def test_of_two_starts_at_once_one_wins(world: World) -> None:
    alice, _, project = world.new_project()
    answers = []

    def start(number: int) -> None:
        answers.append(alice.post("runs/", world.run_fields(project, number)).status)

    threads = [threading.Thread(target=start, args=(number,)) for number in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409]


def test_the_database_itself_holds_the_two_rules(world: World) -> None:
    from django.db import IntegrityError, transaction

    from friendlyfl.router.models import Project, Run

    _, _, project = world.new_project()
    row = {"project": Project.objects.get(uid=project), "plan_sha256": "0" * 64, "epoch": 1, "quorum": 1}
    Run.objects.create(number=1, **row)
    for other in ({"number": 2}, {"number": 1, "state": "failed"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Run.objects.create(**row, **other)
    Run.objects.create(number=2, state="stopped", **row)


@pytest.mark.parametrize("start", MOVES)
def test_moves_are_those_of_the_table(world: World, start: str) -> None:
    from friendlyfl.router.models import Run

    alice, _, project = world.new_project()
    run = world.make_run(alice, project)
    for target in MOVES:
        Run.objects.filter(uid=run).update(state=start)
        answer = alice.put(f"runs/{run}/status/", line(target))
        allowed = target == start or target in MOVES[start]
        assert answer.status == (200 if allowed else 409), (start, target)
        if not allowed:
            assert answer.code == "forbidden_move"
        assert answer["state"] == Run.objects.get(uid=run).state == (target if allowed else start)


def test_an_unknown_state_is_a_bad_request(world: World) -> None:
    answer = world.alice.put(f"runs/{world.run}/status/", line("dancing"))
    assert (answer.status, answer.code) == (400, "unknown_state")


def test_each_side_writes_its_own_line(world: World) -> None:
    alice, bob, project = world.new_project()
    run = world.make_run(alice, project)
    assert bob.put(f"runs/{run}/status/", line("running", progress=10, reason="")).status == 200
    assert alice.get(f"runs/{run}/")["state"] == "standby"  # a participant moves nothing
    seats = {seat["site"]: seat for seat in alice.get(f"runs/{run}/")["seats"]}
    assert (seats[bob.uid]["state"], seats[bob.uid]["progress"]) == ("running", 10.0)
    assert seats[alice.uid]["state"] == "standby"
    assert alice.put(f"runs/{run}/status/", line("preparing")).status == 200
    assert bob.get(f"runs/{run}/")["state"] == "preparing"
    assert bob.get(f"runs/{run}/")["seats"][0]["state"] == "running"


def test_times_are_noted_and_an_end_stays(world: World) -> None:
    alice, _, project = world.new_project()
    run = world.make_run(alice, project)
    assert alice.get(f"runs/{run}/")["started_at"] is None
    started = alice.put(f"runs/{run}/status/", line("preparing"))["started_at"]
    assert started is not None
    ended = alice.put(f"runs/{run}/status/", line("failed", reason="Bob is lost"))
    assert (ended["started_at"], ended["reason"]) == (started, "Bob is lost")
    again = alice.put(f"runs/{run}/status/", line("failed", reason="Something else"))
    assert (again.status, again["reason"], again["ended_at"]) == (200, "Bob is lost", ended["ended_at"])


def test_a_stop_is_noted(world: World) -> None:
    alice, _, project = world.new_project()
    run = world.make_run(alice, project)
    message = "ab" * 32
    stopped = alice.post(f"runs/{run}/stop/", {"message": message})
    assert (stopped["state"], stopped["stop_message"]) == ("stopped", message)
    assert alice.post(f"runs/{run}/stop/", {"message": message}).status == 200
    assert alice.put(f"runs/{run}/status/", line("stopped")).status == 200
    assert alice.post(f"runs/{run}/stop/", {"reason": "x"}).status == 400
    assert alice.post(f"runs/{run}/stop/", {}).status == 400


def test_an_administrator_closes_a_copy_with_a_reason(world: World) -> None:
    alice, _, project = world.new_project()
    run = world.make_run(alice, project)
    assert world.admin.post(f"runs/{run}/stop/", {"message": "ab" * 32}).status == 400
    closed = world.admin.post(f"runs/{run}/stop/", {"reason": "The coordinator's machine is gone."})
    assert (closed["state"], closed["seats"]) == ("stopped", 2)
    assert alice.get(f"runs/{run}/")["reason"] == "The coordinator's machine is gone."
    assert world.admin.post(f"runs/{run}/stop/", {"reason": "Again"}).code == "run_ended"


@pytest.mark.parametrize(
    "over",
    [{"number": 0}, {"number": "1"}, {"number": True}, {"number": 2**31}, {"epoch": 0}, {"quorum": 0}, {"quorum": 1.5},
     {"plan_sha256": "A" * 64}, {"plan_sha256": "a"}, {"deadline": 0}, {"deadline": -5}, {"deadline": 10**12},
     {"deadline": "soon"}, {"repeats": "x"}, {"uid": "x"}, {"extra": 1}, {"state": "running"}],
)  # fmt: skip
def test_a_run_record_is_strict(world: World, over: dict[str, object]) -> None:
    answer = world.alice.post("runs/", world.run_fields(world.project, 99) | over)
    assert (answer.status, answer.code) == (400, "bad_field")


@pytest.mark.parametrize(
    "over",
    [{"state": 5}, {"step": -1}, {"step": None}, {"round": "2"}, {"progress": 101}, {"progress": "5"},
     {"progress": True},
     {"reason": 5}, {"reason": "x" * 301}, {"reason": "a\x00"}, {"site": "x"}],
)  # fmt: skip
def test_a_status_is_strict(world: World, over: dict[str, object]) -> None:
    answer = world.bob.put(f"runs/{world.run}/status/", line("running") | over)
    assert (answer.status, answer.code) == (400, "bad_field")


def test_a_run_fits_its_project(world: World) -> None:
    alice, _, project = world.new_project()
    assert alice.post("runs/", world.run_fields(project, 1, epoch=2)).code == "unknown_epoch"
    assert alice.post("runs/", world.run_fields(project, 1, repeats=world.run)).code == "unknown_run"
    assert alice.post("runs/", world.run_fields(str(uuid.uuid4()))).status == 404


@pytest.mark.parametrize(("deadline", "seconds"), [(3600, 3600), (None, None)])
def test_a_deadline_may_be_a_span(world: World, deadline: int | None, seconds: int | None) -> None:
    from datetime import datetime

    alice, _, project = world.new_project()
    made = alice.post("runs/", world.run_fields(project, 1, deadline=deadline))
    if seconds is None:
        assert made["deadline"] is None
    else:
        span = datetime.fromisoformat(made["deadline"]) - datetime.fromisoformat(made["created_at"])
        assert abs(span.total_seconds() - seconds) < 5


def test_logs_are_ids_of_sealed_post(world: World) -> None:
    import time

    from friendlyfl.router.models import Message, Project, Site

    alice, bob, project = world.new_project()
    run = world.make_run(alice, project)
    ids = {}
    for site in (alice, bob):
        digest = uuid.uuid4().hex * 2
        ids[site.uid] = digest
        Message.objects.create(
            digest=digest,
            slot=digest,
            project=Project.objects.get(uid=project),
            sender=Site.objects.get(uid=site.uid),
            type="log",
            run=run,
            epoch=1,
            envelope=b"sealed",
            signature=b"",
            blob_sha256="0" * 64,
            blob_length=17,
            posted_at=int(time.time()),
        )
    assert {row["id"]: row["site"] for row in alice.get(f"runs/{run}/logs/")["results"]} == {
        ids[alice.uid]: alice.uid,
        ids[bob.uid]: bob.uid,
    }
    (own,) = bob.get(f"runs/{run}/logs/")["results"]
    assert (own["id"], own["length"]) == (ids[bob.uid], 17)

"""What the house does for itself: the audit, the regular jobs and their clock, the admin site."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from tests.router.world import PASSWORD, World


def test_what_is_done_is_audited(world: World) -> None:
    alice, bob, project = world.new_project()
    run = world.make_run(alice, project)
    alice.post(f"runs/{run}/stop/", {"message": "0" * 64})
    bob.delete(f"projects/{project}/participants/{bob.uid}/")
    rows = alice.get("audit/", f"project={project}")["results"]
    assert [row["action"] for row in rows] == [
        "project.left",
        "run.stop",
        "run.recorded",
        "project.manifest",
        "invitation.joined",
        "invitation.made",
        "project.made",
    ]
    assert {row["actor"] for row in rows} == {f"site:{alice.uid}", f"site:{bob.uid}"}
    assert not any("address" in row for row in rows)
    seen = world.admin.get("audit/", f"project={project}")["results"]
    assert {row["address"] for row in seen} == {"192.0.2.1"}


def test_a_failed_login_is_audited(world: World) -> None:
    from friendlyfl.router.models import AuditEntry

    before = AuditEntry.objects.count()
    world.anonymous.post("auth/token/", {"username": "a-typed-password", "password": "x"})
    entry = AuditEntry.objects.order_by("pk").last()
    assert AuditEntry.objects.count() == before + 1
    assert (entry.action, entry.outcome, entry.actor) == ("login.refused", "refused", "anonymous")
    assert "a-typed-password" not in str(vars(entry))


def test_nothing_changes_or_removes_a_line(world: World) -> None:
    from friendlyfl.router.models import AuditEntry

    entry = AuditEntry.objects.first()
    assert entry is not None
    for change in (
        entry.save,
        entry.delete,
        lambda: AuditEntry.objects.update(action="x"),
        lambda: AuditEntry.objects.all().delete(),
    ):
        with pytest.raises(TypeError):
            change()
    for verb in ("POST", "PUT", "PATCH", "DELETE"):
        assert world.admin.ask(verb, "audit/", {}).status == 405


# Jobs


def test_check_site_status_notes_who_came_and_went(world: World) -> None:
    from django.utils import timezone

    from friendlyfl.router import jobs
    from friendlyfl.router.models import AuditEntry, Site

    def noted() -> list[str]:
        rows = AuditEntry.objects.filter(object=f"site:{site.uid}", action__startswith="site.")
        return [
            action for action in rows.order_by("pk").values_list("action", flat=True) if "connected" in action
        ]

    site = world.hospital("Coming and going")
    jobs.run("check_site_status")
    jobs.run("check_site_status")
    assert noted() == ["site.connected"]
    Site.objects.filter(uid=site.uid).update(last_seen=timezone.now() - timedelta(hours=25))
    jobs.run("check_site_status")
    assert noted() == ["site.connected", "site.disconnected"]


def test_expire_messages_forgets_what_is_past_its_time(world: World) -> None:
    from django.utils import timezone

    from friendlyfl.router import jobs
    from friendlyfl.router.models import Enrolment, IdempotencyKey, Nonce, PasswordTry, Token

    world.alice.post("projects/", {"name": "Old"}, idempotency_key="old")
    world.user.get("users/me/")
    world.code(world.user.user)
    long_ago = timezone.now() - timedelta(days=40)
    Nonce.objects.update(expires_at=1)
    IdempotencyKey.objects.update(created_at=long_ago)
    Token.objects.filter(user=world.user.user).update(expires_at=long_ago)
    Enrolment.objects.filter(user=world.user.user).update(expires_at=long_ago)
    PasswordTry.objects.create(subject="0" * 64, since=1, count=1)
    jobs.run("expire_messages")
    assert not Nonce.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert not Token.objects.filter(user=world.user.user).exists()
    assert not Enrolment.objects.filter(user=world.user.user, used_at=None).exists()
    assert not PasswordTry.objects.filter(subject="0" * 64).exists()
    assert world.alice.get("sites/me/").status == 200


def test_close_overdue_runs_fails_the_copy_of_a_lost_coordinator(world: World) -> None:
    from django.utils import timezone

    from friendlyfl.router import jobs
    from friendlyfl.router.models import Run

    alice, _, project = world.new_project()
    run = world.make_run(alice, project)
    Run.objects.filter(uid=run).update(deadline=timezone.now() - timedelta(hours=23))
    jobs.run("close_overdue_runs")
    assert alice.get(f"runs/{run}/")["state"] == "standby"
    Run.objects.filter(uid=run).update(deadline=timezone.now() - timedelta(hours=25))
    jobs.run("close_overdue_runs")
    closed = alice.get(f"runs/{run}/")
    assert (closed["state"], closed["reason"]) == ("failed", "coordinator_lost")
    assert world.make_run(alice, project, 2)


def test_one_worker_runs_a_job_per_period(server: object) -> None:
    from friendlyfl.router import jobs
    from friendlyfl.router.models import JobLease

    JobLease.objects.all().delete()
    now = int(time.time())
    assert jobs.take_turn("expire_messages", now)
    assert not jobs.take_turn("expire_messages", now)
    assert not jobs.take_turn("expire_messages", now + 599)
    assert jobs.take_turn("expire_messages", now + 600)


def test_a_job_that_fails_does_not_stop_the_others(server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from friendlyfl.router import jobs
    from friendlyfl.router.models import JobLease

    done = []

    def fails() -> str:
        raise RuntimeError("no")

    def works() -> str:
        done.append(1)
        return "done"

    monkeypatch.setattr(jobs, "JOBS", {"a": jobs.Job(fails, 60), "b": jobs.Job(works, 60)})
    JobLease.objects.filter(name__in="ab").delete()
    jobs.run_due(int(time.time()))
    assert done == [1]


def test_the_clock_runs_what_is_due(server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from friendlyfl.router import jobs

    seen = []
    monkeypatch.setattr(jobs, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(jobs, "run_due", seen.append)
    with jobs.clock():
        deadline = time.time() + 5
        while len(seen) < 3 and time.time() < deadline:
            time.sleep(0.01)
    count = len(seen)
    assert count >= 3
    time.sleep(0.05)
    assert len(seen) == count


# The admin site


@pytest.fixture
def desk(world: World) -> object:
    """The admin site in a browser, logged in."""
    from django.test import Client

    client = Client(headers={"host": "localhost"})
    assert client.login(username=world.admin.user.username, password=PASSWORD)
    return client


@pytest.mark.parametrize("table", ["user", "site", "project", "run", "message", "auditentry"])
def test_the_admin_site_shows_the_records(desk: object, table: str) -> None:
    assert desk.get(f"/admin/router/{table}/").status_code == 200


def test_the_admin_site_changes_people_only(desk: object, world: World) -> None:
    from friendlyfl.router.models import AuditEntry, Site

    assert desk.get("/admin/router/user/add/").status_code == 200
    assert desk.get(f"/admin/router/user/{world.user.user.pk}/change/").status_code == 200
    for table in ("site", "project", "run", "message", "auditentry"):
        assert desk.get(f"/admin/router/{table}/add/").status_code == 403
    site = Site.objects.get(uid=world.bob.uid)
    page = desk.get(f"/admin/router/site/{site.pk}/change/")
    assert page.status_code == 200 and b"Save" not in page.content
    entry = AuditEntry.objects.first()
    assert desk.post(f"/admin/router/auditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_admin_site_shows_no_sealed_bytes(desk: object, world: World) -> None:
    from friendlyfl.router.models import Message, Project, Site

    message = Message.objects.create(
        digest="d" * 64,
        slot="slot-text",
        project=Project.objects.get(uid=world.project),
        sender=Site.objects.get(uid=world.alice.uid),
        type="state",
        epoch=1,
        envelope=b"sealed-bytes",
        signature=b"signature-bytes",
        blob_sha256="e" * 64,
        blob_length=4711,
        posted_at=1,
    )
    page = desk.get(f"/admin/router/message/{message.pk}/change/").content
    assert b"4711" in page and b"sealed-bytes" not in page and b"slot-text" not in page


def test_the_admin_site_revokes_and_releases(desk: object, world: World) -> None:
    from friendlyfl.router.models import Site

    site = world.hospital("Handled")
    pk = Site.objects.get(uid=site.uid).pk
    desk.post("/admin/router/site/", {"action": "release_lease", "_selected_action": [pk]})
    assert site.beat("another")["lease"] == 2
    desk.post("/admin/router/site/", {"action": "revoke", "_selected_action": [pk]})
    assert site.get("projects/").code == "site_revoked"

"""Word of the inbox: what is said of what, once a day, across failures and restarts; and who may switch it on."""

import json
import stat
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from friendlyfl.controller import actions, here, matters, word
from friendlyfl.controller.actions.notifications import Mail
from friendlyfl.controller.agent import beat
from friendlyfl.controller.agent.bell import Bell
from friendlyfl.controller.models import AuditLine, Peer, Way, Word
from friendlyfl.core.errors import ConflictError, ForbiddenError, UsageError
from tests.controller.memory import records
from tests.controller.post_office import Office, mail_server, webhook_server
from tests.controller.world import ADMIN, RESEARCHER, VIEWER

LINK = "https://portal.example.org/inbox/"


@pytest.fixture
def office():
    with mail_server() as office:
        yield office


@pytest.fixture
def hooked():
    with webhook_server() as office:
        yield office


def by_mail(office: Office) -> Way:
    return actions.set_mail(ADMIN, Mail(["ida@example.org"], "localhost", office.port, "plain"), link=LINK)


def by_webhook(office: Office) -> Way:
    return actions.set_webhook(ADMIN, True, f"http://127.0.0.1:{office.port}/a-secret", link=LINK)


def later(hours: float) -> None:
    """Time goes by: all that was noted is that much older."""
    for row in Word.objects.all():
        Word.objects.filter(pk=row.pk).update(at=row.at - timedelta(hours=hours))
    for way in Way.objects.exclude(tried_at=None):
        Way.objects.filter(pk=way.pk).update(tried_at=way.tried_at - timedelta(hours=hours))


def settled() -> None:
    assert word._thread is not None
    word._thread.join(20)
    assert not word._thread.is_alive()


# --- what is said of what ---


def test_nothing_is_said_while_it_is_off(study, office):
    study.propose()
    before = records()
    word.tell()
    assert office.came == 0 and records() == before and word.way(word.MAIL).on is False


def test_a_request_is_told_once_and_another_one_the_next_day(study, office):
    by_mail(office)
    word.tell()
    assert office.came == 0
    study.propose()
    for _ in range(3):
        word.tell()
    assert len(office.mails) == 1 and "“Births”" in office.mails[0].get_content()
    study.propose(purpose="Another question?")
    word.tell()
    later(23)
    word.tell()
    assert len(office.mails) == 1
    later(2)
    word.tell()
    word.tell()
    assert len(office.mails) == 2
    later(48)
    word.tell()
    assert len(office.mails) == 2  # the same still waits: nobody is told every day


def test_each_project_has_a_word_of_its_own(world, office, hooked):
    by_mail(office)
    by_webhook(hooked)
    first, second = world.study("Northfield", name="Births"), world.study("Southgate", name="Falls")
    first.propose()
    second.propose()
    word.tell()
    word.tell()
    assert sorted(call["project"] for call in hooked.calls) == ["Births", "Falls"]
    assert len(office.mails) == 2 and {call["link"] for call in hooked.calls} == {LINK}


def test_nothing_of_columns_counts_or_results_is_said(study, office, hooked):
    by_mail(office)
    by_webhook(hooked)
    run = study.ready()
    type(run).objects.filter(pk=run.pk).update(state="succeeded", ended_at=timezone.now())
    study.propose(purpose="Do mothers smoke? 4711 births", name="Births")
    word.tell()
    [message], [call] = office.mails, hooked.calls
    assert set(call) == {"what", "site", "project", "words", "link"}
    for said in (message.get_content(), json.dumps(call)):
        for never in (
            "age",
            "died",
            "Age",
            "smoke",
            "4711",
            "Connection",
            "Northfield",
            "Southgate",
            run.uid,
        ):
            assert never not in said
    assert (call["site"], call["project"]) == ("St Mary's", "Births")


def test_what_is_news_at_a_coordinator(consortium, hooked):
    since = timezone.now() - timedelta(days=1)
    project = consortium.project
    assert matters.by_project(since) == {}
    row = actions.invite_site(RESEARCHER, project, "Riverside")
    consortium.world.peer("Riverside").join(row.code, consortium.uid)
    actions.refresh_invitations(project)
    assert matters.by_project(since) == {project.pk: {f"joiner {row.uid}"}}
    by_webhook(hooked)
    word.tell()
    assert [call["project"] for call in hooked.calls] == ["Ours"]
    Peer.objects.filter(name="Northfield").update(doubted=True, doubted_at=timezone.now())
    assert len(matters.by_project(since)[project.pk]) == 2
    later(25)
    word.tell()
    assert len(hooked.calls) == 2 and "Northfield" not in json.dumps(hooked.calls)


def test_a_run_that_is_over_is_news_and_one_from_before_is_not(study, hooked):
    run = study.ready()
    by_webhook(hooked)
    word.tell()
    assert hooked.calls == []
    ended = type(run).objects.filter(pk=run.pk)
    ended.update(state="succeeded", ended_at=timezone.now() - timedelta(days=3))
    word.tell()
    assert hooked.calls == []  # it was over before anybody asked for word
    ended.update(ended_at=timezone.now())
    word.tell()
    assert len(hooked.calls) == 1


# --- failures and restarts ---


def test_a_failing_server_is_asked_again_after_a_pause(study, office):
    by_mail(office)
    study.propose()
    office.answers["RCPT"] = "451 later"
    word.tell()
    word.tell()
    row = Way.objects.get()
    assert office.came == 1 and (row.tries, row.said_at) == (1, None)
    assert (
        row.trouble.startswith("localhost takes no e-mail for ida@example.org.") and not Word.objects.exists()
    )
    later(0.1)  # six minutes
    word.tell()
    assert office.came == 2
    later(0.1)
    word.tell()
    assert office.came == 2  # the pause grows
    office.answers.clear()
    later(7)
    word.tell()
    row = Way.objects.get()
    assert len(office.mails) == 1 and (row.tries, row.trouble) == (0, "") and row.said_at is not None


def test_a_failure_on_the_second_day_leaves_the_first_word_standing(study, hooked):
    by_webhook(hooked)
    study.propose()
    word.tell()
    first = Word.objects.values("at", "matters").get()
    later(30)
    study.propose(purpose="Another?")
    hooked.status = 503
    word.tell()
    assert len(hooked.calls) == 2 and Word.objects.get().matters == first["matters"]
    hooked.status = 200
    later(0.2)
    word.tell()
    word.tell()
    assert len(hooked.calls) == 3 and Word.objects.get().matters != first["matters"]


def test_one_way_that_fails_holds_up_neither_the_other_nor_the_next_project(world, office, hooked):
    by_mail(office)
    by_webhook(hooked)
    office.answers["HELLO"] = "554 no"
    for coordinator, name in (("Northfield", "Births"), ("Southgate", "Falls")):
        world.study(coordinator, name=name).propose()
    word.tell()
    assert office.came == 1 and len(hooked.calls) == 2  # a dead server is not asked for each project
    assert Way.objects.get(name="webhook").trouble == ""


def test_whoever_was_cut_off_says_nothing_twice(study, office):
    """The process ends between the intent and its outcome: nobody knows whether it went, so it is not repeated."""
    row = by_mail(office)
    study.propose()
    [(project, names)] = word._due(row)
    word._intend(row, project, names)
    connection.close()
    word.tell()
    assert office.came == 0
    later(25)
    study.propose(purpose="Another?")
    word.tell()
    assert len(office.mails) == 1


def test_a_server_that_took_it_and_fell_silent_gets_no_second(study, office):
    by_mail(office)
    study.propose()
    office.answers["SENT"] = ""
    word.tell()
    later(7)
    word.tell()
    assert len(office.mails) == 1 and "It is not sent twice." in Way.objects.get().trouble


def test_the_beat_tells_in_a_thread_of_its_own(study, office, caplog):
    by_mail(office)
    study.propose()
    bell = Bell()

    def keeps_time() -> None:
        beat.beat(bell)
        connection.close()

    thread = threading.Thread(target=keeps_time)
    thread.start()
    assert office.arrived.wait(20)
    bell.stop()
    thread.join(20)
    settled()
    assert len(office.mails) == 1
    office.answers["HELLO"] = "554 no"
    study.propose(purpose="Another?")
    later(25)
    beat.tell_people()
    settled()
    assert Way.objects.get().tries == 1
    assert "word by mail did not go" in caplog.text and "ida@" not in caplog.text


# --- who switches it on, and how it is kept ---


def test_a_secret_is_a_file_of_the_owner_and_nowhere_else(office, hooked, caplog):
    given = Mail(["ida@example.org"], "localhost", office.port, "starttls", "ffl")
    actions.set_mail(ADMIN, given, "a secret of the mail server", link=LINK)
    by_webhook(hooked)
    for name in ("mail-password", "webhook-address"):
        path = here.home().sub("keys") / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    here.home().check()
    actions.send_test(ADMIN)
    assert hooked.calls[0]["what"] == "test" and hooked.heads[0]["path"] == "/a-secret"
    kept = repr(records())
    assert "a secret" not in kept and "a-secret" not in kept and "a secret" not in caplog.text
    assert [line.verb for line in AuditLine.objects.all()] == ["set_mail", "set_webhook", "send_test"]
    actions.set_mail(ADMIN, None)
    actions.set_webhook(ADMIN, False)
    assert not (here.home().sub("keys") / "mail-password").exists() and word.secret(word.WEBHOOK) == ""
    with pytest.raises(ConflictError, match="Switch on e-mail or the webhook first"):
        actions.send_test(ADMIN)


def test_a_password_is_never_sent_to_another_server(office):
    given = Mail(["ida@example.org"], "mail.example.org", 587, "starttls", "ffl")
    actions.set_mail(ADMIN, given, "a secret")
    actions.set_mail(ADMIN, Mail(["otto@example.org"], "mail.example.org", 587, "tls", "ffl"))
    assert word.secret(word.MAIL) == "a secret"
    for moved in (
        ("evil.example.org", 587, "ffl"),
        ("mail.example.org", 25, "ffl"),
        ("mail.example.org", 587, "x"),
    ):
        host, port, user = moved
        with pytest.raises(UsageError, match="Enter the password for this mail server") as caught:
            actions.set_mail(ADMIN, Mail(["ida@example.org"], host, port, "starttls", user))
        assert caught.value.code == "password"
    actions.set_mail(ADMIN, Mail(["ida@example.org"], "evil.example.org", 587))
    assert word.secret(word.MAIL) == ""  # no user, no password


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": []}, "to"), ({"to": ["ida"]}, "to"), ({"to": ["a@b.org"] * 21}, "to"),
        ({"to": ["a@b.org\nBcc: x@y.org"]}, "to"), ({"to": ["ü@example.org"]}, "to"),
        ({"sender": "St Mary's"}, "sender"), ({"host": ""}, "host"), ({"host": "mail example"}, "host"),
        ({"host": "https://mail.example.org"}, "host"), ({"port": 0}, "port"), ({"port": 65536}, "port"),
        ({"security": "none"}, "security"), ({"security": "plain"}, "security"),
        ({"security": "plain", "host": "localhost", "user": "ffl"}, "security"),
        ({"user": "f\nl"}, "user"), ({"user": "ü"}, "user"), ({"user": "ffl"}, "password"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(changes, code):
    given = {"to": ["ida@example.org"], "host": "mail.example.org", "port": 587, **changes}
    with pytest.raises(UsageError) as caught:
        actions.set_mail(ADMIN, Mail(**given))
    assert caught.value.code == code and not Way.objects.exists()


def test_a_password_that_cannot_travel_is_refused_at_once():
    with pytest.raises(UsageError, match="without accents or umlauts") as caught:
        actions.set_mail(ADMIN, Mail(["ida@example.org"], "mail.example.org", 587, user="ffl"), "größer")
    assert caught.value.code == "password" and word.secret(word.MAIL) == ""


@pytest.mark.parametrize("actor", [VIEWER, RESEARCHER])
def test_only_a_site_admin_decides(actor, office):
    by_mail(office)
    before = list(Way.objects.values())
    for act in (
        lambda: actions.set_mail(actor, None),
        lambda: actions.set_webhook(actor, True, "https://example.org/"),
        lambda: actions.send_test(actor),
    ):
        with pytest.raises(ForbiddenError):
            act()
    assert list(Way.objects.values()) == before and office.came == 0

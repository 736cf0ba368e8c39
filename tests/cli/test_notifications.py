"""Word of the inbox at the keyboard, and what the doctor says of it: real servers, and no secret on the screen."""

from collections.abc import Callable
from pathlib import Path

from tests.cli.keyboard import one_sentence, type_at
from tests.client.fake_server import closed_port
from tests.controller.post_office import mail_server, webhook_server

SITE = ("site", "notifications")
DOCTOR = ["doctor", "--json"]


def looked(said) -> list[tuple[str, str]]:
    return [(one["state"], one["words"]) for one in said.json["findings"] if one["check"] == "Notifications"]


def test_what_is_off_needs_nobody(site: Path) -> None:
    shown, doctor, tried = type_at(site, [*SITE, "show", "--json"], DOCTOR, [*SITE, "test"])
    assert [(row["way"], row["on"]) for row in shown.json] == [("mail", False), ("webhook", False)]
    [(state, words)] = looked(doctor)
    assert state == "ok" and "neither e-mail nor a webhook is switched on" in words
    one_sentence(tried, 1)


def test_both_ways_are_set_looked_at_and_tried(copy_of: Callable[[], Path], tmp_path: Path) -> None:
    home = copy_of()
    hook = tmp_path / "hook.txt"
    with mail_server() as office, webhook_server() as service:
        hook.write_text(f"http://localhost:{service.port}/in?key=a-secret-key\n")
        mail = ["--to", "ida@example.org", "--host", "localhost", "--port", str(office.port)]
        on, called, changed, doctor, tried, shown = type_at(
            home,
            [*SITE, "mail", *mail, "--security", "plain", "--link", "https://portal.example.org/inbox/"],
            [*SITE, "webhook", "--address-file", str(hook)],
            [*SITE, "mail", "--to", "ida@example.org", "--to", "otto@example.org"],
            DOCTOR,
            [*SITE, "test", "--json"],
            [*SITE, "show"],
        )
        assert on.code == called.code == changed.code == 0, (on, called, changed)
        assert "ida@example.org, otto@example.org" in changed.out and "Word goes to localhost." in called.out
        assert [state for state, _ in looked(doctor)] == ["ok", "ok"], looked(doctor)
        assert tried.code == 0 and tried.json == {"mail": "", "webhook": ""}
        assert len(office.mails) == 1 and len(service.calls) == 1  # the doctor has said nothing
        assert "https://portal.example.org/inbox/" in office.mails[0].get_content()
        assert "localhost" in shown.out
    doctor, tried, off, gone = type_at(home, DOCTOR, [*SITE, "test"], [*SITE, "mail", "--off"], DOCTOR)
    assert doctor.code == tried.code == 1
    assert [state for state, _ in looked(doctor)] == ["repair", "repair"]
    assert all("takes no calls on port" in words for _, words in looked(doctor))
    assert off.out == "No word goes out by e-mail.\n" and len(looked(gone)) == 1
    for said in (on, called, changed, doctor, tried, shown, off, gone):
        assert "a-secret-key" not in said.out + said.err + said.trace and said.trace == ""


def test_a_wrong_answer_is_one_sentence(copy_of: Callable[[], Path]) -> None:
    home = copy_of()
    mail = [*SITE, "mail", "--to", "ida@example.org", "--host", "mail.example.org"]
    for said in type_at(
        home,
        [*mail, "--security", "plain"],
        [*mail, "--port", "0"],
        [*SITE, "mail", "--host", "mail.example.org"],
    ):
        one_sentence(said, 2)
    [asked] = type_at(home, [*mail, "--user", "ffl"], answer="a secret\na secret\n")
    assert asked.code == 0 and "a secret" not in asked.out
    [hook] = type_at(home, [*SITE, "webhook"], answer=f"ftp://localhost:{closed_port()}/\n")
    assert hook.code == 2 and "begins with https://" in hook.err

"""The notifications page: off at first, every answer checked in words and kept, secrets shown to nobody, a test."""

import pytest
from django.test import Client

from friendlyfl.controller import word
from friendlyfl.controller.models import AuditLine, Way
from tests.controller.memory import records
from tests.controller.portal.visitor import said, signed_in
from tests.controller.post_office import mail_server, webhook_server

PATH = "/settings/notifications/"
GIVEN = {
    "do": "save", "mail": "yes", "mail_to": "ida@example.org\r\notto@example.org", "mail_sender": "",
    "mail_host": "mail.example.org", "mail_port": "587", "mail_security": "starttls", "mail_user": "ffl",
    "mail_password": "a calm secret", "webhook": "yes",
    "webhook_address": "https://hooks.example.org/key-of-ours",
}  # fmt: skip


@pytest.fixture
def client() -> Client:
    return signed_in("site-admin")


def send(client: Client, once: str = "k", **changes: str) -> tuple[int, str]:
    answer = client.post(PATH, {**GIVEN, **changes, "once": once})
    return answer.status_code, answer.get("Location") or " ".join(answer.content.decode().split())


def test_it_is_off_at_first_and_says_what_would_be_sent(client):
    text = said(client, PATH)
    assert (
        "At most one e-mail and one call of the webhook a day for each project." in text
        and "never a column, a count or a result" in text
    )
    assert "the project’s name may tell others what is studied here" in text
    assert (
        "address in it will be http://localhost/inbox/, as your browser has it now" in text
        and "Send a test" not in text
    )
    assert "Off: what waits for somebody stands in the inbox only." in said(client, "/settings/")


def test_both_are_switched_on_and_off_and_no_secret_is_shown(client):
    assert send(client) == (302, PATH)
    mail, hook = word.way("mail"), word.way("webhook")
    assert mail.on and mail.given["to"] == ["ida@example.org", "otto@example.org"]
    assert mail.link == "http://localhost/inbox/" and hook.given == {"host": "hooks.example.org"}
    assert word.secret("mail") == "a calm secret"
    text = said(client, PATH)
    assert "Send a test now." in text and "A password is kept." in text
    assert "The inbox’s address in it is http://localhost/inbox/, the one under which" in text
    assert "An address at hooks.example.org is kept." in text and "Nothing was sent yet." in text
    assert "a calm secret" not in text and "key-of-ours" not in text and "otto@example.org" in text
    assert "an e-mail goes out and a webhook is called" in said(client, "/settings/")
    assert send(client, "k2", mail_password="", webhook_address="") == (302, PATH)
    assert word.secret("mail") == "a calm secret" and word.secret("webhook").endswith("/key-of-ours")
    for once in ("k3", "k4"):
        assert send(client, once, mail="no", webhook="no") == (302, PATH)
    audit = [(line.verb, line.object) for line in AuditLine.objects.order_by("pk")]
    assert audit[4:] == [("set_mail", "off"), ("set_webhook", "off")]  # what was off already is no act
    assert not Way.objects.filter(on=True).exists() and word.secret("mail") == word.secret("webhook") == ""
    assert "mail.example.org" in said(client, PATH)  # to be switched on again


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("mail", "perhaps", "Choose Yes or No."),
        ("mail_to", "", "Enter from 1 to 20 e-mail addresses"),
        ("mail_to", "ida at example", "Enter from 1 to 20 e-mail addresses"),
        ("mail_sender", "us", "Enter one e-mail address as the sender"),
        ("mail_host", "", "Enter the name of the mail server"),
        ("mail_host", "mail.example.org:25", "without a port"),
        ("mail_port", "", "Enter the port as a number from 1 to 65535"),
        ("mail_port", "25a", "Enter the port as a number from 1 to 65535"),
        ("mail_port", "٥٨٧", "Enter the port as a number from 1 to 65535"),
        ("mail_security", "", "Choose how the way to the mail server is protected."),
        ("mail_security", "ssl", "Choose how the way to the mail server is protected."),
        ("mail_security", "plain", "the mail server must be on this machine"),
        ("mail_password", "", "Enter the password for this mail server and user name."),
        ("webhook_address", "", "Enter an address that begins with https://"),
        ("webhook_address", "http://hooks.example.org/", "Enter an address that begins with https://"),
    ],
)
def test_a_wrong_answer_is_said_and_the_others_stay(client, field, value, sentence):
    before = records()
    status, text = send(client, **{field: value})
    assert status == 400 and sentence in text and f'<a href="#id_{field}' in text
    for other in ("mail_host", "mail_port", "mail_user", "webhook_address"):
        assert other == field or f'value="{GIVEN[other]}"' in text
    assert field == "mail_to" or "ida@example.org" in text
    assert "a calm secret" not in text
    changed = {name for name, rows in records().items() if rows != before[name]}
    assert changed <= {"FormKey"} and word.secret("mail") == ""


def test_a_test_says_what_happened(client):
    with mail_server() as mails, webhook_server() as hooks:
        send(client, mail_host="localhost", mail_port=str(mails.port), mail_security="plain", mail_user="",
             mail_password="", webhook_address=f"http://127.0.0.1:{hooks.port}/key-of-ours")  # fmt: skip
        assert client.post(PATH, {"do": "test", "once": "t1"}).status_code == 302
        text = said(client, PATH)
        assert "The mail server took the test. Look whether it arrives." in text
        assert "The last try did not" not in said(client, "/settings/")
        assert "The webhook took the test." in text and text.count("It went.") == 2
        assert "This is a test from FriendlyFL" in mails.mails[0].get_content()
        hooks.status, mails.answers["HELLO"] = 404, "554 no"
        client.post(PATH, {"do": "test", "once": "t2"})
        text = said(client, PATH)
        assert "E-mail: localhost refused (its answer was 554)." in text
        assert "Webhook: 127.0.0.1 did not take the webhook&#x27;s call (its answer was 404)." in text
        assert "It went." not in text
        assert "The last try did not reach everybody." in said(client, "/settings/")
        client.post(PATH, {"do": "test", "once": "t2"})  # a double click
    assert len(hooks.calls) == 2


def test_without_a_way_there_is_nothing_to_test(client):
    answer = client.post(PATH, {"do": "test", "once": "t"})
    assert answer.status_code == 409 and "Switch on e-mail or the webhook first" in answer.content.decode()


@pytest.mark.parametrize("role", ["viewer", "researcher"])
def test_it_is_the_site_admins_page(role):
    send(signed_in("site-admin"))
    client = signed_in(role)
    assert client.get(PATH).status_code == 403 and send(client, mail="no", webhook="no")[0] == 403
    assert client.post(PATH, {"do": "test", "once": "t"}).status_code == 403
    text = said(client, "/settings/")
    assert "an e-mail goes out" in text and PATH not in text and "example.org" not in text
    assert Way.objects.filter(on=True).count() == 2


def test_a_session_that_ended_keeps_the_answers_but_no_secret(client):
    client.logout()
    assert send(client)[0] == 302
    kept = repr(dict(client.session))
    assert "mail.example.org" in kept and "a calm secret" not in kept and "key-of-ours" not in kept

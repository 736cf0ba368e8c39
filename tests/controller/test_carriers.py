"""Carriers: a word on its way to real servers, and a sentence for each way in which it does not arrive."""

import socket
from base64 import b64encode

import pytest

from friendlyfl.controller import carriers
from friendlyfl.controller.carriers import PLAIN, STARTTLS, TLS, MailServer, NotSaidError, Saying
from tests.client.fake_server import closed_port
from tests.client.test_reaching import certificate, proxy
from tests.controller.post_office import Office, mail_server, tls_of, webhook_server

SAYING = Saying("St Mary's", "Births", "https://portal.example.org/inbox/")
TO = ["ida@example.org", "otto@example.org"]


def mail(office: Office, **how) -> str:
    server = MailServer(**{"host": "localhost", "port": office.port, "security": PLAIN, **how})
    return carriers.by_mail(SAYING, TO, "ffl@example.org", server)


def why(act, *given, maybe: bool = False, **named) -> str:
    with pytest.raises(NotSaidError) as caught:
        act(*given, **named)
    assert caught.value.maybe is maybe
    assert "a secret" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(carriers, "A_STEP", 0.2)
    monkeypatch.setattr(carriers, "TO_ACCEPT", 0.2)


# --- e-mail ---


def test_an_e_mail_is_two_lines_of_text():
    with mail_server() as office:
        assert mail(office) == ""
    [message] = office.mails
    assert message.get_content().replace("\r\n", "\n").split("\n\n") == [
        "Something of the project “Births” waits in the FriendlyFL inbox at St Mary's.",
        "https://portal.example.org/inbox/\n",
    ]
    assert message["To"] == "ida@example.org, otto@example.org" and message["From"] == "ffl@example.org"
    assert message["Subject"] == "FriendlyFL: something waits in the inbox"
    assert message["Message-ID"].endswith("@example.org>") and message["Auto-Submitted"] == "auto-generated"
    assert set(message.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip


def test_a_name_from_elsewhere_begins_no_line():
    saying = Saying("St Mary's", "Births\r\nBcc: eve@example.org\n\n.\nMAIL FROM:<x>\u202e", "")
    assert saying.words.count("\n") == 0 and "\u202e" not in saying.words
    with mail_server() as office:
        carriers.by_mail(saying, TO, "a@example.org", MailServer("localhost", office.port, PLAIN))
    assert len(office.mails) == 1 and office.mails[0]["Bcc"] is None and len(office.recipients) == 2


@pytest.mark.parametrize("security", [STARTTLS, TLS])
def test_a_password_travels_in_tls_to_a_server_that_is_trusted(tmp_path, security):
    pem = certificate(tmp_path)
    with mail_server(tls=tls_of(pem), from_the_start=security == TLS) as office:
        account = {"user": "ffl", "password": office.password, "security": security}
        assert mail(office, **account, ca_file=str(pem)) == ""
        assert office.signed_in == ["ffl"] and office.in_tls == [True]
        said = why(mail, office, **account)
        assert said.startswith("This machine does not trust the certificate of localhost.")
        said = why(mail, office, **{**account, "password": "a secret that is wrong"}, ca_file=str(pem))
        assert said == "localhost did not accept the user name and password. Enter both again."
        assert "a PEM" not in said and len(office.mails) == 1
    other = certificate(tmp_path, name="elsewhere")
    with mail_server(tls=tls_of(other), from_the_start=security == TLS) as office:
        said = why(mail, office, **account, ca_file=str(other))
        assert "does not trust the certificate" in said and office.signed_in == []


def test_a_server_without_starttls_gets_nothing():
    with mail_server() as office:
        said = why(mail, office, security=STARTTLS, user="ffl", password="a secret")
    assert "offers no STARTTLS" in said and not office.mails and not office.signed_in


def test_plain_smtp_stays_on_this_machine():
    said = why(carriers.by_mail, SAYING, TO, "a@example.org", MailServer("192.0.2.1", 25, PLAIN))
    assert said == "Without TLS an e-mail goes to a mail server on this machine only."


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"HELLO": "554 not today"}, "localhost refused (its answer was 554). It is tried again later."),
        ({"MAIL": "550 who"}, "localhost does not send for ffl@example.org. Check the sender's address."),
        ({"RCPT": "550 who"}, "localhost takes no e-mail for ida@example.org, otto@example.org."),
        ({"DATA": "451 full"}, "localhost refused (its answer was 451). It is tried again later."),
        ({"SENT": "552 large"}, "localhost did not take the e-mail (its answer was 552). It is tried again"),
        ({"MAIL": ""}, "The line to localhost, port "),
    ],
)
def test_a_refusal_becomes_a_sentence(answers, sentence):
    with mail_server(answers=answers) as office:
        assert why(mail, office).startswith(sentence)


def test_a_line_that_breaks_after_the_message_leaves_it_open():
    with mail_server(answers={"SENT": ""}) as office:
        assert "It is not sent twice." in why(mail, office, maybe=True)
    assert len(office.mails) == 1


def test_one_unknown_address_does_not_keep_the_others_waiting():
    with mail_server() as office:
        server = MailServer("localhost", office.port, PLAIN)
        said = carriers.by_mail(SAYING, ["nobody@example.org", *TO], "a@example.org", server)
    assert said == "localhost takes no e-mail for nobody@example.org." and len(office.mails) == 1


def test_a_server_that_is_not_there_or_silent(short):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "did not answer on port" in why(mail, Office(port))
        assert "did not answer on port" in why(carriers.by_webhook, SAYING, f"https://localhost:{port}/")
    assert "takes no calls on port" in why(mail, Office(port))
    assert "takes no calls on port" in why(carriers.by_webhook, SAYING, f"http://localhost:{port}/")
    assert why(mail, Office(25), host="mail.invalid", security=TLS) == (
        "Nobody knows a machine called mail.invalid. Check the name."
    )


def test_a_server_that_never_ends_is_cut_off(monkeypatch):
    """Each line of an endless greeting comes in time; the whole has an end all the same."""
    import threading

    monkeypatch.setattr(carriers, "ALTOGETHER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as endless:

        def talk() -> None:
            line, _ = endless.accept()
            with line:
                try:
                    while True:
                        line.sendall(b"220-welcome\r\n")
                except OSError:
                    pass

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        said = why(mail, Office(endless.getsockname()[1]))
        assert "broke" in said or "refused" in said
        thread.join(5)
        assert not thread.is_alive()


# --- webhook ---


def test_a_webhook_gets_five_fixed_keys():
    with webhook_server() as office:
        carriers.by_webhook(SAYING, f"http://127.0.0.1:{office.port}/hook?key=a-secret")
    assert office.calls == [
        {
            "what": "inbox",
            "site": "St Mary's",
            "project": "Births",
            "words": "Something of the project “Births” waits in the FriendlyFL inbox at St Mary's.",
            "link": "https://portal.example.org/inbox/",
        }
    ]
    [head] = office.heads
    assert head["path"] == "/hook?key=a-secret" and head["Content-Type"] == "application/json"
    assert head["User-Agent"] == "FriendlyFL"


def test_a_webhook_in_tls_is_verified(tmp_path):
    pem = certificate(tmp_path)
    with webhook_server(tls=tls_of(pem)) as office:
        address = f"https://localhost:{office.port}/hook"
        carriers.by_webhook(SAYING, address, str(pem))
        assert "does not trust the certificate" in why(carriers.by_webhook, SAYING, address)
        other = f"https://127.0.0.1:{office.port}/hook"
        assert "does not trust the certificate" in why(carriers.by_webhook, SAYING, other, str(pem))
        assert "does not hold certificates" in why(carriers.by_webhook, SAYING, address, __file__)
    assert len(office.calls) == 1


def test_a_webhook_is_not_followed_elsewhere():
    with webhook_server(status=302) as office:
        office.location = f"http://127.0.0.1:{office.port}/other"
        said = why(carriers.by_webhook, SAYING, f"http://127.0.0.1:{office.port}/a-secret")
    assert said == "127.0.0.1 sends the webhook on to another address. Enter that one instead."
    assert office.came == 1


@pytest.mark.parametrize("status", [199 + 201, 404, 500])
def test_a_webhook_that_refuses(status):
    with webhook_server(status=status) as office:
        said = why(carriers.by_webhook, SAYING, f"http://127.0.0.1:{office.port}/a-secret")
    assert f"(its answer was {status})" in said


def test_a_webhook_that_hangs_up_leaves_it_open():
    with webhook_server(status=0) as office:
        said = why(carriers.by_webhook, SAYING, f"http://127.0.0.1:{office.port}/", maybe=True)
    assert "It is not sent twice." in said


@pytest.mark.parametrize(
    "address",
    [
        "", "hooks.example.org/x", "http://hooks.example.org/", "ftp://example.org/", "https://", "https:///x",
        "https://a:b@example.org/", "https://example.org/a b", "https://example.org/\r\nX: y", "https://[::1",
        "https://example.org:port/", "https://example.org:99999/", "https://example.org/#x", "https://müll.example/",
        "file:///etc/passwd", "http://127.0.0.1.example.org/",
    ],
)  # fmt: skip
def test_addresses_that_are_never_called(address):
    assert carriers.webhook_host(address) == ""
    assert why(carriers.by_webhook, SAYING, address).startswith("The webhook's address cannot be used.")


# --- the way there ---


def test_a_webhook_is_called_through_the_hospitals_proxy(tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    with webhook_server(tls=tls_of(pem)) as office, proxy() as (port, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://nora:a%20secret@127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.org")
        address = f"https://localhost:{office.port}/in?key=a-key"
        carriers.by_webhook(SAYING, address, str(pem))
        carriers.reach_webhook(address, str(pem))
        told = b"".join(asked).decode("latin-1")
        assert f"CONNECT localhost:{office.port} HTTP/1." in told
        assert f"proxy-authorization: basic {b64encode(b'nora:a secret').decode()}".lower() in told.lower()
        assert "a-key" not in told and "Births" not in told
        assert len(office.calls) == 1 and office.heads[0].get("Proxy-Authorization") is None
        monkeypatch.setenv("NO_PROXY", "localhost")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
        carriers.by_webhook(SAYING, address, str(pem))
    assert len(office.calls) == 2


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "does not open the way to hooks.example.org (403). Ask IT."),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants another user name and password"),
    ],
)
def test_a_proxy_that_says_no_is_named(monkeypatch, answer, sentence):
    monkeypatch.delenv("NO_PROXY", raising=False)
    with proxy(answer) as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://nora:a%20secret@127.0.0.1:{port}")
        said = why(carriers.by_webhook, SAYING, "https://hooks.example.org/in")
    assert said.startswith("The hospital's proxy 127.0.0.1") and sentence in said


def test_a_proxy_that_is_not_there_and_one_that_is_no_address(monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    for address, sentence in (
        (f"http://127.0.0.1:{closed_port()}", "The hospital's proxy 127.0.0.1 does not answer on port"),
        ("https://127.0.0.1:1", "HTTPS_PROXY must begin with http://"),
        ("socks5://127.0.0.1:1", "HTTPS_PROXY does not hold the address of a proxy"),
    ):
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert why(carriers.by_webhook, SAYING, "https://hooks.example.org/in").startswith(sentence)


def test_a_call_to_see_whether_it_works_says_nothing(tmp_path):
    pem = certificate(tmp_path)
    with mail_server(tls=tls_of(pem)) as office:
        server = MailServer("localhost", office.port, STARTTLS, "ffl", office.password, str(pem))
        carriers.reach_mail(server)
        assert office.signed_in == ["ffl"] and not office.mails and not office.recipients
        wrong = MailServer("localhost", office.port, STARTTLS, "ffl", "a secret that is wrong", str(pem))
        assert "did not accept the user name" in why(carriers.reach_mail, wrong)
    with webhook_server(tls=tls_of(pem)) as office:
        carriers.reach_webhook(f"https://localhost:{office.port}/", str(pem))
        assert not office.calls
        assert "does not trust" in why(carriers.reach_webhook, f"https://localhost:{office.port}/")

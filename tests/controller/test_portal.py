"""The portal as requests meet it: who may see what, which words, which headers. Looks are judged in tests/e2e."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from friendlyfl.controller import actions, here
from friendlyfl.controller.models import ROLES, AuditLine, Identity, Person
from friendlyfl.controller.portal import tries
from friendlyfl.controller.setup import new_code
from tests.controller.memory import records
from tests.controller.world import ADMIN

PASSWORD = "a calm and long sentence"
VERBS = ("get", "head", "post", "put", "patch", "delete", "options")
ENTRY = ("login", "logout", "first", "language")  # what is there for people who are not signed in


@pytest.fixture
def client() -> Client:
    return Client(SERVER_NAME="localhost", raise_request_exception=False)


@pytest.fixture
def person() -> Person:
    return actions.add_person(ADMIN, "vera", "viewer", PASSWORD)


def sign_in(client: Client, name: str = "vera", password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/login/", {"username": name, "password": password}, **more)


def pages() -> list[Any]:
    """Every address of the portal, with something in each of its places, and the view behind it."""

    def under(resolver: Any) -> Iterator[URLPattern]:
        for entry in resolver.url_patterns:
            if hasattr(entry, "url_patterns"):
                yield from under(entry)
            else:
                yield entry

    found = []
    for pattern in under(get_resolver()):
        address = re.sub(r"<int:\w+>", "1", f"/{pattern.pattern}")
        address = re.sub(r"<\w+:\w+>|<\w+>", "table_one", address)
        found.append(pytest.param(pattern, address, id=pattern.name))
    return found


# --- an outsider, at every address and with every verb ---


SIGNED_OUT = {
    ("login", "get"): 200, ("login", "head"): 200, ("login", "post"): 400, ("login", "options"): 200,
    ("login", "put"): 400,  # Django reads it as a form that was sent
    ("first", "get"): 200, ("first", "head"): 200, ("first", "post"): 400,
    ("language", "post"): 302,
    ("logout", "post"): 302, ("logout", "options"): 200,
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "address"), pages())
def test_an_outsider_sees_nothing_and_changes_nothing(client, study, pattern, address):
    before = records()
    for verb in VERBS:
        answer = getattr(client, verb)(address)
        expected = SIGNED_OUT.get((pattern.name, verb), 405 if pattern.name in ENTRY else 302)
        assert answer.status_code == expected, verb
        if answer.status_code == 302:
            assert answer["Location"].startswith("/" if pattern.name == "language" else "/login/")
        said = answer.content.decode()
        for secret in ("St Mary", study.project.name, "Northfield", "Southgate", here.identity().fingerprint):
            assert secret not in said
    assert records() == before


@pytest.mark.parametrize(("pattern", "address"), pages())
@pytest.mark.parametrize("role", ["viewer", "researcher"])
def test_nobody_acts_beyond_the_own_role(client, study, role, pattern, address):
    if pattern.name in ENTRY:
        return
    client.force_login(actions.add_person(ADMIN, "vera", role, PASSWORD))
    view, before = pattern.callback, records()
    for verb in VERBS:
        if verb == "post" and view.acts and ROLES.index(role) >= ROLES.index(view.acts):
            continue  # its own; what it may do is tested with the page
        answer = getattr(client, verb)(address)
        if verb in ("get", "head"):
            allowed = ROLES.index(role) >= ROLES.index(view.role)
            assert answer.status_code in ((200, 302, 404, 409) if allowed else (403,)), verb
        else:
            assert answer.status_code == (403 if verb == "post" and view.acts else 405), verb
    assert records() == before


@pytest.mark.parametrize("path", ["/nowhere/", "/run/1/", "/admin/", "/static/", "/static/../settings.py"])
def test_what_is_not_there_is_not_there(client, person, path):
    for signed_in in (False, True):
        if signed_in:
            client.force_login(person)
        answer = client.get(path)
        assert answer.status_code == 404
        assert "There is no such page" in answer.content.decode()


# --- signing in ---


def test_signing_in_and_out(client, person):
    answer = sign_in(client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    cookie = client.cookies[next(name for name in client.cookies if name.startswith("friendlyfl"))]
    assert "vera, viewer" in client.get("/").content.decode()
    session = next(c for n, c in client.cookies.items() if n.startswith("friendlyfl") and "csrf" not in n)
    assert session["httponly"] and session["samesite"] == "Lax" and session["max-age"] == 1800 and cookie
    assert client.get("/logout/").status_code == 405  # a link cannot sign anybody out
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    "next_", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_away_after_signing_in(client, person, next_):
    assert sign_in(client, QUERY_STRING=f"next={next_}")["Location"] == "/"


def test_wrong_password_and_unknown_person_get_the_same_answer(client, person):
    def said(answer: Any) -> str:
        assert answer.status_code == 400
        return answer.content.decode().split("</h2>")[1].split("</ul>")[0]

    wrong, unknown = sign_in(client, password="x" * 12), sign_in(client, name="nobody")
    assert said(wrong) == said(unknown)
    assert "The user name or the password is wrong. Check both and try again." in said(wrong)
    assert "<title>Error: Sign in · FriendlyFL</title>" in wrong.content.decode()


def test_missing_answers_are_named_and_kept(client, person):
    said = sign_in(client, password="").content.decode()
    assert "Enter your password." in said and 'value="vera"' in said
    assert 'href="#id_password"' in said and 'aria-describedby="id_password-error"' in said
    assert "Enter your user name." in sign_in(client, name="").content.decode()
    assert PASSWORD not in sign_in(client, name="").content.decode()
    assert '<strong class="site">FriendlyFL</strong>' in said  # an outsider does not learn whose portal it is


def test_five_wrong_tries_slow_down_that_name_and_address(client, person, monkeypatch):
    for _ in range(5):
        assert sign_in(client, password="wrong").status_code == 400
    slowed = sign_in(client)
    assert slowed.status_code == 429
    assert "There were too many tries. Wait 15 minutes" in slowed.content.decode()
    assert 'value="vera"' in slowed.content.decode()
    assert sign_in(client, name="adam", password="wrong").status_code == 400  # another name
    assert sign_in(client, REMOTE_ADDR="10.0.0.9").status_code == 302  # another desk
    real = tries.time.monotonic
    monkeypatch.setattr(tries.time, "monotonic", lambda: real() + 15 * 60 + 1)
    assert sign_in(client).status_code == 302


def test_getting_in_forgets_earlier_tries(client, person):
    for _ in range(3):
        for _ in range(4):
            sign_in(client, password="wrong")
        assert sign_in(client).status_code == 302


def test_forms_of_other_pages_are_refused_in_words(person):
    strict = Client(SERVER_NAME="localhost", enforce_csrf_checks=True)
    for path in ("/login/", "/first/", "/logout/"):
        answer = strict.post(path, {"username": "vera", "password": PASSWORD})
        assert answer.status_code == 403
        assert "Please send the form again" in answer.content.decode()


# --- the first account ---


def first(client: Client, code: str, name: str = "adam", password: str = PASSWORD) -> Any:
    return client.post("/first/", {"code": code, "name": name, "password": password})


def test_the_first_account_with_a_one_time_code(client):
    code = new_code()
    assert first(client, f"  {code.lower()} ")["Location"] == "/"
    assert Person.objects.get().role == "site-admin" and here.identity().first_code == ""
    assert "adam, site-admin" in client.get("/").content.decode()
    assert AuditLine.objects.filter(verb="first_person", person="adam").exists()
    again = first(Client(SERVER_NAME="localhost"), code, name="eve")
    assert again.status_code == 400 and Person.objects.count() == 1
    assert "This is not the one-time code, or it was used already." in again.content.decode()


@pytest.mark.parametrize(
    ("code", "name", "password", "sentence"),
    [
        ("", "adam", PASSWORD, "Enter the one-time code."),
        ("22222-22222-22222", "adam", PASSWORD, "This is not the one-time code, or it was used already."),
        ("x" * 200, "adam", PASSWORD, "at most 40 characters"),
        (None, "", PASSWORD, "Choose a user name."),
        (None, "a\x00b", PASSWORD, "Null characters are not allowed."),
        (None, "adam", "", "Choose a password."),
        (None, "adam", "short", "at least 12 characters"),
        (None, "adam", "password1234", "too common"),
        (None, "hippocrates1", "hippocrates1", "too similar"),
    ],
)
def test_the_first_account_says_what_is_wrong(client, code, name, password, sentence):
    right = new_code()
    answer = first(client, right if code is None else code, name, password)
    assert answer.status_code == 400 and not Person.objects.exists()
    said = answer.content.decode()
    assert sentence in said and "<title>Error: Make the first account" in said
    assert f'value="{password}"' not in said or password in ("", name)
    assert first(client, right).status_code == 302  # the code was not used up


def test_guessing_the_code_is_slowed_down(client):
    code = new_code()
    for _ in range(5):
        first(client, "22222-22222-22222")
    assert first(client, code).status_code == 429 and not Person.objects.exists()


def test_a_new_code_makes_the_old_one_worthless(client):
    old, new = new_code(), new_code()
    assert first(client, old).status_code == 400
    assert first(client, new).status_code == 302


def test_the_sign_in_page_offers_the_first_account_while_there_is_none(client):
    new_code()
    assert "/first/" in client.get("/login/").content.decode()
    Identity.objects.update(first_code="")
    assert "/first/" not in client.get("/login/").content.decode()


# --- headers ---


def test_headers_on_every_page(client, person):
    answers = [client.get(path) for path in ("/", *(f"/{name}/" for name in ENTRY), "/nowhere/")] + [
        sign_in(client, password="x")
    ]
    client.force_login(person)
    answers.append(client.get("/"))
    for answer in answers:
        policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        assert answer["Content-Security-Policy"] == policy
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cache-Control"] == "no-store"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        said = answer.content.decode()
        assert "http://" not in said.replace('xmlns="http://www.w3.org', "") and "https://" not in said
        assert (
            "<script" not in said and "style=" not in said and "<style" not in said and "onclick" not in said
        )


def test_styles_are_served_and_may_be_kept(client):
    answer = client.get("/static/portal.css")
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/css")
    assert "no-store" not in answer["Cache-Control"]


def test_another_host_name_is_not_answered(client, person):
    assert Client(SERVER_NAME="evil.example", raise_request_exception=False).get("/login/").status_code == 400

"""People: log-in, tokens, sessions and their forms, the limiter, accounts, enrolment codes."""

from __future__ import annotations

import uuid

import pytest

from friendlyfl.core import limits
from tests.router.world import PASSWORD, Asker, Bearer, World


class Browser(Asker):
    """Keeps cookies, and sends the CSRF token of its cookie unless told not to."""

    def __init__(self, world: World) -> None:
        super().__init__(world.client)
        self.cookies: dict[str, str] = {}
        self.csrf = True

    def credential(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if self.csrf and "ffl_csrf" in self.cookies:
            headers["x-csrftoken"] = self.cookies["ffl_csrf"]
        return headers if self.cookies else {}

    def ask(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        answer = super().ask(*args, **kwargs)  # type: ignore[arg-type]
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.split(";", 1)[0].strip('"')
            self.cookies = (
                {**self.cookies, name: value}
                if value
                else {k: v for k, v in self.cookies.items() if k != name}
            )
            self.last_cookie = cookie
        return answer


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world)


@pytest.fixture(autouse=True)
def no_tries(server: object) -> None:
    from friendlyfl.router.models import PasswordTry

    PasswordTry.objects.all().delete()


def login(asker: Asker, world: World, password: str = PASSWORD) -> object:
    return asker.post("auth/login/", {"username": world.user.user.username, "password": password})


def test_a_session_begins_and_ends(world: World, browser: Browser) -> None:
    assert browser.get("users/me/").status == 401
    answer = login(browser, world)
    assert answer.status == 200 and answer["username"] == world.user.user.username
    assert "password" not in str(answer.body)
    assert browser.get("users/me/")["uid"] == world.user.user.uid
    assert browser.post("auth/logout/").status == 204
    assert browser.get("users/me/").status == 401


def test_the_session_cookie_is_the_browsers_alone(world: World, browser: Browser) -> None:
    answer = login(browser, world)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("ffl_session="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and f"Max-Age={limits.LOGIN_KEPT}" in cookie


def test_a_session_needs_its_csrf_token(world: World, browser: Browser) -> None:
    login(browser, world)
    browser.csrf = False
    answer = browser.patch("users/me/", {"name": "Changed"})
    assert (answer.status, answer.code) == (403, "csrf")
    browser.csrf = True
    assert browser.patch("users/me/", {"name": "Ursula Übel"})["name"] == "Ursula Übel"


def test_known_and_unknown_names_get_one_answer(world: World) -> None:
    known = login(world.anonymous, world, "a wrong password")
    unknown = world.anonymous.post("auth/login/", {"username": "nobody-here", "password": "a wrong password"})
    assert known.status == unknown.status == 401
    assert known.body == unknown.body


def test_a_token_works_until_it_is_ended(world: World) -> None:
    made = world.anonymous.post("auth/token/", {"username": world.user.user.username, "password": PASSWORD})
    assert made.status == 201
    holder = Bearer(world.client, f"Token {made['token']}")
    assert holder.get("users/me/").status == 200
    assert holder.post("auth/logout/").status == 204
    assert holder.get("users/me/").status == 401


def test_tokens_and_codes_are_not_stored(world: World) -> None:
    from friendlyfl.router.models import Enrolment, Token

    made = world.anonymous.post("auth/token/", {"username": world.user.user.username, "password": PASSWORD})
    code = world.code(world.user.user)
    stored = [
        *Token.objects.values_list("digest", flat=True),
        *Enrolment.objects.values_list("digest", flat=True),
    ]
    assert made["token"] not in stored and code not in stored and code.replace("-", "") not in stored


def test_a_token_past_its_time_is_none(world: World) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from friendlyfl.router.models import Token

    person = world.person("late")
    Token.objects.filter(user=person.user).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert person.get("users/me/").status == 401


@pytest.mark.parametrize("route", ["auth/login/", "auth/token/"])
def test_ten_passwords_a_minute_for_a_name(world: World, route: str) -> None:
    body = {"username": world.user.user.username.upper(), "password": "a wrong password"}
    answers = [world.anonymous.post(route, body) for _ in range(limits.PASSWORD_TRIES_PER_MINUTE + 1)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    last = answers[-1]
    assert last.code == "too_many_passwords" and 0 < last["retry_after"] <= 60
    assert last.headers["retry-after"] == str(last["retry_after"])
    # The right password waits too: otherwise the answer would tell it apart.
    assert login(world.anonymous, world).status == 429


def test_ten_passwords_a_minute_from_an_address(world: World) -> None:
    for _ in range(limits.PASSWORD_TRIES_PER_MINUTE):
        name = uuid.uuid4().hex
        assert world.anonymous.post("auth/token/", {"username": name, "password": "x"}).status == 401
    assert login(world.anonymous, world).status == 429


def test_the_limit_holds_on_the_admin_site_and_the_login_page(world: World, browser: Browser) -> None:
    from friendlyfl.router.registry import people

    for page in ("/admin/login/", "/account/login/"):
        browser.get(page)
        token = browser.cookies["ffl_csrf"]
        form = f"csrfmiddlewaretoken={token}&username=root&password=wrong".encode()
        answer = browser.ask("POST", page, raw=form, content_type="application/x-www-form-urlencoded")
        assert answer.status == 200
    assert people.PasswordTry.objects.count() == 2
    assert max(people.PasswordTry.objects.values_list("count", flat=True)) == 2


def test_the_minute_passes(world: World) -> None:
    from friendlyfl.router.models import PasswordTry

    for _ in range(limits.PASSWORD_TRIES_PER_MINUTE):
        login(world.anonymous, world, "a wrong password")
    assert login(world.anonymous, world).status == 429
    for row in PasswordTry.objects.all():
        PasswordTry.objects.filter(pk=row.pk).update(since=row.since - 61)
    assert login(world.anonymous, world).status == 200


def test_an_administrator_makes_accounts(world: World) -> None:
    name = f"new-{uuid.uuid4().hex[:8]}"
    made = world.admin.post("users/", {"username": name, "password": PASSWORD, "email": "n@fl.example"})
    assert made.status == 201 and made["is_staff"] is False
    again = world.admin.post("users/", {"username": name.upper(), "password": PASSWORD})
    assert (again.status, again.code) == (409, "name_taken")
    for password in ("short", "password12345"[:9], "1234567890123", name):
        answer = world.admin.post("users/", {"username": f"x{name}", "password": password})
        assert (answer.status, answer.code) == (400, "bad_field"), password
        assert "password" in answer["fields"]
    assert world.admin.post("users/", {"username": "a b/c", "password": PASSWORD}).status == 400


def test_nobody_makes_oneself_an_administrator(world: World) -> None:
    for field in ("is_staff", "is_superuser", "uid", "groups"):
        answer = world.user.patch("users/me/", {field: True})
        assert (answer.status, answer.code) == (400, "bad_field")
    assert world.user.get("users/me/")["is_staff"] is False


def test_email_and_password_are_changed_with_the_current_password(world: World) -> None:
    person = world.person("careful")
    assert person.patch("users/me/", {"name": "Free to change"}).status == 200
    assert person.patch("users/me/", {"email": "new@fl.example"}).code == "current_password"
    wrong = person.patch("users/me/", {"email": "new@fl.example", "current_password": "wrong"})
    assert (wrong.status, wrong.code) == (401, "wrong_password")
    right = person.patch("users/me/", {"email": "new@fl.example", "current_password": PASSWORD})
    assert right["email"] == "new@fl.example"
    changed = person.patch("users/me/", {"password": "a quite new password", "current_password": PASSWORD})
    assert changed.status == 200
    assert person.get("users/me/").status == 401  # its tokens ended with the old password
    body = {"username": person.user.username, "password": "a quite new password"}
    assert world.anonymous.post("auth/token/", body).status == 201


def test_a_site_speaks_for_its_owner(world: World) -> None:
    assert world.alice.get("users/me/")["uid"] == world.alice.owner.uid
    assert [row["uid"] for row in world.alice.get("users/")["results"]] == [world.alice.owner.uid]
    assert world.alice.get(f"users/{world.alice.owner.uid}/").status == 200


def test_deleting_a_user_keeps_the_sites(world: World) -> None:
    site = world.hospital("Orphan")
    assert world.admin.delete(f"users/{site.owner.uid}/").status == 204
    assert site.get("sites/me/")["owner"] is None
    assert site.get("users/me/").status == 404
    assert world.admin.delete(f"users/{world.admin.user.uid}/").code == "own_account"


def test_an_enrolment_code_is_told_once(world: World) -> None:
    made = world.admin.post("enrolments/", {"user": world.user.user.uid})
    listed = world.admin.get("enrolments/")["results"]
    assert made["uid"] in {row["uid"] for row in listed}
    assert not any("code" in row for row in listed)
    assert world.admin.delete(f"enrolments/{made['uid']}/").status == 204
    assert Bearer(world.client, f"Enrolment {made['code']}").get("projects/").status == 401
    assert world.admin.post("enrolments/", {"user": str(uuid.uuid4())}).status == 422


def test_a_repeated_enrolment_gives_the_same_code(world: World) -> None:
    from friendlyfl.router.models import IdempotencyKey

    body = {"user": world.user.user.uid}
    first = world.admin.post("enrolments/", body, idempotency_key="once")
    again = world.admin.post("enrolments/", body, idempotency_key="once")
    assert first.body == again.body and first["code"] == again["code"]
    assert first["code"] not in str(list(IdempotencyKey.objects.values_list("answer", flat=True)))


def test_no_default_user_exists(world: World) -> None:
    from friendlyfl.router.models import User

    made_here = set(User.objects.values_list("email", flat=True))
    assert all(email.endswith("@fl.example") or email == "" for email in made_here)
    for name in ("admin", "root", "friendlyfl", "test", "guest"):
        assert not User.objects.filter(username=name).exists()

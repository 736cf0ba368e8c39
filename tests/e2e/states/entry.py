"""Coming in."""

from typing import Any

from tests.e2e.conftest import PASSWORD
from tests.e2e.states import State


def wrong_login(page: Any) -> None:
    page.get_by_label("User name").fill("rosa")
    page.get_by_role("button", name="Sign in").click()


def wrong_first(page: Any) -> None:
    page.get_by_label("One-time code").fill("22222-22222-22222")
    page.get_by_label("User name").fill("adam")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()


STATES = {
    "login": State("login", "/login/"),
    "login, error": State("login", "/login/", act=wrong_login, status=400),
    "first": State("first", "/first/"),
    "first, error": State("first", "/first/", act=wrong_first, status=400),
}

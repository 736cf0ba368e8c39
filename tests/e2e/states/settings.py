"""Settings, people and the own account."""

from typing import Any

from tests.e2e.states import State
from tests.e2e.states.setup import connected


def busy() -> None:
    """Rules of its own, and a line that is down."""
    from friendlyfl.controller import actions
    from tests.controller.world import ADMIN

    connected()
    actions.set_policy(ADMIN, {"rows": 50, "difference": 10, "memory": 4 * 1024**3, "seconds": 7200})


def many() -> None:
    from friendlyfl.controller.models import Person

    Person.objects.bulk_create(
        Person(username=f"{name}.{number}", role=role, is_active=number != 3)
        for name, role in (("maria", "researcher"), ("tom", "viewer"))
        for number in range(15)
    )


def somebody() -> int:
    from friendlyfl.controller.models import Person

    return Person.objects.create(username="maria", role="researcher").pk


def switched_off() -> int:
    from friendlyfl.controller.models import Person

    return Person.objects.create(username="maria", role="researcher", is_active=False).pk


def wrong_rules(page: Any) -> None:
    page.get_by_label("Fewest patients in a group").fill("none")
    page.get_by_role("button", name="Save the rules").click()


def wrong_person(page: Any) -> None:
    page.get_by_label("User name").fill("adam")
    page.get_by_label("First password").fill("short")
    page.get_by_role("button", name="Make the account").click()


def wrong_password(page: Any) -> None:
    page.get_by_label("Password of now").fill("x")
    page.get_by_role("button", name="Change the password").click()


STATES = {
    "settings, first day": State("settings", "/settings/", role="viewer"),
    "settings, busy": State("settings", "/settings/", busy, role="site-admin"),
    "rules": State("rules", "/settings/rules/", role="viewer"),
    "rules, error": State("rules", "/settings/rules/", role="site-admin", act=wrong_rules, status=400),
    "allowed": State("allowed", "/settings/analyses/", role="site-admin"),
    "people, many": State("people", "/settings/people/", many, role="site-admin"),
    "person_add, error": State(
        "person_add", "/settings/people/add/", role="site-admin", act=wrong_person, status=400
    ),
    "person": State("person", "/settings/people/{}/", somebody, role="site-admin"),
    "person, switched off": State("person", "/settings/people/{}/", switched_off, role="site-admin"),
    "account": State("account", "/settings/account/", role="viewer"),
    "account, error": State("account", "/settings/account/", role="viewer", act=wrong_password, status=400),
}

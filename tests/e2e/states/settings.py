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


def exceptions() -> None:
    """One that holds, one that was ended, one whose last day is over."""
    from datetime import timedelta

    from friendlyfl.controller import actions, approvals
    from friendlyfl.controller.models import RuleException
    from tests.controller.world import ADMIN, World

    world = World()
    births = world.study("Northfield", name="Low birth weight and smoking").project
    falls = world.study("Lakeside", name="Falls").project
    until = approvals.today() + timedelta(days=60)
    board = "The ethics board agreed on 3 March: few children are born here, and the mothers were asked."
    actions.allow_exception(ADMIN, births, "rows", 10, board, until)
    ended = actions.allow_exception(ADMIN, births, "ratio", 0.5, "For the pilot only.", until)
    actions.end_exception(ADMIN, ended)
    actions.allow_exception(ADMIN, falls, "cell", 3, "A rare fracture, agreed by telephone.", until)
    over = approvals.today() - timedelta(days=1)
    RuleException.objects.filter(rule="cell").update(until=over)


def read_exception(page: Any) -> None:
    """The page on which it is read before it holds."""
    page.get_by_label("Project", exact=True).select_option(label="Falls")
    page.get_by_label("Fewest patients an answer may describe").check()
    page.get_by_label("What holds in this project instead").fill("10")
    page.get_by_label("Reason").fill("The ethics board agreed on 3 March.")
    page.get_by_role("button", name="Go on").click()


def wrong_exception(page: Any) -> None:
    page.get_by_label("Fewest patients an answer may describe").check()
    page.get_by_label("What holds in this project instead").fill("many")
    page.get_by_role("button", name="Go on").click()


def told() -> None:
    """Both ways are on; one went, the other did not."""
    from datetime import timedelta

    from django.utils import timezone

    from friendlyfl.controller import actions
    from friendlyfl.controller.actions.notifications import Mail
    from friendlyfl.controller.models import Way
    from tests.controller.world import ADMIN

    link = "https://friendlyfl.hospital.org/inbox/"
    to = ["trials.office@hospital.org", "maria.lindqvist-oyelaran@hospital.org"]
    actions.set_mail(ADMIN, Mail(to, "mail.hospital.org", 587, user="friendlyfl"), "a secret", link=link)
    actions.set_webhook(ADMIN, True, "https://chat.hospital.org/hooks/key", link=link)
    hours = timezone.now() - timedelta(hours=3)
    Way.objects.filter(name="webhook").update(said_at=hours, tried_at=hours)
    sentence = "mail.hospital.org did not accept the user name and password. Enter both again."
    Way.objects.filter(name="mail").update(trouble=sentence, tried_at=hours, tries=2)


def wrong_notifications(page: Any) -> None:
    page.get_by_role("group", name="Send an e-mail").get_by_label("Yes").check()
    page.get_by_role("textbox", name="Mail server").fill("mail.hospital.org:587")
    page.get_by_label("Port").fill("many")
    page.get_by_role("button", name="Save the notifications").click()


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
    "exceptions, first day": State("exceptions", "/settings/exceptions/", role="viewer"),
    "exceptions, some": State("exceptions", "/settings/exceptions/", exceptions, role="site-admin"),
    "exception_add, read": State(
        "exception_add", "/settings/exceptions/add/", exceptions, "site-admin", read_exception
    ),
    "exception_add, error": State(
        "exception_add", "/settings/exceptions/add/", exceptions, "site-admin", wrong_exception, 400
    ),
    "allowed": State("allowed", "/settings/analyses/", role="site-admin"),
    "notifications, off": State("notifications", "/settings/notifications/", role="site-admin"),
    "notifications, on": State("notifications", "/settings/notifications/", told, role="site-admin"),
    "notifications, error": State(
        "notifications", "/settings/notifications/", role="site-admin", act=wrong_notifications, status=400
    ),
    "people, many": State("people", "/settings/people/", many, role="site-admin"),
    "person_add, error": State(
        "person_add", "/settings/people/add/", role="site-admin", act=wrong_person, status=400
    ),
    "person": State("person", "/settings/people/{}/", somebody, role="site-admin"),
    "person, switched off": State("person", "/settings/people/{}/", switched_off, role="site-admin"),
    "account": State("account", "/settings/account/", role="viewer"),
    "account, error": State("account", "/settings/account/", role="viewer", act=wrong_password, status=400),
}

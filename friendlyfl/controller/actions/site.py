"""Verbs about this site itself: the router it uses, its people, its rules."""

from typing import Any

from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from friendlyfl.client.router import Router
from friendlyfl.controller import here
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import ROLES, Identity, Person, Policy
from friendlyfl.core.errors import ConflictError, ForbiddenError, UsageError
from friendlyfl.tasks.disclosure import Policy as Rules

LIMITS = {"memory": "bytes of memory for the runner", "seconds": "of wall time for one round"}


def connect_router(
    actor: Actor,
    address: str,
    enrolment: str,
    *,
    description: str = "",
    ca_file: str = "",
    plain_inside: bool = False,
) -> Identity:
    """Make this site known to a Routing Server, with the one-time code its administrator gave.

    Raises UnreachableError, or the RS's own refusal of the code.
    """
    with acting(actor, "connect_router", address, needs="site-admin"):
        row = here.identity()
        if row.router:
            raise ConflictError("connected", f"This site is connected to {row.router} already.")
        router = Router(
            address,
            here.keys().identity,
            site=row.site,
            ca_file=ca_file or None,
            plain_inside=plain_inside,
            enrolment=enrolment,
        )
        router.health()
        router.enrol_site(row.site, row.name, description, here.keys().signed_card)
        Identity.objects.filter(pk=1).update(
            router=router.address, ca_file=ca_file, plain_inside=plain_inside
        )
        return here.identity()


def add_person(actor: Actor, name: str, role: str, password: str) -> Person:
    """Give somebody an account on this site's portal."""
    with acting(actor, "add_person", name, needs="site-admin"):
        return _make_person(name, role, password)


def first_person(code: str, name: str, password: str) -> Person:
    """Make the first site-admin with the one-time code that `friendlyfl controller init` printed.

    Raises ForbiddenError `wrong_code`; the code works once.
    """
    row = here.identity()
    if not row.first_code or not check_password(code.strip().upper(), row.first_code):
        raise ForbiddenError("wrong_code", "This is not the one-time code, or it was used already.")
    person = _make_person(name, "site-admin", password)
    Identity.objects.filter(pk=1).update(first_code="")
    with acting(Actor(name, "site-admin"), "first_person", name, needs="site-admin"):
        return person


def _make_person(name: str, role: str, password: str) -> Person:
    if role not in ROLES:
        raise UsageError("role", f"A role is one of {', '.join(ROLES)}.")
    if not name.strip() or len(name) > 150 or not name.isprintable():
        raise UsageError("name", "Choose a user name of 1 to 150 characters.")
    if Person.objects.filter(username=name).exists():
        raise ConflictError("name_taken", f"Somebody is called {name} already. Choose another user name.")
    try:
        validate_password(password, Person(username=name))
    except ValidationError as error:
        raise UsageError("password", " ".join(error.messages)) from error
    return Person.objects.create_user(username=name, password=password, role=role)


def set_policy(actor: Actor, changes: dict[str, Any]) -> Policy:
    """Change rules of this site (those of tasks.disclosure.Policy) or the runner's limits (`LIMITS`)."""
    with acting(actor, "set_policy", ", ".join(sorted(changes)), needs="site-admin"):
        row = Policy.get()
        rules = {name: value for name, value in changes.items() if name not in LIMITS}
        limits = {name: value for name, value in changes.items() if name in LIMITS}
        if any(type(value) not in (int, float) or value <= 0 for value in limits.values()):
            raise UsageError("policy_value", "A limit of the runner is a number above 0.")
        row.rules = Rules.from_json({**row.rules, **rules}).to_json()
        row.limits = {**row.limits, **{name: int(value) for name, value in limits.items()}}
        row.save()
        return row


def policy() -> dict[str, Any]:
    """The rules in force, defaults included, and the runner's limits."""
    row = Policy.get()
    return {**Rules.from_json(row.rules).to_json(), **row.limits}

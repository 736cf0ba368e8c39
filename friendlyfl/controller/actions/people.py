"""Verbs about the people of this site: who has an account, with which role, and how they sign in.

There is always somebody who may decide here: the last site-admin can neither be switched off nor lose the role.
"""

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from friendlyfl.controller import here
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.controller.models import ROLES, Identity, Person
from friendlyfl.core.errors import ConflictError, ForbiddenError, UsageError

ADMIN = "site-admin"


def add_person(actor: Actor, name: str, role: str, password: str) -> Person:
    """Give somebody an account on this site's portal."""
    with acting(actor, "add_person", name, needs=ADMIN):
        return _make_person(name, role, password)


def first_person(code: str, name: str, password: str) -> Person:
    """Make the first site-admin with the one-time code that was printed when this site was made.

    Raises ForbiddenError `wrong_code`; the code works once.
    """
    row = here.identity()
    if not row.first_code or not check_password(code.strip().upper(), row.first_code):
        raise ForbiddenError("wrong_code", "This is not the one-time code, or it was used already.")
    person = _make_person(name, ADMIN, password)
    Identity.objects.filter(pk=1).update(first_code="")
    with acting(Actor(name, ADMIN), "first_person", name, needs=ADMIN):
        return person


def change_role(actor: Actor, person: Person, role: str) -> Person:
    """Let somebody do more or less from now on.

    Raises ConflictError `last_admin`.
    """
    with acting(actor, "change_role", f"{person.username}: {role}", needs=ADMIN), transaction.atomic():
        _check_role(role)
        row = Person.objects.get(pk=person.pk)
        if role != ADMIN:
            _check_not_last(row)
        row.role = role
        row.save(update_fields=["role"])
        return row


def switch_off_person(actor: Actor, person: Person) -> Person:
    """Let somebody sign in no more, and end what they have open. What they did stays under their name.

    Raises ConflictError `last_admin`.
    """
    with acting(actor, "switch_off_person", person.username, needs=ADMIN), transaction.atomic():
        row = Person.objects.get(pk=person.pk)
        _check_not_last(row)
        row.is_active = False
        row.save(update_fields=["is_active"])
        return row


def switch_on_person(actor: Actor, person: Person) -> Person:
    """Let somebody who was switched off sign in again, with the role and password of before."""
    with acting(actor, "switch_on_person", person.username, needs=ADMIN):
        row = Person.objects.get(pk=person.pk)
        row.is_active = True
        row.save(update_fields=["is_active"])
        return row


def set_password(actor: Actor, person: Person, password: str) -> Person:
    """Give somebody a new password; wherever they are signed in, they are signed out."""
    with acting(actor, "set_password", person.username, needs=ADMIN):
        return _set_password(person, password)


def change_own_password(actor: Actor, password: str, new: str) -> Person:
    """Choose another password for oneself.

    Raises ForbiddenError `not_the_old_one` if the old one is not right.
    """
    with acting(actor, "change_own_password", actor.name, needs="viewer"):
        person = Person.objects.filter(username=actor.name).first()
        if person is None or not person.check_password(password):
            raise ForbiddenError("not_the_old_one", "This is not your password of now.")
        return _set_password(person, new)


def set_language(actor: Actor, language: str) -> None:
    """Choose the language of one's own pages; "" is the browser's."""
    with acting(actor, "set_language", language, needs="viewer"):
        if language and language not in dict(settings.LANGUAGES):
            raise UsageError("language", "The portal does not speak this language yet.")
        Person.objects.filter(username=actor.name).update(language=language)


def _make_person(name: str, role: str, password: str) -> Person:
    _check_role(role)
    if not name.strip() or len(name) > 150 or not name.isprintable():
        raise UsageError("name", "Choose a user name of 1 to 150 characters.")
    if Person.objects.filter(username=name).exists():
        raise ConflictError("name_taken", f"Somebody is called {name} already. Choose another user name.")
    _check_password(password, Person(username=name))
    return Person.objects.create_user(username=name, password=password, role=role)


def _set_password(person: Person, password: str) -> Person:
    _check_password(password, person)
    person.set_password(password)
    person.save(update_fields=["password"])
    return person


def _check_password(password: str, person: Person) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise UsageError("password", " ".join(error.messages)) from error


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UsageError("role", f"A role is one of {', '.join(ROLES)}.")


def _check_not_last(person: Person) -> None:
    """Inside a transaction, which holds the database's only pen: two admins cannot remove each other at once."""
    if person.role != ADMIN or not person.is_active:
        return
    if not Person.objects.filter(role=ADMIN, is_active=True).exclude(pk=person.pk).exists():
        raise ConflictError(
            "last_admin",
            f"{person.username} is the only site-admin who can sign in here. Make somebody else a site-admin first.",
            who="a site-admin",
        )

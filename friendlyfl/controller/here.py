"""This site in this process: its home, its row, its keys. One place, so that no room looks them up on its own."""

import functools

from django.conf import settings

from friendlyfl.controller import rows
from friendlyfl.controller.home import Home
from friendlyfl.controller.keyring import Keyring, keyring
from friendlyfl.controller.models import Identity, Policy


def home() -> Home:
    return settings.HOME


def identity() -> Identity:
    """The row of this site, fresh from the database."""
    return rows.get(Identity, pk=1)


def cursor() -> int:
    """The position in this site's mailbox up to which post was taken or put aside."""
    return int(rows.value(Identity, "cursor", pk=1))


def policy() -> Policy:
    """This site's rules as they stand now."""
    return rows.first(Policy, pk=1) or Policy.get()


@functools.cache
def site() -> str:
    """This site's uid; it never changes."""
    return identity().site


def keys() -> Keyring:
    return keyring(home(), site())

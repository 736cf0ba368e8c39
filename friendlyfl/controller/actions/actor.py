"""Who acts, what they may, and the line that remembers it. Every verb of this package goes through `acting`."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from friendlyfl.controller.models import ROLES, AuditLine
from friendlyfl.core.errors import ForbiddenError, FriendlyError, UsageError


@dataclass(frozen=True)
class Actor:
    """A person at this site: somebody signed in at the portal, or whoever uses the command line on this machine."""

    name: str
    role: str

    @classmethod
    def at_the_keyboard(cls, person: str = "", role: str = "site-admin") -> "Actor":
        """Whoever may read the home's files on this machine, by the name they are signed in with."""
        if role not in ROLES:
            raise UsageError("role", f"A role is one of {', '.join(ROLES)}.")
        try:
            return cls(person or getpass.getuser(), role)
        except (KeyError, OSError):  # a container's user without a name
            return cls(f"user {os.getuid()}", role)


@contextmanager
def acting(actor: Actor, verb: str, object_: str = "", *, needs: str = "researcher") -> Iterator[None]:
    """Check the role, run the verb, write its audit line with the outcome.

    Raises ForbiddenError when the person's role does not reach.
    """
    if ROLES.index(actor.role) < ROLES.index(needs):
        _write(actor, verb, object_, "not allowed")
        raise ForbiddenError("role", f"Only a {needs} of this hospital can do that.", who=f"a {needs}")
    try:
        yield
    except FriendlyError as error:
        _write(actor, verb, object_, f"failed: {error.code}")
        raise
    _write(actor, verb, object_, "done")


def _write(actor: Actor, verb: str, object_: str, outcome: str) -> None:
    AuditLine.objects.create(person=actor.name, verb=verb, object=object_[:200], outcome=outcome[:200])

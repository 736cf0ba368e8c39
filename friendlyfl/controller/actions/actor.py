"""Who acts, what they may, and the line that remembers it. Every verb of this package goes through `acting`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from friendlyfl.controller.models import ROLES, AuditLine
from friendlyfl.core.errors import ForbiddenError, FriendlyError


@dataclass(frozen=True)
class Actor:
    """A person at this site: somebody signed in at the portal, or whoever uses the command line on this machine."""

    name: str
    role: str


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

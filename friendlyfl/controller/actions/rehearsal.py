"""Verbs about the rehearsal: start it, remove it."""

from django.conf import settings

from friendlyfl.controller import rehearsal
from friendlyfl.controller.actions.actor import Actor, acting
from friendlyfl.core.errors import ConflictError


def start_rehearsal(actor: Actor) -> None:
    """Start three pretend hospitals on this machine. Started twice it goes on as it is."""
    with acting(actor, "start_rehearsal"):
        if settings.REHEARSAL:
            raise ConflictError("in_rehearsal", "This is a rehearsal already.")
        rehearsal.begin()


def remove_rehearsal(actor: Actor) -> None:
    """End the pretend hospitals and remove everything of theirs."""
    with acting(actor, "remove_rehearsal"):
        rehearsal.end()

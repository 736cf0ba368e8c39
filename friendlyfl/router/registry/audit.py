"""Writing the audit: who did what to which object, when, from where, and how it ended. Append-only."""

from __future__ import annotations

from ..models import AuditEntry
from .actor import Actor

HOUSE = "the house"  # jobs and the command line


def did(
    actor: Actor, action: str, thing: str, *, project: str = "", address: str = "", outcome: str = "done"
) -> None:
    """Note what an actor did, in the transaction in which it was done."""
    AuditEntry.objects.create(
        actor=actor.key, action=action, object=thing, project=project, address=address, outcome=outcome
    )


def house_did(action: str, thing: str, *, project: str = "") -> None:
    """Note what the server did by itself."""
    AuditEntry.objects.create(actor=HOUSE, action=action, object=thing, project=project, outcome="done")

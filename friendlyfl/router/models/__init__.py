"""Every table of the Routing Server, one file a family.

Table names are explicit, since the relay writes plain SQL.

    people    users, tokens, enrolment codes
    sites     sites, key cards, leases, nonces
    projects  projects, steps, manifests, members, participants, invitations
    runs      runs and seats
    post      messages, deliveries, mailboxes, blobs, uploads (written by the relay only)
    house     audit, idempotency keys, password tries, job leases

What one may see of a table is said here too: every queryset starts from `Model.objects.visible_to(actor)`.
"""

from .house import AuditEntry, IdempotencyKey, JobLease, PasswordTry
from .people import Enrolment, Token, User
from .post import Blob, Delivery, Mailbox, Message, Upload
from .projects import Invitation, Manifest, Member, Participant, Project, Step
from .runs import Run, Seat
from .sites import Card, Lease, Nonce, Site

__all__ = [
    "AuditEntry",
    "Blob",
    "Card",
    "Delivery",
    "Enrolment",
    "IdempotencyKey",
    "Invitation",
    "JobLease",
    "Lease",
    "Mailbox",
    "Manifest",
    "Member",
    "Message",
    "Nonce",
    "Participant",
    "PasswordTry",
    "Project",
    "Run",
    "Seat",
    "Site",
    "Step",
    "Token",
    "Upload",
    "User",
]

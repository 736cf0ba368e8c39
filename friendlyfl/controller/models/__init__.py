"""What a site remembers, one file a family. Records only: who may change them and why is decided in actions, inbox and
runs.

    people    accounts, forms that were sent, the audit
    site      this hospital, the others it knows, its rules, where word of its inbox goes
    projects  datasets, projects, plans, approvals, mappings, exceptions
    runs      runs, journals, jobs, contents, progress, logs, Results
    post      outbox, slots, post put aside, the ledger, rows that were described

Two rules hold everywhere: what has left this hospital has a Departure, and where a run stands is a fold of its
RunEvents; `Run.state`, `step` and `round` are copies of that fold for lists, written by runs.feed alone.
"""

from .people import ROLES, AuditLine, FormKey, Person
from .post import Departure, Described, HeldPost, Outbox, Slot
from .projects import (
    COORDINATOR,
    PARTICIPANT,
    Approval,
    Dataset,
    Invitation,
    Manifest,
    Mapping,
    Plan,
    Project,
    Reading,
    RuleException,
    Step,
    Word,
)
from .runs import Job, LogLine, Result, Run, RunEvent, SiteProgress, SmallContent
from .site import Identity, Peer, Policy, Way

__all__ = [
    "COORDINATOR",
    "PARTICIPANT",
    "ROLES",
    "Approval",
    "AuditLine",
    "Dataset",
    "Departure",
    "Described",
    "FormKey",
    "HeldPost",
    "Identity",
    "Invitation",
    "Job",
    "LogLine",
    "Manifest",
    "Mapping",
    "Outbox",
    "Peer",
    "Person",
    "Plan",
    "Policy",
    "Project",
    "Reading",
    "Result",
    "RuleException",
    "Run",
    "RunEvent",
    "SiteProgress",
    "Slot",
    "SmallContent",
    "Step",
    "Way",
    "Word",
]

"""The publication pack of a run, from this hospital's records: Results, plan, and the approvals it holds.

What a pack holds and how it is written stands in `tasks.publication`.
"""

from typing import Any

from friendlyfl.controller import here, members, plans
from friendlyfl.controller.models import Run, Slot
from friendlyfl.core.errors import NotFoundError
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.publication import Publication, Step
from friendlyfl.tasks.report import Result


def zipped(run: Run, step: int | None = None) -> bytes:
    """The pack of a run's Results that are here, or of one step's."""
    raw = bytes(run.plan.raw)
    plan = plans.read(raw)
    named = {row.seq: row for row in plan.steps}
    found = [row for row in run.results.all() if step in (None, row.step)]
    if not found:
        raise NotFoundError(
            "no_result", f"No Result of run {run.number} is here, so there is nothing to pack."
        )
    steps = [
        Step(
            Result.from_json(row.result),
            named[row.step].parameters,
            named[row.step].title,
            " and ".join(f"({text})" for text in named[row.step].criteria),
        )
        for row in found
    ]
    return Publication(
        steps=steps,
        dictionary=Dictionary.parse(plan.dictionary),
        hospitals=len(plan.seats),
        name=plan.name,
        purpose=plan.purpose,
        plan=raw,
        plan_sha256=plan.sha256,
        approvals=_approvals(run),
    ).zipped()


def _approvals(run: Run) -> list[dict[str, Any]]:
    """The coordinator holds those of all hospitals; a participant knows of its own only."""
    words = run.plan.approvals.order_by("pk")
    if not run.project.coordinates:
        words = words.filter(site=here.site())
    return [
        {
            "hospital": members.name_of(word.site),
            "site": word.site,
            "decision": "approved" if word.approved else "declined",
            "person": word.person,
            "reason": word.reason,
            "at": word.at.isoformat(timespec="seconds"),
            "revoked_at": word.revoked_at.isoformat(timespec="seconds") if word.revoked_at else "",
            "key_fingerprint": members.fingerprint_of(word.site),
            "signed_message_sha256": _envelope(word.site, word.seq),
        }
        for word in words
    ]


def _envelope(site: str, seq: int) -> str:
    """The digest of the signed message in which an approval came; this hospital's own word was none."""
    slot = Slot.objects.filter(sender=site, seq=seq).first() if seq else None
    return slot.digest if slot else ""

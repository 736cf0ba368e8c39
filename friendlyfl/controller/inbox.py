"""Incoming post: which checks, which event, in one transaction with the slot that remembers it.

`receive` takes one message as the Routing Server delivered it and ends in one of three ways: taken (the event is
in the journal), early (kept unopened, tried again), or refused (kept for a person, with a code). It never raises
for bad post, so one bad message cannot block what follows. After it returns, the position may be acknowledged.

The order of checks is protocol.md's section 5, Unseal; the cryptography is wire.seal's; what a message means is
handlers'. No network here: the blob is handed in as a function, and post made under a member list that is not held
yet is early.
"""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from django.db import InterfaceError as DatabaseClosed
from django.db import OperationalError, transaction

from friendlyfl.client.answers import InboxMessage
from friendlyfl.controller import contents, doubts, handlers, here, members, rows, runs
from friendlyfl.controller.handlers import EarlyPost
from friendlyfl.controller.models import HeldPost, Identity, Project, Run, Slot
from friendlyfl.core.errors import FriendlyError, WireError
from friendlyfl.core.faults import faultpoint
from friendlyfl.core.limits import SMALL_CONTENT
from friendlyfl.wire import trust
from friendlyfl.wire.canonical import b64, unb64
from friendlyfl.wire.message import TYPES, Envelope, check_place, envelope_digest, slot_of
from friendlyfl.wire.seal import Incoming, open_envelope, unseal

log = logging.getLogger("friendlyfl.inbox")


KEPT_HERE = 0  # the position of post that was kept unopened; the RS's begin at 1


@dataclass(frozen=True)
class Outcome:
    """What became of one message. `needs`: uid of a project whose member list should be fetched first."""

    state: str  # taken, early, refused
    code: str = ""
    sentence: str = ""
    needs: str = ""


def receive(message: InboxMessage, open_blob: Callable[[], BinaryIO]) -> Outcome:
    """Take one message; `open_blob` yields its sealed bytes and is called only when all cheaper checks passed."""
    try:
        _take(message, open_blob)
    except EarlyPost as early:
        _hold(message, "early")
        return Outcome("early", needs=early.needs)
    except WireError as error:
        return _refuse(message, error.code, error.message)
    except (FriendlyError, OSError, OperationalError, DatabaseClosed, MemoryError):
        raise  # this machine's or the line's trouble, not the post's: it is asked for again
    except Exception:
        # A check is missing. The post is kept, and what follows it is not made to wait for a repair.
        log.exception("post of %s could not be taken", message.sender)
        return _refuse(
            message, "unreadable", "A message could not be read by this version. It was put aside."
        )
    if message.position == KEPT_HERE:
        HeldPost.objects.filter(rs_id=message.id, state="early").delete()
    return Outcome("taken")


def _refuse(message: InboxMessage, code: str, sentence: str) -> Outcome:
    if not HeldPost.objects.filter(rs_id=message.id, state="early").exists():
        _hold(message, "refused", code, sentence)  # else a good copy is kept already
    return Outcome("refused", code, sentence)


def _take(message: InboxMessage, open_blob: Callable[[], BinaryIO]) -> None:
    incoming = Incoming(
        message.sender, message.envelope, message.signature, message.delivery, message.delivery_signature
    )
    envelope = open_envelope(incoming, members.public_of(incoming.sender))  # 1, 2
    if doubts.is_doubted(incoming.sender):
        raise EarlyPost  # it may be good: it waits unopened until a person has compared the keys
    project, run = _place(envelope)  # 3, 4, 6
    digest = envelope_digest(incoming.envelope)
    if not _slot_is_free(envelope, digest):  # 5
        return
    handlers.check_moment(envelope.ctx, project, run)  # 4
    if run is not None and handlers.is_over(run):
        return  # post for a finished run changes nothing; its key may be gone
    content = _open(incoming, envelope, open_blob)  # 7 to 11
    faultpoint("inbox.opened")
    with transaction.atomic():  # 12
        slot = Slot(key=slot_of(envelope.ctx), digest=digest, sender=incoming.sender, seq=envelope.ctx.seq)
        rows.insert(slot)
        handlers.handle(envelope.ctx, content, project, run)
        if message.position != KEPT_HERE:
            rows.update(Identity, {"pk": 1}, cursor=message.position)
        faultpoint("inbox.before_commit")
    faultpoint("inbox.committed")


def _place(envelope: Envelope) -> tuple[Project, Run | None]:
    """The project, epoch and manifest are those held here, and the sender is the one that the manifest means."""
    ctx = envelope.ctx
    project = rows.first(Project, without=("dictionary",), uid=ctx.project)
    if project is None:
        raise WireError("unknown_project", "A message belongs to a project that this hospital does not know.")
    if project.state == "closed" and not project.coordinates:
        raise WireError("left_project", f"A message belongs to {project.name}, which this hospital has left.")
    run = runs.find(ctx.run, project) if ctx.run else None
    if run is not None and run.project_id != project.pk:
        raise WireError("other_project", "A message names a run of another project. It was put aside.")
    if ctx.epoch > project.epoch:
        raise EarlyPost(needs=project.uid)
    manifest, sha256 = members.at_epoch(project, run.epoch if run else ctx.epoch)
    member = manifest.member(ctx.sender)
    members.at_epoch(project, project.epoch)[0].member(ctx.sender)  # a member then, and not removed since
    check_place(envelope, project=project.uid, epoch=manifest.epoch, manifest=sha256, role=member.role)
    if member.fingerprint != members.fingerprint_of(ctx.sender):
        raise WireError(
            "key_changed",
            f"The key of {members.name_of(ctx.sender)} is not the one in the member list. Its post is put aside. "
            "Call them and compare the safety number.",
            who="the site-admin",
        )
    if ctx.card != members.card_sha256(ctx.sender):
        raise WireError(
            "unknown_card",
            f"A message of {members.name_of(ctx.sender)} names another key card than the one held here.",
        )
    return project, run


def _slot_is_free(envelope: Envelope, digest: str) -> bool:
    """False: this very envelope was taken before, and all is well."""
    ctx = envelope.ctx
    held = rows.first(Slot, key=slot_of(ctx))
    new = trust.decide_slot(held.digest if held else None, digest)
    if new and rows.first(Slot, sender=ctx.sender, seq=ctx.seq) is not None:
        raise WireError(
            "copied_sender",
            f"{members.name_of(ctx.sender)} used one message number twice: it was restored from an old copy or "
            "runs twice. This message is put aside until it has settled that.",
        )
    return new


def _open(incoming: Incoming, envelope: Envelope, open_blob: Callable[[], BinaryIO]) -> bytes:
    with tempfile.SpooledTemporaryFile(SMALL_CONTENT, dir=str(here.home().sub("quarantine"))) as out:
        unseal(
            incoming,
            envelope,
            me=here.site(),
            public=members.public_of(incoming.sender),
            subkeys=here.keys().openers(TYPES[envelope.ctx.type].card_uses(envelope.ctx.run)),
            bound=TYPES[envelope.ctx.type].bound,
            blob=open_blob,
            out=cast(BinaryIO, out),
        )
        out.seek(0)
        return out.read()


# --- post that could not be taken ---


def _hold(message: InboxMessage, state: str, code: str = "", sentence: str = "") -> None:
    kept = {
        name: b64(getattr(message, name))
        for name in ("envelope", "signature", "delivery", "delivery_signature")
    }
    kept["blob"] = contents.keep(message.blob) if message.blob is not None else ""
    HeldPost.objects.update_or_create(
        rs_id=message.id,
        defaults={
            "state": state,
            "post": kept,
            "sender": message.sender,
            "code": code,
            "sentence": sentence,
        },
    )


def early() -> list[InboxMessage]:
    """Post that was kept unopened and may be tried again."""
    found = []
    for row in rows.every(HeldPost, "pk", state="early"):
        parts = {name: unb64(row.post[name]) for name in row.post if name != "blob"}
        blob = contents.read(row.post["blob"]) if row.post["blob"] else None
        found.append(InboxMessage(position=KEPT_HERE, id=row.rs_id, sender=row.sender, blob=blob, **parts))
    return found

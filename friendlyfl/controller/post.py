"""Sealing and queueing: from content to finished bytes in the outbox, with their line in the ledger.

One function, `send`. It must be called inside the transaction of the event that causes the post, so that event,
bytes and ledger line are there together or not at all. Delivering is the agent's business.
"""

import hashlib
import io
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from friendlyfl.controller import awaited, contents, doubts, here, ledger, members, rows
from friendlyfl.controller.models import Identity, Outbox, Project, Run
from friendlyfl.core.errors import WireError
from friendlyfl.core.limits import SMALL_CONTENT
from friendlyfl.wire.codec import encode
from friendlyfl.wire.keys import STANDING
from friendlyfl.wire.message import TYPES, Context, new_message_id
from friendlyfl.wire.seal import Recipient, seal

CODEC, JSON = "application/x-ffl1", "application/json"


def send_values(project: Project, type_: str, values: dict, to: Sequence[str], **where: Any) -> None:
    """Send a small dict of values; otherwise like `send`."""
    send(project, type_, encode(values), to, **where)


def send(
    project: Project,
    type_: str,
    content: bytes,
    to: Sequence[str],
    *,
    leaving: ledger.Leaving,
    run: Run | None = None,
    step: int = 0,
    round_: int = 0,
    media: str = CODEC,
) -> None:
    """Seal `content` for `to` and queue it. Post of this site to itself takes a short way, unsealed and in order."""
    others = sorted(set(to) - {here.site()})
    if here.site() in to:
        _keep_here(project, type_, content, run, step, round_)
    if others:
        _seal_for(others, project, type_, content, leaving, run, step, round_, media)
    awaited.written(awaited.POST)


def _keep_here(project: Project, type_: str, content: bytes, run: Run | None, step: int, round_: int) -> None:
    rows.insert(
        Outbox(
            msg=new_message_id(),
            project=project,
            run=run,
            type=type_,
            here=True,
            context={"step": step, "round": round_},
            blob=contents.keep(content),
        )
    )


def _seal_for(
    to: list[str],
    project: Project,
    type_: str,
    content: bytes,
    leaving: ledger.Leaving,
    run: Run | None,
    step: int,
    round_: int,
    media: str,
) -> None:
    kind = TYPES[type_]
    if len(content) > kind.bound:
        raise WireError("too_large", f"A {type_} of {len(content)} bytes is larger than the plan allows.")
    manifest, manifest_sha256 = members.at_epoch(project, run.epoch) if run else members.current(project)
    ctx = Context(
        msg=new_message_id(),
        type=type_,
        content=media,
        project=project.uid,
        epoch=manifest.epoch,
        manifest=manifest_sha256,
        run=run.uid if run else None,
        step=step,
        round=round_,
        part=_parts_sent(project, run, type_) if kind.counts_parts else 0,
        sender=here.site(),
        card=here.keys().signed_card.sha256,
        seq=_next_seq(),
    )
    recipients = [_recipient(site, type_, run) for site in to]
    seal_to = partial(
        seal, io.BytesIO(content), len(content), ctx=ctx, recipients=recipients, identity=here.keys().identity
    )
    if len(content) <= SMALL_CONTENT:
        memory = io.BytesIO()
        post = seal_to(blob=memory)
        size, sealed = memory.tell(), contents.keep(memory.getvalue())
    else:
        half = here.home().sub("quarantine") / f"{secrets.token_hex(8)}.out"
        with half.open("wb") as file:
            post = seal_to(blob=file)
            size = file.tell()
        sealed = contents.keep_file(half)
    rows.insert(
        Outbox(
            msg=ctx.msg,
            project=project,
            run=run,
            type=type_,
            context={"step": step, "round": round_},
            post=post.to_json(),
            blob=sealed,
            state=doubts.HELD if doubts.holds(to) else doubts.WAITING,
        )
    )
    ledger.write(
        leaving,
        project=project.uid,
        run=run.uid if run else "",
        step=step,
        round=round_,
        type=type_,
        to=to,
        bytes=size,
        plain_sha256=hashlib.sha256(content).hexdigest(),
        sealed_sha256=sealed,
        msg=ctx.msg,
    )


def _parts_sent(project: Project, run: Run | None, type_: str) -> int:
    return Outbox.objects.filter(project=project, run=run, type=type_, here=False).count()


def _next_seq() -> int:
    seq = (
        int(rows.value(Identity, "seq", pk=1)) + 1
    )  # nobody changes it meanwhile: this transaction writes alone
    rows.update(Identity, {"pk": 1}, seq=seq)
    return seq


def _recipient(site: str, type_: str, run: Run | None) -> Recipient:
    """The reader's newest key that this type may be sealed for: the run's own, or the standing one."""
    uses = TYPES[type_].card_uses(run.uid if run else None)
    card = members.run_key(run, site) if run is not None and run.uid in uses else None
    if card is None and STANDING in uses:
        card = members.card_of(site)
    if card is None:
        raise WireError("no_run_key", f"{members.name_of(site)} has not told its key for this run yet.")
    return Recipient(site, card.kid, card.enc_public)

"""A hospital as the tests need it: keys, a card and sealed post that any Routing Server must take."""

import uuid
from dataclasses import dataclass, field
from io import BytesIO

from friendlyfl.wire.keys import STANDING, Identity, SignedCard, Subkey, make_card
from friendlyfl.wire.message import Context, Post, new_message_id
from friendlyfl.wire.seal import Recipient, seal
from friendlyfl.wire.trust import COORDINATOR, PARTICIPANT, Member, SignedManifest, make_manifest


@dataclass
class Hospital:
    name: str
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    identity: Identity = field(default_factory=Identity.generate)
    subkey: Subkey = field(default_factory=Subkey.generate)
    seq: int = 0
    beats: int = 0

    @property
    def card(self) -> SignedCard:
        return self.make_card(STANDING, 1)

    def make_card(self, use: str, seq: int, prev: str | None = None) -> SignedCard:
        times = {"not_before": 0, "not_after": 4_000_000_000}
        return make_card(self.identity, self.subkey, site=self.uid, use=use, seq=seq, prev=prev, **times)

    @property
    def recipient(self) -> Recipient:
        return Recipient(self.uid, self.subkey.kid, self.subkey.public)

    def member(self, role: str = PARTICIPANT) -> Member:
        return Member(self.uid, role, self.identity.fingerprint)

    def manifest(
        self, project: str, others: list["Hospital"], epoch: int = 1, prev: str | None = None
    ) -> SignedManifest:
        members = [self.member(COORDINATOR), *(other.member() for other in others)]
        return make_manifest(self.identity, project=project, epoch=epoch, prev=prev, members=members)

    def write(
        self,
        to: list["Hospital"],
        content: bytes,
        *,
        project: str,
        manifest: SignedManifest,
        type: str,
        epoch: int = 1,
        run: str | None = None,
        step: int = 0,
        round: int = 0,
        part: int = 0,
    ) -> tuple[Post, bytes]:
        self.seq += 1
        ctx = Context(
            msg=new_message_id(),
            type=type,
            content="application/octet-stream",
            project=project,
            epoch=epoch,
            manifest=manifest.sha256,
            run=run,
            step=step,
            round=round,
            part=part,
            sender=self.uid,
            card=self.card.sha256,
            seq=self.seq,
        )
        blob = BytesIO()
        post = seal(
            BytesIO(content),
            len(content),
            ctx=ctx,
            recipients=[other.recipient for other in to],
            identity=self.identity,
            blob=blob,
        )
        return post, blob.getvalue()

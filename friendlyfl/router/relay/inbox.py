"""A site's mailbox: looking, waiting, acknowledging, one message by its id.

    GET messages/inbox/?since=C&wait=25&ack=A

gives the messages after position C, oldest first, at most 100 or 4 MiB, small blobs inline. `ack=A` says that all up
to A is safely stored at the site; it only moves forward. With nothing to give, the poll waits (bell).

A poll's first look is part of the transaction that admits it; the looks after a ring are the reader's, which waits
for no sync. The order that no message is missed by: stand in line, then look, then wait, then look again.

What does not live here: payloads (download), accepting (accept), HTTP (app).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from friendlyfl.core import limits
from friendlyfl.router.relay.admission import Admitted, Credential
from friendlyfl.router.relay.database import Database, Row
from friendlyfl.router.relay.errors import Refusal, not_found
from friendlyfl.router.relay.transaction import Transaction
from friendlyfl.wire.canonical import b64

JSON_PER_MESSAGE = 512  # about what names, ids and quotes of one message weigh

_COLUMNS = (
    "SELECT d.position, m.digest, s.uid, m.envelope, m.signature, d.delivery, d.signature, b.data"
    " FROM ffl_delivery d JOIN ffl_message m ON m.id = d.message_id JOIN ffl_site s ON s.id = m.sender_id"
    " LEFT JOIN ffl_blob b ON b.sha256 = m.blob_sha256"
)
_NEXT = " ".join(
    (
        _COLUMNS,
        "WHERE d.site_id = ? AND d.position > ? AND d.position <= (SELECT MAX(position) FROM"
        " (SELECT position, ROW_NUMBER() OVER (ORDER BY position) AS number,"
        "         SUM(weight) OVER (ORDER BY position) AS total"
        "  FROM (SELECT d.position AS position,"
        "        (length(m.envelope) + length(d.delivery) + COALESCE(length(b.data), 0)) * 4 / 3 + ? AS weight"
        "        FROM ffl_delivery d JOIN ffl_message m ON m.id = d.message_id"
        "        LEFT JOIN ffl_blob b ON b.sha256 = m.blob_sha256"
        "        WHERE d.site_id = ? AND d.position > ? ORDER BY d.position LIMIT ?) AS light) AS weighed"
        " WHERE total <= ? OR number = 1) ORDER BY d.position",
    )
)


def look(database: Database, site: int, since: int) -> list[dict[str, Any]]:
    """The next messages, as many as one answer takes: their weights are added up first, and only what is given is
    fetched. So one answer costs its own size in memory, whatever lies in the mailbox.
    """
    rows = database.all(
        _NEXT,
        *(site, since, JSON_PER_MESSAGE),
        *(site, since, limits.INBOX_MESSAGES, limits.INBOX_BYTES),
    )
    return [shape(row) for row in rows]


def shape(row: Row) -> dict[str, Any]:
    """One message as its reader gets it. `blob` is null when it is fetched from `payload/`."""
    position, digest, sender, envelope, signature, delivery, delivery_signature, data = row
    return {
        "position": int(position),
        "id": digest,
        "sender": sender,
        "envelope": b64(envelope),
        "signature": b64(signature),
        "delivery": b64(delivery),
        "delivery_signature": b64(delivery_signature),
        "blob": None if data is None else b64(data),
    }


class Poll(Admitted):
    """Admission, acknowledgement and first look of one poll.

    Commits lazily, its acknowledgement too: one that is lost in a power cut is said again with the next poll, and
    until then only keeps bytes longer.
    """

    durable = False

    def __init__(self, credential: Credential, since: int, ack: int | None) -> None:
        super().__init__(credential)
        self.since = since
        self.ack = ack
        self._moves = False

    def check(self, tx: Transaction) -> None:
        super().check(tx)
        if max(self.since, self.ack or 0) > self.last:
            # Taking such an acknowledgement would acknowledge post that will get these positions and was never read.
            raise Refusal(
                409,
                "cursor_ahead",
                "This site knows more post than the Routing Server, which was restored from an older copy;"
                " poll again from the position it names.",
                extra={"last": self.last},
            )
        self._moves = self.ack is not None and self.ack > self.acked

    def mailboxes(self) -> Sequence[int]:
        return (self.asker.pk,) if self._moves else ()

    def apply(self, tx: Transaction) -> list[dict[str, Any]]:
        if self._moves:
            tx.run(
                "UPDATE ffl_mailbox SET acked = ? WHERE site_id = ? AND acked < ?",
                self.ack,
                self.asker.pk,
                self.ack,
            )
            tx.run(
                "UPDATE ffl_delivery SET acked_at = ?"
                " WHERE site_id = ? AND position > ? AND position <= ? AND acked_at IS NULL",
                *(int(time.time()), self.asker.pk, self.acked, self.ack),
            )
        # Post that came since `last` was read belongs to a later commit, which will ring.
        return look(tx, self.asker.pk, self.since) if self.since < self.last else []


class Acknowledge(Admitted):
    """`POST messages/{id}/ack/`: one message, out of turn."""

    def __init__(self, credential: Credential, id: str) -> None:
        super().__init__(credential)
        self.id = id

    def apply(self, tx: Transaction) -> None:
        owned = tx.one(
            "SELECT d.id, d.acked_at FROM ffl_delivery d JOIN ffl_message m ON m.id = d.message_id"
            " WHERE m.digest = ? AND d.site_id = ?",
            *(self.id, self.asker.pk),
        )
        if owned is None:
            raise not_found()
        if owned[1] is None:
            tx.run("UPDATE ffl_delivery SET acked_at = ? WHERE id = ?", int(time.time()), owned[0])


class Fetch(Admitted):
    """`GET messages/{id}/`: one message, for its addressee."""

    durable = False

    def __init__(self, credential: Credential, id: str) -> None:
        super().__init__(credential)
        self.id = id

    def apply(self, tx: Transaction) -> dict[str, Any]:
        row = tx.one(f"{_COLUMNS} WHERE m.digest = ? AND d.site_id = ?", self.id, self.asker.pk)
        if row is None:
            raise not_found()
        return shape(row)


@dataclass(frozen=True, slots=True)
class Payload:
    """Where a message's blob is: inline, or under its name in the store."""

    sha256: str
    length: int
    data: bytes | None


class FindPayload(Fetch):
    """`GET messages/{id}/payload/`: whether the asker is an addressee, and where the bytes are."""

    def apply(self, tx: Transaction) -> Any:
        row = tx.one(
            "SELECT b.sha256, b.length, b.data, b.gone_at"
            " FROM ffl_delivery d JOIN ffl_message m ON m.id = d.message_id"
            " JOIN ffl_blob b ON b.sha256 = m.blob_sha256 WHERE m.digest = ? AND d.site_id = ?",
            *(self.id, self.asker.pk),
        )
        if row is None:
            raise not_found()
        if row[3] is not None:
            raise payload_gone()
        return Payload(str(row[0]), int(row[1]), None if row[2] is None else bytes(row[2]))


def payload_gone() -> Refusal:
    """The envelope is kept for good, its blob is not."""
    return Refusal(
        410,
        "payload_gone",
        "The content of this message was kept for its time and is gone; ask the sender to send it again.",
        who="the sender",
    )

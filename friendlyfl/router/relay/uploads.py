"""Uploads: a sealed blob on its way into the store, before a message may name it.

    POST   uploads/                 {length, sha256, message_type, run} -> {id, chunk, expires_at, complete}
    HEAD   uploads/{id}/            how far it is, in `Upload-Offset`
    PATCH  uploads/{id}/            one piece at that offset, or at 0 to begin anew
    POST   uploads/{id}/complete/   length and SHA-256 of the whole, else 422 and the upload is gone
    DELETE uploads/{id}/

A piece counts when it is fsynced **and** the new offset is committed; what comes after a cut overwrites what did not
count. Only the site that began an upload sees it. A blob already held from this very site need not come again; that
somebody else has sent it is never told.

What does not live here: bytes on disk (store), the streaming of a body (app), forgetting (expiry).
"""

import re
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from friendlyfl.core import limits
from friendlyfl.router.relay.accept import keep_blob
from friendlyfl.router.relay.admission import Admitted, Credential
from friendlyfl.router.relay.body import take
from friendlyfl.router.relay.errors import Refusal, not_found
from friendlyfl.router.relay.store import DirectoryStore
from friendlyfl.router.relay.transaction import Job, Transaction
from friendlyfl.wire.fields import is_uid
from friendlyfl.wire.message import TYPES, sealed_length

UNFINISHED = 64  # uploads that one site may have open
UNFINISHED_BYTES = 2 * limits.BLOB

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to upload."""

    length: int
    sha256: str
    message_type: str
    run: str | None

    def __post_init__(self) -> None:
        kind = TYPES.get(self.message_type)
        if kind is None or not _SHA256.fullmatch(self.sha256) or self.length < sealed_length(0):
            raise Refusal(422, "odd_upload", "No message of this system could have such a blob.")
        if self.run is not None and not is_uid(self.run):
            raise Refusal(422, "odd_upload", "The run is named by its UUID, or null.")
        if self.length > min(limits.BLOB, sealed_length(kind.bound)):
            raise Refusal(413, "too_big", "The content is larger than a message of this type may be.")


def read_wanted(body: dict[str, Any]) -> Wanted:
    """The body of `POST uploads/`."""
    if body.get("run") is None:
        body = {name: value for name, value in body.items() if name != "run"}
    take(body, {"length": int, "sha256": str, "message_type": str}, {"run": str})
    return Wanted(body["length"], body["sha256"], body["message_type"], body.get("run"))


@dataclass(frozen=True, slots=True)
class Upload:
    """One row of uploads."""

    pk: int
    uid: str
    sha256: str
    length: int
    received: int
    expires_at: int
    complete: bool


class Begin(Admitted):
    """`POST uploads/`: status and answer."""

    def __init__(self, credential: Credential, wanted: Wanted, store: DirectoryStore) -> None:
        super().__init__(credential)
        self.wanted = wanted
        self.store = store

    def apply(self, tx: Transaction) -> tuple[int, dict[str, Any]]:
        now = int(time.time())
        held = self._held(tx, now)
        if held is not None:
            return 200, describe(held)
        self._check_quota(tx, now)
        sent = self._sent_before(tx)
        if not sent:
            self.store.check_space(self.wanted.length)
        upload = Upload(
            0,
            str(uuid.uuid4()),
            self.wanted.sha256,
            self.wanted.length,
            self.wanted.length if sent else 0,
            now + limits.UPLOAD_KEPT,
            sent,
        )
        tx.run(
            "INSERT INTO ffl_upload (uid, site_id, sha256, length, message_type, run, received, started_at,"
            " expires_at, completed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(upload.uid, self.asker.pk, upload.sha256, upload.length, self.wanted.message_type),
            *(self.wanted.run or "", upload.received, now, upload.expires_at, now if sent else None),
        )
        return (200 if sent else 201), describe(upload)

    def _held(self, tx: Transaction, now: int) -> Upload | None:
        """An upload of the same bytes by this site that is under way, or whole and still here."""
        row = tx.one(
            "SELECT u.id, u.uid, u.sha256, u.length, u.received, u.expires_at, u.completed_at FROM ffl_upload u"
            " LEFT JOIN ffl_blob b ON b.sha256 = u.sha256"
            " WHERE u.site_id = ? AND u.sha256 = ? AND u.length = ? AND u.expires_at > ?"
            " AND (u.completed_at IS NULL OR (b.id IS NOT NULL AND b.gone_at IS NULL))"
            " ORDER BY u.completed_at IS NULL, u.id LIMIT 1",
            *(self.asker.pk, self.wanted.sha256, self.wanted.length, now),
        )
        return None if row is None else _upload(row)

    def _sent_before(self, tx: Transaction) -> bool:
        """Whether a message of this site carried the blob and it is still here."""
        return (
            tx.one(
                "SELECT b.id FROM ffl_message m JOIN ffl_blob b ON b.sha256 = m.blob_sha256 AND b.gone_at IS NULL"
                " WHERE m.sender_id = ? AND m.blob_sha256 = ? AND b.length = ? LIMIT 1",
                *(self.asker.pk, self.wanted.sha256, self.wanted.length),
            )
            is not None
        )

    def _check_quota(self, tx: Transaction, now: int) -> None:
        row = tx.one(
            "SELECT COUNT(*), COALESCE(SUM(length), 0) FROM ffl_upload"
            " WHERE site_id = ? AND completed_at IS NULL AND expires_at > ?",
            *(self.asker.pk, now),
        )
        count, octets = (int(row[0]), int(row[1])) if row else (0, 0)
        if count >= UNFINISHED or octets + self.wanted.length > UNFINISHED_BYTES:
            raise Refusal(
                413,
                "quota",
                "This site has begun too many uploads without finishing them; finish or delete some first.",
                who="the sender",
            )


class Own(Admitted):
    """An upload of the asker; anybody else's is not there."""

    durable = False

    def __init__(self, credential: Credential, uid: str) -> None:
        super().__init__(credential)
        self.uid = uid

    def find(self, tx: Transaction) -> Upload:
        row = tx.one(
            "SELECT id, uid, sha256, length, received, expires_at, completed_at FROM ffl_upload"
            " WHERE uid = ? AND site_id = ? AND expires_at > ? FOR UPDATE",
            *(self.uid, self.asker.pk, int(time.time())),
        )
        if row is None:
            raise not_found()
        return _upload(row)

    def apply(self, tx: Transaction) -> Any:
        return self.find(tx)


class Receive(Own):
    """Before a piece is read: it has to fit at its offset. Offset 0 always fits: it begins the upload anew."""

    durable = True

    def __init__(self, credential: Credential, uid: str, offset: int) -> None:
        super().__init__(credential, uid)
        self.offset = offset

    def apply(self, tx: Transaction) -> Upload:
        upload = self.find(tx)
        if upload.complete or self.offset not in (0, upload.received):
            raise wrong_offset(upload.received)
        if self.offset != upload.received:
            tx.run("UPDATE ffl_upload SET received = 0 WHERE id = ?", upload.pk)
        return replace(upload, received=self.offset)


class Received(Job):
    """After a piece is synced: the new offset counts. No admission: the same request was admitted by `Receive`."""

    def __init__(self, upload: Upload, length: int) -> None:
        self.upload = upload
        self.length = length

    def apply(self, tx: Transaction) -> int:
        offset = self.upload.received + self.length
        moved = tx.run(
            "UPDATE ffl_upload SET received = ? WHERE id = ? AND received = ? AND completed_at IS NULL",
            *(offset, self.upload.pk, self.upload.received),
        )
        if not moved:
            raise not_found()  # deleted while its piece came in
        return offset


class Finish(Job):
    """After the whole was read back and hashed: into the store, and noted. The same request was admitted by `Own`."""

    def __init__(self, upload: Upload, store: DirectoryStore, sha256: str) -> None:
        self.upload = upload
        self.store = store
        self.sha256 = sha256

    def apply(self, tx: Transaction) -> bool:
        """False when the bytes are not the promised ones; then the upload's row is gone with them."""
        upload, now = self.upload, int(time.time())
        if self.sha256 != upload.sha256:
            tx.run("DELETE FROM ffl_upload WHERE id = ?", upload.pk)
            return False
        lock_blob(tx, upload.sha256)
        self.store.keep(upload.uid, upload.sha256)
        keep_blob(tx, upload.sha256, upload.length, None, now)
        tx.run("UPDATE ffl_upload SET completed_at = ? WHERE id = ?", now, upload.pk)
        return True


class Delete(Own):
    """`DELETE uploads/{id}/`. A blob that is complete stays for the messages that name it, and expires."""

    durable = True

    def apply(self, tx: Transaction) -> Upload:
        upload = self.find(tx)
        tx.run("DELETE FROM ffl_upload WHERE id = ?", upload.pk)
        return upload


def lock_blob(tx: Any, sha256: str) -> None:
    """Keep the file of this content from being made and removed at once: by the writer here, by expiry there.

    On SQLite the transaction that is open already excludes every other.
    """
    if tx.engine.postgres:
        tx.one("SELECT pg_advisory_xact_lock(?)", int(sha256[:15], 16))


def describe(upload: Upload) -> dict[str, Any]:
    """An upload as its site sees it."""
    return {
        "id": upload.uid,
        "chunk": limits.UPLOAD_CHUNK,
        "expires_at": datetime.fromtimestamp(upload.expires_at, UTC).isoformat().replace("+00:00", "Z"),
        "complete": upload.complete,
    }


def wrong_offset(received: int) -> Refusal:
    """Where the upload really is, so that the sender goes on from there."""
    return Refusal(
        409,
        "wrong_offset",
        "The upload is at another place; go on from the offset that it names.",
        who="the sender",
        headers={"Upload-Offset": str(received)},
        extra={"offset": received},
    )


def _upload(row: Any) -> Upload:
    pk, uid, sha256, length, received, expires_at, completed_at = row
    return Upload(int(pk), uid, sha256, int(length), int(received), int(expires_at), completed_at is not None)

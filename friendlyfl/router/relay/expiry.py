"""Forgetting: blobs past their time and uploads that nobody finished. Called by router/jobs.py, safe to repeat.

    a blob     24 h after the last of its readers acknowledged it, or 30 days after it was posted
    an upload  48 h after it began; a finished one that no message named takes its blob along

Envelopes stay for good: they are the slots that keep a sender to one word. Each blob goes in a transaction of its own,
in the order row, file, commit, so that posting never waits long and a crash in between is made good by the next run:
what a row still promises may be missing only when it was to be forgotten anyway.

What does not live here: nonces and keys (router/jobs.py); how often this runs.
"""

import time
from contextlib import closing

from friendlyfl.core import limits
from friendlyfl.router.relay.database import Database, Engine
from friendlyfl.router.relay.store import DirectoryStore
from friendlyfl.router.relay.uploads import lock_blob

AT_ONCE = 500
LEFTOVER = 3600  # seconds after which a quarantined file that no row knows is rubbish

# A blob is still wanted by an upload of its sender that no message has named yet, and by a message which is younger
# than BLOB_KEPT and has a reader that has not acknowledged, or has done so within BLOB_KEPT_AFTER_ACK.
_OVERDUE = (
    "SELECT b.sha256 FROM ffl_blob b WHERE b.gone_at IS NULL AND (? = '' OR b.sha256 = ?)"
    " AND NOT EXISTS (SELECT 1 FROM ffl_upload u WHERE u.sha256 = b.sha256 AND u.expires_at > ? AND NOT EXISTS"
    "  (SELECT 1 FROM ffl_message n WHERE n.blob_sha256 = u.sha256 AND n.sender_id = u.site_id"
    "   AND n.posted_at >= u.started_at))"
    " AND NOT EXISTS (SELECT 1 FROM ffl_message m WHERE m.blob_sha256 = b.sha256 AND m.posted_at > ? AND EXISTS"
    "  (SELECT 1 FROM ffl_delivery d WHERE d.message_id = m.id AND (d.acked_at IS NULL OR d.acked_at > ?)))"
    " ORDER BY b.id LIMIT ?"
)


def expire(
    now: int | None = None, *, engine: Engine | None = None, store: DirectoryStore | None = None
) -> int:
    """Forget what is past its time at `now` (Unix seconds); how many blobs and uploads went."""
    from friendlyfl.router.relay.service import configured_engine, configured_store

    now = int(time.time()) if now is None else now
    store = store or configured_store()
    with closing(Database(engine or configured_engine())) as database:
        gone = _expire_uploads(database, store, now) + _expire_blobs(database, store, now)
        known = {str(row[0]) for row in database.all("SELECT uid FROM ffl_upload")}
    store.sweep(known, time.time() - LEFTOVER)
    return gone


def _expire_uploads(database: Database, store: DirectoryStore, now: int) -> int:
    overdue = database.all(
        "SELECT id, uid, sha256 FROM ffl_upload WHERE expires_at <= ? ORDER BY id LIMIT ?", now, AT_ONCE
    )
    for pk, uid, sha256 in overdue:
        with database.transaction():
            lock_blob(database, sha256)
            database.run("DELETE FROM ffl_upload WHERE id = ?", pk)
            store.drop(uid)
            if database.one("SELECT 1 FROM ffl_blob WHERE sha256 = ?", sha256) is None:
                store.remove(sha256)  # renamed, but the row that was to name it never came
    return len(overdue)


def _expire_blobs(database: Database, store: DirectoryStore, now: int) -> int:
    times = (now, now - limits.BLOB_KEPT, now - limits.BLOB_KEPT_AFTER_ACK)
    gone = 0
    for (sha256,) in database.all(_OVERDUE, "", "", *times, AT_ONCE):
        with database.transaction():
            lock_blob(database, sha256)
            if database.one(_OVERDUE, sha256, sha256, *times, 1) is None:
                continue  # wanted again since the list was made
            database.run("UPDATE ffl_blob SET gone_at = ?, data = NULL WHERE sha256 = ?", now, sha256)
            store.remove(sha256)
            gone += 1
    return gone

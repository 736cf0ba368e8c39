"""What a thread has written that another thread of the agent waits for. Who writes it says so here, inside the
transaction; the agent's bell asks after the commit, so that only those wake that have something to do.

Each thread has its own notes. A note of a transaction that was undone wakes somebody for nothing, which is harmless.
"""

import threading

POST, JOBS = "post", "jobs"
_thread = threading.local()


def written(what: str) -> None:
    """Note that this thread has put post into the outbox, or a job before a worker (or taken the last one away)."""
    if not hasattr(_thread, "notes"):
        _thread.notes = set()
    _thread.notes.add(what)


def taken() -> frozenset[str]:
    """What this thread has noted since it was last asked."""
    notes = frozenset(getattr(_thread, "notes", ()))
    if notes:
        _thread.notes.clear()
    return notes

"""Slowing down the guessing of passwords and codes: five tries in 15 minutes for a name and address, then a wait."""

import threading
import time

TRIES, WINDOW, KEPT = 5, 15 * 60.0, 10_000
_tries: dict[tuple[str, str], list[float]] = {}
_lock = threading.Lock()


def slow_down(name: str, address: str) -> int:
    """Count a try. Returns the seconds to wait when there were too many, else 0."""
    now = time.monotonic()
    with _lock:
        if len(_tries) > KEPT:
            _tries.clear()
        recent = [at for at in _tries.get((name, address), []) if now - at < WINDOW]
        if len(recent) >= TRIES:
            _tries[(name, address)] = recent
            return int(WINDOW - (now - recent[0])) + 1
        _tries[(name, address)] = [*recent, now]
        return 0


def forget(name: str, address: str) -> None:
    """The person got in: earlier tries do not count."""
    with _lock:
        _tries.pop((name, address), None)

"""The bell: tells a waiting poll that post has come. And the line in which polls wait.

One waiting poll is one future: no thread, no database connection. The bell is rung by the thread that committed
the post (or heard of it from another worker), so ringing is safe from any thread; each future belongs to the
event loop of its own poll.

At most two polls of a site wait. When a third comes, the **oldest** is answered at once with an empty list: a
Controller that was restarted or lost its connection polls anew, and its dead poll must not lock it out. A poll joins
the line before its first look, so that no post falls between the two, but counts in it, and can send another away,
only from when it is admitted.

What does not live here: what the post is (inbox); what a poll does once woken (it looks into its mailbox again,
so a bell too many costs a look and a bell too few a delay, never a message).
"""

import asyncio
import threading
from collections.abc import Iterable

from friendlyfl.core import limits


class Waiter:
    """One poll's place in the line."""

    __slots__ = ("admitted", "future", "loop", "site")

    def __init__(self, site: str) -> None:
        self.site = site
        self.admitted = False
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[str] = self.loop.create_future()

    def wake(self, why: str) -> None:
        """End the wait; only in the waiter's own loop."""
        if not self.future.done():
            self.future.set_result(why)

    async def wait(self, seconds: float) -> str:
        """Why the wait ended: "rung", "displaced", "closed" or "time"."""
        timer = self.loop.call_later(seconds, self.wake, "time")
        try:
            return await self.future
        finally:
            timer.cancel()

    def again(self) -> None:
        """Be ready for the next ring. Called before a look, so that no post falls between look and wait."""
        self.future = self.loop.create_future()


class Bell:
    """Who waits for which mailbox."""

    def __init__(self, per_site: int = limits.POLLS_PER_SITE) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, list[Waiter]] = {}
        self._per_site = per_site
        self._closed = False

    def join(self, site: str) -> Waiter:
        """Stand in line for a site's post."""
        waiter = Waiter(site)
        with self._lock:
            self._lines.setdefault(site, []).append(waiter)
        return waiter

    def admit(self, waiter: Waiter) -> None:
        """From now on this poll counts; the oldest beyond the places of its site is sent away."""
        with self._lock:
            waiter.admitted = True
            counted = [other for other in self._lines.get(waiter.site, ()) if other.admitted]
            displaced = counted[: max(0, len(counted) - self._per_site)]
            closed = self._closed
        _tell(displaced, "displaced")
        if closed:
            waiter.wake("closed")

    def leave(self, waiter: Waiter) -> None:
        """Step out of the line; not standing in it is fine."""
        with self._lock:
            line = self._lines.get(waiter.site, [])
            if waiter in line:
                line.remove(waiter)
            if not line:
                self._lines.pop(waiter.site, None)

    def ring(self, sites: Iterable[str]) -> None:
        """Wake whoever waits for these sites. From any thread."""
        with self._lock:
            waiters = [waiter for site in sites for waiter in self._lines.get(site, ())]
        _tell(waiters, "rung")

    def close(self) -> None:
        """Answer every waiting poll and let none wait from now on, so that a stop need not wait for them."""
        with self._lock:
            self._closed = True
            waiters = [waiter for line in self._lines.values() for waiter in line]
        _tell(waiters, "closed")

    def open(self) -> None:
        """Let polls wait again after a `close` (a server started anew in the same process)."""
        with self._lock:
            self._closed = False

    def waiting(self) -> int:
        """How many polls wait now."""
        with self._lock:
            return sum(map(len, self._lines.values()))


def _tell(waiters: list[Waiter], why: str) -> None:
    for waiter in waiters:
        try:
            waiter.loop.call_soon_threadsafe(waiter.wake, why)
        except RuntimeError:
            continue  # that loop is closed: its poll has gone with it

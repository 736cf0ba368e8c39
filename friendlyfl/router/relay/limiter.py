"""How fast an asker may be: token buckets in memory, one per site or address.

Kept per worker and forgotten at a restart on purpose: a limiter protects this process and decides nothing else.

What does not live here: sizes (core.limits, body) and places in the line of polls (bell).
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from friendlyfl.core import limits
from friendlyfl.router.relay.errors import NOBODY, Refusal

REMEMBERED = 20_000  # buckets; the ones unused for longest are forgotten, which only ever refills them


class Buckets:
    """One bucket per key, `burst` deep, refilled at `rate` a second."""

    def __init__(self, burst: float, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._clock = burst, rate, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token: 0 when there was one, else the seconds until there will be."""
        now = self._clock()
        level, then = self._levels.get(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate
        self._levels[key] = (level if wait else level - 1, now)
        self._levels.move_to_end(key)
        if len(self._levels) > REMEMBERED:
            self._levels.popitem(last=False)
        return wait

    def empty(self, key: str) -> bool:
        """Whether the next take would be refused; takes nothing."""
        level, then = self._levels.get(key, (self._burst, 0.0))
        return level + (self._clock() - then) * self._rate < 1


class Limiter:
    """The relay's three limits: posts of a site, other requests of a site, requests without a credential."""

    def __init__(
        self,
        posts: tuple[float, float] = (limits.POSTS_BURST, limits.POSTS_PER_SECOND),
        requests: float = limits.REQUESTS_PER_SECOND,
        strangers: float = limits.STRANGERS_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.posts = Buckets(*posts, clock)
        self.requests = Buckets(requests, requests, clock)
        self.strangers = Buckets(strangers, strangers, clock)

    def post(self, site: str) -> None:
        """Count one message posted by a site."""
        _refuse_after(self.posts.take(site))

    def request(self, site: str) -> None:
        """Count any other request of a site."""
        _refuse_after(self.requests.take(site))

    def stranger(self, address: str) -> None:
        """Count one request that brought no valid credential."""
        _refuse_after(self.strangers.take(address))


def _refuse_after(seconds: float) -> None:
    if seconds > 0:
        raise Refusal(
            429,
            "too_fast",
            "That was too many requests at once. The Controller slows down and goes on by itself.",
            who=NOBODY,
            retry_after=max(1, math.ceil(seconds)),
        )

"""What may go wrong in a `MemoryHouse`: the test says it, or draws it from its own seed.

The house asks once for each request and once for each message and reader, in the order of events, so one seed
in one thread always gives the same history. There is no randomness outside the seed.
"""

from dataclasses import dataclass
from enum import Enum
from random import Random


class Mishap(Enum):
    LOSE_REQUEST = "the request never arrives"
    LOSE_ANSWER = "the request is done, its answer never arrives"
    REPEAT = "the reader gets the message twice"
    REORDER = "the reader gets the message after the next one"
    DELAY = "the reader gets the message some polls later"
    CORRUPT = "the reader gets a copy with one bit changed, then the good one"


ON_THE_WAY = (Mishap.LOSE_REQUEST, Mishap.LOSE_ANSWER)
IN_THE_BOX = (Mishap.REPEAT, Mishap.REORDER, Mishap.DELAY, Mishap.CORRUPT)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a schedule may look at: one message on its way to one reader."""

    id: str
    type: str
    sender: str
    reader: str


class Faults:
    """The schedule without faults; a test overrides what it needs."""

    def on_request(self, site: str, method: str, path: str) -> Mishap | None:
        """LOSE_REQUEST, LOSE_ANSWER or nothing."""
        return None

    def on_delivery(self, letter: Letter) -> frozenset[Mishap]:
        return frozenset()

    def polls(self, letter: Letter) -> int:
        """How many polls of its reader a delayed message waits."""
        return 2

    def flip(self, letter: Letter, parts: int) -> tuple[int, float]:
        """Which part of the message is changed, and at which share of its length."""
        return 0, 0.5


class SeededFaults(Faults):
    """Draws each mishap with its own chance, e.g. `SeededFaults(7, {Mishap.REPEAT: 0.2})`."""

    def __init__(self, seed: int, chances: dict[Mishap, float]) -> None:
        self._draw = Random(seed)  # noqa: S311  # a schedule, not a secret
        self._chances = chances

    def _happens(self, mishap: Mishap) -> bool:
        return self._draw.random() < self._chances.get(mishap, 0.0)

    def on_request(self, site: str, method: str, path: str) -> Mishap | None:
        drawn = [mishap for mishap in ON_THE_WAY if self._happens(mishap)]
        return drawn[0] if drawn else None

    def on_delivery(self, letter: Letter) -> frozenset[Mishap]:
        return frozenset(mishap for mishap in IN_THE_BOX if self._happens(mishap))

    def polls(self, letter: Letter) -> int:
        return self._draw.randint(1, 4)

    def flip(self, letter: Letter, parts: int) -> tuple[int, float]:
        return self._draw.randrange(parts), self._draw.random()

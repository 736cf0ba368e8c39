"""The check of the ledger's whole chain, beside the pages: every hash is computed again, which takes seconds for long
ledgers. What a line's hash covers is ledger's.
"""

from dataclasses import dataclass

from friendlyfl.controller import ledger
from friendlyfl.controller.beside import Beside, Work
from friendlyfl.controller.models import Departure

BREAKS = 20  # that are named: one is reason enough to call for help
checks = Beside("ledger")
_KEY = "chain"


@dataclass(frozen=True)
class Chain:
    """What was found. `end` is the hash of the last line."""

    lines: int
    breaks: list[tuple[int, str]]
    end: str

    @property
    def unbroken(self) -> bool:
        return not self.breaks


def begin() -> Work:
    """Compute the chain again; a check that is under way goes on."""
    checks.again(_KEY)
    return checks.ask(_KEY, _check)


def last() -> Work | None:
    """The check that is under way, or the one that was done last since this process began."""
    return checks.seen(_KEY)


def _check(work: Work) -> Chain:
    count = Departure.objects.count()
    walk = ledger.Walk()
    for line in walk.all():
        work.share = min(line / max(count, 1), 1.0)
    return Chain(walk.lines, walk.breaks[:BREAKS], walk.before)

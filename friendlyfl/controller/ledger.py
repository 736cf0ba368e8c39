"""The ledger of departures: one line for everything that leaves this hospital, each holding the hash of the last.

Lines are written in the transaction that queues the post, so what has no line cannot leave. Nothing here decides
whether something may leave; that is disclosure's and approval's business.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from friendlyfl.controller import rows
from friendlyfl.controller.models import Departure
from friendlyfl.wire import canonical

HASHED = (
    "n", "at", "project", "run", "step", "round", "type", "to", "what", "numbers", "bytes", "rows", "rules",
    "secure_sum", "approval", "plain_sha256", "sealed_sha256", "msg", "before",
)  # fmt: skip
FIRST = "0" * 64


@dataclass(frozen=True)
class Leaving:
    """What a line says beside the facts of the envelope."""

    what: str
    numbers: int = 0
    rows: int | None = None
    rules: str = ""
    approval: str = ""


def write(leaving: Leaving, **facts: Any) -> Departure:
    """Append one line; call inside the transaction that queues the post."""
    last = rows.first(Departure, "-n")
    line = Departure(
        n=last.n + 1 if last else 1,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        before=last.hash if last else FIRST,
        what=leaving.what,
        numbers=leaving.numbers,
        rows=leaving.rows,
        rules=leaving.rules,
        approval=leaving.approval,
        **facts,
    )
    line.hash = line_hash(line)
    return rows.insert(line)


def line_hash(line: Departure) -> str:
    return canonical.digest("departure", canonical.dumps({name: getattr(line, name) for name in HASHED}))


@dataclass
class Walk:
    """One walk along the whole chain, computing every hash again: `breaks` are (line number, what is wrong there)."""

    lines: int = 0
    before: str = FIRST  # the hash of the line read last
    breaks: list[tuple[int, str]] = field(default_factory=list)

    def all(self) -> Iterator[int]:
        """Read every line; yields how many are read."""
        expected = 1
        for line in Departure.objects.order_by("n").iterator():
            if line.n != expected:
                self.breaks.append((line.n, f"lines {expected} to {line.n - 1} are missing"))
            if line.before != self.before:
                self.breaks.append((line.n, "it does not follow the line before it"))
            if line.hash != line_hash(line):
                self.breaks.append((line.n, "it was changed after it was written"))
            self.before, expected = line.hash, line.n + 1
            self.lines += 1
            yield self.lines


def breaks() -> list[tuple[int, str]]:
    """Each place where the chain does not hold; none when it is unbroken."""
    walk = Walk()
    for _ in walk.all():
        continue
    return walk.breaks


def lines() -> Iterator[dict[str, Any]]:
    """The ledger as plain rows, oldest first, for files and tables."""
    for line in Departure.objects.order_by("n").iterator():
        yield {name: getattr(line, name) for name in (*HASHED, "hash")}

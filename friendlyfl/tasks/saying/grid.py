"""What a table is made of, and how a number of people that is hidden reads in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from friendlyfl.tasks.saying.pieces import Piece, Said

SMALL = Said("hidden: fewer than 5")
SMALL_NOTE = Said(
    "Hidden: at a hospital fewer than 5 people are counted there, or the number would give such a small one away"
)


@dataclass(frozen=True)
class Heading:
    words: Piece
    number: bool = False


@dataclass(frozen=True)
class Shown:
    """One table. `name` is that of its file; `aside` tells of one that few readers look for."""

    name: str
    title: Piece
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Piece]]
    under: Sequence[Piece] = field(default_factory=tuple)
    aside: bool = False

    @property
    def hides(self) -> bool:
        return any(cell is SMALL for row in self.rows for cell in row)

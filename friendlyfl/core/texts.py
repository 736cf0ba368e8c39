"""How texts are marked that a face shows in another language: English here, translated there.

A text that depends on a number has both forms that English has, and all such texts stand here, since a face finds the
two forms of a sentence by looking at this list.
"""

from dataclasses import dataclass
from typing import Any


def translatable(text: str) -> str:
    """Mark a text for translation where nothing else shows that it is one; faces translate."""
    return text


@dataclass(frozen=True)
class Counted:
    """`one` and `many` hold the place {n}, and further ones with names."""

    one: str
    many: str

    def __call__(self, n: int, **values: Any) -> str:
        return (self.one if n == 1 else self.many).format(n=f"{n:,}", **values)


HOSPITALS = Counted("{n} hospital", "{n} hospitals")
TABLES = Counted("{n} table", "{n} tables")
EXCHANGES = Counted("{n} exchange", "{n} exchanges")
ROUNDS = Counted("{n} round", "{n} rounds")
ROWS = Counted("{n} row", "{n} rows")
PATIENTS = Counted("{n} patient", "{n} patients")
EVENTS = Counted("{n} event", "{n} events")
CLUSTERS = Counted("{n} cluster", "{n} clusters")
LEFT_OUT = Counted(
    "{n} patient was left out for missing values.", "{n} patients were left out for missing values."
)
HIDDEN = Counted(
    "{n} number of people: too small to show at a hospital, or giving such a number away",
    "{n} numbers of people: too small to show at a hospital, or giving such a number away",
)
EVERY = tuple(value for value in list(globals().values()) if isinstance(value, Counted))

"""What a line of the ledger says in full: the numbers that left, for this hospital's own people, and files of lines.

The numbers are read from the bytes that were sealed, as long as this site keeps them. The chain itself is ledger's.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from django.db.models import QuerySet

from friendlyfl.controller import contents, here, ledger
from friendlyfl.controller.models import Departure
from friendlyfl.core.errors import WireError
from friendlyfl.core.limits import MIB
from friendlyfl.tasks.disclosure import HIDDEN
from friendlyfl.wire import canonical, codec
from friendlyfl.wire.update import Update

OPENED = 64 * MIB  # larger contents are not read for a page
ROWS, COLUMNS = 20, 12  # of an array, shown
BATCH = 1000
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for one
SIGNED = "ledger"


@dataclass(frozen=True)
class Numbers:
    """One array of a message: its first rows, each value as text; None where a small group is hidden."""

    name: str
    shape: tuple[int, ...]
    rows: list[list[str | None]]
    whole: bool  # nothing was cut off

    @property
    def single(self) -> str | None:
        return self.rows[0][0] if not self.shape else ""


@dataclass(frozen=True)
class Opened:
    """The content of a message."""

    numbers: list[Numbers] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)


def kept(line: Departure) -> bytes | None:
    """The bytes of a line's message as they were before they were sealed; None if they are no longer here."""
    if not line.plain_sha256:
        return None
    try:
        if contents.size(line.plain_sha256) > OPENED:
            return None
        return contents.read(line.plain_sha256)
    except OSError:
        return None


def opened(line: Departure) -> Opened | None:
    """The numbers that left with a line; None if they are no longer here."""
    raw = kept(line)
    if raw is None:
        return None
    try:
        if line.type == "update":
            return Opened(_arrays(Update.from_bytes(raw).decoded()))
        found = codec.decode(raw, limit=OPENED)
    except WireError:
        return None
    arrays, values = {}, []
    for name, value in _flat(found):
        if isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            values.append((name, value if isinstance(value, str) else json.dumps(value)))
    return Opened(_arrays(arrays), values)


def _flat(found: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        elif isinstance(value, list) and any(isinstance(item, (dict, list, np.ndarray)) for item in value):
            yield from _flat({str(place): item for place, item in enumerate(value)}, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _arrays(found: dict[str, Any]) -> list[Numbers]:
    shown = []
    for name, array in found.items():
        if name.startswith(HIDDEN):
            continue
        hidden = found.get(HIDDEN + name)
        shown.append(_numbers(name, np.asarray(array), None if hidden is None else np.asarray(hidden)))
    return shown


def _numbers(name: str, array: Any, hidden: Any) -> Numbers:
    flat = array.reshape(-1, array.shape[-1]) if array.ndim > 1 and array.size else array.reshape(-1, 1)
    masked = np.zeros(flat.shape) if hidden is None else np.asarray(hidden).reshape(flat.shape)
    rows: list[list[str | None]] = [
        [
            None if masked[row, column] else f"{flat[row, column]:.15g}"
            for column in range(min(flat.shape[1], COLUMNS))
        ]
        for row in range(min(len(flat), ROWS))
    ]
    return Numbers(name, array.shape, rows, len(flat) <= ROWS and flat.shape[1] <= COLUMNS)


# --- files ---


def as_csv(lines: QuerySet[Departure]) -> Iterator[str]:
    """The lines as a CSV file, oldest first, some at a time."""
    yield _written([(*ledger.HASHED, "hash")])
    for some in _batches(lines):
        yield _written([cells(line) for line in some])


def cells(line: Departure) -> list[str]:
    """A line as cells of a table, none of which a spreadsheet would compute."""
    shown = []
    for name in (*ledger.HASHED, "hash"):
        value = getattr(line, name)
        text = " ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        shown.append(f"'{text}" if text.startswith(FORMULA) else text)
    return shown


def _written(rows: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def as_json(lines: QuerySet[Departure]) -> Iterator[str]:
    """The whole ledger as JSON, oldest first, with this site's signature under its last line: who holds the file can
    compute the chain again and sees that the site vouches for its end."""
    last = lines.order_by("-n").first()
    end = {"site": here.site(), "n": last.n if last else 0, "hash": last.hash if last else ledger.FIRST}
    key = here.keys().identity
    signature = key.sign(SIGNED, canonical.dumps(end))
    head = {
        "schema": 1,
        "name": here.identity().name,
        "fingerprint": key.fingerprint,
        "public_key": canonical.b64(key.public),
        "end": end,
        "signature": canonical.b64(signature),
    }
    yield json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "lines": ['
    before = "\n"
    for some in _batches(lines.filter(n__lte=end["n"])):
        rows = (
            json.dumps({name: getattr(line, name) for name in (*ledger.HASHED, "hash")}, ensure_ascii=False)
            for line in some
        )
        yield "".join(
            chain.from_iterable((sign, row) for sign, row in zip(_signs(before), rows, strict=False))
        )
        before = ",\n"
    yield "\n ]\n}\n"


def _signs(first: str) -> Iterator[str]:
    yield first
    while True:
        yield ",\n"


def _batches(lines: QuerySet[Departure]) -> Iterator[list[Departure]]:
    """By the number of the last line read, so that nothing is held open while somebody downloads slowly."""
    n = 0
    while some := list(lines.filter(n__gt=n).order_by("n")[:BATCH]):
        yield some
        n = some[-1].n

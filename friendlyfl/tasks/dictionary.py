"""The data dictionary: what every column means, its levels in order, its range and its grid.

It is part of the plan, so columns of a design, levels and their order come from here and never from a site's own
values. Reading files is in `source`, a site's own names for columns in `mapping`, guessing a dictionary in `infer`.
"""

from __future__ import annotations

import datetime as dt
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from friendlyfl.core.errors import UsageError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SITE = ".site"  # the built-in factor: the site's number in the plan
TYPES = ("integer", "number", "factor", "date", "text")
ALIASES = {"numeric": "number", "ordered": "factor"}
GRID_POINTS = 4_000_000  # a finer grid would make an Update too large to send
SMALLEST_SCALE = 2.0**-256  # so that the product of a few scales is a number
EPOCH = dt.date(1970, 1, 1)
KNOWN_KEYS = {"type", "label", "unit", "levels", "range", "step", "ordered", "grid"}


@dataclass(frozen=True)
class ColumnSpec:
    """One column of the dictionary. `low` and `high` are numbers; of a date they count days since 1970-01-01."""

    name: str
    type: str
    label: str = ""
    unit: str = ""
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    ordered: bool = False
    listed: tuple[float, ...] = ()  # a grid given point by point, for values on no regular grid
    extra: Mapping[str, Any] = field(default_factory=dict)  # unknown keys are kept and ignored

    @property
    def is_number(self) -> bool:
        return self.type in ("integer", "number")

    @property
    def is_yes_no(self) -> bool:
        """0 and 1, or a factor with two levels of which the second is yes."""
        if self.type == "factor":
            return len(self.levels) == 2
        if not self.is_number:
            return False
        return (self.low is None or self.low >= 0) and (self.high is None or self.high <= 1)

    @property
    def words(self) -> str:
        """The column as an axis or a table names it: its label, else its name, and its unit."""
        label = self.label or self.name
        return f"{label} ({self.unit})" if self.unit and self.unit.lower() not in label.lower() else label

    @property
    def has_grid(self) -> bool:
        return bool(self.listed) or None not in (self.low, self.high, self.step)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the groups this column can make: its levels, or each value of an integer's grid."""
        if self.type == "factor":
            return self.levels
        return tuple(f"{value:.0f}" for value in self.grid_values)

    @property
    def scale(self) -> float:
        """A power of two no smaller than the largest value allowed: dividing by it loses no bit.

        Below 1 where both bounds say so, for what is added keeps 64 bits behind the point: a value of 1e-9 would have
        few of them.
        """
        bounds = [abs(bound) for bound in (self.low, self.high) if bound is not None]
        if self.type in ("factor", "text") or not any(bounds):
            return 1.0
        scale: float = 2.0 ** min(math.ceil(math.log2(max(bounds))), 1023)
        return max(scale, SMALLEST_SCALE if len(bounds) == 2 else 1.0)

    @property
    def grid_size(self) -> int:
        if self.listed:
            return len(self.listed)
        if self.low is None or self.high is None or self.step is None:
            raise UsageError(
                "no_grid",
                f"The dictionary must give “{self.name}” a range and a step before its values can be counted.",
            )
        size = math.floor((self.high - self.low) / self.step + 1e-6) + 1
        if size > GRID_POINTS:
            raise UsageError(
                "grid_too_fine",
                f"“{self.name}” has more than {GRID_POINTS:,} possible values between {self.low:g} and {self.high:g}: "
                "give it a larger step in the dictionary.",
            )
        return size

    @cached_property
    def grid_values(self) -> Floats:
        """Every value the grid allows, each the double nearest to the number as a person writes it."""
        if self.listed:
            return np.asarray(self.listed, dtype=np.float64)
        index = np.arange(self.grid_size, dtype=np.float64)
        assert self.low is not None and self.step is not None
        low, step = Decimal(repr(self.low)), Decimal(repr(self.step))
        places = max(0, -_exponent(low), -_exponent(step))
        first, each, unit = low.scaleb(places), step.scaleb(places), 10.0**places
        if places > 22 or abs(first) + each * self.grid_size >= 2**53:
            return np.asarray(self.low + index * self.step)
        return np.asarray((float(first) + index * float(each)) / unit)  # whole numbers over 10^k: 3/10 is 0.3

    def grid_index(self, values: Floats) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """The place of every value on the grid, and which values are on it."""
        grid = self.grid_values
        if self.listed:
            index = np.clip(np.searchsorted(grid, values), 0, len(grid) - 1).astype(np.int64)
            return index, np.asarray(grid[index] == values)
        assert self.low is not None and self.step is not None
        index = np.clip(np.rint((values - self.low) / self.step), 0, len(grid) - 1).astype(np.int64)
        close = np.abs(grid[index] - values) <= 1e-6 * self.step + 1e-14 * np.abs(values)
        return index, np.asarray(close)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a plan or a dictionary file."""
        value: dict[str, Any] = {**self.extra, "type": self.type}
        for key in ("label", "unit", "ordered"):
            if getattr(self, key):
                value[key] = getattr(self, key)
        if self.type == "factor":
            value["levels"] = list(self.levels)
        if self.low is not None or self.high is not None:
            value["range"] = [self._plain(self.low), self._plain(self.high)]
        if self.step is not None and self.type == "number":
            value["step"] = self.step
        if self.listed:
            value["grid"] = list(self.listed)
        return value

    def _plain(self, bound: float | None) -> Any:
        if bound is None:
            return None
        if self.type == "date":
            return (EPOCH + dt.timedelta(days=bound)).isoformat()
        return int(bound) if self.type == "integer" else bound


def _exponent(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # not NaN or infinity: parse refuses them
    return exponent


def days(text: str) -> float:
    """Days since 1970-01-01 of an ISO date."""
    if not isinstance(text, str):
        raise TypeError("a date is written as text")
    return float((dt.date.fromisoformat(text.strip()[:10]) - EPOCH).days)


def close_names(name: str, names: Mapping[str, Any] | tuple[str, ...] | list[str]) -> str:
    """“ Did you mean …?” or nothing: every face says it the same way."""
    found = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(f'“{n}”' for n in found)}?" if found else ""


class Dictionary(Mapping[str, ColumnSpec]):
    """Columns by name. `Dictionary.parse` reads what a file or a plan holds; `to_json` gives it back."""

    def __init__(self, columns: Mapping[str, ColumnSpec]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> ColumnSpec:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def spec(self, name: str) -> ColumnSpec:
        """The column, or a sentence with the names that come close."""
        if name not in self._columns:
            raise UsageError(
                "column_unknown", f"The dictionary has no column “{name}”.{close_names(name, self._columns)}"
            )
        return self._columns[name]

    def with_columns(self, columns: Mapping[str, ColumnSpec]) -> Dictionary:
        return Dictionary({**self._columns, **columns})

    def to_json(self) -> dict[str, Any]:
        return {name: spec.to_json() for name, spec in self._columns.items()}

    @classmethod
    def parse(cls, value: Any) -> Dictionary:
        """Read a dictionary; a file with a top-level `dictionary` key is read too."""
        if isinstance(value, Mapping) and isinstance(value.get("dictionary"), Mapping):
            value = value["dictionary"]
        if not isinstance(value, Mapping) or not value:
            raise UsageError(
                "dictionary_form", "The dictionary must be a JSON object with one entry for each column."
            )
        return cls({str(name): parse_column(str(name), entry) for name, entry in value.items()})


def parse_column(name: str, entry: Any) -> ColumnSpec:
    """One entry of a dictionary, or a sentence naming the column."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
        raise _wrong(name, "needs a type: integer, number, factor, date or text")
    if name.startswith("."):
        raise _wrong(
            name, "has a name that starts with a dot; such names are kept for built-in columns like .site"
        )
    kind = ALIASES.get(entry["type"], entry["type"])
    if kind not in TYPES:
        raise _wrong(
            name, f"has the type “{entry['type']}”; it must be integer, number, factor, date or text"
        )
    low, high = _range(name, kind, entry.get("range"))
    return ColumnSpec(
        name=name,
        type=kind,
        label=str(entry.get("label") or ""),
        unit=str(entry.get("unit") or ""),
        levels=_levels(name, entry.get("levels")) if kind == "factor" else (),
        low=low,
        high=high,
        step=_step(name, kind, entry.get("step")),
        ordered=entry["type"] == "ordered" or entry.get("ordered") is True,
        listed=_listed(name, kind, entry.get("grid")),
        extra={key: kept for key, kept in entry.items() if key not in KNOWN_KEYS},
    )


def _wrong(name: str, what: str) -> UsageError:
    return UsageError("dictionary_column", f"The dictionary's column “{name}” {what}.")


def _levels(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(v, (str, int, float)) for v in value):
        raise _wrong(name, "must list its levels as texts, the reference first")
    levels = tuple(v if isinstance(v, str) else level_text(v) for v in value)
    if len(set(levels)) != len(levels) or "" in levels:
        raise _wrong(name, "lists a level twice or an empty one")
    return levels


def level_text(value: Any) -> str:
    """A value as a level is written: 1 and 1.0 are “1”."""
    if isinstance(value, (bool, np.bool_)):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return f"{value:.0f}"
    return str(value).strip()


def _range(name: str, kind: str, value: Any) -> tuple[float | None, float | None]:
    if value is None or kind in ("factor", "text"):
        return None, None
    if not isinstance(value, list) or len(value) != 2:
        raise _wrong(name, "needs a range of two values, the smallest and the largest allowed")
    low, high = (None if bound is None else _bound(name, kind, bound) for bound in value)
    if low is not None and high is not None and low > high:
        raise _wrong(name, "has a range whose first value is larger than its second")
    return low, high


def _bound(name: str, kind: str, value: Any) -> float:
    if kind == "date":
        try:
            return days(value)
        except (ValueError, TypeError):
            raise _wrong(name, "needs dates written as 2024-12-31 in its range") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(name, "needs numbers in its range")
    if kind == "integer" and float(value) != math.floor(value):
        raise _wrong(name, "is an integer and needs whole numbers in its range")
    return float(value)


def _step(name: str, kind: str, value: Any) -> float | None:
    if kind in ("integer", "date"):
        return 1.0
    if value is None or kind != "number":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise _wrong(name, "needs a step above 0")
    return float(value)


def _listed(name: str, kind: str, value: Any) -> tuple[float, ...]:
    if value is None or kind not in ("integer", "number"):
        return ()
    if not isinstance(value, list) or not value or len(value) > GRID_POINTS:
        raise _wrong(name, "needs its grid as a list of numbers")
    points = tuple(_bound(name, kind, point) for point in value)
    if any(a >= b for a, b in itertools.pairwise(points)):
        raise _wrong(name, "needs its grid in rising order")
    return points

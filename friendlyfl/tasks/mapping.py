"""A site's own columns onto the agreed data dictionary: names, codes, units, and a few derivations. Pure.

A mapping is made and kept at the site; it never leaves. `apply` gives a table with the dictionary's names and
values, or a sentence that names the column and the rows. Such a sentence is for the site's own people.

What does not live here: reading files (source), the checks of a value against its column's type, levels and range
(values), versions of a mapping and who made it (the controller).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.alike import same_levels, same_names
from friendlyfl.tasks.dictionary import ColumnSpec, Dictionary, level_text
from friendlyfl.tasks.source import Source
from friendlyfl.tasks.values import (
    DataError,
    column_values,
    day_of,
    distinct,
    missing_column,
    number_of,
    rows_text,
)

VERSION = 1
COMPARISONS: dict[str, Callable[[Any, float], Any]] = {
    "at_least": lambda values, bound: values >= bound,
    "above": lambda values, bound: values > bound,
    "at_most": lambda values, bound: values <= bound,
    "below": lambda values, bound: values < bound,
}
BETWEEN = ("years_between", "days_between")
DERIVATIONS = (*BETWEEN, "year_of", *COMPARISONS)
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class ColumnMap:
    """How one column of the dictionary is made from the site's own.

    Steps, in this order: the values in `missing` become gaps; `derive` computes a new value; `recode` exchanges a
    value for a level or number (None: a gap); a number becomes `value * factor + offset`, rounded to `decimals`.
    """

    column: str
    missing: tuple[str, ...] = ()
    derive: str = ""  # one of DERIVATIONS
    to: str = ""  # the later date's column of years_between and days_between
    bound: float | None = None  # of at_least, above, at_most, below: 1 where it holds, else 0
    recode: AnyMapping[str, str | None] = field(default_factory=dict)
    factor: float = 1.0
    offset: float = 0.0
    decimals: int | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.column, self.to) if self.to else (self.column,)

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"column": self.column}
        if self.missing:
            value["missing"] = list(self.missing)
        for key in ("derive", "to"):
            if getattr(self, key):
                value[key] = getattr(self, key)
        if self.recode:
            value["recode"] = dict(self.recode)
        if self.bound is not None:
            value["bound"] = self.bound
        if (self.factor, self.offset) != (1.0, 0.0):
            value |= {"factor": self.factor, "offset": self.offset}
        if self.decimals is not None:
            value["decimals"] = self.decimals
        return value


@dataclass(frozen=True)
class Mapping:
    """One `ColumnMap` for each column of the dictionary that this site can give."""

    columns: AnyMapping[str, ColumnMap]

    @property
    def sources(self) -> tuple[str, ...]:
        """The site's columns that are needed: only these have to be read."""
        return tuple(dict.fromkeys(name for entry in self.columns.values() for name in entry.sources))

    def unmapped(self, dictionary: Dictionary) -> tuple[str, ...]:
        return tuple(name for name in dictionary if name not in self.columns)

    def to_json(self) -> dict[str, Any]:
        return {"v": VERSION, "columns": {name: entry.to_json() for name, entry in self.columns.items()}}

    @classmethod
    def from_json(cls, value: Any) -> Mapping:
        """Read what `to_json` gave; anything else is refused by a sentence."""
        if (
            not isinstance(value, dict)
            or set(value) != {"v", "columns"}
            or not isinstance(value["columns"], dict)
        ):
            raise UsageError("mapping_form", "A mapping is a JSON object with the keys “v” and “columns”.")
        if type(value["v"]) is not int or value["v"] != VERSION:
            raise UsageError(
                "mapping_form", f"This mapping has a version that is not known here: use {VERSION}."
            )
        return cls({name: _entry(name, entry) for name, entry in value["columns"].items()})


def _entry(name: str, value: Any) -> ColumnMap:
    known = {"column", "missing", "derive", "to", "bound", "recode", "factor", "offset", "decimals"}
    if not isinstance(value, dict) or not _text(value.get("column")):
        raise _wrong(name, "needs the name of a column of this hospital")
    if unknown := sorted(set(value) - known):
        raise _wrong(name, f"has the key “{unknown[0]}”, which is not known")
    recode, missing = value.get("recode", {}), value.get("missing", [])
    if not isinstance(recode, dict) or not all(level is None or _text(level) for level in recode.values()):
        raise _wrong(name, "needs a level or null for each value it recodes")
    if not isinstance(missing, list) or not all(map(_text, missing)):
        raise _wrong(name, "needs its missing codes as texts")
    decimals = value.get("decimals")
    if decimals is not None and (type(decimals) is not int or not 0 <= decimals <= 15):
        raise _wrong(name, "rounds to 0 to 15 decimals")
    bound = value.get("bound")
    entry = ColumnMap(
        column=value["column"],
        missing=tuple(missing),
        derive=value.get("derive", ""),
        to=value.get("to", ""),
        bound=None if bound is None else _number(name, "bound", bound),
        recode=recode,
        factor=_number(name, "factor", value.get("factor", 1.0)),
        offset=_number(name, "offset", value.get("offset", 0.0)),
        decimals=decimals,
    )
    _check_derivation(name, entry)
    return entry


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(name, f"needs a number as its {key}")
    return float(value)


def _check_derivation(name: str, entry: ColumnMap) -> None:
    if entry.derive and entry.derive not in DERIVATIONS:
        raise _wrong(name, f"can be derived by {', '.join(DERIVATIONS)}")
    if (entry.derive in BETWEEN) != _text(entry.to):
        raise _wrong(
            name, "needs two date columns, “column” and “to”, for years_between or days_between only"
        )
    if (entry.derive in COMPARISONS) != (entry.bound is not None):
        raise _wrong(name, f"needs a bound for {', '.join(COMPARISONS)} only")
    if entry.factor == 0.0:
        raise _wrong(name, "needs a factor other than 0")


def _wrong(name: str, what: str) -> UsageError:
    return UsageError("mapping_form", f"The mapping of “{name}” {what}.")


def identity_mapping(dictionary: Dictionary, source: Source | pd.DataFrame) -> Mapping:
    """A proposal: same name, else the only name that is the same but for capitals, blanks, dots and underscores.

    Levels that differ in capitals only are recoded. A person looks at it before it is used.
    """
    frame = source.frame if isinstance(source, Source) else source
    names = [str(name) for name in frame.columns]
    return Mapping(
        {
            name: ColumnMap(own, recode=_alike_levels(dictionary[name], frame[own]))
            for name, own in same_names(dictionary, names).items()
        }
    )


def _alike_levels(spec: ColumnSpec, series: pd.Series[Any]) -> dict[str, str | None]:
    if spec.type != "factor":
        return {}
    written = [level_text(value) for value in distinct(series)[1] if not pd.isna(value)]
    return dict(same_levels(spec.levels, written))


def apply(
    mapping: Mapping, frame: pd.DataFrame, dictionary: Dictionary, columns: Iterable[str] | None = None
) -> pd.DataFrame:
    """The site's table in the dictionary's terms: all mapped columns, or the named ones."""
    names = [name for name in dictionary if name in mapping.columns] if columns is None else list(columns)
    specs = [dictionary.spec(name) for name in dict.fromkeys(names)]
    return pd.DataFrame(
        {spec.name: _typed(values_of(mapping, frame, spec), spec) for spec in specs}, index=frame.index
    )


def problems(mapping: Mapping, frame: pd.DataFrame, dictionary: Dictionary) -> dict[str, str]:
    """What keeps columns from being used, a sentence each: everything at once, for a page that marks fields."""
    found = dict.fromkeys(mapping.unmapped(dictionary), "Choose a column of this hospital.")
    for name in mapping.columns:
        try:
            values_of(mapping, frame, dictionary.spec(name))
        except UsageError as error:
            found[name] = error.message
    return found


def values_of(mapping: Mapping, frame: pd.DataFrame, spec: ColumnSpec) -> NDArray[Any]:
    """One column in the dictionary's terms, as `values.column_values` gives it."""
    entry = mapping.columns.get(spec.name)
    if entry is None:
        raise DataError("column_missing", f"“{spec.name}” is not mapped to a column of this hospital.")
    for name in entry.sources:
        if name not in frame.columns:
            raise missing_column(name, [str(column) for column in frame.columns])
    series = _without_gaps(frame[entry.column], entry)
    if entry.derive:
        series = _derived(series, frame, entry, spec)
    if entry.recode:
        series = _recoded(series, entry)
    if (entry.factor, entry.offset, entry.decimals) != (1.0, 0.0, None):
        series = _converted(series, entry, spec)
    return column_values(series, spec)


def _texts(values: Sequence[Any] | NDArray[Any]) -> list[str]:
    """Values as a person writes them in a mapping: 1.0 is “1”, a date is 2024-12-31."""
    return [
        value.date().isoformat() if isinstance(value, pd.Timestamp) else level_text(value) for value in values
    ]


def _without_gaps(series: pd.Series[Any], entry: ColumnMap) -> pd.Series[Any]:
    if not entry.missing:
        return series
    gone = {level_text(code) for code in entry.missing}
    codes, values = distinct(series)
    hit = np.array([text in gone for text in _texts(values)] + [False], dtype=bool)
    return series.mask(hit[codes])


def _recoded(series: pd.Series[Any], entry: ColumnMap) -> pd.Series[Any]:
    codes, values = distinct(series)
    table = [entry.recode.get(text, value) for text, value in zip(_texts(values), values, strict=True)]
    return pd.Series(np.array([*table, None], dtype=object)[codes], index=series.index, name=series.name)


def _numbers(series: pd.Series[Any], name: str, what: str) -> NDArray[np.float64]:
    """As doubles, NaN where missing. `column_values` checks the final column; this is for what comes before."""
    if series.dtype == object or isinstance(series.dtype, pd.StringDtype):
        codes, values = distinct(series)
        read = [number_of(value) for value in values]
        table = np.array([np.inf if value is None else value for value in read] + [np.nan], dtype=np.float64)
        numbers = table[codes]
        if len(rows := np.flatnonzero(np.isinf(numbers))):
            raise DataError(
                "column_type", f"“{name}” holds something other than {what} in {rows_text(rows)}."
            )
        return numbers
    if not pd.api.types.is_numeric_dtype(series.dtype):
        raise DataError("column_type", f"“{name}” holds something other than {what}.")
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _dates(series: pd.Series[Any], name: str) -> NDArray[np.datetime64]:
    codes, values = distinct(series)
    read = [day_of(value) for value in values]
    bad = np.array([value is None for value in read] + [False], dtype=bool)[codes]
    if len(rows := np.flatnonzero(bad)):
        raise DataError("column_type", f"“{name}” holds something other than a date in {rows_text(rows)}.")
    table = np.array(
        [None if v is None else np.datetime64(int(v), "D") for v in read] + [None], "datetime64[D]"
    )
    return np.asarray(table[codes])


def _derived(
    series: pd.Series[Any], frame: pd.DataFrame, entry: ColumnMap, spec: ColumnSpec
) -> pd.Series[Any]:
    if entry.bound is not None:
        numbers = _numbers(series, entry.column, "a number")
        result = np.where(np.isnan(numbers), np.nan, COMPARISONS[entry.derive](numbers, entry.bound))
        return pd.Series(result, index=series.index)
    first = _dates(series, entry.column)
    if entry.derive == "year_of":
        years = first.astype("datetime64[Y]").astype(np.int64) + 1970.0
        return pd.Series(np.where(np.isnat(first), np.nan, years), index=series.index)
    second = _dates(_without_gaps(frame[entry.to], entry), entry.to)
    gap = np.isnat(first) | np.isnat(second)
    if entry.derive == "days_between":
        return pd.Series(np.where(gap, np.nan, (second - first) / _DAY), index=series.index)
    if len(rows := np.flatnonzero(~gap & (second < first))):
        raise DataError(
            "out_of_range", f"“{spec.name}”: “{entry.to}” is before “{entry.column}” in {rows_text(rows)}."
        )
    return pd.Series(np.where(gap, np.nan, _whole_years(first, second)), index=series.index)


def _whole_years(first: NDArray[np.datetime64], second: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Birthdays passed; a person born on 29 February has one on 1 March of other years."""

    def day_in_year(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
        months = dates.astype("datetime64[M]")
        days = (dates - months.astype("datetime64[D]")).astype(np.int64)
        return np.asarray((months.astype(np.int64) % 12) * 100 + days)

    years = second.astype("datetime64[Y]").astype(np.int64) - first.astype("datetime64[Y]").astype(np.int64)
    return np.asarray(years - (day_in_year(second) < day_in_year(first)))


def _converted(series: pd.Series[Any], entry: ColumnMap, spec: ColumnSpec) -> pd.Series[Any]:
    if not spec.is_number:
        raise DataError("column_type", f"“{spec.name}” is no number, so its unit cannot be converted.")
    numbers = _numbers(series, entry.column, "a number")
    if (entry.factor, entry.offset) != (1.0, 0.0):
        numbers = numbers * entry.factor + entry.offset
    if entry.decimals is not None:
        numbers = np.asarray([round(value, entry.decimals) for value in numbers.tolist()], dtype=np.float64)
    return pd.Series(numbers, index=series.index)


def _typed(values: NDArray[Any], spec: ColumnSpec) -> Any:
    """The column as a person would see it in a table."""
    if spec.type == "factor":
        return pd.array(np.array([*spec.levels, None], dtype=object)[values], dtype=pd.StringDtype("python"))
    if spec.type == "text":
        return pd.array(values, dtype=pd.StringDtype("python"))
    gaps = np.isnan(values)
    whole = np.where(gaps, 0, values)
    if spec.type == "integer":
        return pd.arrays.IntegerArray(whole.astype(np.int64), gaps)
    if spec.type == "date":
        dates = whole.astype(np.int64).astype("datetime64[D]")
        dates[gaps] = np.datetime64("NaT")
        return dates.astype("datetime64[s]")
    return values

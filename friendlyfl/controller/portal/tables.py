"""A dataset as its pages show it: columns in words, what was guessed, how far a reading is. No request here."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from friendlyfl.controller import readings
from friendlyfl.controller.models import Dataset, Reading
from friendlyfl.controller.portal.ours import ours
from friendlyfl.tasks.places import Place, shown

TYPES = {
    "integer": gettext_lazy("whole number"),
    "number": gettext_lazy("number"),
    "factor": gettext_lazy("categories"),
    "date": gettext_lazy("date"),
    "date d.m.Y": gettext_lazy("date, the day first"),
    "date m.d.Y": gettext_lazy("date, the month first"),
    "text": gettext_lazy("text"),
    "empty": gettext_lazy("empty"),
}
SHOWN_LEVELS = 8
SHOWN_ROWS = 10


@dataclass(frozen=True)
class Look:
    """One column of a dataset."""

    name: str
    type: str
    word: str
    corrected: bool
    n: int
    missing: int
    holds: str
    notes: list[str] = field(default_factory=list)


def columns(dataset: Dataset, values: bool) -> list[Look]:
    """`values`: for people who may look at single values of patients."""
    return [_look(column, dataset.corrections, values) for column in dataset.description.get("columns", ())]


def _look(column: dict[str, Any], corrections: dict[str, Any], values: bool) -> Look:
    name = column["name"]
    return Look(
        name=name,
        type=column["type"],
        word=str(TYPES[column["type"]]),
        corrected=name in corrections.get("types", {}) or name in corrections.get("missing", {}),
        n=column["n"],
        missing=column["missing"],
        holds=_holds(column) if values else "",
        notes=_notes(column, values),
    )


def _holds(column: dict[str, Any]) -> str:
    if column["type"] == "factor":
        levels = [value for value, _count in column.get("values", ())]
        more = len(levels) - SHOWN_LEVELS
        said = ", ".join(levels[:SHOWN_LEVELS])
        return _("%(levels)s and %(more)s more") % {"levels": said, "more": more} if more > 0 else said
    if "low" in column:
        low, high = (_number(column[bound]) for bound in ("low", "high"))
        return _("%(low)s to %(high)s") % {"low": low, "high": high}
    return ""


def _number(value: Any) -> str:
    if isinstance(value, str):
        return value
    return number_format(value, force_grouping=True) if isinstance(value, int) else f"{value:.6g}"


def _notes(column: dict[str, Any], values: bool) -> list[str]:
    """What a person should look at. Words of the reader quote values, so they are for those who may see them."""
    found = []
    if column["type"] == "empty":
        found.append(_("Empty: there is no value in any row."))
    if column.get("odd"):
        found.append(odd_words(column))
        if values:
            cells = dict.fromkeys(f"“{value}”" for _row, _line, value in column["odd"])
            found.append(_("What stands there: %(cells)s.") % {"cells": ", ".join(cells)})
    elif values:
        found += [ours(note) for note in column.get("notes", [])]
    return found


def odd_words(column: dict[str, Any]) -> str:
    """`Column “age” holds text in 3 rows (12, 40, 77).`"""
    count = column["odd_count"]
    rows = [str(row) for row, _line, _value in column["odd"][:SHOWN_ROWS]]
    return ngettext(
        "Column “%(name)s” holds text in %(count)s row (%(rows)s). Shown here only, never sent.",
        "Column “%(name)s” holds text in %(count)s rows (%(rows)s). Shown here only, never sent.",
        count,
    ) % {
        "name": column["name"],
        "count": number_format(count, force_grouping=True),
        "rows": ", ".join(rows) + (", …" if count > len(rows) else ""),
    }


def file_words(dataset: Dataset) -> list[str]:
    """What was guessed of the file itself."""
    said = dataset.description.get("file", dataset.description.get("guessed", ())[:1])
    return [ours(sentence) for sentence in said]


def where(dataset: Dataset) -> str:
    """Where the table lies, without a password."""
    if dataset.given_as:
        return _("A file that was given here: %(name)s") % {"name": dataset.given_as}
    return shown(dataset.path)


def is_text(dataset: Dataset) -> bool:
    """A text file: its separator, decimal sign and letters can be corrected."""
    return Place.of(dataset.path).kind == "csv"


def is_untyped(dataset: Dataset) -> bool:
    """Nothing in the file says which of day and month comes first."""
    return Place.of(dataset.path).kind in ("csv", "excel")


@dataclass(frozen=True)
class Progress:
    """A reading as a page shows it."""

    state: str  # live, done, failed, lost; "" for none
    percent: int = 0
    trouble: str = ""
    row: Reading | None = None

    @property
    def live(self) -> bool:
        return self.state == "live"


def progress(row: Reading | None) -> Progress:
    if row is None:
        return Progress("")
    if row.state == "live" and not readings.is_live(row):
        return Progress("lost", row=row)
    return Progress(row.state, round(row.share * 100), row.trouble, row)

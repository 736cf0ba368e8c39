"""The form that says how one column of a project's dictionary is made of this hospital's own.

Which fields there are follows from the column agreed on, and whose values are asked about from the own column chosen.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller.portal import tables
from friendlyfl.controller.portal.dictionary_forms import NUMBERS, number_of
from friendlyfl.controller.portal.forms import Plain

TEXT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
BETWEEN = ("years_between", "days_between")
COMPARISONS = ("at_least", "above", "at_most", "below")
NO_VALUE = "none"
DERIVED = {
    "years_between": (
        gettext_lazy("Whole years from one date to another"),
        gettext_lazy("whole years from “%(column)s” to “%(to)s”"),
    ),
    "days_between": (
        gettext_lazy("Days from one date to another"),
        gettext_lazy("days from “%(column)s” to “%(to)s”"),
    ),
    "year_of": (gettext_lazy("The year of a date"), gettext_lazy("year of “%(column)s”")),
    "at_least": (
        gettext_lazy("1 where it is at least the bound, else 0"),
        gettext_lazy("1 where “%(column)s” is at least %(bound)s, else 0"),
    ),
    "above": (
        gettext_lazy("1 where it is above the bound, else 0"),
        gettext_lazy("1 where “%(column)s” is above %(bound)s, else 0"),
    ),
    "at_most": (
        gettext_lazy("1 where it is at most the bound, else 0"),
        gettext_lazy("1 where “%(column)s” is at most %(bound)s, else 0"),
    ),
    "below": (
        gettext_lazy("1 where it is below the bound, else 0"),
        gettext_lazy("1 where “%(column)s” is below %(bound)s, else 0"),
    ),
}


class MapColumn(Plain):
    """`spec`: the column agreed on; `own`: this hospital's columns; `entry`: how it is made now, or None."""

    def __init__(
        self,
        *given: Any,
        spec: dict[str, Any],
        own: dict[str, dict[str, Any]],
        entry: dict[str, Any] | None,
        **named: Any,
    ) -> None:
        self.spec, self.own, self.made = spec, own, entry or {}
        names = list(own)
        start = {**self._start(names), **named.get("initial", {})}
        super().__init__(*given, **{**named, "initial": start})
        column = self.data.get("shown", start["column"]) if self.is_bound else start["column"]
        self.shown = column if column in own else ""
        self._add("column", _("Column of this hospital"), self._choices(_("This hospital does not have it")))
        self.fields["missing"] = _text(
            _("Codes for “no value” in it (optional)"),
            _("Beside those that hold for the whole dataset, with commas: 8, 9"),
        )
        self.values = list(own[self.shown].get("values", ())) if self.shown and self.recodes else []
        for place, (value, count) in enumerate(self.values):
            self._recode(place, value, count)
        if self.spec["type"] in NUMBERS:
            self._number_fields()

    @property
    def recodes(self) -> bool:
        """Values of the own column are exchanged: for categories, and for numbers that are words here."""
        kind = self.own.get(self.shown, {}).get("type")
        return self.spec["type"] == "factor" or (self.spec["type"] in NUMBERS and kind in ("factor", "text"))

    def _start(self, names: list[str]) -> dict[str, Any]:
        made, found = self.made, {}
        found["column"] = made.get("column", "") if made.get("column") in names else ""
        found["missing"] = ", ".join(made.get("missing", ()))
        for name in ("derive", "to"):
            found[name] = made.get(name, "")
        for name in ("bound", "factor", "offset", "decimals"):
            found[name] = "" if made.get(name) is None else f"{made[name]:g}"
        return found

    def _choices(self, none: str) -> list[tuple[str, str]]:
        named = [
            (name, f"{name} ({tables.TYPES[column['type']]})")
            for name, column in self.own.items()
            if column["type"] != "empty"
        ]
        return [("", none), *named]

    def _add(self, name: str, label: str, choices: list[tuple[str, Any]], hint: str = "") -> None:
        self.fields[name] = forms.ChoiceField(
            label=label,
            choices=choices,
            required=False,
            help_text=hint,
            error_messages={"invalid_choice": _("Choose one of the list.")},
        )

    def _recode(self, place: int, value: str, count: int) -> None:
        said = {"value": value, "count": number_format(count, force_grouping=True)}
        label = _("“%(value)s” (in %(count)s rows)") % said
        made = self.made.get("recode", {}) if self.made.get("column") == self.shown else {}
        name = f"recode_{place}"
        levels = self.spec.get("levels", [])
        if self.spec["type"] != "factor":
            self.fields[name] = _text(label)
            self.initial.setdefault(name, made.get(value) or "")
            return
        is_level = value in levels
        same = _("Stays “%(value)s”") % {"value": value} if is_level else _("Choose a category")
        others = [(str(number), level) for number, level in enumerate(levels) if level != value]
        self._add(name, label, [("", same), *others, (NO_VALUE, _("No value"))])
        if value in made:
            level = made[value]
            chosen = NO_VALUE if level is None else str(levels.index(level)) if level in levels else ""
        else:
            alike = [
                str(number) for number, level in enumerate(levels) if level.casefold() == value.casefold()
            ]
            chosen = alike[0] if len(alike) == 1 and not is_level else ""
        self.initial.setdefault(name, chosen)

    def _number_fields(self) -> None:
        none = [("", _("Nothing: its own value"))]
        derived = [(name, words) for name, (words, _long) in DERIVED.items()]
        self._add("derive", _("What is computed from it"), [*none, *derived])
        self._add(
            "to",
            _("The later date (for years and days only)"),
            self._choices(_("None")),
        )
        self.fields["bound"] = _text(_("The bound (for “at least” and the like only)"))
        self.fields["factor"] = _text(
            _("Another unit: times (optional)"), _("0.4536 makes kilograms of pounds.")
        )
        self.fields["offset"] = _text(_("Another unit: plus (optional)"))
        self.fields["decimals"] = _text(_("Rounded to this many decimals (optional)"))

    # --- what was sent ---

    @property
    def is_only_shown(self) -> bool:
        """Another own column was chosen, whose values have to be looked at before it is kept."""
        column = self.cleaned_data["column"]
        if (
            not column
            or column == self.shown
            or self.spec["type"] != "factor"
            or self.cleaned_data.get("derive")
        ):
            return False
        values = [value for value, _count in self.own[column].get("values", ())]
        return any(value not in self.spec.get("levels", ()) for value in values)

    def for_the_column(self) -> MapColumn:
        """The form again, about the column that was chosen."""
        chosen = self.cleaned_data["column"]
        return MapColumn(spec=self.spec, own=self.own, entry={"column": chosen})

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        self._clean_numbers(found)
        derive = found.get("derive", "")
        if derive in BETWEEN and not found.get("to"):
            self.add_error("to", _("Choose the later date."))
        if derive in COMPARISONS and found.get("bound") is None and "bound" not in self.errors:
            self.add_error("bound", _("Write the bound, such as 38.5."))
        if found.get("factor") == 0:
            self.add_error("factor", _("Write a number other than 0."))
        if found.get("column") == self.shown and not derive:
            gone = _codes(found.get("missing", ""))
            for place, (value, _count) in enumerate(self.values):
                self._clean_recode(found, place, value, gone)
        return found

    def _clean_numbers(self, found: dict[str, Any]) -> None:
        for name in ("bound", "factor", "offset", "decimals"):
            text = found.get(name, "")
            number = number_of(text)
            if text and number is None:
                self.add_error(name, _("Write a number, such as 1.5."))
            elif name in self.fields:
                found[name] = number
        decimals = found.get("decimals")
        if isinstance(decimals, float) or (decimals is not None and decimals not in range(16)):
            self.add_error("decimals", _("Write a whole number from 0 to 15."))

    def _clean_recode(self, found: dict[str, Any], place: int, value: str, gone: list[str]) -> None:
        name = f"recode_{place}"
        if self.spec["type"] != "factor":
            if found.get(name) and number_of(found[name]) is None:
                self.add_error(name, _("Write a number, such as 1."))
        elif not (
            found.get(name) or value in self.spec.get("levels", ()) or value in gone or self.errors.get(name)
        ):
            self.add_error(name, _("Choose a category for “%(value)s”, or no value.") % {"value": value})

    def entry(self) -> dict[str, Any] | None:
        """The column as a mapping holds it; None when this hospital does not have it."""
        found = self.cleaned_data
        if not found["column"]:
            return None
        entry: dict[str, Any] = {"column": found["column"]}
        if codes := _codes(found["missing"]):
            entry["missing"] = codes
        if derive := found.get("derive"):
            entry["derive"] = derive
            if derive in BETWEEN:
                entry["to"] = found["to"]
            if derive in COMPARISONS:
                entry["bound"] = float(found["bound"])
        elif recode := self._recoded():
            entry["recode"] = recode
        if found.get("factor") is not None:
            entry["factor"] = float(found["factor"])
        if found.get("offset") is not None:
            entry["offset"] = float(found["offset"])
        if found.get("decimals") is not None:
            entry["decimals"] = int(found["decimals"])
        return entry

    def _recoded(self) -> dict[str, str | None]:
        if self.cleaned_data["column"] != self.shown:
            return {}
        recode: dict[str, str | None] = {}
        for place, (value, _count) in enumerate(self.values):
            chosen = self.cleaned_data.get(f"recode_{place}", "")
            if not chosen:
                continue
            if self.spec["type"] != "factor":
                recode[value] = f"{number_of(chosen):g}"
            else:
                recode[value] = None if chosen == NO_VALUE else self.spec["levels"][int(chosen)]
        return recode

    # --- parts of the page ---

    def first(self) -> list[forms.BoundField]:
        return [self["column"], self["missing"]]

    def recode_fields(self) -> list[forms.BoundField]:
        return [self[f"recode_{place}"] for place in range(len(self.values))]

    def number_fields(self) -> list[forms.BoundField]:
        names = ("derive", "to", "bound", "factor", "offset", "decimals")
        return [self[name] for name in names if name in self.fields]

    @property
    def computes(self) -> bool:
        """Something of the second part is filled in or wrong, so it is shown open."""
        return any(field.value() or field.errors for field in self.number_fields())


def _text(label: str, hint: str = "") -> forms.CharField:
    return forms.CharField(
        label=label, help_text=hint, required=False, max_length=200, widget=forms.TextInput(attrs=TEXT)
    )


def _codes(text: str) -> list[str]:
    return [code.strip() for code in text.split(",") if code.strip()]

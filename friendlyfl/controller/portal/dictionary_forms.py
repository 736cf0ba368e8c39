"""Forms about the data dictionary: one column, and columns taken from a dataset of this hospital."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller.models import Dataset
from friendlyfl.controller.portal import tables
from friendlyfl.controller.portal.forms import Plain

TEXT = {"autocomplete": "off", "spellcheck": "false"}
NUMBERS = ("integer", "number")
KINDS = [
    ("", gettext_lazy("Choose a type")),
    ("integer", gettext_lazy("Whole number")),
    ("number", gettext_lazy("Number")),
    ("factor", gettext_lazy("Categories")),
    ("date", gettext_lazy("Date")),
    ("text", gettext_lazy("Text")),
]


class AgreedColumn(Plain):
    """One column as all hospitals mean it."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        help_text=gettext_lazy("Short, as it stands in results: age, smoker, length_of_stay"),
        error_messages={"required": gettext_lazy("Give the column a name.")},
        max_length=100,
        widget=forms.TextInput(attrs={**TEXT, "autocapitalize": "none"}),
    )
    label = forms.CharField(
        label=gettext_lazy("Meaning (optional)"),
        help_text=gettext_lazy("In words, as tables and figures name it: Age at admission"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Type"),
        choices=KINDS,
        error_messages={"required": gettext_lazy("Choose a type.")},
    )
    unit = forms.CharField(
        label=gettext_lazy("Unit (numbers only, optional)"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs=TEXT),
    )
    levels = forms.CharField(
        label=gettext_lazy("Categories (categories only)"),
        help_text=gettext_lazy("One a line. The first is the one that others are compared with."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, **TEXT}),
    )
    ordered = forms.BooleanField(
        label=gettext_lazy("The categories have an order, from low to high"), required=False
    )
    low = forms.CharField(
        label=gettext_lazy("Smallest allowed (numbers and dates, optional)"),
        help_text=gettext_lazy("A value below it is an error in any hospital. Dates as 2024-12-31."),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs=TEXT),
    )
    high = forms.CharField(
        label=gettext_lazy("Largest allowed (numbers and dates, optional)"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs=TEXT),
    )
    step = forms.CharField(
        label=gettext_lazy("Step between values (numbers only, optional)"),
        help_text=gettext_lazy("0.1 for one decimal. Medians and quartiles need it."),
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs=TEXT),
    )

    @staticmethod
    def start(name: str, entry: dict[str, Any]) -> dict[str, Any]:
        """What the fields hold for a column that is there."""
        low, high = entry.get("range") or (None, None)
        return {
            "name": name,
            "label": entry.get("label", ""),
            "type": entry["type"],
            "unit": entry.get("unit", ""),
            "levels": "\n".join(entry.get("levels", ())),
            "ordered": entry.get("ordered", False),
            "low": "" if low is None else low,
            "high": "" if high is None else high,
            "step": entry.get("step", ""),
        }

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        kind = found.get("type")
        if kind == "factor" and not self._levels():
            self.add_error("levels", _("Name the categories, one a line."))
        if kind in NUMBERS:
            for name in ("low", "high", "step"):
                text = found.get(name, "")
                number = number_of(text)
                if text and number is None:
                    self.add_error(name, _("Write a number, such as 1.5."))
                else:
                    found[name] = number
        return found

    def _levels(self) -> list[str]:
        lines = self.cleaned_data.get("levels", "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def entry(self) -> tuple[str, dict[str, Any]]:
        """The name, and the column as a dictionary holds it; what another type would need is left out."""
        found = self.cleaned_data
        kind = found["type"]
        entry: dict[str, Any] = {"type": kind, "label": found["label"]}
        if kind in NUMBERS:
            entry["unit"] = found["unit"]
        if kind == "factor":
            entry |= {"levels": self._levels(), "ordered": found["ordered"]}
        low, high = found["low"], found["high"]
        if kind in (*NUMBERS, "date") and (low not in ("", None) or high not in ("", None)):
            entry["range"] = [None if bound in ("", None) else bound for bound in (low, high)]
        if kind == "number" and found["step"]:
            entry["step"] = found["step"]
        return found["name"].strip(), entry


def number_of(text: str) -> int | float | None:
    """A number as it is typed, with a point or a comma."""
    try:
        value = float(text.replace(",", ".").replace("−", "-"))
    except ValueError:
        return None
    if value != value or value in (float("inf"), float("-inf")):
        return None
    return int(value) if value.is_integer() else value


class TakeColumns(Plain):
    """Columns of a dataset that the dictionary does not have yet."""

    def __init__(self, *given: Any, dataset: Dataset, known: dict[str, Any], **named: Any) -> None:
        super().__init__(*given, **named)
        self.own = [
            (str(place), look)
            for place, look in enumerate(tables.columns(dataset, True))
            if look.name not in known
        ]
        self.fields["columns"] = forms.MultipleChoiceField(
            label=_("Columns"),
            choices=[(place, look.name) for place, look in self.own],
            error_messages={"required": _("Choose at least one column.")},
            widget=forms.CheckboxSelectMultiple,
        )

    def rows(self) -> list[dict[str, Any]]:
        chosen = self["columns"].value() or []
        return [{"place": place, "look": look, "chosen": place in chosen} for place, look in self.own]

    def names(self) -> list[str]:
        by_place = {place: look.name for place, look in self.own}
        return [by_place[place] for place in self.cleaned_data["columns"]]

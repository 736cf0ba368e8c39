"""Forms about a table: giving one, correcting what was guessed of it, choosing the project it serves."""

from pathlib import Path
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller.models import Dataset, Project
from friendlyfl.controller.portal import tables
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.places import has_password, with_password

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
SEPARATORS = {
    "": gettext_lazy("As guessed"),
    ",": gettext_lazy("Commas"),
    ";": gettext_lazy("Semicolons"),
    "\t": gettext_lazy("Tabs"),
    "|": gettext_lazy("Vertical bars"),
}
DECIMALS = {
    "": gettext_lazy("As guessed"),
    ".": gettext_lazy("A point, as in 1.5"),
    ",": gettext_lazy("A comma, as in 1,5"),
}
ENCODINGS = {
    "": gettext_lazy("As guessed"),
    "utf-8": gettext_lazy("UTF-8"),
    "cp1252": gettext_lazy("Windows-1252 (Latin-1)"),
    "utf-16": gettext_lazy("UTF-16"),
}


class AddDataset(Plain):
    """A file of this desk, or a place that the Controller can read."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        help_text=gettext_lazy("What this hospital calls the table. Other hospitals do not see it."),
        error_messages={"required": gettext_lazy("Give the dataset a name.")},
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    missing = forms.CharField(
        label=gettext_lazy("Codes for “no value” (optional)"),
        help_text=gettext_lazy(
            "What is written beside an empty cell where a value is missing, with commas: NA, -9"
        ),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=PLAIN),
    )
    file = forms.FileField(label=gettext_lazy("Choose a file"), required=False, allow_empty_file=True)
    sheet = forms.CharField(
        label=gettext_lazy("Sheet (Excel only, optional)"),
        help_text=gettext_lazy("Without a name the first visible sheet is read."),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs=PLAIN),
    )
    where = forms.CharField(
        label=gettext_lazy("Place of the file, or address of the database"),
        help_text=gettext_lazy(
            "For instance /data/patients.csv, /data/patients.xlsx#Baseline, sqlite:////data/icu.db#stays or "
            "postgresql://reader@db.example.org/registry#patients"
        ),
        required=False,
        max_length=4000,
        widget=forms.TextInput(attrs=PLAIN),
    )
    password = forms.CharField(
        label=gettext_lazy("Password of the database (optional)"),
        help_text=gettext_lazy(
            "It is kept in this hospital's own folder, which only the Controller may read, and never shown."
        ),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    upload_trouble = ""

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        file, where = found.get("file"), found.get("where")
        if self.upload_trouble:
            self.add_error("file", self.upload_trouble)
        elif "file" not in self.errors and not file and not where:
            self.add_error("file", _("Choose a file, or say below where the table lies."))
        elif file and where:
            self.add_error("where", _("Choose a file or give a place, not both."))
        elif file is not None and file is not False and not file.size:
            self.add_error("file", _("The file is empty. Choose a file with a header line and rows."))
        if where and has_password(where):
            self.add_error("where", _("Leave the password out of the address: it has a field of its own."))
            self.data = {**self.data.dict(), "where": ""}  # type: ignore[attr-defined]  # never shown again
        elif where and found.get("password"):
            try:
                found["where"] = with_password(where, found["password"])
            except UsageError as error:
                self.add_error("where", error.message)
        return found

    def given(self) -> dict[str, Any]:
        """What the verb takes."""
        found = self.cleaned_data
        shared = {"name": found["name"], "missing": found["missing"]}
        if not found["file"]:
            return {**shared, "where": found["where"]}
        return {
            **shared,
            "upload": Path(found["file"].temporary_file_path()),
            "given_as": found["file"].name,
            "sheet": found["sheet"],
        }

    def field_of(self, code: str) -> str | None:
        if code in ("name", "name_taken"):
            return "name"
        if code == "missing":
            return "missing"
        if code.startswith(("file_", "dataset_")):
            return "file" if self.cleaned_data.get("file") else "where"
        return None

    @property
    def elsewhere(self) -> bool:
        """The second way was taken, so it is shown open."""
        return bool(self["where"].value() or self["password"].errors or self["where"].errors)


class Corrected(Plain):
    """What was guessed of a table, each guess with the field that corrects it."""

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        self.dataset = dataset
        self.columns = dataset.description.get("columns", [])
        said = dataset.corrections
        start: dict[str, Any] = {
            "missing": ", ".join(dataset.missing),
            **{key: said.get(key, "") for key in ("separator", "decimal", "encoding")},
        }
        for place, column in enumerate(self.columns):
            start[f"type_{place}"] = said.get("types", {}).get(column["name"], "")
            start[f"missing_{place}"] = ", ".join(said.get("missing", {}).get(column["name"], ()))
        named["initial"] = {**start, **named.get("initial", {})}
        super().__init__(*given, **named)
        self.fields["missing"] = forms.CharField(
            label=_("Codes for “no value” in every column"),
            help_text=_("Exactly as they are written, with commas: NA, -9. An empty cell is always missing."),
            required=False,
            max_length=500,
            widget=forms.TextInput(attrs=PLAIN),
        )
        if tables.is_text(dataset):
            self._choice("separator", _("What separates the columns"), SEPARATORS)
            self._choice("decimal", _("Decimal sign"), DECIMALS)
            self._choice("encoding", _("How letters are written"), ENCODINGS)
        for place, column in enumerate(self.columns):
            self._column(place, column)

    def _choice(self, name: str, label: str, choices: dict[str, Any]) -> None:
        self.fields[name] = forms.ChoiceField(label=label, choices=list(choices.items()), required=False)

    def _column(self, place: int, column: dict[str, Any]) -> None:
        kinds = {name: word for name, word in tables.TYPES.items() if name != "empty"}
        if not tables.is_untyped(self.dataset):
            kinds = {name: word for name, word in kinds.items() if " " not in name}
        chosen = self.dataset.corrections.get("types", {}).get(column["name"])
        guess = (
            _("Let it be guessed")
            if chosen
            else _("%(type)s (guessed)") % {"type": tables.TYPES[column["type"]]}
        )
        name = {"name": column["name"]}
        self.fields[f"type_{place}"] = forms.ChoiceField(
            label=_("Type of %(name)s") % name,
            choices=[("", guess), *kinds.items()],
            required=False,
            widget=forms.Select(attrs={"aria-label": _("Type of %(name)s") % name}),
        )
        self.fields[f"missing_{place}"] = forms.CharField(
            label=_("No value in %(name)s") % name,
            required=False,
            max_length=500,
            widget=forms.TextInput(
                attrs={**PLAIN, "aria-label": _("Codes for “no value” in %(name)s") % name}
            ),
        )

    def rows(self) -> list[dict[str, Any]]:
        """A line of the page for each column."""
        looks = tables.columns(self.dataset, True)
        return [
            {"look": look, "type": self[f"type_{place}"], "missing": self[f"missing_{place}"]}
            for place, look in enumerate(looks)
        ]

    def general(self) -> list[forms.BoundField]:
        """The fields that are about the whole table."""
        return [self[name] for name in ("missing", "separator", "decimal", "encoding") if name in self.fields]

    def given(self) -> dict[str, Any]:
        found = self.cleaned_data
        names = [column["name"] for column in self.columns]
        corrections = {
            "types": {
                name: found[f"type_{place}"] for place, name in enumerate(names) if found[f"type_{place}"]
            },
            "missing": {
                name: codes
                for place, name in enumerate(names)
                if (codes := [code.strip() for code in found[f"missing_{place}"].split(",") if code.strip()])
            },
            **{key: found.get(key, "") for key in ("separator", "decimal", "encoding")},
        }
        return {"missing": found["missing"], "corrections": corrections}

    def field_of(self, code: str) -> str | None:
        return code if code in self.fields else None


class UseFor(Plain):
    """Which project the table serves."""

    def __init__(self, *given: Any, projects: list[Project], **named: Any) -> None:
        super().__init__(*given, **named)
        self.projects = {str(project.pk): project for project in projects}
        self.fields["project"] = forms.ChoiceField(
            label=_("Project"),
            choices=[("", _("Choose a project")), *((pk, one.name) for pk, one in self.projects.items())],
            error_messages={
                "required": _("Choose a project."),
                "invalid_choice": _("Choose one of the projects in the list."),
            },
        )

    def chosen(self) -> Project:
        return self.projects[self.cleaned_data["project"]]

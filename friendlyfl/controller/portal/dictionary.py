"""The data dictionary of a project: the columns that all hospitals mean alike. The coordinator's people change it; a
participant reads it and sees first what nothing of its own becomes yet (mapping.py).

Columns are addressed by their places, since a name may come from a table.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from friendlyfl.controller import actions, mappings
from friendlyfl.controller.models import Dataset, Project
from friendlyfl.controller.portal.dictionary_forms import AgreedColumn, TakeColumns
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.core.errors import ConflictError, FriendlyError, NotFoundError

TYPES = {
    "integer": gettext_lazy("whole number"),
    "number": gettext_lazy("number"),
    "factor": gettext_lazy("categories"),
    "date": gettext_lazy("date"),
    "text": gettext_lazy("text"),
}


@dataclass(frozen=True)
class Agreed:
    """One column of the dictionary, in words."""

    place: int
    name: str
    type: str
    meaning: str
    allowed: str
    unmapped: bool = False


@page()
def dictionary(request: HttpRequest, pk: int) -> HttpResponse:
    """What every column means, and which of them this hospital does not give yet."""
    project = find_project(pk)
    agreed = mappings.agreed(project)
    open_ = mappings.unmapped(project, agreed)
    rows = agreed_columns(agreed, open_)
    edits = project.coordinates and may(request, "researcher")
    context = {
        "project": project,
        "rows": sorted(rows, key=lambda row: not row.unmapped),
        "unmapped": open_,
        "edits": edits,
        "acts": may(request, "researcher"),
        "datasets": list(Dataset.objects.filter(state="ready").order_by("name").only("pk", "name"))
        if edits
        else [],
        "changed": project.coordinates and bool(agreed) and mappings.proposed(project) not in ({}, agreed),
    }
    return render(request, "portal/dictionary/dictionary.html", context)


@page("researcher", acts="researcher")
def column_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Agree on one more column."""
    project = _draft(pk)
    return _column(request, project, form_of(request, AgreedColumn), "")


@page("researcher", acts="researcher")
def column_change(request: HttpRequest, pk: int, place: int) -> HttpResponse:
    """Change a column: its type, meaning, unit, categories or range."""
    project = _draft(pk)
    name = _named(request, project, place)
    start = AgreedColumn.start(name, project.dictionary[name])
    return _column(request, project, form_of(request, AgreedColumn, initial=start), name)


def _column(request: HttpRequest, project: Project, form: AgreedColumn, name: str) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        chosen, entry = form.entry()
        try:
            actions.set_column(actor(request), project, chosen, entry, instead_of=name)
        except ConflictError:
            raise
        except FriendlyError as error:
            form.add_error(error.code if error.code in form.fields else None, error.message)
        else:
            messages.success(request, _("%(name)s is in the dictionary.") % {"name": chosen})
            return redirect("portal:dictionary", project.pk)
    context = {"project": project, "form": form, "name": name}
    return render(request, "portal/dictionary/column.html", context, status=400 if form.errors else 200)


@page("researcher", acts="researcher")
def column_remove(request: HttpRequest, pk: int, place: int) -> HttpResponse:
    """Take a column out, after asking once."""
    project = _draft(pk)
    name = _named(request, project, place)
    if request.method == "POST":
        actions.remove_column(actor(request), project, name)
        messages.success(request, _("%(name)s is taken out of the dictionary.") % {"name": name})
        return redirect("portal:dictionary", project.pk)
    return render(request, "portal/dictionary/remove.html", {"project": project, "name": name})


@page("researcher", acts="researcher")
def columns_take(request: HttpRequest, pk: int, dataset: int) -> HttpResponse:
    """Add columns as they are in one of this hospital's own datasets."""
    project = _draft(pk)
    row = Dataset.objects.filter(pk=dataset, state="ready").first()
    if row is None:
        raise NotFoundError("no_dataset", _("There is no such dataset."))
    form = form_of(request, TakeColumns, dataset=row, known=project.dictionary)
    if request.method == "POST" and form.is_valid():
        added = actions.take_columns(actor(request), project, row, form.names())
        said = ngettext(
            "%(count)s column was added as it was guessed. Look at its categories and range.",
            "%(count)s columns were added as they were guessed. Look at their categories and ranges.",
            len(added),
        )
        messages.success(request, said % {"count": len(added)})
        return redirect("portal:dictionary", project.pk)
    context = {"project": project, "dataset": row, "form": form}
    return render(request, "portal/dictionary/take.html", context, status=400 if form.errors else 200)


@page("researcher", acts="researcher")
def columns_from(request: HttpRequest, pk: int) -> HttpResponse:
    """Which dataset columns are taken from: a list of one's own, for a page without scripts."""
    project = _draft(pk)
    chosen = request.GET.get("dataset", "")
    if chosen.isdigit():
        return redirect("portal:columns_take", project.pk, int(chosen))
    return redirect("portal:dictionary", project.pk)


def find_project(pk: int) -> Project:
    project = Project.objects.select_related("dataset").filter(pk=pk).first()
    if project is None:
        raise NotFoundError("no_project", _("There is no such project."))
    return project


def _draft(pk: int) -> Project:
    """A project whose dictionary is made here."""
    project = find_project(pk)
    if not project.coordinates:
        raise NotFoundError("not_yours", _("Only the coordinator changes the dictionary."))
    return project


def _named(request: HttpRequest, project: Project, place: int) -> str:
    """The name at this place: the one the form was made for, if a form is sent."""
    names = list(project.dictionary)
    name = names[place] if place < len(names) else ""
    if request.method == "POST" and request.POST.get("was", name) != name:
        raise ConflictError(
            "column_moved",
            _("The dictionary was changed meanwhile. Open the column again and change it there."),
        )
    if not name:
        raise NotFoundError("no_column", _("There is no such column."))
    return name


def agreed_columns(dictionary: dict[str, Any], unmapped: list[str]) -> list[Agreed]:
    return [
        Agreed(
            place=place,
            name=name,
            type=str(TYPES.get(entry["type"], entry["type"])),
            meaning=_meaning(entry),
            allowed=_allowed(entry),
            unmapped=name in unmapped,
        )
        for place, (name, entry) in enumerate(dictionary.items())
    ]


def _meaning(entry: dict[str, Any]) -> str:
    label, unit = entry.get("label", ""), entry.get("unit", "")
    if unit and unit.lower() not in label.lower():
        return _("%(label)s (%(unit)s)") % {"label": label, "unit": unit} if label else str(unit)
    return str(label)


def _allowed(entry: dict[str, Any]) -> str:
    """Categories or range, in words."""
    if entry["type"] == "factor":
        levels = ", ".join(entry.get("levels", ()))
        return _("%(levels)s, in this order") % {"levels": levels} if entry.get("ordered") else levels
    low, high = (_plain(bound) for bound in entry.get("range") or (None, None))
    if low is not None and high is not None:
        return _("%(low)s to %(high)s") % {"low": low, "high": high}
    if low is not None:
        return _("%(low)s or more") % {"low": low}
    return _("%(high)s or less") % {"high": high} if high is not None else ""


def _plain(bound: Any) -> Any:
    """10.0 is 10."""
    return f"{bound:.12g}" if isinstance(bound, float) else bound


urlpatterns = [
    path("projects/<int:pk>/dictionary/", dictionary, name="dictionary"),
    path("projects/<int:pk>/dictionary/add/", column_add, name="column_add"),
    path("projects/<int:pk>/dictionary/from/", columns_from, name="columns_from"),
    path("projects/<int:pk>/dictionary/from/<int:dataset>/", columns_take, name="columns_take"),
    path("projects/<int:pk>/dictionary/<int:place>/", column_change, name="column_change"),
    path("projects/<int:pk>/dictionary/<int:place>/remove/", column_remove, name="column_remove"),
]

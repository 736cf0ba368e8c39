"""How this hospital's own columns become a project's: which one, with which codes and units, and whether it fits.

Values stay here. Each change is a version of its own; without any, columns of the same name are used.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from friendlyfl.controller import actions, mappings
from friendlyfl.controller.models import Project, Reading
from friendlyfl.controller.portal import tables
from friendlyfl.controller.portal.dictionary import Agreed, agreed_columns, find_project
from friendlyfl.controller.portal.mapping_forms import DERIVED, MapColumn
from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.core.errors import ConflictError, FriendlyError, NotFoundError


@dataclass(frozen=True)
class Mapped:
    """One column of the dictionary, and what this hospital gives for it."""

    agreed: Agreed
    words: str  # how it is made; "" if it is not
    tag: str  # ok, bad, wait
    said: str


@page()
def mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """What is read here for each column of the dictionary, and whether it fits."""
    project = find_project(pk)
    context = {**_state(project), "acts": may(request, "researcher")}
    return render(request, "portal/mapping/mapping.html", context)


@page()
def mapping_check(request: HttpRequest, pk: int) -> HttpResponse:
    """How far the check is, and what it found: the part of the page that asks again."""
    project = find_project(pk)
    return render(request, "portal/mapping/check.html", {**_state(project), "polled": True})


@page(acts="researcher")
def mapping_try(request: HttpRequest, pk: int) -> HttpResponse:
    """Check the data against the dictionary and the plan. Nothing is sent."""
    project = find_project(pk)
    if request.method == "POST":
        actions.check_columns(actor(request), project)
    return redirect("portal:mapping", project.pk)


@page("researcher", acts="researcher")
def mapping_column(request: HttpRequest, pk: int, place: int) -> HttpResponse:
    """Say how one column of the dictionary is made of this hospital's own."""
    project = find_project(pk)
    dictionary = mappings.agreed(project)
    if place >= len(dictionary):
        raise NotFoundError("no_column", _("There is no such column."))
    if project.dataset is None:
        raise ConflictError(
            "no_dataset", _("Choose the dataset that serves %(project)s first.") % {"project": project.name}
        )
    agreed = agreed_columns(dictionary, [])[place]
    if request.method == "POST" and request.POST.get("was", agreed.name) != agreed.name:
        raise ConflictError("column_moved", _("The dictionary was changed meanwhile. Open the column again."))
    entry = mappings.in_force(project, dictionary)[0].get(agreed.name)
    form = form_of(
        request, MapColumn, spec=dictionary[agreed.name], own=mappings.columns(project.dataset), entry=entry
    )
    if request.method == "POST" and form.is_valid():
        try:
            if form.is_only_shown:  # another column was chosen: its own values are asked about first
                form = form.for_the_column()
            else:
                actions.map_column(actor(request), project, agreed.name, form.entry())
                messages.success(request, _("%(name)s is mapped. Check it below.") % {"name": agreed.name})
                return redirect("portal:mapping", project.pk)
        except FriendlyError as error:
            form.add_error(None, error.message)
    context = {"project": project, "column": agreed, "form": form, "dataset": project.dataset}
    status = 400 if form.errors else 200
    return render(request, "portal/mapping/column.html", context, status=status)


def _state(project: Project) -> dict[str, Any]:
    dictionary = mappings.agreed(project)
    columns, version = mappings.in_force(project, dictionary)
    own = mappings.columns(project.dataset) if project.dataset else {}
    row = _newest(project)
    progress = tables.progress(row)
    fresh = bool(row and row.state == "done" and row.asked.get("mapping") == version)
    found = row.outcome if row and fresh else {}
    open_ = mappings.unmapped(project, dictionary)
    rows = [
        _mapped(agreed, columns.get(agreed.name), own, found.get("columns", {}).get(agreed.name))
        for agreed in agreed_columns(dictionary, open_)
    ]
    return {
        "project": project,
        "dataset": project.dataset,
        "rows": sorted(rows, key=lambda row: not row.agreed.unmapped),
        "unmapped": open_,
        "version": version,
        "progress": progress,
        "checked": row if fresh else None,
        "stale": bool(row and row.state == "done" and not fresh),
        "problems": found.get("problems", []),
        "planned": found.get("planned", False),
        "bad": [row for row in rows if row.tag == "bad"],
    }


def _newest(project: Project) -> Reading | None:
    if project.dataset is None:
        return None
    return Reading.objects.filter(project=project, dataset=project.dataset).order_by("-pk").first()


def _mapped(
    agreed: Agreed, entry: dict[str, Any] | None, own: dict[str, Any], found: dict[str, Any] | None
) -> Mapped:
    if entry is None:
        return Mapped(agreed, "", "wait", _("Not mapped yet"))
    if entry["column"] not in own or entry.get("to", entry["column"]) not in own:
        return Mapped(agreed, words_of(entry), "bad", _("The dataset has no such column."))
    if found is None:
        return Mapped(agreed, words_of(entry), "wait", _("Not checked yet"))
    if found["problem"]:
        return Mapped(agreed, words_of(entry), "bad", ours(found["problem"]))
    said = _("Fits: %(n)s values, %(missing)s missing.")
    counts = {name: number_format(found[name], force_grouping=True) for name in ("n", "missing")}
    return Mapped(agreed, words_of(entry), "ok", said % counts)


def words_of(entry: dict[str, Any]) -> str:
    """How a column is made, in words: what will be read."""
    named = {"column": entry["column"], "to": entry.get("to", ""), "bound": entry.get("bound", "")}
    words = [str(DERIVED[entry["derive"]][1]) % named if entry.get("derive") else f"“{entry['column']}”"]
    if entry.get("missing"):
        words.append(_("%(codes)s taken as no value") % {"codes": ", ".join(entry["missing"])})
    if entry.get("recode"):
        pairs = [
            f"{value} → {_('no value') if level is None else level}"
            for value, level in entry["recode"].items()
        ]
        more = ", …" if len(pairs) > 4 else ""
        words.append(_("recoded (%(pairs)s)") % {"pairs": ", ".join(pairs[:4]) + more})
    if entry.get("factor", 1) != 1 or entry.get("offset", 0):
        words.append(_conversion(entry))
    if entry.get("decimals") is not None:
        words.append(_("rounded to %(decimals)s decimals") % {"decimals": entry["decimals"]})
    return ", ".join(words)


def _conversion(entry: dict[str, Any]) -> str:
    factor, offset = entry.get("factor", 1.0), entry.get("offset", 0.0)
    if not offset:
        return _("times %(factor)s") % {"factor": f"{factor:g}"}
    return _("times %(factor)s plus %(offset)s") % {"factor": f"{factor:g}", "offset": f"{offset:g}"}


urlpatterns = [
    path("projects/<int:pk>/mapping/", mapping, name="mapping"),
    path("projects/<int:pk>/mapping/check/", mapping_check, name="mapping_check"),
    path("projects/<int:pk>/mapping/try/", mapping_try, name="mapping_try"),
    path("projects/<int:pk>/mapping/<int:place>/", mapping_column, name="mapping_column"),
]

"""The tables of this hospital: which there are, how one is added, what was guessed of it and which project it serves.

Everything on these pages stays in this hospital. How columns become a project's is mapping.py; an address holds numbers
only, since a name or a cell of a table may say something about a patient.
"""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _

from friendlyfl.controller import actions
from friendlyfl.controller.models import Dataset, Project, Reading
from friendlyfl.controller.portal import tables
from friendlyfl.controller.portal.data_forms import AddDataset, Corrected, UseFor
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.controller.portal.uploads import PLACE, limit_words
from friendlyfl.core.errors import FriendlyError, NotFoundError

A_PAGE, COLUMNS = 25, 50


@page()
def data(request: HttpRequest) -> HttpResponse:
    """The datasets of this hospital, and which project each serves."""
    serves = Prefetch("project_set", Project.objects.order_by("name").only("pk", "name", "dataset_id"))
    found = Dataset.objects.order_by("name").defer("description").prefetch_related(serves)
    rows = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    return render(request, "portal/data/list.html", {"rows": rows, "acts": may(request, "researcher")})


@page("researcher", acts="researcher")
def data_add(request: HttpRequest) -> HttpResponse:
    """Give a file, or say where a table lies; it is then read beside the page."""
    form = form_of(request, AddDataset)
    if request.method == "POST":
        form.upload_trouble = getattr(request, "upload_trouble", "")
        if form.is_valid():
            try:
                row = actions.give_dataset(actor(request), **form.given())
            except FriendlyError as error:
                form.add_error(form.field_of(error.code), error.message)
            else:
                return redirect("portal:dataset", row.pk)
    context = {"form": form, "limit": limit_words()}
    return render(request, "portal/data/add.html", context, status=400 if form.errors else 200)


@page()
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """One table: its columns, what was guessed, whom it serves."""
    return _dataset(request, _find(pk))


def _dataset(request: HttpRequest, row: Dataset, form: UseFor | None = None) -> HttpResponse:
    sees = may(request, "researcher")
    served = list(row.project_set.order_by("name"))
    others = list(Project.objects.exclude(state="closed").exclude(dataset=row).order_by("name"))
    context = {
        "row": row,
        "where": tables.where(row),
        "file_words": tables.file_words(row),
        "columns": Paginator(tables.columns(row, sees), COLUMNS).get_page(request.GET.get("page")),
        "progress": tables.progress(_newest(row)),
        "served": served,
        "form": form or (UseFor(projects=others) if others else None),
        "acts": sees,
    }
    return render(request, "portal/data/dataset.html", context, status=400 if form else 200)


@page()
def dataset_reading(request: HttpRequest, pk: int) -> HttpResponse:
    """How far the reading is: the part of the page that asks again."""
    row = _find(pk)
    context = {"row": row, "progress": tables.progress(_newest(row)), "polled": True}
    return render(request, "portal/data/reading.html", context)


@page("researcher", acts="researcher")
def dataset_correct(request: HttpRequest, pk: int) -> HttpResponse:
    """Correct what was guessed: types, codes for "no value", and how a text file is written."""
    row = _find(pk)
    form = form_of(request, Corrected, dataset=row)
    if request.method == "POST" and form.is_valid():
        try:
            actions.describe_dataset(actor(request), row, wait=False, **form.given())
        except FriendlyError as error:
            form.add_error(form.field_of(error.code), error.message)
        else:
            return redirect("portal:dataset", row.pk)
    context = {"row": row, "form": form, "file_words": tables.file_words(row)}
    return render(request, "portal/data/correct.html", context, status=400 if form.errors else 200)


@page(acts="researcher")
def dataset_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Read the table once more, as it was."""
    row = _find(pk)
    if request.method == "POST":
        actions.describe_dataset(actor(request), row, wait=False)
    return redirect("portal:dataset", row.pk)


@page(acts="researcher")
def dataset_save(request: HttpRequest, pk: int) -> HttpResponse:
    row = _find(pk)
    if request.method == "POST":
        actions.save_dataset(actor(request), row)
        messages.success(request, _("%(name)s is saved. It may serve a project now.") % {"name": row.name})
    return redirect("portal:dataset", row.pk)


@page(acts="researcher")
def dataset_use(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the table serve a project."""
    row = _find(pk)
    if request.method != "POST":
        return redirect("portal:dataset", row.pk)
    others = list(Project.objects.exclude(state="closed").order_by("name"))
    form = UseFor(request.POST, projects=others)
    if not form.is_valid():
        return _dataset(request, row, form)
    project = form.chosen()
    actions.use_dataset(actor(request), project, row)
    said = _("%(name)s serves %(project)s. See below which of its columns are used, and check them.")
    messages.success(request, said % {"name": row.name, "project": project.name})
    return redirect("portal:mapping", project.pk)


@page("researcher", acts="researcher")
def dataset_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a dataset, after asking once."""
    row = _find(pk)
    if request.method == "POST":
        actions.remove_dataset(actor(request), row)
        messages.success(request, _("%(name)s is forgotten.") % {"name": row.name})
        return redirect("portal:data")
    served = list(row.project_set.order_by("name"))
    return render(request, "portal/data/remove.html", {"row": row, "served": served})


def _find(pk: int) -> Dataset:
    row = Dataset.objects.filter(pk=pk).first()
    if row is None:
        raise NotFoundError("no_dataset", _("There is no such dataset."))
    return row


def _newest(row: Dataset) -> Reading | None:
    """The newest reading that describes it."""
    return row.readings.filter(project=None).order_by("-pk").first()


urlpatterns = [
    path("data/", data, name="data"),
    path(PLACE, data_add, name="data_add"),
    path("data/<int:pk>/", dataset, name="dataset"),
    path("data/<int:pk>/reading/", dataset_reading, name="dataset_reading"),
    path("data/<int:pk>/correct/", dataset_correct, name="dataset_correct"),
    path("data/<int:pk>/again/", dataset_again, name="dataset_again"),
    path("data/<int:pk>/save/", dataset_save, name="dataset_save"),
    path("data/<int:pk>/use/", dataset_use, name="dataset_use"),
    path("data/<int:pk>/remove/", dataset_remove, name="dataset_remove"),
]

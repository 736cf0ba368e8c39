"""Projects: the list, starting one, joining one with a code, the project page, leaving and closing.

Who belongs to a project and whose key it is: sites.py. The plan, the data and runs have rooms of their own.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from friendlyfl.controller import actions, members
from friendlyfl.controller.models import Dataset, Peer, Project
from friendlyfl.controller.portal import project_list, project_mine, project_ours
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.core.errors import FriendlyError, UnreachableError, WireError

A_PAGE = 25
# A code is read as a whole: which part of a wrong one is wrong helps only whoever guesses.
WRONG_CODES = ("code_start", "code_length", "code_letter", "code_typo")
DEAD_CODES = ("unknown_code", "invitation_used", "invitation_expired")


class NewProject(Plain):
    name = forms.CharField(
        label=gettext_lazy("Name of the project"),
        help_text=gettext_lazy("Every hospital of the project sees it. It names no patient."),
        error_messages={"required": gettext_lazy("Give the project a name.")},
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    purpose = forms.CharField(
        label=gettext_lazy("What do you want to find out?"),
        help_text=gettext_lazy("One or two sentences. The other hospitals read it before they say yes."),
        error_messages={"required": gettext_lazy("Say in a sentence what the project is for.")},
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    hospitals = forms.CharField(
        label=gettext_lazy("Hospitals to invite"),
        help_text=gettext_lazy("One on each line. Each gets a code of its own. More can be invited later."),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean_hospitals(self) -> list[str]:
        lines = [" ".join(line.split()) for line in self.cleaned_data["hospitals"].splitlines()]
        return [line for line in lines if line]


class Code(Plain):
    code = forms.CharField(
        label=gettext_lazy("Invitation code"),
        help_text=gettext_lazy("It begins with FFL1. Small letters and spaces do not matter."),
        error_messages={"required": gettext_lazy("Paste or type the invitation code.")},
        max_length=400,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )


class Datasets(forms.ModelChoiceField):
    def label_from_instance(self, dataset: Any) -> str:
        rows = ngettext("%(name)s (%(rows)s row)", "%(name)s (%(rows)s rows)", dataset.rows)
        return rows % {"name": dataset.name, "rows": f"{dataset.rows:,}"}


class ChosenDataset(Plain):
    dataset = Datasets(
        queryset=Dataset.objects.none(),
        label=gettext_lazy("Which dataset serves this project?"),
        help_text=gettext_lazy("It stays in this hospital, and nobody else learns its name."),
        empty_label=gettext_lazy("Choose a dataset"),
        error_messages={
            "required": gettext_lazy("Choose a dataset."),
            "invalid_choice": gettext_lazy("Choose a dataset."),
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["dataset"]
        assert isinstance(field, Datasets)
        field.queryset = Dataset.objects.filter(state="ready").order_by("name")


def the_project(pk: int) -> Project:
    """The project of an address, or a page that says that there is none."""
    found = Project.objects.select_related("dataset").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def number_of(request: HttpRequest) -> int:
    """The page that an address asks for."""
    asked = request.GET.get("page", "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1


# --- pages ---


@page()
def projects(request: HttpRequest) -> HttpResponse:
    """Every project of this hospital with its status in words."""
    shown = Paginator(Project.objects.order_by("name", "pk"), A_PAGE).get_page(request.GET.get("page"))
    context = {"shown": shown, "lines": project_list.lines(list(shown))}
    return render(request, "portal/projects/list.html", context)


@page("researcher", acts="researcher")
def project_new(request: HttpRequest) -> HttpResponse:
    """Name, purpose, hospitals; what follows is the project's page with one code for each hospital."""
    form = form_of(request, NewProject)
    if request.method == "POST" and form.is_valid():
        try:
            project = actions.create_project(actor(request), **form.cleaned_data)
        except UnreachableError as error:
            begun = Project.objects.filter(name=form.cleaned_data["name"], state="new").first()
            if begun is None:
                raise
            messages.warning(request, error.message)
            messages.warning(
                request, _("The project is kept here. Invite the hospitals once the line is back.")
            )
            return redirect("portal:project", begun.pk)
        except FriendlyError as error:
            if error.code not in (*form.fields, "name_taken"):
                raise
            form.add_error("name" if error.code == "name_taken" else error.code, error.message)
        else:
            messages.success(request, _("%(name)s is there.") % {"name": project.name})
            return redirect("portal:project", project.pk)
    return render(request, "portal/projects/new.html", {"form": form}, status=400 if form.is_bound else 200)


@page("site-admin", acts="site-admin")
def project_join(request: HttpRequest) -> HttpResponse:
    """Paste the code; read what it is for; join. The code is in no address and is used up by the last step only."""
    form = form_of(request, Code)
    if request.method == "POST" and form.is_valid():
        code = form.cleaned_data["code"]
        try:
            if request.POST.get("sure"):
                project = actions.join_project(actor(request), code)
                return redirect("portal:project", project.pk)
            name, coordinator = actions.read_invitation(actor(request), code)
            context = {"form": form, "name": name, "coordinator": coordinator, "code": code}
            return render(request, "portal/projects/join_check.html", context)
        except UnreachableError:
            raise
        except (WireError, FriendlyError) as error:
            form.add_error("code", _code_words(error))
    return render(request, "portal/projects/join.html", {"form": form}, status=400 if form.is_bound else 200)


def _code_words(error: FriendlyError) -> str:
    if error.code in WRONG_CODES:
        return _("This is not an invitation code, or it was not copied right. Copy the whole code once more.")
    if error.code in DEAD_CODES:
        return _(
            "This code cannot be used: it works once and for two weeks. Ask the coordinator for a new code."
        )
    return error.message


@page()
def project(request: HttpRequest, pk: int) -> HttpResponse:
    """The sites (coordinator) or the own part (participant), the plan, the runs, and what to do next."""
    found = the_project(pk)
    context: dict[str, Any] = {"project": found}
    if found.coordinates:
        seen: Any = project_ours.ours(found, number_of(request))
        context["told"] = project_ours.tally(seen)
    else:
        seen = project_mine.mine(found, number_of(request))
    context |= {"seen": seen, "alarms": seen.alarms, "acts": may(request, seen.act.role)}
    if not found.coordinates and found.state == "joining":
        return render(request, "portal/projects/waiting.html", context)
    name = "ours" if found.coordinates else "mine"
    return render(request, f"portal/projects/{name}.html", context)


@page()
def project_news(request: HttpRequest, pk: int) -> HttpResponse:
    """The one line of the project page that changes by itself."""
    found = the_project(pk)
    if not found.coordinates:
        peer = Peer.objects.filter(site=found.coordinator).first()
        context = {"project": found, "coordinator": peer.name if peer else ""}
        return render(request, "portal/projects/waiting_line.html", context)
    told = project_ours.tally(project_ours.ours(found, 1))
    seen = request.GET.get("seen", told.mark)
    context = {"project": found, "told": told, "new": seen != told.mark}
    return render(request, "portal/projects/news.html", context)


@page(acts="researcher")
def project_dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """Which dataset of this hospital serves the project."""
    found = the_project(pk)
    form = form_of(request, ChosenDataset, initial={"dataset": found.dataset_id})
    if request.method == "POST" and form.is_valid():
        dataset = form.cleaned_data["dataset"]
        actions.use_dataset(actor(request), found, dataset)
        messages.success(
            request, _("%(dataset)s serves this project now. It stays here.") % {"dataset": dataset.name}
        )
        return redirect("portal:project", found.pk)
    context = {"project": found, "form": form, "there": Dataset.objects.filter(state="ready").exists()}
    return render(request, "portal/projects/dataset.html", context, status=400 if form.is_bound else 200)


@page(acts="site-admin")
def project_leave(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask once, then leave a project that another hospital coordinates."""
    found = the_project(pk)
    if found.coordinates:
        raise Http404
    if request.method == "POST":
        actions.leave_project(actor(request), found)
        messages.success(request, _("This hospital has left %(name)s.") % {"name": found.name})
        return redirect("portal:projects")
    context = {"project": found, "coordinator": members.name_of(found.coordinator)}
    return render(request, "portal/projects/leave.html", context)


@page(acts="site-admin")
def project_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask once, then close a project that this hospital coordinates."""
    found = the_project(pk)
    if not found.coordinates:
        raise Http404
    if request.method == "POST":
        actions.close_project(actor(request), found)
        messages.success(request, _("%(name)s is closed.") % {"name": found.name})
        return redirect("portal:projects")
    return render(request, "portal/projects/close.html", {"project": found})


urlpatterns = [
    path("projects/", projects, name="projects"),
    path("projects/new/", project_new, name="project_new"),
    path("projects/join/", project_join, name="project_join"),
    path("projects/<int:pk>/", project, name="project"),
    path("projects/<int:pk>/news/", project_news, name="project_news"),
    path("projects/<int:pk>/dataset/", project_dataset, name="project_dataset"),
    path("projects/<int:pk>/leave/", project_leave, name="project_leave"),
    path("projects/<int:pk>/close/", project_close, name="project_close"),
]

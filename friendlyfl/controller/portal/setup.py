"""Setting up: a task list that remembers, the site's name, the way to the Routing Server.

What is done is read from the records, so the list is right whoever did it and wherever, on a page or on the command
line. Adding a dataset and starting a project have rooms of their own.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Exists
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions, here
from friendlyfl.controller.models import Dataset, Identity, Person, Project
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.limits import NAME

DONE, NEXT, OPEN, WAITING = "done", "next", "open", "waiting"
STATES: dict[str, tuple[str, str | Promise]] = {
    DONE: ("ok", gettext_lazy("Done")),
    NEXT: ("run", gettext_lazy("Next")),
    OPEN: ("wait", gettext_lazy("To do")),
    WAITING: ("wait", gettext_lazy("Waiting")),
}


@dataclass
class Task:
    """One line of the list."""

    title: str
    words: str
    url: str
    state: str
    role: str  # who does it
    own: bool = True  # whether this person may; the line is no link otherwise

    @property
    def whose(self) -> str:
        if self.own or self.state == DONE:
            return ""
        return _("A site-admin does this.") if self.role == "site-admin" else _("A researcher does this.")

    @property
    def tag(self) -> tuple[str, str | Promise]:
        return STATES[self.state]


def tasks() -> list[Task]:
    """The whole list, in the order in which it is done; one question to the database."""
    row = (
        Identity.objects.filter(pk=1)
        .annotate(
            has_data=Exists(Dataset.objects.all()),
            has_project=Exists(Project.objects.all()),
        )
        .get()
    )
    name, router, fingerprint = row.name, row.router, row.fingerprint
    found = [
        Task(
            _("Name this hospital"),
            name or _("Other hospitals will see the name."),
            reverse("portal:setup_name"),
            DONE if name else OPEN,
            "site-admin",
        ),
        Task(
            _("Keys of this hospital"),
            _("They were made on this machine and never leave it. Their fingerprint begins with %(groups)s.")
            % {"groups": in_groups(fingerprint[:16])},
            f"{reverse('portal:settings')}#fingerprint",
            DONE,
            "viewer",
        ),
        Task(
            _("Connect to the Routing Server"),
            router or (_("It carries sealed messages between hospitals.") if name else _("After the name.")),
            reverse("portal:setup_connect"),
            DONE if router else OPEN if name else WAITING,
            "site-admin",
        ),
        Task(
            _("Add a dataset"),
            _("A table that is described here and stays in this hospital."),
            reverse("portal:data") if row.has_data else reverse("portal:data_add"),
            DONE if row.has_data else OPEN,
            "researcher",
        ),
        Task(
            _("Start a project, or join one"),
            _("A question that several hospitals answer together.") if router else _("After the connection."),
            reverse("portal:projects"),
            DONE if row.has_project else OPEN if router else WAITING,
            "researcher",
        ),
    ]
    first = next((task for task in found if task.state == OPEN), None)
    if first:
        first.state = NEXT
    return found


def open_tasks() -> list[Task]:
    """What is not done yet; empty when this hospital is set up."""
    return [task for task in tasks() if task.state != DONE]


def in_groups(text: str, size: int = 4) -> str:
    """A long run of letters and digits as people can read it to each other."""
    return " ".join(text[at : at + size] for at in range(0, len(text), size))


@page()
def setup(request: HttpRequest) -> HttpResponse:
    """The list. Nothing can be changed here."""
    found = tasks()
    for task in found:
        task.own = may(request, task.role)
    context = {
        "tasks": found,
        "done": sum(task.state == DONE for task in found),
        "decides": may(request, "site-admin"),
        "people": Person.objects.filter(is_active=True).count(),
    }
    return render(request, "portal/setup/setup.html", context)


# --- the name ---


class SiteName(Plain):
    name = forms.CharField(
        label=gettext_lazy("Name of this hospital"),
        help_text=gettext_lazy("As other hospitals know it, such as “St Mary's Hospital, Leeds”."),
        error_messages={
            "required": gettext_lazy("Enter the name of this hospital."),
            "max_length": gettext_lazy("Shorten the name to %(limit_value)d characters."),
        },
        max_length=NAME,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


@page("site-admin", acts="site-admin")
def name(request: HttpRequest) -> HttpResponse:
    """Name this hospital, now or anew."""
    row = here.identity()
    form = form_of(request, SiteName, initial={"name": row.name})
    if request.method == "POST" and form.is_valid():
        try:
            kept = actions.rename_site(actor(request), form.cleaned_data["name"]).name
        except FriendlyError as error:
            form.add_error("name", error.message)
        else:
            messages.success(request, _("This hospital is called %(name)s.") % {"name": kept})
            return redirect("portal:settings" if row.name else "portal:setup")
    status = 400 if form.errors else 200
    return render(request, "portal/setup/name.html", {"form": form, "row": row}, status=status)


# --- the connection ---


class Connection(Plain):
    address = forms.CharField(
        label=gettext_lazy("Address of the Routing Server"),
        help_text=gettext_lazy("Its administrator gives it to you, such as fl.example.org."),
        error_messages={"required": gettext_lazy("Enter the address of the Routing Server.")},
        max_length=255,
        widget=forms.TextInput(attrs={"inputmode": "url", "autocapitalize": "none", "spellcheck": "false"}),
    )
    code = forms.CharField(
        label=gettext_lazy("Enrolment code"),
        help_text=gettext_lazy("Its administrator gives it to you too. It works once."),
        error_messages={"required": gettext_lazy("Enter the enrolment code.")},
        max_length=200,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
    )
    ca_file = forms.CharField(
        label=gettext_lazy("Your hospital's CA file, if IT gave you one"),
        help_text=gettext_lazy(
            "Its path on the machine where FriendlyFL runs, such as /etc/ssl/hospital-ca.pem."
        ),
        required=False,
        max_length=1024,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


# Which answer of the form an error is about; all others are about the address.
ABOUT_THE_CODE = frozenset(
    {"unknown_credential", "enrolment_used", "no_enrolment", "site_exists", "first_card"}
)
ABOUT_THE_CERTIFICATE = frozenset({"certificate", "ca_file"})


@page("site-admin", acts="site-admin")
def connect(request: HttpRequest) -> HttpResponse:
    """Try the address, the certificate and the code; then connect."""
    row = here.identity()
    context: dict[str, Any] = {"row": row}
    if row.router or not row.name:
        if request.method == "POST":
            return redirect("portal:setup_connect")
        return render(request, "portal/setup/connected.html", context)
    form = form_of(request, Connection)
    if request.method == "POST" and form.is_valid():
        try:
            if request.POST.get("do") == "connect":
                _connect(request, form.cleaned_data)
                return redirect("portal:setup")
            given = form.cleaned_data
            address = actions.check_router(
                actor(request), given["address"], given["code"], ca_file=given["ca_file"]
            )
            context["found"] = {"address": address, "protected": address.startswith("https:")}
        except FriendlyError as error:
            form.add_error(_about(error.code), error.message)
    context["form"] = form
    return render(request, "portal/setup/connect.html", context, status=400 if form.errors else 200)


def _connect(request: HttpRequest, given: dict[str, str]) -> None:
    row = actions.connect_router(
        actor(request), given["address"], given["code"].strip(), ca_file=given["ca_file"]
    )
    messages.success(
        request,
        _("%(name)s is connected to %(router)s.") % {"name": row.name, "router": row.router},
    )


def _about(code: str) -> str:
    if code in ABOUT_THE_CERTIFICATE:
        return "ca_file"
    return "code" if code in ABOUT_THE_CODE else "address"


urlpatterns = [
    path("setup/", setup, name="setup"),
    path("setup/name/", name, name="setup_name"),
    path("setup/connect/", connect, name="setup_connect"),
]

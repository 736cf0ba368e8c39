"""The hospitals of a project: invite them, let them in, compare keys by telephone, remove one.

Everything here but comparing keys belongs to the coordinator; at a participant those pages are not there.
"""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions, matters, members
from friendlyfl.controller.models import Invitation, Peer, Project
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.controller.portal.projects import the_project
from friendlyfl.core.errors import UsageError


class Invited(Plain):
    hospital = forms.CharField(
        label=gettext_lazy("Name of the hospital"),
        help_text=gettext_lazy("Your note of whom the code is for. The hospital names itself when it joins."),
        error_messages={"required": gettext_lazy("Say which hospital the code is for.")},
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def _ours(pk: int) -> Project:
    project = the_project(pk)
    if not project.coordinates:
        raise Http404
    return project


def _invitation(project: Project, pk: int, *states: str) -> Invitation:
    row = (
        Invitation.objects.select_related("project").filter(project=project, pk=pk, state__in=states).first()
    )
    if row is None:
        raise Http404
    return row


def _counterpart(project: Project, pk: int) -> Peer:
    """A hospital that this one exchanges post with in the project; nobody else has a page here."""
    peer = Peer.objects.filter(pk=pk).first()
    if peer is None:
        raise Http404
    if not project.coordinates:
        if peer.site != project.coordinator:
            raise Http404
    elif peer.site not in {member.site for member in members.current(project)[0].members}:
        raise Http404
    return peer


@page("researcher", acts="researcher")
def invite(request: HttpRequest, pk: int) -> HttpResponse:
    """One more code. It is shown on the project's page."""
    project = _ours(pk)
    form = form_of(request, Invited)
    if request.method == "POST" and form.is_valid():
        label = " ".join(form.cleaned_data["hospital"].split())
        try:
            actions.invite_site(actor(request), project, label)
        except UsageError as error:
            form.add_error("hospital", error.message)
        else:
            messages.success(request, _("There is a code for %(site)s.") % {"site": label})
            return redirect("portal:project", project.pk)
    context = {"project": project, "form": form}
    return render(request, "portal/sites/invite.html", context, status=400 if form.is_bound else 200)


@page("researcher", acts="researcher")
def withdraw(request: HttpRequest, pk: int, row: int) -> HttpResponse:
    """Ask once, then make a code worthless."""
    project = _ours(pk)
    found = _invitation(project, row, "open")
    if request.method == "POST":
        actions.withdraw_invitation(actor(request), found)
        messages.success(request, _("The code for %(site)s is worthless now.") % {"site": found.label})
        return redirect("portal:project", project.pk)
    return render(request, "portal/sites/withdraw.html", {"project": project, "row": found})


@page("researcher", acts="researcher")
def renew(request: HttpRequest, pk: int, row: int) -> HttpResponse:
    """Ask once, then make a new code in the place of one that was lost or has expired."""
    project = _ours(pk)
    found = _invitation(project, row, "open")
    if request.method == "POST":
        actions.renew_invitation(actor(request), found)
        words = _("There is a new code for %(site)s. The old one is worthless.")
        messages.success(request, words % {"site": found.label})
        return redirect("portal:project", project.pk)
    return render(request, "portal/sites/renew.html", {"project": project, "row": found})


@page(acts="site-admin")
def admit(request: HttpRequest, pk: int, row: int) -> HttpResponse:
    """Let a hospital in that has used its code."""
    project = _ours(pk)
    found = _invitation(project, row, "joined")
    if request.method == "POST":
        peer = actions.accept_joiner(actor(request), project, found.site)
        words = _("%(site)s belongs to the project now. Compare keys with it next.")
        messages.success(request, words % {"site": peer.name})
        return redirect("portal:verify", project.pk, peer.pk)
    context = {"project": project, "row": found, "allowed": may(request, "site-admin")}
    return render(request, "portal/sites/admit.html", context)


@page(acts="site-admin")
def verify(request: HttpRequest, pk: int, peer: int) -> HttpResponse:
    """The safety number, how to compare it by telephone, and what was heard."""
    project = the_project(pk)
    found = _counterpart(project, peer)
    if request.method == "POST":
        if request.POST.get("heard") == "same":
            actions.verify_site(actor(request), found)
            messages.success(request, _("%(site)s is verified.") % {"site": found.name})
            return redirect("portal:project", project.pk)
        actions.doubt_site(actor(request), found)
        return redirect("portal:verify", project.pk, found.pk)
    groups = actions.safety_number(found)
    alarms = [one for one in matters.doubted(project) if one.pk == found.pk]
    context = {
        "project": project,
        "peer": found,
        "rows": (groups[:6], groups[6:]),
        "alarms": alarms,
        "allowed": may(request, "site-admin"),
    }
    return render(request, "portal/sites/verify.html", context)


@page(acts="site-admin")
def remove(request: HttpRequest, pk: int, peer: int) -> HttpResponse:
    """Ask once, then take a hospital out of the project."""
    project = _ours(pk)
    found = _counterpart(project, peer)
    if request.method == "POST":
        actions.remove_site(actor(request), project, found.site)
        words = _("%(site)s does not belong to the project any more.")
        messages.success(request, words % {"site": found.name})
        return redirect("portal:project", project.pk)
    context = {"project": project, "peer": found, "allowed": may(request, "site-admin")}
    return render(request, "portal/sites/remove.html", context)


urlpatterns = [
    path("projects/<int:pk>/invite/", invite, name="invite"),
    path("projects/<int:pk>/codes/<int:row>/withdraw/", withdraw, name="withdraw"),
    path("projects/<int:pk>/codes/<int:row>/renew/", renew, name="renew"),
    path("projects/<int:pk>/joiners/<int:row>/", admit, name="admit"),
    path("projects/<int:pk>/sites/<int:peer>/verify/", verify, name="verify"),
    path("projects/<int:pk>/sites/<int:peer>/remove/", remove, name="remove"),
]

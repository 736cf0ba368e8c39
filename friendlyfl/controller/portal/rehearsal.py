"""The rehearsal: one button starts three pretend hospitals, one removes them."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _

from friendlyfl.controller import actions, rehearsal
from friendlyfl.controller.portal.page import actor, page


@page(acts="researcher")
def rehearse(request: HttpRequest) -> HttpResponse:
    """What the rehearsal is, how far it is, and where its hospitals are. Its form starts it."""
    if request.method == "POST":
        actions.start_rehearsal(actor(request))
        return redirect("portal:rehearsal")
    return render(request, "portal/rehearsal/rehearsal.html", _context())


@page()
def progress(request: HttpRequest) -> HttpResponse:
    """The part of the page that changes by itself."""
    return render(request, "portal/rehearsal/progress.html", _context())


@page(acts="researcher")
def remove(request: HttpRequest) -> HttpResponse:
    """Ask once, then remove it."""
    if request.method == "POST":
        actions.remove_rehearsal(actor(request))
        messages.success(request, _("The rehearsal is removed, with everything that was made in it."))
        return redirect("portal:rehearsal")
    return render(request, "portal/rehearsal/remove.html", _context())


def _context() -> dict[str, object]:
    return {"found": rehearsal.look(), "inside": settings.REHEARSAL}


urlpatterns = [
    path("rehearsal/", rehearse, name="rehearsal"),
    path("rehearsal/progress/", progress, name="rehearsal_progress"),
    path("rehearsal/remove/", remove, name="rehearsal_remove"),
]

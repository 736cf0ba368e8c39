"""Home: what needs me, what is running, is the line up."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from friendlyfl.controller.models import Departure
from friendlyfl.controller.portal import overview
from friendlyfl.controller.portal.page import page


@page()
def home(request: HttpRequest) -> HttpResponse:
    """What runs, what left this hospital, what a person has to do. Nothing can be changed here."""
    runs = overview.runs()
    context = {
        "needs": overview.needs(),
        "runs": runs,
        "live": sum(run.live for run in runs),
        "projects": overview.projects(),
        "left": Departure.objects.count(),
        "last": overview.last_departure(),
    }
    return render(request, "portal/home.html", context)


urlpatterns = [path("", home, name="home")]

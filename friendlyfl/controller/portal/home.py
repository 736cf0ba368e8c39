"""Home: what needs me, what is running, is the line up; and the inbox, which keeps every notice."""

from typing import cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _

from friendlyfl.controller.models import Departure, Person
from friendlyfl.controller.portal import notices, overview, setup
from friendlyfl.controller.portal.page import page

A_PAGE = 25


@page()
def home(request: HttpRequest) -> HttpResponse:
    """What runs, what left this hospital, what a person has to do. Nothing can be changed here."""
    runs = overview.runs()
    context = {
        "to_do": setup.open_tasks(),
        "needs": notices.waiting(),
        "runs": runs,
        "live": sum(run.live for run in runs),
        "projects": overview.projects(),
        "left": Departure.objects.count(),
        "last": overview.last_departure(),
    }
    return render(request, "portal/home/home.html", context)


@page(acts="viewer")
def inbox(request: HttpRequest) -> HttpResponse:
    """Every notice, newest first. Its form marks them as read, for this person only."""
    person = cast(Person, request.user)
    if request.method == "POST":
        Person.objects.filter(pk=person.pk).update(inbox_read_at=timezone.now())
        messages.success(request, _("All notices are marked as read."))
        return redirect("portal:inbox")
    found = notices.all_of(person)
    shown = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    context = {"shown": shown, "unread": sum(notice.unread for notice in found)}
    return render(request, "portal/home/inbox.html", context)


urlpatterns = [path("", home, name="home"), path("inbox/", inbox, name="inbox")]

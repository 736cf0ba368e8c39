"""Help: the words of the portal explained, whom to call, and how accessible it is. The same place on every page."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from friendlyfl.controller.models import Person, Project
from friendlyfl.controller.portal.page import page


@dataclass(frozen=True)
class Word:
    """A word of the portal and what it means to somebody who meets it first."""

    word: str | Promise
    meaning: str | Promise


WORDS = (
    Word(
        _("Approval"),
        _(
            "The word of a site-admin that a plan may run on this hospital's data. It holds for that plan only."
        ),
    ),
    Word(
        _("Coordinator"),
        _("The hospital that asks the question. It makes the plan and adds up what the others send."),
    ),
    Word(
        _("Dataset"),
        _("A table of this hospital. It stays here; only sums over many patients are made from it."),
    ),
    Word(
        _("Dictionary"),
        _("What the hospitals of a project agree on: the name, type, unit and levels of each column."),
    ),
    Word(
        _("Invitation code"),
        _("A code that lets one hospital join one project. It works once and ends after two weeks."),
    ),
    Word(
        _("Ledger"),
        _("The list of everything that ever left this hospital, and of what a rule has held back."),
    ),
    Word(_("Mapping"), _("How this hospital's own columns become the columns of the dictionary.")),
    Word(
        _("Plan"),
        _("The question, patients, analyses and rules of a study. Every hospital approves it before a run."),
    ),
    Word(
        _("Round"),
        _(
            "One exchange: the coordinator sends where the analysis stands, each hospital answers with its sums."
        ),
    ),
    Word(
        _("Routing Server"),
        _("The post office between hospitals. It passes on sealed messages that it cannot read."),
    ),
    Word(_("Run"), _("One execution of an approved plan, from the first question to the result.")),
    Word(
        _("Safety number"),
        _(
            "Twelve groups of digits, the same at two hospitals if nobody stands between. Compare by telephone."
        ),
    ),
    Word(
        _("Site rules"),
        _("What this hospital never lets out, for example a number that describes fewer than 5 people."),
    ),
)


@page()
def help_page(request: HttpRequest) -> HttpResponse:
    """The glossary, searched by word, and whom to call."""
    asked = request.GET.get("q", "").strip()[:100]
    shown = [word for word in WORDS if asked.lower() in f"{word.word} {word.meaning}".lower()]
    context = {
        "asked": asked,
        "words": sorted(shown, key=lambda word: str(word.word)),
        "admins": Person.objects.filter(role="site-admin", is_active=True).order_by("username"),
        "coordinated": Project.objects.exclude(state="closed").exists(),
    }
    return render(request, "portal/help/help.html", context)


@page()
def accessibility(request: HttpRequest) -> HttpResponse:
    """The accessibility statement."""
    return render(request, "portal/help/accessibility.html")


urlpatterns = [
    path("help/", help_page, name="help"),
    path("help/accessibility/", accessibility, name="accessibility"),
]

"""Settings: who this hospital is, its line, its rules, the analyses it allows. People have a room of their own."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions, exceptions, here
from friendlyfl.controller.models import Person, Way
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.controller.portal.setup import in_groups
from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.limits import GIB
from friendlyfl.tasks import registry
from friendlyfl.tasks.disclosure import Policy as Rules

HOURS = 3600


@dataclass(frozen=True)
class Rule:
    """A rule of this hospital in words that are translated late: what it asks for, and what it protects from."""

    name: str
    asks: Any
    protects: Any

    @property
    def usual(self) -> Any:
        return getattr(Rules(), self.name)


RULES = (
    Rule(
        "rows",
        gettext_lazy("Fewest patients an answer may describe"),
        gettext_lazy("An average of a handful says much about each of them."),
    ),
    Rule(
        "cell",
        gettext_lazy("Fewest patients in a group"),
        gettext_lazy("A group smaller than this is hidden or nothing is sent, so that nobody is recognised."),
    ),
    Rule(
        "difference",
        gettext_lazy("Fewest patients by which two steps of a plan, or two plans, may differ"),
        gettext_lazy("Subtracting two answers must not leave an answer about a few people."),
    ),
    Rule(
        "ratio",
        gettext_lazy("Most columns of a model, as a share of the patients"),
        gettext_lazy("A model with nearly as many columns as patients repeats what it was told about each."),
    ),
    Rule(
        "rounds",
        gettext_lazy("Most rounds of one step"),
        gettext_lazy("Every round is another answer about the same patients."),
    ),
    Rule(
        "probes",
        gettext_lazy("Most questions about where the values of a column lie"),
        gettext_lazy("Many such questions would close in on a single value."),
    ),
    Rule(
        "time",
        gettext_lazy("Fewest patients who leave in one step of time"),
        gettext_lazy("The day on which one patient died must not show."),
    ),
    Rule(
        "sum_of_sites",
        gettext_lazy("Fewest hospitals in a secure sum"),
        gettext_lazy("Of a sum of two, each could work out the other's part."),
    ),
)


@page()
def settings(request: HttpRequest) -> HttpResponse:
    """Everything on one page, each part with its link to where it is changed."""
    row = here.identity()
    rules = actions.policy()
    context = {
        "row": row,
        "fingerprint": [in_groups(row.fingerprint[:32]), in_groups(row.fingerprint[32:])],
        "folder": here.home().folder,
        "decides": may(request, "site-admin"),
        "people": Person.objects.filter(is_active=True).count(),
        "changed": _changed(rules),
        "exceptions": exceptions.holding().count(),
        "allowed": len(rules["tasks"]),
        "limits": _limits(rules),
        "ways": dict(Way.objects.filter(on=True).values_list("name", "trouble")),
    }
    return render(request, "portal/settings/settings.html", context)


def _changed(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules that are not as FriendlyFL brings them."""
    return [
        {"asks": rule.asks, "value": rules[rule.name], "usual": rule.usual}
        for rule in RULES
        if rules[rule.name] != rule.usual
    ]


def _limits(rules: dict[str, Any]) -> dict[str, float | None]:
    """The runner's limits as people count: GiB and hours."""
    memory, seconds = rules.get("memory"), rules.get("seconds")
    return {
        "memory": round(memory / GIB, 2) if memory else None,
        "hours": round(seconds / HOURS, 2) if seconds else None,
    }


# --- rules ---


class RulesForm(Plain):
    """A field a rule, its default stated; and the limits of the runner."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for rule in RULES:
            kind = forms.FloatField if rule.name == "ratio" else forms.IntegerField
            self.fields[rule.name] = kind(
                label=rule.asks,
                help_text=_("%(protects)s Usually %(usual)s.")
                % {"protects": rule.protects, "usual": rule.usual},
                **_number(rule.asks, *((0.01, 1) if rule.name == "ratio" else (1, 100_000))),
            )
        for name, asks, without, least, most in (
            ("memory", _("Most memory of a computation, in GiB"), _("no limit"), 0.25, 10_000),
            ("hours", _("Most hours of one round"), _("6 hours"), 0.01, 1_000),
        ):
            self.fields[name] = forms.FloatField(
                label=asks,
                help_text=_("Protects this machine, not patients. Leave it empty for %(without)s.")
                % {"without": without},
                required=False,
                **_number(asks, least, most),
            )


def _number(asks: Any, least: float, most: float) -> dict[str, Any]:
    between = _("%(asks)s: enter a number from %(least)s to %(most)s.") % {
        "asks": asks,
        "least": number_format(least, use_l10n=True, force_grouping=True),
        "most": number_format(most, use_l10n=True, force_grouping=True),
    }
    return {
        "min_value": least,
        "max_value": most,
        "error_messages": dict.fromkeys(("required", "invalid", "min_value", "max_value"), between),
        "widget": forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "short"}),
    }


@page(acts="site-admin")
def rules(request: HttpRequest) -> HttpResponse:
    """What each rule protects, and what it is here. Its form changes them, for every project from now on."""
    held = actions.policy()
    limits = _limits(held)
    form = form_of(request, RulesForm, initial={**held, **limits})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        changes = {rule.name: given[rule.name] for rule in RULES if given[rule.name] != held[rule.name]}
        if given["memory"] != limits["memory"]:
            changes["memory"] = given["memory"] and int(given["memory"] * GIB)
        if given["hours"] != limits["hours"]:
            changes["seconds"] = given["hours"] and int(given["hours"] * HOURS)
        if changes:
            actions.set_policy(actor(request), changes)
            messages.success(request, _("The rules are changed. They hold for every project from now on."))
        return redirect("portal:settings")
    context = {
        "form": form,
        "decides": may(request, "site-admin"),
        "rules": [
            {"asks": rule.asks, "protects": rule.protects, "value": held[rule.name], "usual": rule.usual}
            for rule in RULES
        ],
        "limits": limits,
    }
    return render(request, "portal/settings/rules.html", context, status=400 if form.errors else 200)


# --- analyses ---


class Allowed(Plain):
    tasks = forms.MultipleChoiceField(
        label=gettext_lazy("Allowed analyses"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": gettext_lazy("Choose from the analyses that are installed here.")},
    )


@page(acts="site-admin")
def allowed(request: HttpRequest) -> HttpResponse:
    """Which analyses may be computed on this hospital's data. Its form changes the list."""
    held = actions.policy()["tasks"]
    choices = [(name, title_of(name)) for name in registry.names()]
    # What is on the list and not installed here, or only in one version, stays as it is.
    others = [name for name in held if name not in dict(choices)]
    form = form_of(request, Allowed, initial={"tasks": held})
    field = form.fields["tasks"]
    assert isinstance(field, forms.MultipleChoiceField)
    field.choices = choices
    if request.method == "POST" and form.is_valid():
        actions.set_policy(actor(request), {"tasks": [*form.cleaned_data["tasks"], *others]})
        messages.success(request, _("The list of allowed analyses is changed."))
        return redirect("portal:settings")
    shown = set(form["tasks"].value() or [])
    context = {
        "form": form,
        "decides": may(request, "site-admin"),
        "choices": [{"name": name, "title": title, "on": name in shown} for name, title in choices],
    }
    return render(request, "portal/settings/allowed.html", context, status=400 if form.errors else 200)


def title_of(name: str) -> str:
    """The method's name; a task that cannot be loaded is shown by its own."""
    try:
        return _(str(registry.find(name).title))
    except (FriendlyError, ImportError):
        return name


urlpatterns = [
    path("settings/", settings, name="settings"),
    path("settings/rules/", rules, name="rules"),
    path("settings/analyses/", allowed, name="allowed"),
]

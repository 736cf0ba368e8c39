"""Exceptions to this hospital's rules: which hold and which are over, how one is allowed, and how one is ended.

What an exception may be is exceptions' (of the controller); verbs are of actions. Here it is put into words.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions, approvals, exceptions
from friendlyfl.controller.models import Project, RuleException
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.controller.portal.settings import RULES, title_of
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks import registry
from friendlyfl.tasks.disclosure import AT_MOST, LOOSEST

A_PAGE = 25
ASKS = {rule.name: rule.asks for rule in RULES if rule.name in LOOSEST} | {
    exceptions.TASKS: gettext_lazy("Allowed analyses")
}
PROTECTS = {rule.name: rule.protects for rule in RULES if rule.name in LOOSEST} | {
    exceptions.TASKS: gettext_lazy("This hospital decides which analyses may be computed on its data.")
}
LETS = {
    "rows": gettext_lazy("An answer may describe as few as %(value)s patients; the rule asks for %(held)s."),
    "cell": gettext_lazy("A group may hold as few as %(value)s patients; the rule asks for %(held)s."),
    "difference": gettext_lazy(
        "Two steps, or two plans, may differ by as few as %(value)s patients; the rule asks for %(held)s."
    ),
    "ratio": gettext_lazy(
        "A model may have up to %(value)s columns for 100 patients; the rule allows %(held)s."
    ),
    "rounds": gettext_lazy("A step may take up to %(value)s rounds; the rule allows %(held)s."),
    "probes": gettext_lazy(
        "Up to %(value)s questions may be asked about where the values of a column lie; the rule allows %(held)s."
    ),
}


def lets(rule: str, value: float | str, held: Any) -> str:
    """What an exception makes possible, beside what the rule says."""
    if isinstance(value, str):
        words = _("The analysis “%(title)s” may be used, which is not on this hospital's list.")
        return words % {"title": title_of(value)}
    shown = {"value": value, "held": held}
    if rule == "ratio":
        shown = {name: 100 * share for name, share in shown.items()}
    return str(LETS[rule]) % {name: number_format(f"{number:g}") for name, number in shown.items()}


def in_words(entry: RuleException, rules: dict[str, Any]) -> str:
    """The same of an exception that was allowed, by the rules as they stand."""
    return lets(entry.rule, exceptions.given(entry), rules[entry.rule])


@page(acts="site-admin")
def exceptions_page(request: HttpRequest) -> HttpResponse:
    """Those that hold, each with a form that ends it, and those that are over."""
    if request.method == "POST":
        number = request.POST.get("end", "")
        entry = (
            RuleException.objects.filter(pk=number).first() if number.isascii() and number.isdigit() else None
        )
        if entry is None:
            raise Http404
        actions.end_exception(actor(request), entry)
        messages.success(
            request, _("The exception is over. The next round is checked by the rule as it stands.")
        )
        return redirect("portal:exceptions")
    rules = actions.policy()
    hold = Q(ended_at=None, until__gte=approvals.today())
    entries = RuleException.objects.select_related("project").order_by("-pk")
    over = Paginator(entries.exclude(hold), A_PAGE).get_page(request.GET.get("page"))
    context = {
        "decides": may(request, "site-admin"),
        "holding": [_row(entry, rules) for entry in entries.filter(hold)],
        "over": over,
        "past": [_row(entry, rules) for entry in over],
    }
    return render(request, "portal/settings/exceptions.html", context)


def _row(entry: RuleException, rules: dict[str, Any]) -> dict[str, Any]:
    given = exceptions.given(entry)
    value = title_of(given) if isinstance(given, str) else number_format(f"{given:g}")
    return {"entry": entry, "asks": ASKS[entry.rule], "value": value, "words": in_words(entry, rules)}


class ByName(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class Allow(Plain):
    """One rule, one project, how far, why, and until when."""

    project = ByName(
        label=gettext_lazy("Project"),
        queryset=Project.objects.exclude(state="closed").order_by("name"),
        empty_label=gettext_lazy("Choose a project"),
        error_messages=dict.fromkeys(("required", "invalid_choice"), gettext_lazy("Choose the project.")),
    )
    rule = forms.ChoiceField(
        label=gettext_lazy("Rule"),
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), gettext_lazy("Choose the rule.")),
    )
    value = forms.FloatField(
        label=gettext_lazy("What holds in this project instead"),
        help_text=gettext_lazy("The number that stands in place of the rule's own."),
        required=False,
        error_messages={"invalid": gettext_lazy("Enter the number as digits.")},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "short"}),
    )
    task = forms.ChoiceField(
        label=gettext_lazy("Analysis"),
        help_text=gettext_lazy("Of the allowed analyses: the one that may be used as well."),
        required=False,
        error_messages={"invalid_choice": gettext_lazy("Choose from the analyses that are not allowed yet.")},
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy(
            "Who agreed, and why. It stays in this hospital, for the record. Write nothing about a patient."
        ),
        max_length=exceptions.REASON,
        error_messages={"required": gettext_lazy("Write the reason.")},
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    until = forms.DateField(
        label=gettext_lazy("Last day"),
        help_text=gettext_lazy("In UTC, at most one year ahead. You can end the exception before."),
        error_messages={
            "required": gettext_lazy("Choose the last day."),
            "invalid": gettext_lazy("Write the last day as year, month and day, as 2027-03-31."),
        },
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.held = actions.policy()
        field = self.fields["rule"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (name, _("%(asks)s: %(held)s") % {"asks": asks, "held": _held(self.held[name])})
            for name, asks in ASKS.items()
        ]
        tasks = self.fields["task"]
        assert isinstance(tasks, forms.ChoiceField)
        others = [(name, title_of(name)) for name in registry.names() if name not in self.held["tasks"]]
        tasks.choices = [("", _("Choose an analysis")), *others]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        is_task = given["rule"] == exceptions.TASKS
        if is_task and not given["task"]:
            self.add_error("task", _("Choose the analysis."))
            return given
        if not is_task and given["value"] is None:
            self.add_error("value", _("Enter the number as digits."))
            return given
        given["value"] = given["task"] if is_task else given["value"]
        try:
            exceptions.checked(given["rule"], given["value"], given["reason"], given["until"])
        except UsageError as error:
            self.add_error(error.code, self._wrong(error, given["rule"]))
        return given

    def _wrong(self, error: UsageError, rule: str) -> str:
        if error.code == "until":
            return _("Choose a last day from today on, at most one year ahead.")
        if error.code == "reason":
            return _("Write the reason as plain text.")
        words = (
            _("Enter a number above %(held)s, which the rule allows anyway, and at most %(loosest)s.")
            if rule in AT_MOST
            else _("Enter a number below %(held)s, which the rule asks for, and at least %(loosest)s.")
        )
        if rule != "ratio":
            words += " " + _("It must be a whole number.")
        return words % {"held": self.held[rule], "loosest": number_format(LOOSEST[rule], force_grouping=True)}


def _held(value: Any) -> Any:
    return len(value) if isinstance(value, list) else value


@page("site-admin", acts="site-admin")
def exception_add(request: HttpRequest) -> HttpResponse:
    """Say which rule, for which project, how far, why, until when; read what becomes possible; then allow it."""
    form = form_of(request, Allow, initial={"until": exceptions.usual_end()})
    if request.method != "POST" or not form.is_valid() or "back" in request.POST:
        status = 400 if form.errors else 200
        return render(request, "portal/settings/exception_add.html", {"form": form}, status=status)
    given = form.cleaned_data
    if "sure" in request.POST:
        actions.allow_exception(
            actor(request), given["project"], given["rule"], given["value"], given["reason"], given["until"]
        )
        words = _("The exception holds for %(project)s until %(day)s.")
        day = date_format(given["until"], "DATE_FORMAT")
        messages.success(request, words % {"project": given["project"].name, "day": day})
        return redirect("portal:exceptions")
    context = {
        "form": form,
        "given": given,
        "words": lets(given["rule"], given["value"], form.held[given["rule"]]),
        "protects": PROTECTS[given["rule"]],
    }
    return render(request, "portal/settings/exception_sure.html", context)


urlpatterns = [
    path("settings/exceptions/", exceptions_page, name="exceptions"),
    path("settings/exceptions/add/", exception_add, name="exception_add"),
]

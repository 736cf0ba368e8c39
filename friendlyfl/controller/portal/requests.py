"""Requests: a plan that a coordinator asks this hospital to take part in, and this hospital's answer.

What the plan says is put into words in asked; the dry check runs beside the pages (trials). Verbs are of actions.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import actions, approvals, exceptions, here, members, plans, trials
from friendlyfl.controller.actions.decide import REASON
from friendlyfl.controller.models import Approval, Dataset, Identity, Peer, Plan
from friendlyfl.controller.portal import asked
from friendlyfl.controller.portal.exceptions import in_words
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.controller.portal.project_facts import end_words
from friendlyfl.controller.portal.steps import patients
from friendlyfl.core.errors import UsageError
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.disclosure import Policy

REASONS = (
    gettext_lazy("Our ethics board or data protection office has not agreed yet."),
    gettext_lazy("The question or its purpose is not clear to us."),
    gettext_lazy("More would leave this hospital than we can allow."),
    gettext_lazy("We do not have these data, or not in this form."),
    gettext_lazy("This is not a good time for us; please ask again later."),
    gettext_lazy("Another reason."),
)
OTHER = str(len(REASONS) - 1)


class Approve(Plain):
    """How long a yes holds. The list of hospitals travels along, so that a yes covers no hospital that joined since."""

    holds = forms.ChoiceField(
        label=gettext_lazy("How long does this approval hold?"),
        choices=[
            ("until", gettext_lazy("For every run that begins up to and including a day")),
            ("once", gettext_lazy("For one run only")),
        ],
        error_messages={"required": gettext_lazy("Choose how long the approval holds.")},
        widget=forms.RadioSelect,
    )
    until = forms.DateField(
        label=gettext_lazy("Last day"),
        help_text=gettext_lazy("In UTC. You can take the approval back before."),
        required=False,
        error_messages={"invalid": gettext_lazy("Write the last day as year, month and day, as 2027-03-31.")},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    epoch = forms.IntegerField(widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("holds") == "until" and not given.get("until") and "until" not in self.errors:
            self.add_error("until", _("Choose the last day."))
        return given


class Decline(Plain):
    """Why not: a reason of the list, and words of one's own."""

    why = forms.ChoiceField(
        label=gettext_lazy("Why does this hospital decline?"),
        choices=[(str(number), words) for number, words in enumerate(REASONS)],
        error_messages={"required": gettext_lazy("Choose a reason.")},
        widget=forms.RadioSelect,
    )
    words = forms.CharField(
        label=gettext_lazy("In your own words"),
        help_text=gettext_lazy("The coordinator reads it. Write nothing about a patient."),
        required=False,
        max_length=REASON - max(len(str(words)) for words in REASONS) - 1,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("why") == OTHER and not given.get("words", "").strip() and "words" not in self.errors:
            self.add_error("words", _("Write the reason in your own words."))
        return given

    @property
    def reason(self) -> str:
        """What the coordinator reads: the reason of the list in the words that both sides have, then one's own."""
        words = " ".join(self.cleaned_data["words"].split())
        chosen = "" if self.cleaned_data["why"] == OTHER else str(REASONS[int(self.cleaned_data["why"])])
        return " ".join(part for part in (chosen, words) if part)


@dataclass(frozen=True)
class Standing:
    """Where this hospital's word on the plan stands."""

    tag: str
    word: str
    words: str
    approved: bool = False
    open: bool = False  # an answer is asked for


@page(acts="site-admin")
def request_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Read the request; approve it, or take an approval back."""
    plan = _plan(pk)
    if request.method == "POST" and request.POST.get("word") == "revoke":
        actions.revoke_approval(actor(request), plan.project)
        messages.success(
            request,
            _("The approval is taken back. No new run of this plan computes here; the coordinator is told."),
        )
        return redirect("portal:request", pk)
    starting = {"holds": "until", "until": approvals.usual_end(), "epoch": plan.project.epoch}
    form = form_of(request, Approve, initial=starting)
    if request.method == "POST" and form.is_valid() and _approved(request, plan, form):
        return redirect("portal:request", pk)
    status = 400 if form.errors else 200
    return render(request, "portal/requests/request.html", _shown(request, plan, form), status=status)


def _approved(request: HttpRequest, plan: Plan, form: Approve) -> bool:
    given = form.cleaned_data
    once = given["holds"] == "once"
    try:
        word = actions.approve(
            actor(request),
            plan.project,
            plan=plan,
            epoch=given["epoch"],
            until=None if once else given["until"],
            once=once,
        )
    except UsageError as error:
        form.add_error("until", error.message)
        return False
    messages.success(request, _("Approved %(end)s. The coordinator is told.") % {"end": end_words(word)})
    return True


@page("site-admin", acts="site-admin")
def decline_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Say no, and why."""
    plan = _plan(pk)
    form = form_of(request, Decline)
    if request.method == "POST" and form.is_valid():
        actions.decline(actor(request), plan.project, form.reason, plan=plan)
        messages.success(
            request, _("Declined. Nothing is computed or sent, and the coordinator reads your reason.")
        )
        return redirect("portal:request", pk)
    where = {"plan": plan, "form": form, "coordinator": members.name_of(plan.project.coordinator)}
    status = 400 if form.errors else 200
    return render(request, "portal/requests/decline.html", where, status=status)


@page(acts="viewer")
def check_page(request: HttpRequest, pk: int) -> HttpResponse:
    """What the dry check has found so far: a part of the request's page. Sent as a form, it is done anew."""
    plan = _plan(pk)
    if request.method == "POST":
        trials.again(plan.project, plans.read(bytes(plan.raw)))
        return redirect("portal:request", pk)
    if not getattr(request, "htmx", False) and "HX-Request" not in request.headers:
        return redirect("portal:request", pk)
    shown = _found(plan)
    name = "found" if shown["found"] or shown["broke"] else "checking"
    answer = render(request, f"portal/requests/{name}.html", shown)
    if name == "found":
        answer["HX-Retarget"] = "#found"
    return answer


def _plan(pk: int) -> Plan:
    plan = Plan.objects.select_related("project__dataset").filter(pk=pk).first()
    if plan is None:
        raise Http404
    return plan


def _shown(request: HttpRequest, plan: Plan, form: Approve) -> dict[str, Any]:
    project = plan.project
    peer = Peer.objects.filter(site=project.coordinator).first()
    found = _found(plan)
    standing = _standing(plan)
    return {
        **found,
        "project": project,
        "peer": peer,
        "ours": project.coordinates,
        "standing": standing,
        "newer": None if plan.current else project.plans.filter(current=True).last(),
        "may_decide": may(request, "site-admin"),
        "form": form,
    }


def _found(plan: Plan) -> dict[str, Any]:
    """What the plan asks for, and what the dry check found of it here."""
    project = plan.project
    content = plans.read(bytes(plan.raw))
    ours: Identity = here.identity()
    seated = ours.site in content.seats
    work = trials.ask(project, content) if seated and plan.current and project.state == "open" else None
    found = work.answer if work else None
    loosened = exceptions.in_force(project)
    policy = Policy.from_json(loosened.rules)
    held = actions.policy()
    coordinator = ours.name if project.coordinates else members.name_of(project.coordinator)
    shown = asked.steps(content, coordinator, policy, found)
    mapping = project.mappings.order_by("version").last()
    dataset: Dataset | None = project.dataset
    described = {entry["name"] for entry in dataset.description.get("columns", [])} if dataset else set()
    checks = asked.checked(shown, found, policy) if found else []
    return {
        "plan": plan,
        "content": content,
        "coordinator": coordinator,
        "seated": seated,
        "steps": shown,
        "columns": asked.columns(content, shown, mapping.mapping if mapping else None, described),
        "patients": patients(content.cohort, Dictionary.parse(content.dictionary)),
        "dataset": dataset,
        "found": found,
        "checks": checks,
        "fits": bool(checks) and all(check.good for check in checks),
        "checking": work is not None and not work.done,
        "broke": work is not None and work.broke,
        "exceptions": [(in_words(entry, held), entry) for entry in loosened.by],
        "rules": asked.rules(policy, secure_sum=content.rules["secure_sum"]),
        "project": project,
    }


def _standing(plan: Plan) -> Standing:
    word = approvals.newest(plan)
    lacks = approvals.missing(plan, word, plan.project.epoch)
    if not plan.current:
        return Standing(
            "bad", _("Replaced"), _("The coordinator has proposed another plan since. This one is void.")
        )
    if plan.project.state != "open":
        return Standing("bad", _("Closed"), _("This hospital is not a member of the project now."))
    if word is None:
        return Standing("wait", _("Not answered yet"), "", open=True)
    said = {"person": word.person, "day": date_format(word.at, "DATE_FORMAT"), "end": end_words(word)}
    if lacks == approvals.DECLINED:
        return Standing("bad", _("Declined"), _why(word) % {**said, "reason": word.reason}, open=True)
    reasons = {
        approvals.OVER: _("%(person)s approved it on %(day)s %(end)s. That day is over."),
        approvals.USED: _("%(person)s approved it on %(day)s for one run, and that run has begun."),
        approvals.GROWN: _("%(person)s approved it on %(day)s, and another hospital has joined since."),
    }
    if lacks:
        return Standing("wait", _("Not answered yet"), reasons[lacks] % said, open=True)
    words = _("%(person)s approved it on %(day)s %(end)s.") % said
    return Standing("ok", _("Approved"), words, approved=True)


def _why(word: Approval) -> str:
    if word.reason == actions.decide.TAKEN_BACK:
        return _("%(person)s took the approval back on %(day)s.")
    return _("%(person)s declined on %(day)s: %(reason)s")


urlpatterns = [
    path("requests/<int:pk>/", request_page, name="request"),
    path("requests/<int:pk>/decline/", decline_page, name="request_decline"),
    path("requests/<int:pk>/check/", check_page, name="request_check"),
]

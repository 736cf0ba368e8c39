"""The plan of a project: the coordinator's draft with its steps, patients and rules, and its proposal.

A participant reads the plan as it was proposed and changes nothing. A step's own form is made in step_form, its words
in steps. What a change means for approvals is decided in drafts and actions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from friendlyfl.controller import actions, drafts, here, members, plans
from friendlyfl.controller.actions.project import only_coordinator
from friendlyfl.controller.models import Project, Step
from friendlyfl.controller.portal import step_form, steps
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.page import actor, form_of, may, page
from friendlyfl.controller.portal.rules import Rules, rules_in_words
from friendlyfl.core.errors import FriendlyError, UsageError
from friendlyfl.tasks import catalogue, registry
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.cohort import LONGEST, Cohort
from friendlyfl.tasks.criteria import bare_or_quoted
from friendlyfl.tasks.dictionary import Dictionary

RESEARCHER = "researcher"


@page()
def plan(request: HttpRequest, pk: int) -> HttpResponse:
    """What is computed, over whom, what leaves, by which rules, and what comes next."""
    project = get_object_or_404(Project, pk=pk)
    context = _draft(request, project) if project.coordinates else _proposed(project)
    return render(request, "portal/plan/plan.html", {"project": project, **context})


def _draft(request: HttpRequest, project: Project) -> dict[str, Any]:
    """The coordinator's own draft, proposed or not."""
    standing = drafts.standing(project)
    shown = steps.shown(project.steps.all(), project.dictionary, project.cohort)
    open_ = project.state != "closed"
    edit = open_ and may(request, RESEARCHER)
    rules = {**plans.RULES, **project.rules}
    return {
        "steps": shown,
        "edit": edit,
        "columns": bool(project.dictionary),
        "lead": _lead(project, standing),
        "voided": standing.approved if standing.changed else [],
        "patients": steps.patients(project.cohort, _dictionary(project.dictionary)),
        "leaves": kinds(shown),
        "reads": reads(project),
        "rules": rules_in_words(rules),
        "propose": edit and bool(shown) and not standing.current,
        "start": edit and standing.current,
        "todo": _todo(request, project, standing, shown),
    }


def _proposed(project: Project) -> dict[str, Any]:
    """The plan as a participant has got it: no other participant is on this page."""
    row = project.plans.filter(current=True).last()
    context: dict[str, Any] = {"coordinator": members.name_of(project.coordinator), "steps": []}
    if row is None:
        words = _("The coordinator has not proposed a plan yet. Nothing leaves this hospital.")
        return {**context, "lead": words, "todo": [_("Nothing, until a plan comes.")]}
    content = plans.read(bytes(row.raw))
    shown = steps.shown(content.steps, content.dictionary, content.cohort, len(content.seats))
    word = row.approvals.filter(site=here.site()).last()
    return {
        **context,
        "steps": shown,
        "lead": ngettext(
            "The plan as the coordinator proposed it, for %(n)d hospital.",
            "The plan as the coordinator proposed it, for %(n)d hospitals.",
            len(content.seats),
        )
        % {"n": len(content.seats)},
        "patients": steps.patients(content.cohort, _dictionary(content.dictionary)),
        "leaves": kinds(shown),
        "reads": reads(project),
        "rules": rules_in_words(content.rules),
        "todo": [
            _("A site-admin of this hospital approves or declines it.")
            if word is None
            else _("This hospital has given its word on it. The request says which, and until when it holds.")
        ],
        "request_url": reverse("portal:request", args=[row.pk]),
    }


def _lead(project: Project, standing: drafts.Standing) -> str:
    if project.state == "closed":
        return _("This project is closed. Its plan stays to be read.")
    if standing.plan is None:
        return _("A draft. No hospital has seen it, and nothing leaves any hospital.")
    if standing.changed:
        return _("The draft was changed after it was proposed. The hospitals know the plan as it was before.")
    if standing.moved:
        return _("The list of hospitals has changed since the plan was proposed.")
    asked = len(standing.others)
    return ngettext(
        "Proposed. %(n)d of %(all)d hospital has approved.",
        "Proposed. %(n)d of %(all)d hospitals have approved.",
        asked,
    ) % {"n": len(standing.approved), "all": asked}


def _todo(
    request: HttpRequest, project: Project, standing: drafts.Standing, shown: list[steps.Shown]
) -> list[str]:
    if project.state == "closed":
        return [_("Nothing.")]
    if not may(request, RESEARCHER):
        return [_("Nothing. A researcher of this hospital drafts and proposes the plan.")]
    if not shown:
        return [_("Add a step.")]
    if any(step.problem for step in shown):
        return [_("Change the steps that cannot be computed as they are.")]
    if not standing.current:
        return [_("Propose the plan when it is ready. Every hospital reads it and approves or declines.")]
    if len(standing.approved) < len(standing.others):
        return [
            _("Wait for the hospitals. A run can be started now; it waits for those that have not answered.")
        ]
    return [_("All hospitals have approved. A run can be started.")]


def kinds(shown: list[steps.Shown]) -> str:
    """What leaves by all steps together."""
    return ", ".join(dict.fromkeys(kind for step in shown for kind in step.leaves))


def reads(project: Project) -> str:
    """Who can read what leaves."""
    if project.coordinates:
        return _("This hospital, as the coordinator, will receive each hospital's own totals.")
    name = members.name_of(project.coordinator)
    return _("%(name)s will receive this hospital's own totals.") % {"name": name}


# --- one step ---


@page(acts=RESEARCHER)
def step_add(request: HttpRequest, pk: int, task: str) -> HttpResponse:
    """Choose the columns of an analysis and add it to the draft."""
    project = _mine(request, pk)
    kind = _find(task)
    if isinstance(project, HttpResponse):
        return project
    start = {step_form.PREFIX + name: value for name, value in kind.proposes.items()}
    form = _step_form(request, project, kind, start)
    if request.method == "POST" and form.is_bound and form.is_valid():
        with _at_the_form(form):
            made = actions.add_step(actor(request), project, task, form.values, **_own(form))
            messages.success(request, _("Step %(n)d was added to the draft.") % {"n": made.seq})
            return _to_plan(project, made.seq)
    return _step_page(request, project, task, kind, form, _(catalogue.question(kind)), _("Add this step"))


@page(acts=RESEARCHER)
def step(request: HttpRequest, pk: int, seq: int) -> HttpResponse:
    """Change what a step of the draft computes."""
    project = _mine(request, pk)
    if isinstance(project, HttpResponse):
        return project
    row = get_object_or_404(Step, project=project, seq=seq)
    kind = _find(row.task)
    dictionary = _dictionary(project.dictionary)
    start = {
        **step_form.answers_of(kind, row.parameters, dictionary),
        "title": "" if row.title == kind.title else row.title,
        "cohort": row.cohort,
    }
    form = _step_form(request, project, kind, start)
    if request.method == "POST" and form.is_bound and form.is_valid():
        with _at_the_form(form):
            own = _own(form)
            actions.change_step(actor(request), row, form.values, whole=True, **own)
            messages.success(request, _("Step %(n)d was changed.") % {"n": seq})
            return _to_plan(project, seq)
    question = steps.asked(kind, row.parameters, dictionary)
    return _step_page(request, project, row.task, kind, form, question, _("Save the step"))


def _step_form(
    request: HttpRequest, project: Project, kind: type[Task], start: dict[str, Any]
) -> step_form.StepForm:
    given: dict[str, Any] = {"task": kind, "dictionary": _dictionary(project.dictionary)}
    if request.method == "POST":
        given["narrowed"] = step_form.narrowing(request.POST)
        again = step_form.sent_again(request.POST, kind)
        if again is not None:
            return step_form.StepForm(initial=again, **given)
    return form_of(request, step_form.StepForm, initial=start, **given)


def _own(form: step_form.StepForm) -> dict[str, str]:
    return {"title": " ".join(form.cleaned_data["title"].split()), "cohort": form.cleaned_data["cohort"]}


@contextmanager
def _at_the_form(form: forms.Form, field: str | None = None) -> Iterator[None]:
    """What a verb finds wrong is said on the form, which keeps every answer."""
    try:
        yield
    except UsageError as error:
        form.add_error(field, error.message)


def _step_page(
    request: HttpRequest,
    project: Project,
    name: str,
    kind: type[Task],
    form: step_form.StepForm,
    question: str,
    button: str,
) -> HttpResponse:
    context = {
        "project": project,
        "name": name,
        "task_title": _(kind.title),
        "question": question,
        "form": form,
        "button": button,
    }
    return render(request, "portal/plan/step.html", context, status=400 if form.errors else 200)


@page(acts=RESEARCHER)
def move(request: HttpRequest, pk: int, seq: int) -> HttpResponse:
    """One place up or down; a link here only leads to the plan."""
    project = get_object_or_404(Project, pk=pk)
    if request.method != "POST":
        return redirect("portal:plan", pk)
    row = get_object_or_404(Step, project=project, seq=seq)
    places = -1 if request.POST.get("places") == "-1" else 1
    actions.move_step(actor(request), row, places)
    row.refresh_from_db()
    messages.success(request, _("“%(title)s” is step %(n)d now.") % {"title": row.title, "n": row.seq})
    return _to_plan(project, row.seq)


@page(acts=RESEARCHER)
def remove(request: HttpRequest, pk: int, seq: int) -> HttpResponse:
    """Asks once, then takes the step out."""
    project = _mine(request, pk)
    if isinstance(project, HttpResponse):
        return project
    row = get_object_or_404(Step, project=project, seq=seq)
    if request.method == "POST":
        actions.remove_step(actor(request), row)
        messages.success(request, _("“%(title)s” is no longer in the plan.") % {"title": row.title})
        return redirect("portal:plan", pk)
    [shown] = steps.shown([row], project.dictionary, project.cohort)
    return render(request, "portal/plan/remove.html", {"project": project, "step": shown})


# --- patients, rules, proposal ---


class Patients(Plain):
    cohort = forms.CharField(
        label=gettext_lazy("Inclusion criteria"),
        help_text=gettext_lazy("Leave it empty for all patients of each hospital's dataset."),
        required=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
    )


@page(acts=RESEARCHER)
def cohort(request: HttpRequest, pk: int) -> HttpResponse:
    """Which patients the whole plan is about; what was typed can be checked in words before it is saved."""
    project = _mine(request, pk)
    if isinstance(project, HttpResponse):
        return project
    form = form_of(request, Patients, initial={"cohort": project.cohort})
    dictionary = _dictionary(project.dictionary)
    words = steps.patients(project.cohort, dictionary)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data["cohort"]
        with _at_the_form(form, "cohort"):
            if request.POST.get("act") != "check":
                actions.set_cohort(actor(request), project, typed)
                messages.success(request, _("The plan's patients were changed."))
                return redirect(_anchor(project, "patients"))
            read = Cohort.read(typed, dictionary)
            words = read.words if read else ""
    context = {
        "project": project,
        "form": form,
        "words": "" if form.errors else words,
        "columns": [
            (name, _column(dictionary, name)) for name in dictionary if dictionary[name].type != "text"
        ],
        "example": _example(dictionary),
    }
    return render(request, "portal/plan/patients.html", context, status=400 if form.errors else 200)


def _column(dictionary: Dictionary, name: str) -> str:
    spec = dictionary[name]
    words = step_form.kind_words(spec)
    return f"{spec.label}, {words}" if spec.label else words


def _example(dictionary: Dictionary) -> str:
    """Criteria that could be typed here, with columns of this dictionary."""
    parts = []
    for spec in dictionary.values():
        if spec.is_number and spec.low is not None and spec.high is not None and spec.high - spec.low > 1:
            parts.append(f"{bare_or_quoted(spec.name)} >= {round((spec.low + spec.high) / 2):g}")
            break
    for spec in dictionary.values():
        if spec.type == "factor" and spec.levels:
            parts.append(f"{bare_or_quoted(spec.name)} = {bare_or_quoted(spec.levels[0])}")
            break
    return " and ".join(parts) or "age >= 18"


@page(acts=RESEARCHER)
def rules(request: HttpRequest, pk: int) -> HttpResponse:
    """Quorum, deadlines, and what is shared."""
    project = _mine(request, pk)
    if isinstance(project, HttpResponse):
        return project
    form = form_of(request, Rules, initial=Rules.answers({**plans.RULES, **project.rules}))
    if request.method == "POST" and form.is_valid():
        with _at_the_form(form):
            actions.set_rules(actor(request), project, form.rules)
            messages.success(request, _("The rules of a run were changed."))
            return redirect(_anchor(project, "rules"))
    context = {"project": project, "form": form}
    return render(request, "portal/plan/rules.html", context, status=400 if form.errors else 200)


@page(acts=RESEARCHER)
def propose(request: HttpRequest, pk: int) -> HttpResponse:
    """Check your answers: what the other hospitals will see, and whose approvals end."""
    project = _mine(request, pk)
    if isinstance(project, HttpResponse):
        return project
    standing = drafts.standing(project)
    ending = [] if standing.current else standing.approved
    if request.method == "POST":
        actions.propose_plan(actor(request), project)
        messages.success(request, _said(ending))
        return redirect("portal:plan", pk)
    manifest, _hash = members.current(project)
    others = [member for member in manifest.members if member.role == "participant"]
    shown = steps.shown(project.steps.all(), project.dictionary, project.cohort, max(len(others), 1))
    context = {
        "project": project,
        "hospitals": len(others),
        "ending": ending,
        "steps": shown,
        "patients": steps.patients(project.cohort, _dictionary(project.dictionary)),
        "column_names": list(project.dictionary),
        "leaves": kinds(shown),
        "reads": _("%(name)s will receive each hospital's own totals.") % {"name": here.identity().name},
        "rules": rules_in_words({**plans.RULES, **project.rules}),
        "obstacle": _obstacle(shown, len(others)),
    }
    return render(request, "portal/plan/propose.html", context)


def _said(ending: list[drafts.Word]) -> str:
    said = _("The plan was proposed. Every hospital is asked to approve it.")
    if not ending:
        return said
    names = ", ".join(word.name for word in ending)
    return f"{said} {_('Approvals that ended with the plan before: %(names)s.') % {'names': names}}"


def _obstacle(shown: list[steps.Shown], others: int) -> str:
    if not shown:
        return _("The plan has no step yet.")
    if any(step.problem for step in shown):
        return _("Some steps cannot be computed as they are. Change them first.")
    if not others:
        return _("No hospital has joined yet. Invite one on the project's page first.")
    return ""


# --- what they share ---


def _mine(request: HttpRequest, pk: int) -> Project | HttpResponse:
    """The project whose draft may be changed here; if not, back to the plan, which says whose act it is."""
    project = get_object_or_404(Project, pk=pk)
    changeable = project.coordinates and project.state != "closed" and bool(project.dictionary)
    if request.method != "POST" and not changeable:
        return redirect("portal:plan", pk)
    only_coordinator(project)
    return project


def _find(task: str) -> type[Task]:
    try:
        return registry.find(task)
    except FriendlyError as error:
        raise Http404(error.message) from None


def _dictionary(columns: Mapping[str, Any]) -> Dictionary:
    return Dictionary.parse(columns) if columns else Dictionary({})


def _anchor(project: Project, place: str) -> str:
    return f"{reverse('portal:plan', args=[project.pk])}#{place}"


def _to_plan(project: Project, seq: int) -> HttpResponse:
    return redirect(_anchor(project, f"step-{seq}"))


urlpatterns = [
    path("projects/<int:pk>/plan/", plan, name="plan"),
    path("projects/<int:pk>/plan/patients/", cohort, name="plan_patients"),
    path("projects/<int:pk>/plan/rules/", rules, name="plan_rules"),
    path("projects/<int:pk>/plan/propose/", propose, name="plan_propose"),
    path("projects/<int:pk>/plan/add/<str:task>/", step_add, name="step_add"),
    path("projects/<int:pk>/plan/<int:seq>/", step, name="step"),
    path("projects/<int:pk>/plan/<int:seq>/move/", move, name="step_move"),
    path("projects/<int:pk>/plan/<int:seq>/remove/", remove, name="step_remove"),
]

"""The results of a run: read them, look at the figures, take them away as files.

What a Result says is made in `tasks.saying`, the parts of a page in `answer`, files in `actions.download_result`. A
participant sees the Results that were shared with it, and these hold no other hospital.
"""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.text import slugify
from django.utils.translation import gettext as _

from friendlyfl.controller import actions, figures, members, plans
from friendlyfl.controller.actions.result import JSON, PACK
from friendlyfl.controller.models import Run
from friendlyfl.controller.portal import answer
from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.page import actor, may, page
from friendlyfl.core import run as core_run

STEPS = 5  # on one page
TYPES = {
    "zip": "application/zip",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
}


def _run(pk: int) -> Run:
    run = Run.objects.select_related("project", "plan").filter(pk=pk).first()
    if run is None:
        raise Http404
    return run


@page()
def results(request: HttpRequest, pk: int) -> HttpResponse:
    """What came out. Nothing leaves this hospital by looking at it."""
    run = _run(pk)
    plan = plans.read(bytes(run.plan.raw))
    steps = {step.seq: step for step in plan.steps}
    paged = Paginator(run.results.order_by("step"), STEPS).get_page(request.GET.get("page"))
    answers = [answer.of(steps[made.step], plan, made.result) for made in paged if made.step in steps]
    context = {
        "run": run,
        "plan": plan,
        "answers": answers,
        "several": len(plan.steps) > 1,
        "paged": paged,
        "hospitals": len(plan.seats),
        "downloads": may(request, "researcher"),
        "missing": _missing(run, plan, paged.paginator.count),
    }
    return render(request, "portal/results/results.html", context)


def _missing(run: Run, plan: plans.Content, here: int) -> list[str]:
    """Why a Result is not here, and what to do; nothing if all are."""
    if here >= len(plan.steps):
        return []
    if run.state not in core_run.ENDED:
        words = _("This run is not finished. Each step's result appears here when the step is done.")
        return [words, _("Nothing has to be done on this page.")]
    if run.state == core_run.SUCCEEDED and not run.project.coordinates:
        name = members.name_of(run.project.coordinator)
        shared = _(
            "The plan does not share its results, so they stay at %(name)s, which coordinates the project."
        )
        todo = _("What this hospital contributed is in its ledger. Ask %(name)s about the results.")
        return [shared % {"name": name}, todo % {"name": name}]
    why = ours(actions.reason_words(run))
    if here:
        return [_("This run ended before all steps were done."), why]
    words = _("There is no result, because this run was stopped.")
    if run.state == core_run.FAILED:
        words = _("There is no result, because this run failed.")
    todo = _(
        "The coordinator can repeat the run once the reason is gone. The page of the run tells what happened."
    )
    return [words, why, todo]


@page()
def figure(request: HttpRequest, pk: int, step: int, number: int) -> HttpResponse:
    """A figure for the page."""
    run = _run(pk)
    made = run.results.filter(step=step).first()
    if made is None:
        raise Http404
    dictionary = plans.read(bytes(run.plan.raw)).dictionary
    return HttpResponse(figures.drawn(made.result, dictionary, number, "svg"), content_type=TYPES["svg"])


@page("researcher")
def pack(request: HttpRequest, pk: int) -> HttpResponse:
    """The publication pack of all steps."""
    return _file(request, pk, PACK)


@page("researcher")
def step_pack(request: HttpRequest, pk: int, step: int) -> HttpResponse:
    """The publication pack of one step."""
    return _file(request, pk, PACK, step)


@page("researcher")
def as_json(request: HttpRequest, pk: int, step: int) -> HttpResponse:
    """A Result with all digits, for programs."""
    return _file(request, pk, JSON, step)


@page("researcher")
def table(request: HttpRequest, pk: int, step: int, name: str) -> HttpResponse:
    """A table with all digits."""
    return _file(request, pk, f"tables/{name}.csv", step)


@page("researcher")
def figure_file(request: HttpRequest, pk: int, step: int, number: int, kind: str) -> HttpResponse:
    """A figure for a paper."""
    if kind not in figures.KINDS:
        raise Http404
    return _file(request, pk, f"figures/{number}.{kind}", step)


def _file(request: HttpRequest, pk: int, file: str, step: int | None = None) -> HttpResponse:
    run = _run(pk)
    content = actions.download_result(actor(request), run, file, step)
    stem, _, ending = file.rpartition("/")[2].rpartition(".")
    words: list[Any] = [slugify(run.project.name)[:40] or "study", f"run-{run.number}"]
    words += [f"step-{step}"] if step else []
    words += [f"figure-{stem}" if file.startswith("figures/") else stem] if file != PACK else []
    headers = {"Content-Disposition": f'attachment; filename="{"-".join(words)}.{ending}"'}
    return HttpResponse(content, content_type=TYPES[ending], headers=headers)


urlpatterns = [
    path("runs/<int:pk>/results/", results, name="results"),
    path("runs/<int:pk>/results/pack.zip", pack, name="results_pack"),
    path("runs/<int:pk>/results/<int:step>/pack.zip", step_pack, name="results_step_pack"),
    path("runs/<int:pk>/results/<int:step>/result.json", as_json, name="results_json"),
    path("runs/<int:pk>/results/<int:step>/tables/<str:name>.csv", table, name="results_table"),
    path("runs/<int:pk>/results/<int:step>/figures/<int:number>.svg", figure, name="results_figure"),
    path(
        "runs/<int:pk>/results/<int:step>/figures/<int:number>/<str:kind>",
        figure_file,
        name="results_figure_file",
    ),
]

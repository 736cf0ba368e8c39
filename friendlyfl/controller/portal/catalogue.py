"""The catalogue: which analysis answers what, and one analysis with what leaves a hospital and an example.

Everything shown comes from a task's declaration and from its example worked out (controller/examples); a task of
another package has the same pages. No line here is about one task.
"""

import functools
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl import datasets
from friendlyfl.controller import examples
from friendlyfl.controller.examples import Example
from friendlyfl.controller.models import COORDINATOR, Project
from friendlyfl.controller.portal import steps
from friendlyfl.controller.portal.page import may, page
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import catalogue as declared
from friendlyfl.tasks import disclosure, registry
from friendlyfl.tasks.base import Task
from friendlyfl.tasks.dictionary import Dictionary

DATASET = "clinic"
ROWS, TABLES, SAID = 8, 2, 2  # of an example, so that it stays one
SHOWN_PROJECTS = 25


@page()
def catalogue(request: HttpRequest) -> HttpResponse:
    """All analyses by what they are for. Nothing happens here and nothing leaves."""
    topics = [
        {
            "words": _(words),
            "tasks": [
                {"name": name, "question": _(declared.question(task)), "title": _(task.title)}
                for name, task in tasks
            ],
        }
        for words, tasks in declared.topics()
    ]
    return render(
        request,
        "portal/catalogue/catalogue.html",
        {"topics": topics, "project": _asked_for(request), "count": sum(len(t["tasks"]) for t in topics)},
    )


@page()
def task(request: HttpRequest, task: str) -> HttpResponse:
    """One analysis: its question, what leaves a hospital, conventions, an example, where to use it."""
    kind = _find(task)
    project = _asked_for(request)
    context = {
        **_declared(task, kind),
        "question": _(declared.question(kind)),
        "description": _(declared.description(kind)) if declared.description(kind) else "",
        "sends": _sends(kind),
        "reader": _(declared.reader(kind)),
        "asks": [
            {
                **row,
                "label": _(row["label"]),
                "takes": steps.takes(kind.parameters[row["name"]]),
                "help": _(row["help"]) if row["help"] else "",
            }
            for row in declared.parameters(kind)
        ],
        "lacks": kind.lacks(),
        "project": project,
        "projects": [project] if project else _projects() if may(request, "researcher") else [],
        "researcher": may(request, "researcher"),
        **_example(task, kind),
    }
    return render(request, "portal/catalogue/task.html", context)


@page()
def example(request: HttpRequest, task: str) -> HttpResponse:
    """The part of the page that waits for the example."""
    kind = _find(task)
    return render(request, "portal/catalogue/example.html", {**_declared(task, kind), **_example(task, kind)})


@page()
def figure(request: HttpRequest, task: str, number: int) -> HttpResponse:
    """A figure of the example, as a picture of its own."""
    _find(task)
    found = examples.ready(task)
    drawn = _drawn(task) if found and found.result else []
    if not 1 <= number <= len(drawn):
        raise Http404
    return HttpResponse(drawn[number - 1]["svg"], content_type="image/svg+xml")


def _declared(task: str, kind: type[Task]) -> dict[str, Any]:
    """A class is called by a template, so that its words are handed over."""
    return {
        "name": task,
        "title": _(kind.title),
        "version": kind.version,
        "most": kind.max_rounds,
        "references": kind.references,
    }


def _find(task: str) -> type[Task]:
    try:
        return registry.find(task)
    except FriendlyError as error:
        raise Http404(error.message) from None


def _asked_for(request: HttpRequest) -> Project | None:
    """The project in whose plan the analysis is to be used, if the page was opened from there."""
    wanted = request.GET.get("project", "")
    if not (wanted.isascii() and wanted.isdecimal()) or len(wanted) > 9:
        return None
    return Project.objects.filter(pk=int(wanted), role=COORDINATOR).exclude(state="closed").first()


def _projects() -> list[Project]:
    ours = Project.objects.filter(role=COORDINATOR).exclude(state="closed")
    return list(ours.order_by("name")[:SHOWN_PROJECTS])


def _sends(kind: type[Task]) -> list[dict[str, str]]:
    """The kinds of number that leave, each with what becomes of small ones."""
    rows: dict[str, dict[str, str]] = {}
    for row in declared.sends(kind):
        found = rows.setdefault(row["what"], {"what": _(row["what"]), "small": ""})
        found["small"] = found["small"] or (_(row["small"]) if row["small"] else "")
    usual = _("over at least %(n)d patients, by the usual rule") % {"n": disclosure.Policy().rows}
    return [{**row, "small": row["small"] or usual} for row in rows.values()]


# --- the example ---


def _example(task: str, kind: type[Task]) -> dict[str, Any]:
    if kind.lacks():
        return {"example": Example()}
    found = examples.ready(task)
    if found is None or found.result is None:
        return {"example": found}
    dictionary = _dictionary()
    values = {
        name: value.split(",") if isinstance(value, str) and "," in value else value
        for name, value in kind.example.items()
    }
    result = found.result
    return {
        "example": found,
        "asked": steps.asked(kind, values, dictionary),
        "chosen": _chosen(kind, dictionary),
        "used": result.n.used,
        "sent": _sent(found),
        "amount": _amount(found.numbers),
        **_answer(task),
        "figures": _drawn(task),
        "conventions": _conventions(found),
        "exact": result.exact,
    }


def _conventions(found: Example) -> list[str]:
    """How it is computed, in sentences."""
    from friendlyfl.controller.portal import answer

    return answer.conventions(found.result) if found.result else []


def _chosen(kind: type[Task], dictionary: Dictionary) -> list[tuple[str, str]]:
    try:
        values = kind.validate(kind.example, dictionary)
    except FriendlyError:
        return []
    return steps.choices(kind, values, dictionary)[0]


def _sent(found: Example) -> list[dict[str, str]]:
    """What left each hospital in the example, by kind of number."""
    rows: dict[str, list[str]] = {}
    for row in found.sent:
        if row["count"] != "–":
            rows.setdefault(row["what"], []).append(row["count"])
    return [{"what": _(what), "count": _largest(counts)} for what, counts in rows.items()]


def _amount(numbers: list[int]) -> str:
    """How many numbers left a hospital in the example: at first, later, and in all."""
    first, later = sum(numbers[:1]), numbers[1:]
    if not later:
        return ngettext("%(first)s number, once.", "%(first)s numbers, once.", first) % {
            "first": f"{first:,}"
        }
    words = _("%(first)s numbers in the first exchange, at most %(later)s in a later one, %(all)s in all.")
    return words % {"first": f"{first:,}", "later": f"{max(later):,}", "all": f"{sum(numbers):,}"}


def _largest(counts: list[str]) -> str:
    """How many numbers of a kind at most in one exchange."""
    most = sum(int(count.split(" to ")[-1].replace(",", "")) for count in counts)
    return f"{most:,}"


@functools.cache
def _dictionary() -> Dictionary:
    return Dictionary.parse(datasets.dictionary(DATASET))


@functools.lru_cache(maxsize=64)
def _drawn(task: str) -> list[dict[str, Any]]:
    """The example's figures, drawn once. Only for an example that is worked out."""
    from friendlyfl.tasks.figures import drawings

    result = examples.work_out(task).result
    if result is None:
        return []
    return [
        {"svg": drawing.svg(), "title": drawing.title, "description": drawing.description}
        for drawing in drawings(result, _dictionary())
    ]


@functools.lru_cache(maxsize=64)
def _answer(task: str) -> dict[str, Any]:
    """What the example found: its first sentences, and its tables cut to what can be read at a glance."""
    from friendlyfl.controller.portal.answer import Table
    from friendlyfl.tasks.saying import sentences
    from friendlyfl.tasks.saying.study import Study
    from friendlyfl.tasks.saying.tables import shown

    result, kind = examples.work_out(task).result, _find(task)
    assert result is not None
    lead, *more = sentences(result, kind.example, _dictionary())
    tables = [table for table in shown(Study(result, kind.example, _dictionary())) if not table.aside]
    return {
        "found": lead,
        "more": more[:SAID],
        "tables": [
            (Table(f"table-{place}", table, table.rows[:ROWS]), max(len(table.rows) - ROWS, 0))
            for place, table in enumerate(tables[:TABLES], start=1)
        ],
    }


urlpatterns = [
    path("catalogue/", catalogue, name="catalogue"),
    path("catalogue/<str:task>/", task, name="task"),
    path("catalogue/<str:task>/example/", example, name="task_example"),
    path("catalogue/<str:task>/figures/<int:number>.svg", figure, name="task_figure"),
]

"""The ledger: everything that ever left this hospital, line by line, with its numbers, its files and the check of its
chain.

Lines are written where post is sealed (controller.ledger) and never here.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, cast

from asgiref.sync import sync_to_async
from django import forms
from django.core.handlers.asgi import ASGIRequest
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from friendlyfl.controller import chain, departed, here, plans
from friendlyfl.controller.models import Departure, Peer, Plan, Project, Run
from friendlyfl.controller.portal.forms import Plain
from friendlyfl.controller.portal.ours import called
from friendlyfl.controller.portal.page import may, page
from friendlyfl.core.errors import FriendlyError
from friendlyfl.tasks import registry

PAGE = 50
DAY = timedelta(days=1)


class Filter(Plain):
    """Which lines to show."""

    project = forms.ChoiceField(label=gettext_lazy("Project"), required=False)
    since = forms.DateField(
        label=gettext_lazy("From"),
        required=False,
        error_messages={
            "invalid": gettext_lazy("Write the first day as year, month and day, as 2027-03-01.")
        },
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    until = forms.DateField(
        label=gettext_lazy("To"),
        required=False,
        error_messages={"invalid": gettext_lazy("Write the last day as year, month and day, as 2027-03-31.")},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, projects: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = [("", _("All projects")), *sorted(projects.items(), key=lambda item: item[1])]
        self.fields["project"].choices = chosen  # type: ignore[attr-defined]  # the base class does not know it


@dataclass(frozen=True)
class Line:
    """A line as a person reads it."""

    row: Departure
    at: datetime
    to: str
    project: str
    run: Run | None

    @property
    def refused(self) -> bool:
        return "Nothing was sent" in self.row.what

    @property
    def rules(self) -> str:
        """The rules that were passed, in words."""
        words = {
            "rows": _("at least %s patients"),
            "cell": _("groups of at least %s"),
            "ratio": _("at most %s coefficients a patient"),
            "rounds": _("at most %s rounds"),
        }
        said = []
        for rule in filter(None, self.row.rules.split(", ")):
            name, _space, limit = rule.partition(" ")
            if name == "exception":
                said.append(_exception(rule))
                continue
            said.append(words[name] % limit if name in words else rule)
        return ", ".join(said)

    @property
    def what(self) -> str:
        """Without the words that stand before it as a tag."""
        return self.row.what.replace("Nothing was sent. ", "")


@page()
def ledger_page(request: HttpRequest) -> HttpResponse:
    """All lines, newest first; some of them by project and day."""
    projects = dict(Project.objects.values_list("uid", "name"))
    form = Filter(request.GET or None, projects=projects)
    chosen = form.cleaned_data if form.is_bound and form.is_valid() else {}
    rows = _rows(chosen)
    first = Departure.objects.order_by("n").first()
    shown = Paginator(rows.values_list("pk", flat=True), PAGE).get_page(request.GET.get("page"))
    page_of = sorted(Departure.objects.filter(pk__in=list(shown)), key=lambda row: -row.n)
    kept = request.GET.copy()
    kept.pop("page", None)
    context = {
        "form": form,
        "filtered": any(chosen.values()),
        "shown": shown,
        "lines": _lines(page_of, projects),
        "count": shown.paginator.count,
        "since": _moment(first) if first else None,
        "kept": f"{kept.urlencode()}&" if kept else "",
        "query": kept.urlencode(),
        "check": chain.last(),
    }
    return render(request, "portal/ledger/ledger.html", context, status=400 if form.errors else 200)


def _exception(said: str) -> str:
    """What exceptions.ledger_words wrote, in the reader's language."""
    found = re.fullmatch(r"exception to (?P<rule>\w+) by (?P<person>.+) until (?P<day>\S+)", said)
    if found is None:
        return said
    return _("“%(rule)s” loosened by an exception of %(person)s until %(day)s") % found.groupdict()


def _rows(chosen: dict[str, Any]) -> QuerySet[Departure]:
    """The lines that are chosen, newest first: in an order that an index of the table holds, so that the database
    reads no more of them than a page shows."""
    rows = (
        Departure.objects.order_by("-at", "-pk") if any(chosen.values()) else Departure.objects.order_by("-n")
    )
    if chosen.get("project"):
        rows = rows.filter(project=chosen["project"])
    since, until = chosen.get("since"), chosen.get("until")
    if since:
        rows = rows.filter(at__gte=since.isoformat())
    if until and until < date.max:
        rows = rows.filter(at__lt=(until + DAY).isoformat())
    return rows


def _lines(rows: list[Departure], projects: dict[str, str]) -> list[Line]:
    names = dict(Peer.objects.values_list("site", "name"))
    uids = {row.run for row in rows if row.run}
    runs = {run.uid: run for run in Run.objects.filter(uid__in=uids).only("uid", "number")} if uids else {}
    return [
        Line(
            row,
            _moment(row),
            ", ".join(names.get(site, _("site %(uid)s") % {"uid": site[:8]}) for site in row.to),
            projects.get(row.project, _("a project that is no longer here")),
            runs.get(row.run),
        )
        for row in rows
    ]


def _moment(row: Departure) -> datetime:
    return datetime.fromisoformat(row.at)


@page()
def departure_page(request: HttpRequest, n: int) -> HttpResponse:
    """One line with all it says; for a site-admin the numbers themselves."""
    row = Departure.objects.filter(n=n).first()
    if row is None:
        raise Http404
    [line] = _lines([row], dict(Project.objects.filter(uid=row.project).values_list("uid", "name")))
    opens = may(request, "site-admin")
    words, title = _declared(line)
    context = {
        "line": line,
        "title": title,
        "opens": opens,
        "opened": departed.opened(row) if opens else None,
        "words": words,
        "plan": _plan(row),
        "before": Departure.objects.filter(n__lt=n).order_by("-n").values_list("n", flat=True).first(),
        "after": Departure.objects.filter(n__gt=n).order_by("n").values_list("n", flat=True).first(),
    }
    return render(request, "portal/ledger/departure.html", context)


def _declared(line: Line) -> tuple[dict[str, str], str]:
    """What kind of number stands under each name of the line's step, as its task declares it; and the step's title."""
    own = {
        ".used": _("patients used"),
        ".dropped": _("patients left out for missing values"),
        ".dropped_hidden": _("1 if the number of those left out is hidden"),
    }
    if line.run is None or not line.row.step:
        return own, ""
    run = Run.objects.select_related("plan").get(pk=line.run.pk)
    step = plans.read(bytes(run.plan.raw)).steps[line.row.step - 1]
    try:
        task = registry.find(step.task, step.version)
    except FriendlyError:
        return own, called(step.title)
    return {**own, **{name: _(kind.words) for name, kind in task.sends.items()}}, called(step.title)


def _plan(row: Departure) -> Plan | None:
    """The plan that a line is about, to read it."""
    if row.type not in ("plan", "approve", "decline"):
        return None
    known = Plan.objects.filter(project__uid=row.project)
    return (
        known.filter(proposed_at__lte=_moment(row) + timedelta(seconds=2)).order_by("pk").last()
        or known.last()
    )


# --- files ---


@page()
def csv_page(request: HttpRequest) -> HttpResponse:
    """The lines that are chosen, as a file for a spreadsheet."""
    form = Filter(request.GET or None, projects=dict(Project.objects.values_list("uid", "name")))
    if form.is_bound and not form.is_valid():
        return redirect("portal:ledger")
    rows = _rows(form.cleaned_data if form.is_bound else {})
    return _file(request, departed.as_csv(rows), "text/csv; charset=utf-8", "csv")


@page()
def json_page(request: HttpRequest) -> HttpResponse:
    """The whole ledger with this site's signature."""
    return _file(request, departed.as_json(Departure.objects.all()), "application/json", "json")


def _file(request: HttpRequest, parts: Iterator[str], kind: str, ending: str) -> HttpResponse:
    name = f"ledger-{here.site()[:8]}-{datetime.now(UTC):%Y-%m-%d}.{ending}"
    stream: Any = _beside(parts) if isinstance(request, ASGIRequest) else parts
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    # To types it is no HttpResponse; to every caller it is.
    return cast(HttpResponse, StreamingHttpResponse(stream, content_type=kind, headers=headers))


async def _beside(parts: Iterator[str]) -> AsyncIterator[str]:
    """Part after part, each made in a thread: a long file is never whole in memory, and other pages do not wait."""
    while (part := await sync_to_async(partial(next, parts, None))()) is not None:
        yield part


# --- the chain ---


@page(acts="viewer")
def check_page(request: HttpRequest) -> HttpResponse:
    """Compute every hash again. Sent as a form it begins; looked at, it says how far it is or what was found."""
    if request.method == "POST":
        chain.begin()
        return redirect("portal:ledger_check")
    work = chain.last()
    name = "portal/ledger/checking.html" if "HX-Request" in request.headers else "portal/ledger/check.html"
    return render(request, name, {"check": work, "lines": Departure.objects.count()})


urlpatterns = [
    path("ledger/", ledger_page, name="ledger"),
    path("ledger/check/", check_page, name="ledger_check"),
    path("ledger/ledger.csv", csv_page, name="ledger_csv"),
    path("ledger/ledger.json", json_page, name="ledger_json"),
    path("ledger/<int:n>/", departure_page, name="departure"),
]

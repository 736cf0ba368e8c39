"""The list of projects: each with its status in words, by a fixed number of questions to the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import here
from friendlyfl.controller.models import Approval, Invitation, Peer, Plan, Project, Run
from friendlyfl.controller.portal.words import TAGS
from friendlyfl.core import run as core_run


@dataclass(frozen=True)
class Line:
    project: Project
    part: str
    tag: str
    word: str


def lines(projects: Sequence[Project]) -> list[Line]:
    """What each project waits for, the weightiest first: a person here, then others, then what was last."""
    coordinators = {project.coordinator for project in projects}
    names = dict(Peer.objects.filter(site__in=coordinators).values_list("site", "name"))
    joined = dict(
        Invitation.objects.filter(project__in=projects, state="joined")
        .values("project")
        .annotate(all=Count("pk"))
        .values_list("project", "all")
    )
    newest = (
        Run.objects.filter(project__in=projects).exclude(state="").values("project").annotate(n=Max("number"))
    )
    which = Q()
    for row in newest:
        which |= Q(project=row["project"], number=row["n"])
    runs = {run.project_id: run for run in Run.objects.filter(which).defer("keys")} if which else {}
    asked = _asked(projects)
    return [
        Line(
            project,
            _("This hospital coordinates")
            if project.coordinates
            else _("%(site)s coordinates") % {"site": names.get(project.coordinator, "")},
            *_status(project, joined.get(project.pk, 0), runs.get(project.pk), project.pk in asked),
        )
        for project in projects
    ]


def _asked(projects: Sequence[Project]) -> set[int]:
    """Projects whose plan waits for this hospital's word."""
    epochs = {project.pk: project.epoch for project in projects if not project.coordinates}
    plans = Plan.objects.filter(project__in=list(epochs), current=True)
    said = Approval.objects.filter(plan__in=plans, site=here.site()).values_list("plan", "epoch")
    heard = {(plan, epoch) for plan, epoch in said}
    return {
        project
        for plan, project in plans.values_list("pk", "project")
        if not any(which == plan and epoch >= epochs[project] for which, epoch in heard)
    }


def _status(project: Project, joined: int, run: Run | None, asked: bool) -> tuple[str, str]:
    if project.state == "closed":
        return "", _("Closed")
    if project.state == "joining":
        return "wait", _("Waiting to be let in")
    if project.state == "new":
        return "wait", _("Not told to the Routing Server yet")
    if joined:
        words = ngettext("%(n)s hospital waits to be let in", "%(n)s hospitals wait to be let in", joined)
        return "wait", words % {"n": joined}
    if run is not None and run.state not in core_run.ENDED:
        return _run(run)
    if asked:
        return "wait", _("A plan waits for you")
    return _run(run) if run is not None else ("wait", _("No runs yet"))


def _run(run: Run) -> tuple[str, str]:
    tag, word = TAGS[run.state]
    return tag, _("Run %(number)s: %(state)s") % {"number": run.number, "state": word}

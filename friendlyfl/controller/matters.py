"""Matters: what a person of this hospital should know of or act on, as records and without words.

The inbox shows them in words (portal/notices.py); word of them goes out by e-mail or webhook (word.py). Matters of this
machine, such as a full disk, belong to no project and are not here: the pages show them, and `friendlyfl doctor`.
"""

from collections import defaultdict
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from friendlyfl.controller import here, members
from friendlyfl.controller.models import (
    COORDINATOR,
    PARTICIPANT,
    Approval,
    HeldPost,
    Invitation,
    Peer,
    Plan,
    Project,
    Run,
)
from friendlyfl.core import run as core_run


def doubted(project: Project | None = None) -> list[Peer]:
    """Hospitals whose key is in question; of one project, those that this site exchanges post with in it."""
    found = Peer.objects.filter(Q(doubted=True) | Exists(put_aside())).order_by("name")
    if project is None:
        return list(found)
    if not project.coordinates:
        return list(found.filter(site=project.coordinator))
    return list(found.filter(site__in=[member.site for member in members.current(project)[0].members]))


def put_aside() -> QuerySet[HeldPost]:
    """Post of a hospital (of an outer question) that was put aside because of its key."""
    return HeldPost.objects.filter(state="refused", code="key_changed", sender=OuterRef("site"))


def requests() -> QuerySet[Plan]:
    """Plans that this site has not decided on since the last hospital joined, and those whose run waits because the yes
    to it is over."""
    newest = Approval.objects.filter(plan=OuterRef("pk"), site=here.site()).order_by("-pk")
    return (
        Plan.objects.filter(current=True, project__role=PARTICIPANT, project__state="open")
        .annotate(decided=Subquery(newest.values("epoch")[:1]))
        .filter(Q(decided=None) | Q(decided__lt=F("project__epoch")) | Q(run__state=core_run.STANDBY))
        .distinct()
        .select_related("project")
        .order_by("project__name")
    )


def joiners() -> QuerySet[Invitation]:
    """Hospitals that have used a code of this one and wait to be let in."""
    return Invitation.objects.filter(state="joined", project__role=COORDINATOR).select_related("project")


def decisions() -> QuerySet[Approval]:
    """At a coordinator: what the others said to its plans, newest first."""
    return (
        Approval.objects.filter(plan__project__role=COORDINATOR)
        .exclude(site=here.site())
        .select_related("plan__project")
        .only("site", "approved", "at", "plan__project__name")  # not the plans themselves, row after row
        .order_by("-pk")
    )


def ended() -> QuerySet[Run]:
    """Runs that are over, newest first."""
    return (
        Run.objects.filter(state__in=core_run.ENDED)
        .select_related("project")
        .only("number", "state", "reason", "ended_at", "project__name")
        .order_by("-ended_at")
    )


def by_project(since: datetime) -> dict[int, set[str]]:
    """The names of all matters of each project (by its primary key): what waits now, and what has happened since then.

    A name stays the same as long as it is the same matter. It is for comparing and shown to nobody.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for plan in requests():
        found[plan.project_id].add(f"plan {plan.pk} {plan.project.epoch}")
    for run in Run.objects.filter(state=core_run.STANDBY, project__role=PARTICIPANT):
        found[run.project_id].add(f"waiting {run.pk}")
    for invitation in joiners():
        found[invitation.project_id].add(f"joiner {invitation.uid}")
    for approval in decisions().filter(at__gt=since):
        found[approval.plan.project_id].add(f"decision {approval.pk}")
    for run in ended().filter(ended_at__gt=since):
        found[run.project_id].add(f"ended {run.pk}")
    if Peer.objects.filter(Q(doubted=True) | Exists(put_aside())).exists():
        for project in Project.objects.filter(state="open", epoch__gt=0):
            found[project.pk] |= {f"key {peer.pk} {peer.doubted_at or ''}" for peer in doubted(project)}
    return {project: names for project, names in found.items() if names}

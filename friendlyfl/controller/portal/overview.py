"""How things stand, for the home page: few questions to the database, and words instead of states. What waits for a
person is in notices.py.

Only what this site's people may see: a participant's page has no other participant on it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import actions, plans
from friendlyfl.controller.models import Departure, Project, Run
from friendlyfl.controller.portal.ours import called, ours
from friendlyfl.controller.portal.words import TAGS
from friendlyfl.core import run as core_run

SHOWN_RUNS = 20


@dataclass(frozen=True)
class Shown:
    """A run in a list."""

    pk: int
    project: str
    number: int
    tag: str
    word: str
    where: str
    at: datetime
    ended: bool
    succeeded: bool

    @property
    def live(self) -> bool:
        return not self.ended


def runs() -> list[Shown]:
    """The newest runs. What is shown are the copies that every event leaves on its run, so no journal is read."""
    rows = Run.objects.select_related("project", "plan").exclude(state="").order_by("-pk")[:SHOWN_RUNS]
    return [shown(run) for run in rows]


def shown(run: Run) -> Shown:
    """How a run reads in a list."""
    tag, word = TAGS[run.state][0], str(TAGS[run.state][1])
    if run.state == core_run.STANDBY and not run.project.coordinates:
        word = _("Waiting for this hospital")
    ended = run.state in core_run.ENDED
    return Shown(
        pk=run.pk,
        project=run.project.name,
        number=run.number,
        tag=tag,
        word=word,
        where=ours(actions.reason_words(run)) or _place(run),
        at=run.ended_at if ended and run.ended_at else run.started_at,
        ended=ended,
        succeeded=run.state == core_run.SUCCEEDED,
    )


def _place(run: Run) -> str:
    if run.state == core_run.SUCCEEDED:
        return _("The result is there")
    steps = plans.read(bytes(run.plan.raw)).steps
    if run.state == core_run.RUNNING and not run.step and not run.project.coordinates:
        return _("This hospital is ready; the coordinator begins when all are")
    if run.state in (core_run.STANDBY, core_run.PREPARING) or not run.step:
        return ngettext("%(n)d step to do", "%(n)d steps to do", len(steps)) % {"n": len(steps)}
    return _("%(title)s: step %(step)d of %(steps)d, round %(round)d") % {
        "title": called(steps[run.step - 1].title),
        "step": run.step,
        "steps": len(steps),
        "round": max(run.round, 1),
    }


def projects() -> list[dict[str, Any]]:
    """This site's part in each project, in words."""
    words = {
        "joining": _("waiting for the coordinator to let this hospital in"),
        "new": _("not known to the Routing Server yet"),
        "closed": _("closed"),
    }
    return [
        {
            "pk": project.pk,
            "name": project.name,
            "part": _("this hospital coordinates") if project.coordinates else _("this hospital takes part"),
            "state": words.get(project.state, ""),
        }
        for project in Project.objects.order_by("name")
    ]


def last_departure() -> dict[str, Any] | None:
    line = Departure.objects.order_by("-n").first()
    return {"at": datetime.fromisoformat(line.at), "what": ours(line.what)} if line else None

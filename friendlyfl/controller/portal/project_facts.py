"""What the pages of a project have in common: the next act in words, keys in question, the list of runs.

The coordinator's part, which names every hospital, is in project_ours.py; a participant's own part in project_mine.py.
Few questions to the database, whatever the number of hospitals and runs.
"""

from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from friendlyfl.controller import actions, members
from friendlyfl.controller.models import Approval, Peer, Project, Run
from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.words import TAGS
from friendlyfl.core import run as core_run

RUNS_SHOWN = 25


@dataclass(frozen=True)
class Act:
    """The next sensible thing to do: a sentence and, if it is a person's turn here, a button for the role it takes."""

    words: str
    button: str = ""
    url: str = ""
    role: str = "researcher"


@dataclass(frozen=True)
class ShownRun:
    pk: int
    uid: str
    number: int
    tag: str
    word: str
    why: str
    at: Any
    live: bool
    succeeded: bool


@dataclass(frozen=True)
class Runs:
    """A page of a project's runs, newest first."""

    rows: list[ShownRun] = field(default_factory=list)
    older: int = 0  # the number of the next page, 0 if there is none
    newer: int = 0


def to(name: str, *args: Any) -> str:
    """The address of a page."""
    return reverse(f"portal:{name}", args=args)


# --- keys in question ---


def compare_page(peer: Peer, project: Project | None = None) -> str:
    """The address at which keys are compared with a hospital."""
    found = project or _shared(peer)
    return to("verify", found.pk, peer.pk) if found else to("projects")


def _shared(peer: Peer) -> Project | None:
    """A project in which this site exchanges post with the hospital."""
    for project in Project.objects.exclude(state="closed").order_by("pk"):
        if project.coordinator == peer.site:
            return project
        if project.coordinates and peer.site in {m.site for m in members.current(project)[0].members}:
            return project
    return None


# --- runs ---


def runs_of(project: Project, page: int) -> Runs:
    """One page of runs. What is shown are the copies that every event leaves on its run, so no journal is read."""
    page = max(page, 1)
    start = (page - 1) * RUNS_SHOWN
    asked = project.runs.exclude(state="").defer("keys").order_by("-number")
    found = list(asked[start : start + RUNS_SHOWN + 1])
    older = page + 1 if len(found) > RUNS_SHOWN else 0
    return Runs([_run(project, run) for run in found[:RUNS_SHOWN]], older, page - 1)


def _run(project: Project, run: Run) -> ShownRun:
    tag, word = TAGS[run.state][0], str(TAGS[run.state][1])
    if run.state == core_run.STANDBY and not project.coordinates:
        word = _("Waiting for this hospital")
    ended = run.state in core_run.ENDED
    at = run.ended_at if ended and run.ended_at else run.started_at
    return ShownRun(
        run.pk,
        run.uid,
        run.number,
        tag,
        word,
        ours(actions.reason_words(run)),
        at,
        not ended,
        run.state == core_run.SUCCEEDED,
    )


def end_words(word: Approval) -> str:
    """How long a yes holds, in the reader's language."""
    if word.once:
        return _("for one run")
    if word.until is None:
        return _("until it is taken back")
    return _("for all runs until %(day)s") % {"day": date_format(word.until, "DATE_FORMAT")}


# --- what to do next ---


def about(site: str, words: str, button: str, url: str, role: str) -> Act:
    """An act about one hospital, whose name goes into both texts."""
    return Act(words % {"site": site}, button % {"site": site}, url, role)

"""Notices: what has happened at this site that a person should know of, and what waits for one. They are read from the
records at each look, so none can be lost, and none outlives what it is about.

A notice is one line in words and one link. It names no column, no count and no result, and a participant's notices
name no other hospital but the coordinator.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from friendlyfl.controller import actions, here, matters
from friendlyfl.controller.models import HeldPost, Identity, Peer, Person
from friendlyfl.controller.portal.ours import ours
from friendlyfl.controller.portal.project_facts import compare_page
from friendlyfl.core import run as core_run
from friendlyfl.core.limits import GIB

KEPT = 200  # of each kind, newest first
DISK_LOW = 2 * GIB


@dataclass(frozen=True)
class Notice:
    """`waits`: it stays until somebody acts. `at` is None for what is so now and has no beginning."""

    words: str
    url: str
    at: datetime | None = None
    waits: bool = False
    unread: bool = False


def all_of(person: Person) -> list[Notice]:
    """Every notice, newest first; what is newer than the person's last "mark as read" is unread."""
    found = [*waiting(), *_decisions(), *_ended()]
    found.sort(key=lambda notice: notice.at or timezone.now(), reverse=True)
    until = person.inbox_read_at
    return [
        replace(notice, unread=notice.waits or until is None or (notice.at or until) > until)
        for notice in found
    ]


def waiting() -> list[Notice]:
    """What waits for a person of this hospital, the weightiest first."""
    return [*_changed_keys(), *_requests(), *_joiners(), *_put_aside(), *_line(), *_disk()]


def _changed_keys() -> list[Notice]:
    """A key that is not the one this site knows: all post of that site stands still until somebody has telephoned."""
    return [
        Notice(
            _(
                "The key of %(site)s is in question. All post to and from there is held back. "
                "Call them and compare the safety number before anything goes on."
            )
            % {"site": peer.name},
            compare_page(peer),
            waits=True,
        )
        for peer in matters.doubted()
    ]


def _requests() -> list[Notice]:
    """Plans that wait for this hospital's word."""
    return [
        Notice(
            _("%(project)s: the coordinator asks this hospital to approve or decline a plan.")
            % {"project": plan.project.name},
            reverse("portal:request", args=[plan.pk]),
            plan.proposed_at,
            waits=True,
        )
        for plan in matters.requests()
    ]


def _joiners() -> list[Notice]:
    return [
        Notice(
            _("%(site)s wants to join %(project)s. A site-admin lets it in.")
            % {"site": row.site_name, "project": row.project.name},
            reverse("portal:project", args=[row.project_id]),
            waits=True,
        )
        for row in matters.joiners()
    ]


def _put_aside() -> list[Notice]:
    rows = HeldPost.objects.filter(state="refused").exclude(code="key_changed").order_by("-pk")[:KEPT]
    return [
        Notice(
            _("A message was put aside, and nothing was done with it. %(why)s") % {"why": row.sentence},
            reverse("portal:inbox"),
            row.at,
        )
        for row in rows
    ]


def _line() -> list[Notice]:
    row: Identity = here.identity()
    if not row.line_trouble:
        return []
    return [Notice(ours(row.line_trouble), reverse("portal:settings"), row.line_trouble_since, waits=True)]


def _disk() -> list[Notice]:
    free = shutil.disk_usage(here.home().folder).free
    if free >= DISK_LOW:
        return []
    words = _("The disk of this site is nearly full: %(free)s GB are free. Ask IT for more room.")
    return [Notice(words % {"free": f"{free / GIB:.1f}"}, reverse("portal:help"), waits=True)]


def _decisions() -> list[Notice]:
    """At a coordinator: what the others said to its plans."""
    names = dict(Peer.objects.values_list("site", "name"))
    notices = []
    for row in matters.decisions()[:KEPT]:
        where = {"site": names.get(row.site, ""), "project": row.plan.project.name}
        words = (
            _("%(site)s has approved the plan of %(project)s.")
            if row.approved
            else _("%(site)s has declined the plan of %(project)s.")
        )
        notices.append(Notice(words % where, reverse("portal:project", args=[row.plan.project_id]), row.at))
    return notices


def _ended() -> list[Notice]:
    words = {
        core_run.SUCCEEDED: _("Run %(run)s of %(project)s has finished."),
        core_run.FAILED: _("Run %(run)s of %(project)s has failed. %(why)s"),
        core_run.STOPPED: _("Run %(run)s of %(project)s was stopped. %(why)s"),
    }
    notices = []
    for run in matters.ended()[:KEPT]:
        said = {"run": run.number, "project": run.project.name, "why": ours(actions.reason_words(run))}
        page = "portal:results" if run.state == core_run.SUCCEEDED else "portal:run"
        notices.append(Notice((words[run.state] % said).strip(), reverse(page, args=[run.pk]), run.ended_at))
    return notices

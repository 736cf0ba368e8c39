"""A project at its coordinator, put into words: where each hospital stands, its codes, the plan, what to do next.

It names every hospital, so no page of a participant may ask for it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Exists, prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import approvals, drafts, here, matters, members, plans, runs
from friendlyfl.controller.models import Approval, Invitation, Peer, Plan, Project, Run
from friendlyfl.controller.portal.ours import called
from friendlyfl.controller.portal.project_facts import Act, Runs, about, end_words, runs_of, to

PREPARED = ("ready", "computing", "answered", "done")  # states of a seat in a run that begins


@dataclass(frozen=True)
class Hospital:
    """A row of the coordinator's table of hospitals."""

    name: str
    tag: str
    word: str
    more: str = ""
    peer: int | None = None  # None: this hospital itself
    key: str = ""
    doubted: bool = False
    verified: bool = False


@dataclass(frozen=True)
class Code:
    """An invitation that was not used yet."""

    row: Invitation
    expired: bool


@dataclass(frozen=True)
class Ours:
    """A project that this hospital coordinates."""

    hospitals: list[Hospital]
    joined: list[Invitation]  # used their code and wait to be let in
    codes: list[Code]
    plan: Plan | None
    steps: list[str]
    changed: bool  # the draft is not what was proposed
    asked: int  # other hospitals of the plan
    yes: int  # those of them whose approval holds
    act: Act
    alarms: Sequence[Peer]
    runs: Runs

    @property
    def others(self) -> int:
        return len(self.hospitals) - 1


def ours(project: Project, page: int) -> Ours:
    belong = [member.site for member in members.current(project)[0].members]
    aside = Exists(matters.put_aside())
    peers = {peer.site: peer for peer in Peer.objects.filter(site__in=belong).annotate(aside=aside)}
    open_ = list(project.invitations.filter(state__in=("open", "joined")).order_by("label", "pk"))
    plan = project.plans.filter(current=True).last()
    content = plans.read(bytes(plan.raw)) if plan else None
    prefetch_related_objects([project], "steps")  # asked for once: drafts looks at them too
    drafted = list(project.steps.all())
    shown = runs_of(project, page)
    words = _words(project, plan)
    ready = _ready(project, shown)
    hospitals = [
        _itself(project, plan, content)
        if site == here.site()
        else _hospital(peers.get(site), site, plan, content, words.get(site), ready.get(site, ""))
        for site in belong
    ]
    hospitals.sort(key=lambda hospital: (hospital.peer is not None, hospital.name))
    codes = [Code(row, row.expires_at <= timezone.now()) for row in open_ if row.state == "open"]
    joined = [row for row in open_ if row.state == "joined"]
    changed = plan is not None and (drafts.changed(project, plan) or plan.epoch != project.epoch)
    asked = [site for site in content.seats if site != here.site()] if content else []
    yes = sum(1 for site in asked if site in words and not words[site][1])
    alarms = [peer for peer in peers.values() if peer.doubted or peer.aside]
    steps = [called(step.title) for step in (content.steps if content and not drafted else drafted)]
    found = Ours(hospitals, joined, codes, plan, steps, changed, len(asked), yes, Act(""), alarms, shown)
    return replace(found, act=_ours_next(project, found))


def _words(project: Project, plan: Plan | None) -> dict[str, tuple[Approval, str]]:
    """Each hospital's last word on the plan, and what it lacks to be a yes."""
    if plan is None:
        return {}
    plan.project = project
    last = {word.site: word for word in plan.approvals.all()}
    return {site: (word, approvals.missing(plan, word, project.epoch)) for site, word in last.items()}


def _ready(project: Project, shown: Runs) -> dict[str, str]:
    """How each hospital stands in a run that is being prepared."""
    live = next((run for run in shown.rows if run.live), None)
    if live is None:
        return {}
    run = Run(pk=live.pk, uid=live.uid)
    return {seat.site: seat.status for seat in runs.fold(run, runs.RUN).seats.values()}


def _itself(project: Project, plan: Plan | None, content: plans.Content | None) -> Hospital:
    more = ""
    if content is not None and here.site() in content.seats and project.dataset_id is None:
        more = _("It brings data of its own: choose the dataset that serves this project.")
    return Hospital(here.identity().name, "ok", _("Coordinates"), more)


def _hospital(
    peer: Peer | None,
    site: str,
    plan: Plan | None,
    content: plans.Content | None,
    said: tuple[Approval, str] | None,
    ready: str,
) -> Hospital:
    if peer is None:  # cannot be: who is let in is pinned first
        return Hospital(_("site %(uid)s") % {"uid": site[:8]}, "wait", _("Not known here"))
    tag, word, more = _standing(peer, site, plan, content, said, ready)
    key = _("Compared by %(person)s") % {"person": peer.verified_by} if peer.verified_by else ""
    alarm = peer.doubted or getattr(peer, "aside", False)
    return Hospital(peer.name, tag, word, more, peer.pk, key, alarm, bool(peer.verified_by))


def _standing(
    peer: Peer,
    site: str,
    plan: Plan | None,
    content: plans.Content | None,
    said: tuple[Approval, str] | None,
    ready: str,
) -> tuple[str, str, str]:
    """Tag, word and sentence: the furthest point that a hospital has reached."""
    if peer.doubted or getattr(peer, "aside", False):
        return "bad", _("Key in question"), _("All post to and from it is held back.")
    if content is not None and site in content.seats:
        if ready in PREPARED:
            return "ok", _("Ready"), _("It takes part in the run under way.")
        if said is None:
            return "wait", _("Asked to approve"), _("A site-admin there decides.")
        word, lacks = said
        by = {"person": word.person}
        if not lacks:
            until = end_words(word)
            return "ok", _("Approved"), _("By %(person)s, %(until)s.") % {**by, "until": until}
        if lacks == approvals.DECLINED:
            return "bad", _("Declined"), _("By %(person)s: %(reason)s") % {**by, "reason": word.reason}
        return "wait", _("Asked to approve again"), _("The yes of %(person)s does not hold any more.") % by
    if plan is not None:
        return "wait", _("Not in the plan yet"), _("It joined after the plan was proposed.")
    if peer.verified_by:
        return "ok", _("Verified"), _("No plan was proposed yet.")
    return "wait", _("Joined"), _("Its key was not compared yet.")


def _ours_next(project: Project, found: Ours) -> Act:
    """What a person of the coordinator should do now: the first thing that is missing."""
    if project.state == "closed":
        return Act(_("This project is closed. Its results stay."))
    if found.alarms:
        peer = found.alarms[0]
        words = _("The key of %(site)s is in question. Compare it before anything goes on.")
        button = _("Compare keys with %(site)s")
        return about(peer.name, words, button, to("verify", project.pk, peer.pk), "site-admin")
    if found.joined:
        row = found.joined[0]
        words = _("%(site)s has used its code and waits to be let in.")
        return about(
            row.site_name, words, _("Let %(site)s in"), to("admit", project.pk, row.pk), "site-admin"
        )
    live = next((run for run in found.runs.rows if run.live), None)
    if live is not None:
        words = _("Run %(number)s is under way.") % {"number": live.number}
        return Act(words, _("Watch the run"), to("run", live.pk), "viewer")
    if not found.others and not found.codes:
        words = _("Nobody has joined yet. Make a code for each hospital and hand it over.")
        return Act(words, _("Invite a hospital"), to("invite", project.pk))
    if not found.others:
        return Act(
            ngettext(
                "Give the hospital its code, by telephone, letter or mail. It shows here once the code is used.",
                "Give each hospital its code, by telephone, letter or mail. They show here once a code is used.",
                len(found.codes),
            )
        )
    strange = next((row for row in found.hospitals if row.peer is not None and not row.verified), None)
    if strange is not None:
        words = _("The key of %(site)s was not compared yet. A telephone call of two minutes does it.")
        button = _("Compare keys with %(site)s")
        return about(strange.name, words, button, to("verify", project.pk, strange.peer), "site-admin")
    return _plan_next(project, found)


def _plan_next(project: Project, found: Ours) -> Act:
    if not project.dictionary:
        words = _("The hospitals agree on the names, types and units of the columns first.")
        return Act(words, _("Make the dictionary"), to("dictionary", project.pk))
    if not found.steps:
        words = _("The plan has no step yet. A step is one analysis.")
        return Act(words, _("Add a step"), f"{to('catalogue')}?project={project.pk}")
    if found.plan is None or found.changed:
        words = (
            _("The plan is a draft. Each hospital is asked once it is proposed.")
            if found.plan is None
            else _("The draft or the list of hospitals has changed since the plan was proposed.")
        )
        return Act(words, _("Propose the plan"), to("plan", project.pk))
    words = ngettext(
        "%(yes)s of %(all)s hospital has approved the plan.",
        "%(yes)s of %(all)s hospitals have approved the plan.",
        found.asked,
    )
    return Act(words % {"yes": found.yes, "all": found.asked}, _("Start a run"), to("start", project.pk))


# --- the line that changes by itself ---


@dataclass(frozen=True)
class Tally:
    """How far the coordinator's project is, in one sentence; `mark` differs when anything on the page does."""

    words: str
    mark: str


def tally(found: Ours) -> Tally:
    inside = ngettext(
        "%(n)s other hospital belongs to it", "%(n)s other hospitals belong to it", found.others
    )
    parts = [inside % {"n": found.others} if found.others else _("No other hospital belongs to it yet")]
    if found.joined:
        waiting = ngettext("%(n)s waits to be let in", "%(n)s wait to be let in", len(found.joined))
        parts.append(waiting % {"n": len(found.joined)})
    if found.codes:
        unused = ngettext("%(n)s code was not used yet", "%(n)s codes were not used yet", len(found.codes))
        parts.append(unused % {"n": len(found.codes)})
    stands = [(row.name, row.word, row.key) for row in found.hospitals]
    waits = [row.pk for row in found.joined]
    codes = [(code.row.pk, code.expired) for code in found.codes]
    states = [(run.number, run.word) for run in found.runs.rows]
    mark = hashlib.sha256(repr((stands, waits, codes, states)).encode()).hexdigest()[:12]
    return Tally(", ".join(parts) + ".", mark)

"""What the pages of a project show, put into words: where each hospital stands, what to do next, which runs there were.

The coordinator's part names every hospital and is asked for on its pages only; a participant's part knows itself and
the coordinator. Few questions to the database, whatever the number of hospitals and runs.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, prefetch_related_objects
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from friendlyfl.controller import actions, approvals, drafts, here, members, plans, runs
from friendlyfl.controller.models import Approval, HeldPost, Invitation, Peer, Plan, Project, Run
from friendlyfl.controller.portal.words import TAGS
from friendlyfl.core import run as core_run

RUNS_SHOWN = 25
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
    """An address of another room, "" while that room is not there."""
    try:
        return reverse(f"portal:{name}", args=args)
    except NoReverseMatch:
        return ""


# --- keys in question ---


def doubted(project: Project | None = None) -> list[Peer]:
    """Hospitals whose key is in question; of one project, those that this site exchanges post with in it."""
    found = Peer.objects.filter(Q(doubted=True) | Exists(_put_aside())).order_by("name")
    if project is None:
        return list(found)
    if not project.coordinates:
        return list(found.filter(site=project.coordinator))
    return list(found.filter(site__in=[member.site for member in members.current(project)[0].members]))


def _put_aside() -> QuerySet[HeldPost]:
    return HeldPost.objects.filter(state="refused", code="key_changed", sender=OuterRef("site"))


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
        actions.reason_words(run),
        at,
        not ended,
        run.state == core_run.SUCCEEDED,
    )


# --- the coordinator's part ---


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
    aside = Exists(_put_aside())
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
    steps = [step.title for step in (content.steps if content and not drafted else drafted)]
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
            until = approvals.end_words(word)
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
        return _about(peer.name, words, button, to("verify", project.pk, peer.pk), "site-admin")
    if found.joined:
        row = found.joined[0]
        words = _("%(site)s has used its code and waits to be let in.")
        return _about(
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
        return _about(strange.name, words, button, to("verify", project.pk, strange.peer), "site-admin")
    return _plan_next(project, found)


def _about(site: str, words: str, button: str, url: str, role: str) -> Act:
    return Act(words % {"site": site}, button % {"site": site}, url, role)


def _plan_next(project: Project, found: Ours) -> Act:
    if not project.dictionary:
        words = _("The hospitals agree on the names, types and units of the columns first.")
        return Act(words, _("Make the dictionary"), to("dictionary", project.pk))
    if not found.steps:
        words = _("The plan has no step yet. A step is one analysis.")
        return Act(words, _("Add a step"), to("plan", project.pk))
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


# --- a participant's part ---


@dataclass(frozen=True)
class Mine:
    """A project that another hospital coordinates: this hospital's own part, and nobody else's."""

    coordinator: Peer | None
    hospitals: int
    plan: Plan | None
    steps: list[str]
    tag: str
    word: str
    more: str
    mapping: str
    act: Act
    alarms: Sequence[Peer]
    runs: Runs


def mine(project: Project, page: int) -> Mine:
    peer = Peer.objects.filter(site=project.coordinator).annotate(aside=Exists(_put_aside())).first()
    alarms = [peer] if peer and (peer.doubted or peer.aside) else []
    if project.state == "joining":
        return Mine(peer, 0, None, [], "wait", _("Waiting to be let in"), "", "", Act(""), alarms, Runs())
    plan = project.plans.filter(current=True).last()
    steps = [step.title for step in plans.read(bytes(plan.raw)).steps] if plan else []
    tag, word, more, asked = _my_word(project, plan)
    version = project.mappings.order_by("-version").values_list("version", flat=True).first()
    mapping = (
        _("Version %(number)s") % {"number": version}
        if version
        else _("None: the columns are called as in the dictionary")
    )
    shown = runs_of(project, page)
    count = len(members.current(project)[0].members)
    found = Mine(peer, count, plan, steps, tag, word, more, mapping, Act(""), alarms, shown)
    return replace(found, act=_mine_next(project, found, asked))


def _my_word(project: Project, plan: Plan | None) -> tuple[str, str, str, bool]:
    """Tag, word and sentence about the plan, and whether it waits for a person here."""
    if plan is None:
        return "wait", _("No plan yet"), _("The coordinator proposes one."), False
    if here.site() not in plans.read(bytes(plan.raw)).seats:
        return "wait", _("Not in the plan"), _("The plan does without this hospital's data."), False
    plan.project = project
    word = approvals.newest(plan)
    lacks = approvals.missing(plan, word, project.epoch)
    if word is not None and not lacks:
        more = _("By %(person)s, %(until)s.")
        return (
            "ok",
            _("Approved"),
            more % {"person": word.person, "until": approvals.end_words(word)},
            False,
        )
    if word is not None and lacks == approvals.DECLINED:
        more = _("By %(person)s: %(reason)s") % {"person": word.person, "reason": word.reason}
        return "bad", _("Declined"), more, False
    more = _("Nothing is computed and nothing leaves before a site-admin here says yes.")
    return "wait", _("Waiting for you"), more, True


def _mine_next(project: Project, found: Mine, asked: bool) -> Act:
    if project.state == "closed":
        return Act(_("This hospital has left the project, or it is closed. Nothing more is sent."))
    peer = found.coordinator
    if found.alarms and peer is not None:
        words = _("The key of %(site)s is in question. Compare it before anything goes on.")
        button = _("Compare keys with %(site)s")
        return _about(peer.name, words, button, to("verify", project.pk, peer.pk), "site-admin")
    if peer is not None and not peer.verified_by:
        words = _("The key of %(site)s was not compared yet. A telephone call of two minutes does it.")
        button = _("Compare keys with %(site)s")
        return _about(peer.name, words, button, to("verify", project.pk, peer.pk), "site-admin")
    if project.dataset_id is None:
        words = _("Choose the table of this hospital that serves this project. It stays here.")
        return Act(words, _("Choose a dataset"), to("project_dataset", project.pk))
    if asked and found.plan is not None:
        words = _("The coordinator asks this hospital to approve or decline a plan.")
        return Act(words, _("Read the request"), to("request", found.plan.pk), "viewer")
    live = next((run for run in found.runs.rows if run.live), None)
    if live is not None:
        words = _("Run %(number)s is under way.") % {"number": live.number}
        return Act(words, _("Watch the run"), to("run", live.pk), "viewer")
    return Act(_("Nothing is waiting for you here."))


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
    parts = [inside % {"n": found.others}]
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

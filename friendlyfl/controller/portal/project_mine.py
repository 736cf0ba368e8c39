"""A project that another hospital coordinates, put into words: this hospital's own part, and nobody else's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Exists
from django.utils.translation import gettext as _

from friendlyfl.controller import approvals, here, matters, members, plans
from friendlyfl.controller.models import Peer, Plan, Project
from friendlyfl.controller.portal.ours import called
from friendlyfl.controller.portal.project_facts import Act, Runs, about, end_words, runs_of, to


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
    peer = Peer.objects.filter(site=project.coordinator).annotate(aside=Exists(matters.put_aside())).first()
    alarms = [peer] if peer and (peer.doubted or peer.aside) else []
    if project.state == "joining":
        return Mine(peer, 0, None, [], "wait", _("Waiting to be let in"), "", "", Act(""), alarms, Runs())
    plan = project.plans.filter(current=True).last()
    steps = [called(step.title) for step in plans.read(bytes(plan.raw)).steps] if plan else []
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
            more % {"person": word.person, "until": end_words(word)},
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
        return about(peer.name, words, button, to("verify", project.pk, peer.pk), "site-admin")
    if peer is not None and not peer.verified_by:
        words = _("The key of %(site)s was not compared yet. A telephone call of two minutes does it.")
        button = _("Compare keys with %(site)s")
        return about(peer.name, words, button, to("verify", project.pk, peer.pk), "site-admin")
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
